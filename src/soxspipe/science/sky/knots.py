"""Where the continuum spline needs more knots: residuals that are not noise."""

import numpy as np
from scipy.special import ndtri

#: Most by which the noise of cells may exceed that of their pixels; what is above is structure.
MOST = 1.5


def finer(
    breaks: np.ndarray,
    place: np.ndarray,
    residual: np.ndarray,
    *,
    significance: float,
    points: float,
    window: float,
    floor: float,
) -> np.ndarray:
    """Halve the intervals in which residuals are not noise; the breaks themselves if there are none.

    Parameters
    ----------
    place, residual : (n,) native bin and residual of the pixels that count, in units of noise; clipped,
    so that single hits do not ask for knots.
    significance : of the mean of a half-bin cell. points : least pixels in a half interval.
    window, floor : noise is the `floor` percentile of cells within `window` bins, if that is above what
    pure noise has.
    """
    low = breaks[0]
    n = int(np.ceil((breaks[-1] - low) * 2))
    cell = np.clip(((place - low) * 2).astype("i8"), 0, n - 1)
    count = np.bincount(cell, minlength=n)
    mean = np.bincount(cell, residual, n) / np.maximum(count, 1)
    strength = np.where(count >= 4, np.abs(mean) * np.sqrt(count), 0.0)
    strength /= _noise(strength, count >= 4, max(int(2 * window), 50), floor)
    hot = strength > significance + 1.0
    pair = strength[:-1] + strength[1:] > 2 * significance
    hot[:-1] |= pair & (np.sign(mean[:-1]) == np.sign(mean[1:]))
    if not hot.any():
        return breaks
    position = low + (np.flatnonzero(hot) + 0.5) / 2.0
    interval = np.clip(np.searchsorted(breaks, position) - 1, 0, len(breaks) - 2)
    marked = np.zeros(len(breaks) - 1, dtype=bool)
    marked[interval] = True
    many = np.diff(np.searchsorted(np.sort(place), breaks)) >= 2 * points
    # two knots closer than the cells in which residuals are judged would be guessed
    wide = np.diff(breaks) > 1.2
    middle = 0.5 * (breaks[:-1] + breaks[1:])
    return np.sort(np.concatenate([breaks, middle[marked & many & wide]]))


def _noise(strength: np.ndarray, known: np.ndarray, window: int, floor: float) -> np.ndarray:
    """Scale of the noise at each cell: 1, or as much more, up to MOST, as its surroundings say."""
    expected = float(ndtri(0.5 + 0.005 * min(max(floor, 1.0), 99.5)))
    scale = np.ones(len(strength))
    for start in range(0, len(strength), window):
        part = slice(start, start + window)
        values = strength[part][known[part]]
        if len(values) > 20:
            seen = float(np.percentile(values, floor)) / expected
            scale[part] = min(max(seen, 1.0), MOST)
    return scale
