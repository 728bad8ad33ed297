"""A made-up solution, its map, and a table of true places of light."""

import numpy as np
from astropy.io import fits
from astropy.table import Table

from soxspipe.datamodel.geometry import DispersionSolution, OrderSolution, PixelMap

PER_PIXEL, PER_ARCSEC = 0.05, 3.5  # nm; pixels


def solution():
    """Two orders of 100 x 60 pixels: x = (wavelength - 1000) / 0.05, y = 30 + 3.5 slit (+ 60)."""
    series = {
        n: OrderSolution(
            x=np.array([[50.0, 0.0], [50.0, 0.0]]),
            y=np.array([[30.0 + 60 * n, 7 * PER_ARCSEC]]),
            wavelength=(1000.0, 1005.0),
            slit=(-7.0, 7.0),
            lines=(1000.0, 1005.0),
        )
        for n in (0, 1)
    }
    return DispersionSolution({10: series[0], 11: series[1]})


def pixel_map(shift=(0.0, 0.0)):
    """The map of that solution, wrong by `shift` pixels (along dispersion, along the slit)."""
    y, x = np.mgrid[0:120, 0:100].astype("f8")
    order = np.where(y < 60, 10, 11)
    wavelength = 1000 + PER_PIXEL * (x + shift[0])
    slit = (y % 60 - 30 + shift[1]) / PER_ARCSEC
    return PixelMap(wavelength, slit.astype("f4"), order.astype("i2"))


def places(n=300, seed=1, **columns):
    """True places of light, as the simulator lists them."""
    rng = np.random.default_rng(seed)
    order = rng.choice([10, 11], n)
    wavelength, slit = rng.uniform(1000.2, 1004.7, n), rng.uniform(-5, 5, n)
    x = (wavelength - 1000) / PER_PIXEL
    y = 30 + 60 * (order - 10) + PER_ARCSEC * slit
    table = {"order": order, "wavelength": wavelength, "slit": slit, "x": x, "y": y}
    table["in_lines"] = np.ones(n, dtype=bool)
    return Table(table | columns).as_array().view(fits.FITS_rec)
