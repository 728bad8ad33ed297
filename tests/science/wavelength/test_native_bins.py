"""Pixels on native bins: positions and areas of a map that can be written down."""

import numpy as np
import pytest

from soxspipe.datamodel.geometry import PixelMap
from soxspipe.science.wavelength.native_bins import order_pixels

SHAPE = (60, 200)
TILT, SCALE, STEP = 0.1513, 0.28, 0.05


def linear_map(*, step=STEP, shear=0.0, columns=(10, 190), number=3):
    """Straight order, lines tilted by TILT; the slit coordinate creeps along by `shear`."""
    y, x = np.indices(SHAPE).astype(float)
    position = x - TILT * (y - 30.0)  # pixel at the slit centre that sees the same wavelength
    slit = SCALE * (y - 30.0) + shear * (x - 100.0)
    inside = (np.abs(y - 30) < 20) & (x >= columns[0]) & (x < columns[1])
    return (
        np.where(inside, 500 + step * position, 0.0),
        np.where(inside, slit, 0.0),
        np.where(inside, number, 0).astype("i2"),
        position,
    )


def pixels_of(wavelength, slit, order, axis="x"):
    if axis == "y":
        wavelength, slit, order = wavelength.T, slit.T, order.T
    return order_pixels(PixelMap(wavelength, slit.astype("f4"), order), dispersion_axis=axis)


@pytest.mark.parametrize("axis", ["x", "y"])
@pytest.mark.parametrize("step", [STEP, -STEP])
def test_bins_of_a_linear_map(axis, step):
    wavelength, slit, order, position = linear_map(step=step)
    (pixels,) = pixels_of(wavelength, slit, order, axis).values()
    if axis == "y":
        wavelength, slit, position = wavelength.T, slit.T, position.T
    number = pixels.first + np.arange(len(pixels.grid))
    assert pixels.grid == pytest.approx(500 + step * number, abs=1e-6)
    assert pixels.width == pytest.approx(abs(step), abs=1e-6)
    assert (pixels.first, len(pixels.grid)) == (10, 180)
    assert pixels.bin == pytest.approx(position.ravel()[pixels.index], abs=1e-4)
    assert (np.diff(pixels.bin) >= 0).all()
    assert pixels.area == pytest.approx(SCALE, rel=1e-4)
    assert pixels.wavelength == pytest.approx(wavelength.ravel()[pixels.index])
    assert pixels.slit == pytest.approx(slit.ravel()[pixels.index], abs=1e-5)
    assert pixels.order == 3


def test_area_is_the_determinant():
    wavelength, slit, order, _ = linear_map(shear=0.004)
    (pixels,) = pixels_of(wavelength, slit, order).values()
    # bin = x - p (y - y0), slit = a (y - y0) + c (x - x0): |1 * a + p * c|; where the slit centre
    # wanders, bins count along it, which runs at -c / a across per pixel
    along = 1 + TILT * 0.004 / SCALE
    assert pixels.area == pytest.approx((SCALE + TILT * 0.004) / along, rel=1e-3)


def test_areas_add_up_to_the_slit():
    wavelength, slit, order, _ = linear_map()
    (pixels,) = pixels_of(wavelength, slit, order).values()
    in_bin = np.bincount(pixels.nearest, pixels.area)[10:-10]  # whole ones
    assert in_bin.mean() == pytest.approx(39 * SCALE, rel=2e-3)
    assert in_bin == pytest.approx(39 * SCALE, rel=0.06)  # a pixel more or less


def test_every_pixel_is_in_the_range_of_the_bins():
    wavelength, slit, order, position = linear_map()
    (pixels,) = pixels_of(wavelength, slit, order).values()
    inside = (order == 3) & (position >= 9.5) & (position < 189.5)
    assert np.array_equal(np.sort(pixels.index), np.flatnonzero(inside))


def test_curved_dispersion_keeps_the_effective_wavelength():
    y, x = np.indices(SHAPE).astype(float)
    position = x - TILT * (y - 30.0) + 5e-4 * (y - 30.0) ** 2
    inside = np.abs(y - 30) < 20

    def wavelength_at(pixel):
        return 500 + STEP * pixel + 2e-5 * (pixel - 100) ** 2

    (pixels,) = pixels_of(
        np.where(inside, wavelength_at(position), 0),
        np.where(inside, SCALE * (y - 30), 0),
        np.where(inside, 3, 0).astype("i2"),
    ).values()
    number = pixels.first + np.arange(len(pixels.grid))
    assert pixels.grid == pytest.approx(wavelength_at(number), abs=0.01 * STEP)
    assert pixels.bin == pytest.approx(position.ravel()[pixels.index], abs=0.02)
    assert pixels.width == pytest.approx(STEP + 4e-5 * (number - 100), rel=1e-2)


def test_short_orders_are_left_out():
    wavelength, slit, order, _ = linear_map(columns=(50, 69))
    assert pixels_of(wavelength, slit, order) == {}
    wavelength, slit, order, _ = linear_map(columns=(50, 71))
    assert list(pixels_of(wavelength, slit, order)) == [3]


def test_orders_do_not_mix():
    one = linear_map(number=3, columns=(0, 100))
    two = linear_map(number=7, columns=(100, 200), step=-0.02)
    found = pixels_of(*(np.where(one[2] == 3, a, b) for a, b in zip(one[:3], two[:3], strict=True)))
    assert sorted(found) == [3, 7]
    assert found[7].width == pytest.approx(0.02, abs=1e-6)
    assert len(np.intersect1d(found[3].index, found[7].index)) == 0
