"""Spots narrower than two pixels: centres without bias, errors that mean what they say."""

import numpy as np
import pytest

from soxspipe.maths.gaussians import fit_spots
from tests.maths.truth import assert_pulls, spots

SIGMA = (0.72, 0.80)
TILE = 15


def tiles(n_x, n_y, rng=None):
    """True centres of spots on tiles of their own: all phases, or random ones."""
    row, column = np.divmod(np.arange(n_x * n_y), n_x)
    if rng is None:
        phase_x, phase_y = (column + 0.5) / n_x - 0.5, (row + 0.5) / n_y - 0.5
    else:
        phase_x, phase_y = rng.uniform(-0.5, 0.5, (2, n_x * n_y))
    middle = TILE // 2
    return TILE * column + middle + phase_x, TILE * row + middle + phase_y


def noisy(image, rng, read=5.0):
    variance = image + read**2
    return image + rng.normal(0, np.sqrt(variance)), 1.0 / variance


def test_centres_are_unbiased_at_every_phase_of_the_pixel():
    x, y = tiles(11, 11)
    image = spots((11 * TILE, 11 * TILE), x, y, SIGMA, 5000.0, 20.0)
    p, _, chi2 = fit_spots(
        image, np.full(image.shape, 0.01), np.rint(x), np.rint(y), half_width=(4, 3), sigma=0.9
    )
    assert np.abs(p[:, 1] - x).max() < 0.005
    assert np.abs(p[:, 2] - y).max() < 0.005
    assert p[:, 0] == pytest.approx(5000, rel=1e-3)
    assert p[:, 3] == pytest.approx(SIGMA[0], abs=2e-3)
    assert p[:, 4] == pytest.approx(SIGMA[1], abs=2e-3)
    assert p[:, 5] == pytest.approx(20, abs=0.1)
    assert chi2.max() < 1e-2


def test_errors_say_how_far_the_fit_is_from_the_truth():
    rng = np.random.default_rng(1)
    x, y = tiles(25, 25, rng)
    image, weight = noisy(spots((25 * TILE, 25 * TILE), x, y, SIGMA, 3000.0, 20.0), rng)
    p, error, chi2 = fit_spots(image, weight, np.rint(x), np.rint(y), half_width=(4, 4), sigma=0.85)
    truth = np.column_stack([np.full(x.size, 3000), x, y, *np.full((2, x.size), 0), x * 0 + 20])
    truth[:, 3:5] = SIGMA
    for k in range(6):
        assert_pulls((p[:, k] - truth[:, k]) / error[:, k])
    dof = 81 - 6
    assert abs(chi2.mean() - 1) < 4 * np.sqrt(2 / dof / x.size)


def test_held_shape_stays_as_given():
    rng = np.random.default_rng(2)
    x, y = tiles(12, 12, rng)
    image, weight = noisy(spots((12 * TILE, 12 * TILE), x, y, (0.8, 0.8), 400.0), rng)
    p, error, _ = fit_spots(
        image, weight, np.rint(x), np.rint(y), half_width=(3, 3), sigma=0.8, fixed_shape=True
    )
    assert (p[:, 3:5] == 0.8).all()
    assert_pulls((p[:, 0] - 400) / error[:, 0])
    assert_pulls((p[:, 1] - x) / error[:, 1])


def test_pixels_without_weight_do_not_count():
    image = spots((TILE, TILE), 7.2, 6.9, SIGMA, 5000.0)
    weight = np.full(image.shape, 0.01)
    spoilt = image.copy()
    for row, column in ((7, 8), (5, 6), (8, 10)):
        spoilt[row, column], weight[row, column] = 1e6, 0
    start = np.array([7.0])
    p, _, _ = fit_spots(spoilt, weight, start, start, half_width=(4, 4), sigma=0.85)
    assert p[0, 1:3] == pytest.approx((7.2, 6.9), abs=0.005)
    assert p[0, 0] == pytest.approx(5000, rel=1e-3)


def test_stamps_that_cannot_be_fitted_are_nan():
    image = spots((40, 40), [20, 2, 20, 37.0], [20, 20, 37, 2.0], SIGMA, 1000.0)
    weight = np.ones(image.shape)
    weight[8:13, 8:13] = 0
    x, y = np.array([20, 2, 20, 37, 10.0]), np.array([20, 20, 37, 2, 10.0])
    for values in fit_spots(image, weight, x, y, half_width=(3, 3), sigma=0.8):
        assert np.isfinite(values[0]).all()
        assert np.isnan(values[1:]).all()
