"""The spectrum of the lamp times the blaze of an order: a curve along dispersion."""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from soxspipe.maths.robust import running_median

#: Pixels along dispersion per median, and pixels that make one.
_BIN, _LEAST = 4.0, 8
#: Bins that are compared, and how low one of them must be for its pixels to be dead as a whole.
_NEIGHBOURS, _DEAD = 9, 0.6


@dataclass(frozen=True, eq=False)
class LampSpectrum:
    """Electrons per pixel, `level` (k,), at pixels along dispersion, `place` (k,); none if k is 0."""

    place: np.ndarray
    level: np.ndarray

    def at(self, along: np.ndarray) -> np.ndarray:
        """Monotone interpolation at (n,) pixels along dispersion; NaN where no light was seen.

        Half a bin beyond the ends is reached along the last slope: corners of the slit lie there.
        """
        if len(self.place) < 2:
            return np.full(np.shape(along), np.nan)
        low, high = self.place[0], self.place[-1]
        curve = PchipInterpolator(self.place, self.level)
        nearest = np.clip(along, low, high)
        level = curve(nearest) + curve(nearest, 1) * (along - nearest)
        return np.where(np.abs(along - nearest) <= _BIN, np.maximum(level, 0.0), np.nan)


def lamp_spectrum(along: np.ndarray, values: np.ndarray) -> LampSpectrum:
    """Medians of 4-pixel bins of equal wavelength.

    along, values : (m,) pixel along dispersion at the order centre, and electrons.

    A bin holds over a hundred pixels, so its median adds nothing to the noise of one; a stiffer curve
    would ring where a dichroic cuts the lamp off. Medians: cold pixels and columns have a small
    variance, any weighted mean would follow them. A bin that is far below those on both sides is a dead
    stripe across the slit, and left out.
    """
    if len(along) == 0:
        return LampSpectrum(np.empty(0), np.empty(0))
    bins = np.rint(along / _BIN).astype("i8")
    first = int(bins.min())
    bins -= first
    sort = np.lexsort((values, bins))
    count = np.bincount(bins)
    start = np.concatenate([[0], np.cumsum(count)[:-1]])
    filled = count >= _LEAST
    if filled.sum() < 20:
        return LampSpectrum(np.empty(0), np.empty(0))
    ordered, middle = values[sort], start[filled] + count[filled] // 2
    level = 0.5 * (ordered[middle] + ordered[middle - 1])
    # the mean place of its pixels: the outermost bins are filled on one side only
    place = (np.bincount(bins, along)[filled]) / count[filled]
    alive = level >= _DEAD * running_median(level, _NEIGHBOURS)
    return LampSpectrum(place[alive], level[alive].astype("f8"))
