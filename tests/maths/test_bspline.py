"""Splines: exact where they can be, honest about noise, calm where there are no data."""

import numpy as np
import pytest
from numpy.polynomial import Polynomial
from scipy.interpolate import BSpline

from soxspipe.errors import DataError
from soxspipe.maths import bspline
from tests.maths.truth import assert_pulls

BREAKS = np.array([0, 1, 2.5, 3, 5, 7, 8.5, 10.0])


@pytest.mark.parametrize("degree", [1, 2, 3, 4, 5])
def test_a_polynomial_of_its_degree_comes_back(degree):
    truth = Polynomial(np.array([2, -1, 0.5, -0.3, 0.04, 0.01])[: degree + 1])
    x = np.random.default_rng(1).permutation(np.linspace(0, 10, 300))  # in any order
    spline = bspline.fit(x, truth(x), np.linspace(0.5, 2, 300), BREAKS, degree=degree)
    at = np.linspace(0, 10, 77)
    assert spline(at) == pytest.approx(truth(at), abs=2e-6 * np.ptp(truth(at)))


@pytest.mark.parametrize("degree", [1, 3])
def test_values_are_those_of_the_textbook(degree):
    coefficients = np.random.default_rng(2).normal(size=len(BREAKS) + degree - 1)
    knots = bspline.full_knots(BREAKS, degree)
    x = np.linspace(0, 10, 101)
    assert bspline.Spline(knots, coefficients, degree)(x) == pytest.approx(
        BSpline(knots, coefficients, degree)(x)
    )
    matrix = bspline.basis_matrix(x, BREAKS, degree=degree)
    assert matrix @ coefficients == pytest.approx(BSpline(knots, coefficients, degree)(x))
    assert matrix.sum(axis=1) == pytest.approx(1)
    one = np.eye(len(coefficients))
    area = [float(BSpline(knots, row, degree).integrate(0, 10)) for row in one]
    assert bspline.integrals(BREAKS, degree=degree) == pytest.approx(area)


def test_ends_are_held_beyond_the_data():
    x = np.linspace(0, 10, 200)
    spline = bspline.fit(x, np.sin(x), np.ones(200), BREAKS, degree=3)
    assert spline(np.array([-5.0, 15.0])) == pytest.approx(spline(np.array([0.0, 10.0])))


def test_scatter_of_the_fit_is_that_of_weighted_least_squares():
    rng = np.random.default_rng(3)
    x = np.sort(rng.uniform(0, 10, 400))
    sigma = rng.uniform(0.5, 3, 400)
    truth = Polynomial([1, 2, -0.7, 0.05])
    matrix = bspline.basis_matrix(x, BREAKS, degree=3)
    covariance = np.linalg.inv((matrix / sigma[:, None] ** 2).T @ matrix)
    at = np.array([1.7, 5.5, 9.1])
    basis = bspline.basis_matrix(at, BREAKS, degree=3)
    error = np.sqrt(np.diag(basis @ covariance @ basis.T))
    pulls = []
    for _ in range(300):
        spline = bspline.fit(x, truth(x) + rng.normal(0, sigma), sigma**-2, BREAKS, degree=3)
        pulls.append((spline(at) - truth(at)) / error)
    assert_pulls(np.array(pulls))


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_a_gap_in_the_data_is_bridged_calmly(degree):
    breaks = np.arange(0, 101, 2.0)
    x = np.concatenate([np.linspace(0, 30, 200), np.linspace(70, 100, 200)])
    y = np.where(x < 50, 10.0, 20.0) + 0.01 * np.sin(50 * x)
    weight = np.ones(400)
    weight[x < 3] = 0.0  # nor are there any at the end
    spline = bspline.fit(x, y, weight, breaks, degree=degree)
    gap = spline(np.linspace(0, 100, 500))
    assert gap.min() > 8
    assert gap.max() < 22
    assert spline(np.array([20.0, 80.0])) == pytest.approx([10, 20], abs=0.02)


def test_no_weight_at_all_is_an_error():
    x = np.linspace(0, 10, 50)
    with pytest.raises(DataError, match="no data left"):
        bspline.fit(x, x, np.zeros(50), BREAKS, degree=3)
