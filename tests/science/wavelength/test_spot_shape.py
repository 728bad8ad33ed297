"""Numbers that say what a spot looks like."""

import numpy as np
import pytest

from soxspipe.science.wavelength import spot_shape
from tests.maths.truth import spots

FWHM = 2 * np.sqrt(2 * np.log(2))
MIDDLE = np.array([10.0])


def test_moments_within_two_pixels():
    # a spot in the middle of a pixel: second moments of the light within 2 pixels, added up by hand
    image = spots((21, 21), 10, 10, (0.7, 0.7), 1000.0, 30.0)
    y, x = np.mgrid[-10:11, -10:11]
    core = np.hypot(x, y) <= 2
    corners = (np.abs(x) <= 2) & (np.abs(y) <= 2) & ~core
    light = np.where(core, image - image[corners].mean(), 0)
    truth_fwhm = FWHM * np.sqrt((light * x**2).sum() / light.sum())
    at = np.array([10.0, np.nan])
    fwhm = spot_shape.moment_fwhm(image, at, at)
    assert fwhm[0] == pytest.approx(truth_fwhm, rel=1e-6)
    assert np.isnan(fwhm[1])


def test_moments_hardly_depend_on_the_phase_and_grow_with_the_width():
    widths = []
    for sigma in (0.5, 0.6, 0.7, 0.8):
        phase = np.array([-0.4, -0.2, 0, 0.2, 0.4])
        image = spots((21, 105), 10 + 21 * np.arange(5) + phase, 10 + phase, (sigma, sigma), 1e4)
        fwhm = spot_shape.moment_fwhm(image, 10 + 21 * np.arange(5) + phase, 10 + phase)
        assert np.ptp(fwhm) < 0.15 * fwhm.mean()
        widths.append(fwhm.mean())
    assert (np.diff(widths) > 0.03).all()


def shape_of(image, background=0.0):
    return tuple(
        float(v[0]) for v in spot_shape.roundness(image, MIDDLE, MIDDLE, np.array([background]))
    )


def test_a_round_spot_is_round_and_an_elongated_one_is_not():
    round_one = spots((21, 21), 10, 10, (0.8, 0.8), 1e4)
    wide = spots((21, 21), 10, 10, (1.1, 0.7), 1e4)
    lean = sum(spots((21, 21), 10 + s, 10 + s, (0.7, 0.7), 5e3) for s in (-0.5, 0.5))
    assert shape_of(round_one) == pytest.approx((0, 0), abs=1e-6)
    assert shape_of(wide)[1] > 0.2
    assert shape_of(wide.T)[1] < -0.2
    assert shape_of(wide)[0] == pytest.approx(0, abs=1e-6)
    assert shape_of(lean)[0] > 0.1
    assert shape_of(lean[:, ::-1])[0] < -0.1


def test_a_hot_pixel_is_sharp_and_a_hump_is_not():
    values = []
    for image in (
        np.pad([[1000.0]], 10),
        spots((21, 21), 10, 10, (0.8, 0.8), 1e4),
        spots((21, 21), 10, 10, (4.0, 4.0), 1e5),
    ):
        height = np.array([image[10, 10]])
        values.append(spot_shape.sharpness(image, MIDDLE, MIDDLE, np.zeros(1), height)[0])
    assert values[0] == pytest.approx(1)
    assert 0.4 < values[1] < 0.8
    assert values[2] < 0.1


def test_pixels_that_stand_out_are_counted():
    image = np.full((21, 21), 50.0)
    image[9:12, 10] += 40
    variance = np.full((21, 21), 100.0)
    found = spot_shape.pixels_above(image, variance, MIDDLE, MIDDLE, np.array([50.0]))
    assert found.tolist() == [3]
