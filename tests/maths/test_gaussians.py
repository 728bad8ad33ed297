"""Spots narrower than two pixels: centres without bias, errors that mean what they say."""

import numpy as np
import pytest

from soxspipe.maths.gaussians import fit_blended_spots, fit_spots
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


@pytest.mark.parametrize("fit", [fit_spots, fit_blended_spots])
def test_errors_say_how_far_the_fit_is_from_the_truth(fit):
    rng = np.random.default_rng(1)
    x, y = tiles(25, 25, rng)
    image, weight = noisy(spots((25 * TILE, 25 * TILE), x, y, SIGMA, 3000.0, 20.0), rng)
    p, error, chi2 = fit(image, weight, np.rint(x), np.rint(y), half_width=(4, 4), sigma=0.85)
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


def pinholes(distance):
    """A line through nine holes, seen at many phases: x, y of (20 lines, 9 holes)."""
    line = np.arange(20)
    x = 12 + 14 * line[:, None] + np.linspace(-0.5, 0.5, 20)[:, None] + 0.11 * np.arange(9)
    y = 8 + distance * np.arange(9) + np.linspace(-0.4, 0.5, 20)[:, None] ** 3 * 4
    return x.ravel(), y.ravel()


def test_neighbours_four_pixels_away_do_not_pull():
    x, y = pinholes(4.0)
    counts = 2000.0 * (1 + np.arange(x.size) % 3)
    image = spots((50, 300), x, y, SIGMA, counts, 10.0)
    weight = np.full(image.shape, 0.01)
    start = np.rint(x), np.rint(y)
    alone, _, _ = fit_spots(image, weight, *start, half_width=(4, 2), sigma=0.85)
    together, _, _ = fit_blended_spots(image, weight, *start, half_width=(4, 2), sigma=0.85)
    assert np.abs(alone[:, 2] - y).max() > 0.1  # the case is a hard one
    assert np.abs(together[:, 1] - x).max() < 0.005
    assert np.abs(together[:, 2] - y).max() < 0.01
    assert np.abs(np.mean(together[:, 2] - y)) < 0.001
    assert together[:, 0] == pytest.approx(counts, rel=0.01)


def test_blended_spots_have_honest_errors():
    rng = np.random.default_rng(3)
    x, y = pinholes(4.5)
    image, weight = noisy(spots((55, 300), x, y, SIGMA, 4000.0, 10.0), rng)
    p, error, chi2 = fit_blended_spots(
        image, weight, np.rint(x), np.rint(y), half_width=(4, 2), sigma=0.85
    )
    assert_pulls((p[:, 1] - x) / error[:, 1])
    assert_pulls((p[:, 2] - y) / error[:, 2])
    assert abs(chi2.mean() - 1) < 4 * np.sqrt(2 / (45 - 6) / x.size)


def test_chi2_of_blended_spots_is_per_degree_of_freedom_with_pixels_missing():
    rng = np.random.default_rng(4)
    x, y = tiles(20, 20, rng)
    image, weight = noisy(spots((20 * TILE, 20 * TILE), x, y, SIGMA, 3000.0), rng)
    weight[:, ::5] = 0
    half = {"half_width": (4, 4), "sigma": 0.85}
    p, _, chi2 = fit_blended_spots(image, weight, np.rint(x), np.rint(y), **half)
    assert np.isfinite(p).all()
    assert chi2.mean() == pytest.approx(1, abs=0.04)


def test_a_place_without_light_is_no_spot():
    rng = np.random.default_rng(5)
    image = rng.normal(0, 5, (TILE, 3 * TILE))
    image += spots(image.shape, 7, 7, SIGMA, 3000.0)
    x, y = np.array([7, 22, 37.0]), np.full(3, 7.0)
    p, _, chi2 = fit_blended_spots(
        image, np.full(image.shape, 1 / 25), x, y, half_width=(4, 2), sigma=0.85
    )
    assert p[0, 1:3] == pytest.approx((7, 7), abs=0.02)
    assert np.isnan(p[1:]).all()
    assert np.isnan(chi2[1:]).all()
