"""A made-up order whose geometry is a formula: dispersion along x, lines tilted against columns."""

import numpy as np
from scipy.special import ndtr

from soxspipe.datamodel.order_pixels import OrderPixels

ROWS, SCALE, STEP = 45, 0.28, 0.1  # pixels across; arcsec per pixel; nm per pixel
SLOPE = 0.013  # pixels across per pixel along: the order runs obliquely over the detector
READ_NOISE = 4.0


def order_pixels(n=400, *, number=1, low=1000.0, tilt=0.4, rows=ROWS, step=STEP):
    """Pixels of an order of `n` x `rows`; a line moves by `tilt` pixels per arcsec along the slit."""
    y, x = np.mgrid[0 : rows + int(SLOPE * n) + 1, 0:n].astype("f8")
    slit = (y - SLOPE * x - (rows - 1) / 2) * SCALE
    position = x - tilt * slit
    inside = (position >= -0.5) & (position < n - 0.5) & (np.abs(slit) < rows / 2 * SCALE)
    index = np.flatnonzero(inside)
    index = index[np.argsort(position.ravel()[index], kind="stable")]
    position, slit = position.ravel()[index], slit.ravel()[index]
    return OrderPixels(
        order=number,
        index=index,
        wavelength=low + step * position,
        slit=slit,
        bin=position,
        area=np.full(len(index), SCALE),  # of slit and bin, whatever slope and tilt
        first=0,
        grid=low + step * np.arange(n),
        width=np.full(n, step),
    )


def noisy(rng, light):
    """Pixel values and their true variance, for expected `light` (electrons)."""
    variance = light + READ_NOISE**2
    return rng.normal(light, np.sqrt(variance)), variance


def gaussian_share(pixels, centre, fwhm):
    """Part of a Gaussian star's light that falls into each pixel; `centre` in arcsec, may vary."""
    sigma = fwhm / 2.3548
    low, high = pixels.slit - SCALE / 2, pixels.slit + SCALE / 2
    return ndtr((high - centre) / sigma) - ndtr((low - centre) / sigma)


def lines(position, centres, heights, sigma=1.2):
    """Sum of Gaussian lines over the bin coordinate `position`."""
    z = (position[:, None] - np.asarray(centres)) / sigma
    return (np.asarray(heights) * np.exp(-0.5 * z**2)).sum(axis=1)
