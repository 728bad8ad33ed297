"""The mean profile of an object in cells of distance from its trace."""

from dataclasses import dataclass

import numpy as np
from numba import njit

from soxspipe.science.extraction.profile import Light

#: Cells in which the Moffat is fitted, arcsec; how far they reach.
_CELL, _REACH = 0.15, 14.0


@dataclass(frozen=True, eq=False)
class Binned:
    """Mean profile (per arcsec) and its error in cells of scaled distance, those that hold light."""

    distance: np.ndarray
    value: np.ndarray
    error: np.ndarray


def binned(parts: list[Light], reference: float) -> Binned:
    """Mean over all `parts`, each stretched to the seeing at the `reference` wavelength (nm)."""
    n = 2 * round(_REACH / _CELL) + 1
    place, top, bottom = np.zeros(n), np.zeros(n), np.zeros(n)
    for part in parts:
        stretch = (part.wavelength / reference) ** 0.2
        _bin(
            (part.distance, stretch, part.scale, part.data, part.variance, part.good),
            place,
            top,
            bottom,
        )
    seen = bottom > 1e-12 * max(float(bottom.max()), 1e-300)
    safe = bottom[seen]
    return Binned(place[seen] / safe, top[seen] / safe, 1.0 / np.sqrt(safe))


@njit(cache=True)
def _bin(pixels, place, top, bottom):  # type: ignore[no-untyped-def]
    """Add pixels to the sums of their cells."""
    distance, stretch, scale, data, variance, good = pixels
    for i in range(len(distance)):
        scaled = distance[i] * stretch[i]
        if not good[i] or abs(scaled) >= _REACH:
            continue
        at = int(np.rint((scaled + _REACH) / _CELL))
        signal = scale[i] * stretch[i]
        top[at] += signal / variance[i] * data[i]
        place[at] += signal**2 / variance[i] * scaled
        bottom[at] += signal**2 / variance[i]
