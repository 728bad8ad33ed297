"""Cubes as FITS extensions: FLUX, ERRS, QUAL of step, slit and wavelength, and the table of steps."""

import math

import numpy as np
from astropy.io import fits
from astropy.io.fits import Header

from soxspipe.datamodel.cube import Cube, OnSky
from soxspipe.datamodel.frame import PixelFlag
from soxspipe.datamodel.rectified import Grid
from soxspipe.io.tables import describe

#: Cards with the keyword, the attribute of OnSky and the comment.
_SKY_CARDS = (
    ("MAP_RA", "ra", "[deg] of zero offset"),
    ("MAP_DEC", "dec", "[deg] of zero offset"),
    ("MAP_PA", "angle", "[deg] position angle of the slit"),
    ("MAP_SENS", "sense", "1 (-1): slit positions rise (fall) with it"),
)


def cube_hdus(cube: Cube, header: Header) -> fits.HDUList:
    """FLUX (primary), ERRS and QUAL, each with two coordinate systems: slit and step in arcsec, and, if
    the position angle is known, RA and DEC (A); the table STEPS.
    """
    primary = fits.PrimaryHDU(np.ascontiguousarray(cube.flux), header=header)
    primary.header["EXTNAME"] = "FLUX"
    errors = fits.ImageHDU(np.ascontiguousarray(cube.error), name="ERRS")
    flags = fits.ImageHDU(np.ascontiguousarray(cube.flags), name="QUAL")
    for hdu in (primary, errors, flags):
        _describe_grid(hdu.header, cube)
        if cube.on_sky is not None:
            _describe_sky(hdu.header, cube, cube.on_sky)
    for hdu in (primary, errors):
        _describe_values(hdu.header, cube)
    for flag, bit in PixelFlag.__members__.items():
        meaning = f"meaning of bit {int(bit).bit_length() - 1}"
        flags.header[f"FLAG{int(bit)}"] = (flag, meaning)
    filled = np.isfinite(cube.flux).any(axis=(1, 2))
    columns = [
        fits.Column("row", "I", array=np.arange(1, len(filled) + 1)),
        fits.Column("across", "E", unit="arcsec", array=cube.offsets),
        fits.Column("filled", "L", array=filled),
    ]
    steps = fits.BinTableHDU.from_columns(columns, name="STEPS")
    describe(steps, {"across": "offset across the slit", "filled": "F: no position, a gap"})
    return fits.HDUList([primary, errors, flags, steps])


def read_cube(hdus: fits.HDUList) -> Cube:
    """The cube of a product."""
    flux, error, flags = (hdus[name].data for name in ("FLUX", "ERRS", "QUAL"))
    header = hdus["FLUX"].header
    step, slit_step = float(header["CDELT1"]), float(header["CDELT2"])
    grid = Grid(
        round(header["CRVAL1"] / step),
        step,
        round(header["CRVAL2"] / slit_step),
        slit_step,
        flux.shape[1:],
    )
    known = "MAP_PA" in header
    return Cube(
        grid=grid,
        first=float(header["CRVAL3"]),
        step=float(header["CDELT3"]),
        width=float(header["SLITWID"]),
        flux=flux,
        error=error,
        flags=flags,
        noise_factor=float(header["NOISEFAC"]),
        seconds=float(header["CUBETIME"]),
        on_sky=OnSky(**{a: header[key] for key, a, _ in _SKY_CARDS}) if known else None,
        unit=str(header["BUNIT"]),
    )


def _describe_grid(header: Header, cube: Cube) -> None:
    grid = cube.grid
    axes = (
        ("AWAV", "nm", grid.first * grid.step, grid.step, "wavelength in air"),
        ("SLIT", "arcsec", grid.slit_first * grid.slit_step, grid.slit_step, "along the slit"),
        ("STEP", "arcsec", cube.first, cube.step, "offset across the slit"),
    )
    for n, (kind, unit, first, step, meaning) in enumerate(axes, start=1):
        header[f"CTYPE{n}"] = (kind, meaning)
        header[f"CUNIT{n}"] = unit
        header[f"CRPIX{n}"] = 1.0
        header[f"CRVAL{n}"] = (first, "centre of the first bin")
        header[f"CDELT{n}"] = step


def _describe_sky(header: Header, cube: Cube, sky: OnSky) -> None:
    """The alternate system A: wavelength, RA, DEC."""
    grid = cube.grid
    sine, cosine = math.sin(math.radians(sky.angle)), math.cos(math.radians(sky.angle))
    along, across = sky.sense * grid.slit_step / 3600.0, cube.step / 3600.0
    cards = {
        "WCSNAMEA": "SKY",
        "CTYPE1A": "AWAV",
        "CTYPE2A": "RA---TAN",
        "CTYPE3A": "DEC--TAN",
        "CUNIT1A": "nm",
        "CUNIT2A": "deg",
        "CUNIT3A": "deg",
        "CRPIX1A": 1.0,
        "CRPIX2A": 1.0 - grid.slit_first,
        "CRPIX3A": 1.0 - cube.first / cube.step,
        "CRVAL1A": grid.first * grid.step,
        "CRVAL2A": sky.ra,
        "CRVAL3A": sky.dec,
        "CD1_1A": grid.step,
        "CD2_2A": along * sine,
        "CD2_3A": across * cosine,
        "CD3_2A": along * cosine,
        "CD3_3A": -across * sine,
    }
    header.update(cards)
    for key, attribute, comment in _SKY_CARDS:
        header[key] = (getattr(sky, attribute), comment)


def _describe_values(header: Header, cube: Cube) -> None:
    header["BUNIT"] = (cube.unit, "per bin of a mean exposure")
    header["CUBETIME"] = (cube.seconds, "[s] mean exposure, to which all are scaled")
    header["SLITWID"] = (cube.width, "[arcsec] width of sky in a row")
    header["NOISEFAC"] = (round(cube.noise_factor, 4), "true over naive error of a large sum")
