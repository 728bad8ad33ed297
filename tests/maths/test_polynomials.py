"""Chebyshev fits: known series come back, wild values do not matter."""

import numpy as np
import pytest
from numpy.polynomial import chebyshev

from soxspipe.maths.polynomials import (
    basis_2d,
    chebyshev_nodes,
    chebyshev_on_grid,
    fit_with_prior,
    powers_of,
    robust_fit,
)
from tests.maths.truth import assert_pulls

NO_PRIOR = np.full(4, np.inf)
TRUTH = np.array([3.0, -1.5, 0.4, 0.2])


def test_basis_is_the_product_of_both_series():
    rng = np.random.default_rng(1)
    t, s = rng.uniform(-1, 1, (2, 20))
    dense = rng.normal(size=(4, 3))
    degrees = [(i, k) for i in range(4) for k in range(3)]
    values = basis_2d(t, s, degrees) @ dense.ravel()
    assert values == pytest.approx(chebyshev.chebval2d(t, s, dense))


def test_without_prior_it_is_weighted_least_squares():
    rng = np.random.default_rng(2)
    t = np.linspace(-1, 1, 60)
    matrix, sigma = chebyshev.chebvander(t, 3), rng.uniform(0.1, 1, 60)
    covariance = np.linalg.inv((matrix / sigma[:, None] ** 2).T @ matrix)
    pulls = []
    for _ in range(300):
        values = matrix @ TRUTH + rng.normal(0, sigma)
        fit = fit_with_prior(matrix, values, sigma**-2, NO_PRIOR)
        pulls.append((fit - TRUTH) / np.sqrt(np.diag(covariance)))
    assert_pulls(np.array(pulls))


def test_a_prior_counts_as_one_more_measurement_of_zero():
    one = np.ones((1, 1))
    # 6 +- 2, known beforehand to be 0 +- 1: weighted mean 6 / 4 / (1 / 4 + 1)
    assert fit_with_prior(one, np.array([6.0]), np.array([0.25]), np.ones(1)) == pytest.approx(1.2)
    # known beforehand to be 0 +- 4
    wide = fit_with_prior(one, np.array([6.0]), np.array([0.25]), np.full(1, 4.0))
    assert wide == pytest.approx(6 * 0.25 / (0.25 + 1 / 16))


def test_a_prior_decides_where_data_do_not():
    t = np.full(50, 0.3)  # all at one place: the slope is not measured
    matrix = chebyshev.chebvander(t, 1)
    fit = fit_with_prior(matrix, np.full(50, 2.0), np.full(50, 1e4), np.array([1e3, 1e-3]))
    assert fit == pytest.approx([2, 0], abs=1e-3)


@pytest.mark.parametrize("one_sided", [True, False])
def test_a_third_of_wrong_values_does_not_matter(one_sided):
    rng = np.random.default_rng(3)
    n = 600
    matrix = chebyshev.chebvander(rng.uniform(-1, 1, n), 3)
    values = matrix @ TRUTH + rng.normal(0, 0.05, n)
    wrong = np.arange(n) < 180
    off = rng.uniform(1, 20, n) * (1 if one_sided else rng.choice([-1, 1], n))
    values[wrong] += off[wrong]
    fit, kept = robust_fit(
        matrix, values, np.full(n, 0.05), NO_PRIOR, sigma=4.0, rounds=10, floor=0.01
    )
    assert not kept[wrong].any()
    assert kept[~wrong].mean() > 0.99
    covariance = np.linalg.inv(matrix[~wrong].T @ matrix[~wrong]) * 0.05**2
    assert (np.abs(fit - TRUTH) < 4 * np.sqrt(np.diag(covariance))).all()


def test_wrong_values_that_seem_precise_do_not_matter():
    rng = np.random.default_rng(7)
    matrix = chebyshev.chebvander(rng.uniform(-1, 1, 300), 3)
    wrong = np.arange(300) < 75
    error = np.where(wrong, 0.005, 0.05)
    values = matrix @ TRUTH + rng.normal(0, 0.05, 300) + 1.5 * wrong
    fit, kept = robust_fit(matrix, values, error, NO_PRIOR, sigma=4.0, rounds=10, floor=0.005)
    assert not kept[wrong].any()
    assert fit == pytest.approx(TRUTH, abs=0.03)


def test_scatter_below_the_floor_rejects_nothing():
    rng = np.random.default_rng(4)
    matrix = chebyshev.chebvander(np.linspace(-1, 1, 100), 3)
    values = matrix @ TRUTH + rng.uniform(-0.02, 0.02, 100)
    _, kept = robust_fit(
        matrix, values, np.full(100, 1e-4), NO_PRIOR, sigma=3.0, rounds=5, floor=0.02
    )
    assert kept.all()


def test_series_through_the_nodes_is_the_series():
    truth = np.random.default_rng(5).normal(size=(6, 4))
    t, s = np.meshgrid(chebyshev_nodes(5), chebyshev_nodes(3), indexing="ij")
    assert chebyshev_on_grid(chebyshev.chebval2d(t, s, truth)) == pytest.approx(truth)


def test_powers_of_a_scaled_variable():
    rng = np.random.default_rng(6)
    coefficients = rng.normal(size=(6, 2))
    z = np.linspace(-3, 9, 15)
    scaled = np.polynomial.polynomial.polyval((z - 3.0) / 6.0, coefficients)
    plain = np.polynomial.polynomial.polyval(z, powers_of(coefficients, 3.0, 6.0))
    assert plain == pytest.approx(scaled)
