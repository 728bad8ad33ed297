"""Emission lines of a lamp: wavelengths at which no smooth curve is its spectrum."""

import numpy as np

from soxspipe.science.orders.lit_pixels import LitPixels

#: Most that the median response at a wavelength may differ from that of the neighbours: this much, and
#: so many sigmas of its noise.
_LEAST, _SIGMAS = 0.01, 5.0
#: Noise of a median over that of a mean.
_MEDIAN = 1.25
#: Pixels beside a line that it spoils as well.
_WING = 5


def near_lines(
    pixels: LitPixels, response: np.ndarray, variance: np.ndarray, good: np.ndarray
) -> np.ndarray:
    """(n,) bool: pixels at wavelengths where the curve taken for the lamp's spectrum does not fit it.

    There the median response along the slit, pixel by pixel of dispersion, is off 1: dust and dead
    pixels, which do not follow a wavelength along the slit, leave it alone.

    response, variance, good : (n,) lamp light over that curve.
    """
    use = pixels.core & good & (variance > 0)
    bins = np.rint(pixels.along).astype("i8")
    bins -= bins.min()
    n = int(bins.max()) + 1
    line = np.zeros(n, dtype=bool)
    order = np.flatnonzero(use)[np.argsort(bins[use], kind="stable")]
    ends = np.searchsorted(bins[order], np.arange(n + 1))
    for k in range(n):
        here = order[ends[k] : ends[k + 1]]
        if len(here) > 5:
            off = abs(float(np.median(response[here])) - 1.0)
            noise = _MEDIAN * np.sqrt(np.median(variance[here]) / len(here))
            line[k] = off > _LEAST + _SIGMAS * noise
    near = np.convolve(line, np.ones(2 * _WING + 1), mode="same") > 0
    return np.asarray(near[bins])
