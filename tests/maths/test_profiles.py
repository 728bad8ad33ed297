"""Profiles across an order: the same promises as for spots, in one dimension."""

import numpy as np
import pytest

from soxspipe.maths.profiles import fit_profiles
from tests.maths.truth import assert_pulls, pixel_gaussian


def rows(centres, n=25, sigma=0.8, counts=5000.0, background=15.0):
    return np.array([background + counts * pixel_gaussian(n, c, sigma) for c in centres])


def test_centres_are_unbiased_at_every_phase_of_the_pixel():
    centre = 12 + np.linspace(-0.5, 0.5, 41)
    profiles = rows(centre)
    p, _ = fit_profiles(profiles, profiles + 25, centre=np.full(41, 12.0), sigma=0.9)
    assert np.abs(p[:, 1] - centre).max() < 0.005
    assert p[:, 0] == pytest.approx(5000, rel=1e-3)
    assert p[:, 2] == pytest.approx(0.8, abs=1e-3)
    assert p[:, 3] == pytest.approx(15, abs=0.1)


@pytest.mark.parametrize("offset", [-2.0, 0.0, 2.0])
def test_errors_say_how_far_the_fit_is_from_the_truth(offset):
    rng = np.random.default_rng(6)
    centre = 12 + rng.uniform(-0.5, 0.5, 800)
    profiles = rows(centre, counts=3000.0)
    variance = profiles + 25
    profiles = profiles + rng.normal(0, np.sqrt(variance))
    p, error = fit_profiles(profiles, variance, centre=centre + offset, sigma=0.9)
    for k, truth in enumerate((3000.0, centre, 0.8, 15.0)):
        assert_pulls((p[:, k] - truth) / error[:, k])


def test_pixels_of_unknown_variance_do_not_count():
    profiles = rows([12.3, 12.3])
    variance = profiles + 25
    for row, hole in ((0, np.inf), (1, np.nan)):
        profiles[row, 14], variance[row, 14] = 1e6, hole
    p, _ = fit_profiles(profiles, variance, centre=np.full(2, 12.0), sigma=0.9)
    assert p[:, 1] == pytest.approx(12.3, abs=0.005)


def test_a_row_with_hardly_a_pixel_is_nan():
    profiles = rows([12.3, 11.8])
    variance = profiles + 25
    variance[0, 5:] = np.inf
    p, error = fit_profiles(profiles, variance, centre=np.full(2, 12.0), sigma=0.9)
    assert np.isnan(p[0]).all()
    assert np.isnan(error[0]).all()
    assert p[1, 1] == pytest.approx(11.8, abs=0.005)


def test_rows_that_leave_parameters_open_do_not_stop_the_others():
    """A saturated star: hardly a pixel is left, and those are known very well."""
    profiles = rows(np.full(24, 12.3), counts=1e9, sigma=2.0)
    variance = np.full(profiles.shape, 1e-6)
    for k in range(23):
        variance[k, : k + 1] = variance[k, k + 3 :] = np.inf
    p, error = fit_profiles(profiles, variance, centre=np.full(24, 12.0), sigma=1.8)
    assert np.isnan(p[:23]).all()
    assert np.isnan(error[:23]).all()
    assert p[23, 1] == pytest.approx(12.3, abs=0.005)
