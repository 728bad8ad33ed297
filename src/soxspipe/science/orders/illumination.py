"""How the light of a lamp falls off along the slit: what a pixel of usual sensitivity shows."""

import numpy as np

from soxspipe.maths.robust import running_median
from soxspipe.science.orders.lit_pixels import LitPixels

#: Parts of an order along dispersion, each with an illumination of its own.
PARTS = 8
#: Within this distance from the slit's end the light falls, pixels; and the width of bins there.
_FALL, _FINE = 5.0, 0.25
#: Rows over whose median the light inside the slit is taken: a dead row must not show.
_ROWS = 7


def slit_illumination(pixels: LitPixels, response: np.ndarray, good: np.ndarray) -> np.ndarray:
    """(n,) response that pixels of usual sensitivity have at these places, about 1 inside the slit.

    response, good : (n,) lamp light over the spectrum of the lamp, and which of it counts.

    Inside the slit a running median over rows, for each eighth of the order; at its ends the shape of
    the fall as a function of the distance from the fitted edge.
    """
    inner = _inside_slit(pixels, response, good)
    usable = good & (inner > 0)
    relative = np.where(usable, response / np.where(usable, inner, 1.0), np.nan)
    grid = np.arange(-1.0, _FALL + _FINE, _FINE)
    falls = [_fall(d, relative, usable, grid) for d in (pixels.below, pixels.above)]
    # a dead row along one end of the slit leaves the other end as it is
    low, high = np.minimum(*falls), np.maximum(*falls)
    odd = low < 0.8 * high
    result = inner
    for distance, fall in zip((pixels.below, pixels.above), falls, strict=True):
        shape = np.where(odd, high, fall)
        result = result * np.where(distance < _FALL, np.interp(distance, grid, shape), 1.0)
    return np.asarray(result)


def _inside_slit(pixels: LitPixels, response: np.ndarray, good: np.ndarray) -> np.ndarray:
    """(n,) running median along the slit in each part of the order; ends hold the last value inside."""
    share = pixels.below / np.maximum(pixels.below + pixels.above, 1.0)
    rows = max(round(float(np.median(pixels.below + pixels.above))), 1)
    position = np.clip((share * rows).astype("i8"), 0, rows - 1)
    span = pixels.columns.max() + 1 - pixels.columns.min()
    part = (pixels.columns - pixels.columns.min()) * PARTS // span
    level = _medians(part * rows + position, response, good & (pixels.depth > _FALL), PARTS * rows)
    result = np.ones(len(response))
    for k, levels in enumerate(level.reshape(PARTS, rows)):
        known = np.isfinite(levels)
        if known.any():
            smooth = running_median(levels, _ROWS)
            here = part == k
            at = np.flatnonzero(known)
            result[here] = np.interp(share[here] * rows - 0.5, at, smooth[at])
    return result


def _fall(
    distance: np.ndarray, relative: np.ndarray, usable: np.ndarray, grid: np.ndarray
) -> np.ndarray:
    """Response at these distances from one end of the slit over that inside."""
    near = usable & (distance < _FALL + 1.0)
    bins = np.rint((distance[near] - grid[0]) / _FINE).astype("i8")
    bins = np.clip(bins, 0, len(grid) - 1)
    level = _medians(bins, relative[near], np.ones(len(bins), dtype=bool), len(grid))
    known = np.isfinite(level)
    return np.interp(grid, grid[known], level[known]) if known.any() else np.ones(len(grid))


def _medians(group: np.ndarray, values: np.ndarray, use: np.ndarray, n: int) -> np.ndarray:
    """Median of the values in use of each of n groups, NaN for fewer than 8."""
    group, values = group[use], values[use]
    sort = np.lexsort((values, group))
    count = np.bincount(group, minlength=n)
    start = np.concatenate([[0], np.cumsum(count)[:-1]])
    filled = count >= 8
    middle = np.where(filled, start + count // 2, 0)
    return np.where(filled, values[sort][middle], np.nan) if len(values) else np.full(n, np.nan)
