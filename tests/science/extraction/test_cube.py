"""Images of neighbouring positions as a cube: light kept, gaps left, times made equal."""

import numpy as np
import pytest

from soxspipe.datamodel.frame import PixelFlag
from soxspipe.datamodel.rectified import Grid, RectifiedImage
from soxspipe.errors import DataError, InputError
from soxspipe.science.extraction.cube import Layer, build

PLACE = {"first": -1.0, "step": 1.0, "width": 1.0}


def an_image(flux, *, first=0, slit_first=-4, error=2.0, step=0.1):
    flux = np.asarray(flux, dtype="f4")
    grid = Grid(first, step, slit_first, 0.3, flux.shape)
    table = np.zeros((int(grid.chunks[-1]) + 1, 1, 3))
    table[:, 0] = 0.25, 1.0, 0.25
    return RectifiedImage(grid, flux, np.full(flux.shape, error), np.zeros(flux.shape, "u2"), table)


def test_the_light_of_all_positions_is_in_the_cube():
    rng = np.random.default_rng(1)
    images = [an_image(rng.uniform(0, 9, (8, 50)), first=7 * k, slit_first=k) for k in range(3)]
    cube = build([Layer(i, k, 300.0) for k, i in enumerate(images)], number=3, **PLACE)
    assert cube.flux.shape == (3, 10, 64)
    assert cube.offsets.tolist() == [-1.0, 0.0, 1.0]
    for k, image in enumerate(images):
        assert np.nansum(cube.flux[k], dtype="f8") == pytest.approx(image.flux.sum(dtype="f8"))
        span = (k, slice(k, k + 8), slice(7 * k, 7 * k + 50))
        assert np.array_equal(cube.flux[span], image.flux)
        assert cube.grid.slit[k] == pytest.approx(image.slit[0])
        assert cube.grid.wavelength[7 * k] == pytest.approx(image.wavelength[0])
        assert np.isnan(cube.flux[k]).sum() == 10 * 64 - 8 * 50
    assert cube.noise_factor == pytest.approx(np.sqrt(1.5))
    outside = np.isnan(cube.flux)
    assert (cube.flags[outside] == PixelFlag.NOTHING_LEFT).all()
    assert np.isnan(cube.error[outside]).all()


def test_unequal_exposure_times_come_to_their_mean():
    short, long = an_image(np.full((4, 40), 10.0)), an_image(np.full((4, 40), 30.0))
    cube = build([Layer(short, 0, 100.0), Layer(long, 1, 300.0)], number=2, **PLACE)
    assert cube.seconds == 200.0
    assert np.allclose(cube.flux, 20.0)
    assert np.allclose(cube.error[0], 4.0)
    assert np.allclose(cube.error[1], 4.0 / 3.0)


def test_a_missing_position_is_a_gap():
    image = an_image(np.ones((4, 40)))
    cube = build([Layer(image, 0, 1.0), Layer(image, 2, 1.0)], number=3, **PLACE)
    assert np.isnan(cube.flux[1]).all()
    assert (cube.flags[1] == PixelFlag.NOTHING_LEFT).all()
    assert np.isnan(cube.white[1]).all()
    assert np.allclose(cube.white[[0, 2]], 1.0)


def test_positions_of_one_row_are_put_together():
    low = an_image(np.full((10, 40), 6.0), slit_first=0, error=1.0)
    high = an_image(np.full((10, 40), 3.0), slit_first=8, error=2.0)
    cube = build([Layer(low, 0, 1.0), Layer(high, 0, 1.0)], number=1, **PLACE)
    assert cube.flux.shape == (1, 18, 40)
    assert np.allclose(cube.flux[0, :8], 6.0)
    assert np.allclose(cube.flux[0, 10:], 3.0)
    assert np.allclose(cube.flux[0, 8:10], (6.0 + 3.0 / 4.0) / (1.0 + 1.0 / 4.0))
    assert np.allclose(cube.error[0, 8:10], 1.0 / np.sqrt(1.25))


def test_what_makes_no_cube():
    image = an_image(np.ones((4, 40)))
    with pytest.raises(DataError, match="no image"):
        build([], number=1, **PLACE)
    with pytest.raises(InputError, match="outside"):
        build([Layer(image, 1, 1.0)], number=1, **PLACE)
    other = an_image(np.ones((4, 40)), step=0.2)
    with pytest.raises(InputError, match="different steps"):
        build([Layer(image, 0, 1.0), Layer(other, 1, 1.0)], number=2, **PLACE)
