"""Rectified images are read back as they were, and say where their bins lie."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.io.fits import Header
from astropy.wcs import WCS

from soxspipe.datamodel.frame import PixelFlag
from soxspipe.datamodel.rectified import (
    CHUNK,
    Grid,
    RectifiedImage,
    RectifiedOrders,
    RectifiedSpectrum,
)
from soxspipe.errors import InputError
from soxspipe.io.products import read_product, write_product
from soxspipe.io.provenance import Provenance, product_header

FIELDS = ("flux", "error", "flags", "correlation", "cover", "sky", "sky_error")


def an_image(first=26917, n=70, *, kind=RectifiedImage, **more):
    rng = np.random.default_rng(first)
    shape = (9, n)
    flux = rng.normal(10, 3, shape).astype("f4")
    flux[0] = np.nan
    flags = np.zeros(shape, dtype="u2")
    flags[0], flags[3, 4] = PixelFlag.NOTHING_LEFT, PixelFlag.HOT
    grid = Grid(first, 0.02, -21, 0.28, shape)
    table = np.zeros((int(grid.chunks[-1]) + 1, 3, 5), dtype="f4")
    table[:, 0, 1:4] = 0.25, 1.0, 0.25
    table[:, 1, 2] = np.linspace(0.4, 0.6, len(table))
    error = rng.uniform(1, 2, shape).astype("f4")
    return kind(grid=grid, flux=flux, error=error, flags=flags, correlation=table, **more)


def assert_same(found, image):
    assert type(found) is type(image)
    assert found.grid == image.grid
    assert found.unit == image.unit
    for name in FIELDS:
        before, after = getattr(image, name), getattr(found, name)
        if before is None:
            assert after is None
        else:
            assert np.array_equal(after, before, equal_nan=before.dtype.kind == "f")


def test_orders(tmp_path):
    cover = np.full((9, 70), 0.5, dtype="f4")
    product = RectifiedOrders({1: an_image(cover=cover), 4: an_image(36000, 33, sky=None)})
    path = tmp_path / "a_RECTIFIED.fits"
    write_product(path, product, Header({"OBJECT": "star"}))
    found = read_product(path)
    assert list(found.orders) == [1, 4]
    for number, image in product.orders.items():
        assert_same(found.orders[number], image)
    with fits.open(path, checksum=True) as hdus:
        names = [hdu.name for hdu in hdus]
        assert {"FLUX_1", "ERRS_1", "QUAL_1", "COVER_1", "FLUX_4", "ERRS_4", "QUAL_4"} <= set(names)
        assert "COVER_4" not in names
        assert hdus["RECTIFIED_ORDERS"].data["noise_factor"][0] == pytest.approx(
            product.orders[1].noise_factor
        )


def test_whole_arm(tmp_path):
    sky = np.full((9, 70), 3.0, dtype="f4")
    image = an_image(kind=RectifiedSpectrum, sky=sky, sky_error=0.1 * sky, unit="count")
    path = tmp_path / "a_MERGED2D.fits"
    write_product(path, image, Header({"OBJECT": "star", "BUNIT": "adu"}))
    assert_same(read_product(path), image)
    with fits.open(path, checksum=True) as hdus:
        assert [h.name for h in hdus] == ["FLUX", "ERRS", "QUAL", "SKY", "SKYERR", "CORRELATION"]
        header = hdus[0].header
        assert header["OBJECT"] == "star"
        assert header["BUNIT"] == "count"
        assert header["NOISEFAC"] == pytest.approx(image.noise_factor, abs=1e-4)
        assert [header[f"CTYPE{i}"] for i in (1, 2)] == ["AWAV", "SLIT"]
        assert hdus["QUAL"].header["FLAG16"] == "HOT"


def test_the_world_coordinates_are_wavelength_and_slit(tmp_path):
    image, path = an_image(kind=RectifiedSpectrum), tmp_path / "a.fits"
    raw = Header({"INSTRUME": "SOXS", "CTYPE1": "RA---TAN", "CRVAL1": 83.0, "CD1_1": 1e-5})
    write_product(path, image, product_header(raw, Provenance("soxs-stare")))
    with fits.open(path) as hdus:
        wcs = WCS(hdus["ERRS"].header)
        x, y = np.array([0, 69]), np.array([0, 8])
        wavelength, slit = wcs.wcs_pix2world(x, y, 0)
        scale = wcs.wcs.cunit[0].to("nm")  # astropy turns wavelengths to metres
        assert wavelength * scale == pytest.approx(image.wavelength[[0, -1]], rel=1e-12)
        assert slit == pytest.approx(image.slit[[0, -1]], abs=1e-12)
        assert hdus[0].header["CRVAL1"] == pytest.approx(26917 * 0.02)
        assert "CD1_1" not in hdus[0].header


def test_damaged(tmp_path):
    path = tmp_path / "a.fits"
    write_product(path, an_image(kind=RectifiedSpectrum), Header())
    with fits.open(path) as hdus:
        del hdus["ERRS"]
        hdus.writeto(tmp_path / "b.fits")
    with pytest.raises(InputError, match="damaged"):
        read_product(tmp_path / "b.fits")


def test_images_of_another_shape_are_refused():
    grid = Grid(0, 0.02, 0, 0.28, (3, 40))
    ones, table = np.ones((3, 40)), np.ones((2, 1, 1))
    RectifiedImage(grid, ones, ones, ones, table)
    with pytest.raises(InputError, match="flags"):
        RectifiedImage(grid, ones, ones, ones[1:], table)
    for wrong in (table[0], np.ones((1, 1, 1)), np.ones((2, 1, 2))):
        with pytest.raises(InputError, match="correlation"):
            RectifiedImage(grid, ones, ones, ones, wrong)


def test_chunks_begin_at_multiples():
    assert Grid(CHUNK - 2, 0.1, 0, 0.1, (1, 4)).chunks.tolist() == [0, 0, 1, 1]
    assert Grid(5 * CHUNK, 0.1, 0, 0.1, (1, CHUNK + 1)).chunks[[0, -2, -1]].tolist() == [0, 0, 1]


def test_covariance_is_the_plain_double_sum():
    image = an_image(cover=None)
    weights = np.random.default_rng(1).uniform(0, 1, image.grid.shape)
    x = weights * np.where(np.isfinite(image.error), image.error, 0)
    found = image.covariance(weights)
    table, chunk = image.correlation, image.grid.chunks
    for i, k in ((0, 0), (10, 1), (31, 1), (69, 0), (40, 2)):
        direct = sum(
            x[a, i] * x[b, i + k] * table[chunk[i], k, 2 + b - a]
            for a in range(9)
            for b in range(9)
            if abs(b - a) <= 2
        )
        assert found[k, i] == pytest.approx(direct, rel=1e-5)
    uniform = image.noise_factors**2
    assert uniform[0] == pytest.approx(1.5 + 2 * 0.4, rel=1e-6)
