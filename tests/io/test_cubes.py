"""Cubes are read back as they were, and say where their bins lie on the sky."""

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.io.fits import Header
from astropy.wcs import WCS

from soxspipe.datamodel.cube import Cube, OnSky
from soxspipe.datamodel.frame import PixelFlag
from soxspipe.datamodel.rectified import Grid
from soxspipe.errors import InputError
from soxspipe.io.products import read_product, write_product


def a_cube(on_sky=None):
    rng = np.random.default_rng(2)
    grid = Grid(27500, 0.02, -21, 0.28, (43, 30))
    flux = rng.normal(10, 3, (4, 43, 30))
    flux[2] = np.nan
    flags = np.where(np.isnan(flux), int(PixelFlag.NOTHING_LEFT), 0)
    return Cube(grid, -1.5, 1.0, 1.0, flux, np.abs(flux), flags, 1.7, 300.0, on_sky)


@pytest.mark.parametrize("on_sky", [None, OnSky(215.6, -31.0, 40.0, -1)])
def test_back_from_disk(tmp_path, on_sky):
    cube, path = a_cube(on_sky), tmp_path / "a_CUBE.fits"
    write_product(path, cube, Header({"OBJECT": "galaxy"}))
    found = read_product(path)
    assert isinstance(found, Cube)
    for name in ("flux", "error", "flags"):
        assert np.array_equal(getattr(found, name), getattr(cube, name), equal_nan=name != "flags")
    for name in ("grid", "first", "step", "width", "noise_factor", "seconds", "on_sky", "unit"):
        assert getattr(found, name) == getattr(cube, name)
    with fits.open(path, checksum=True) as hdus:
        assert [h.name for h in hdus] == ["FLUX", "ERRS", "QUAL", "STEPS"]
        assert hdus["STEPS"].data["filled"].tolist() == [True, True, False, True]
        assert hdus["STEPS"].data["across"].tolist() == [-1.5, -0.5, 0.5, 1.5]
        assert hdus[0].header["NOISEFAC"] == 1.7


def test_axes_of_the_slit(tmp_path):
    path = tmp_path / "a_CUBE.fits"
    write_product(path, a_cube(), Header())
    wcs = WCS(fits.getheader(path))
    wavelength, slit, step = wcs.pixel_to_world_values(3, 21, 2)
    assert wavelength * 1e9 == pytest.approx(550.06)
    assert slit == pytest.approx(0.0, abs=1e-9)
    assert step == pytest.approx(0.5)
    assert list(wcs.wcs.ctype) == ["AWAV", "SLIT", "STEP"]


@pytest.mark.parametrize(("angle", "sense"), [(0.0, 1), (90.0, 1), (35.0, 1), (-110.0, -1)])
def test_a_bin_lies_where_the_slit_was(tmp_path, angle, sense):
    zero = SkyCoord(215.6 * u.deg, -31.0 * u.deg)
    cube = a_cube(OnSky(215.6, -31.0, angle, sense))
    path = tmp_path / "a_CUBE.fits"
    write_product(path, cube, Header())
    wcs = WCS(fits.getheader(path), key="A")
    for slit_bin, row in ((21, 3), (40, 0), (5, 2)):
        _, ra, dec = wcs.pixel_to_world_values(0, slit_bin, row)
        found = SkyCoord(ra * u.deg, dec * u.deg)
        along, across = sense * cube.grid.slit[slit_bin], cube.offsets[row]
        truth = zero.directional_offset_by(angle * u.deg, along * u.arcsec)
        truth = truth.directional_offset_by((angle + 90.0) * u.deg, across * u.arcsec)
        assert found.separation(truth).arcsec < 1e-3


def test_arrays_of_another_shape_are_refused():
    with pytest.raises(InputError, match="shape"):
        Cube(Grid(1, 1.0, 1, 1.0, (3, 4)), 0.0, 1.0, 1.0, *[np.zeros((2, 4, 3))] * 3, 1.0, 1.0)
