"""Pixels that do not show the light they get: dead, blocked, of low sensitivity; hot, hit."""

import numpy as np

from soxspipe.maths.robust import mad_sigma, median_around

#: Significance of a single low pixel among a million.
_LEAST_SIGNIFICANCE = 5.0
#: Half height and half width of the neighbourhoods that judge a pixel: along dispersion, and around.
_NEIGHBOURS = ((0, 5), (2, 4))
#: A pixel that sees less than this share of its light is no dust grain.
_DEAD = 0.5
#: Below this share of the light begins the slit's end, and this much of what is lost is in doubt.
_FULL_LIGHT, _EDGE_DOUBT = 0.9, 0.8
#: Where the slit's end leaves less light than this, only the pixel's own row judges it; and where nothing
#: is said.
_LEAST_LIGHT, _NO_LIGHT = 0.3, 0.1
#: At the slit's ends less than this share is no defect: the edge wanders by hundredths of a pixel.
_LEAST_STEP = 0.1


def cold_pixels(
    response: np.ndarray, variance: np.ndarray, expected: np.ndarray, *, sigma: float
) -> tuple[np.ndarray, np.ndarray]:
    """(rows, columns) bool twice: pixels of low response, and pixels that show more light than they got.

    Parameters
    ----------
    response, variance : (rows, columns), variance 0 where nothing is known.
    expected : (rows, columns) response of pixels of usual sensitivity, 0 outside the slit.
    sigma : how far below the median a cold pixel must be, in MAD-based scatters of the response.

    A cold pixel must also be 5 sigma of its own noise, and of the scatter between neighbours, below
    those around it or along dispersion; or see less than half of its light. Dust, which is smooth, is
    not cold: the flat corrects it. A pixel so far above both is hot, or was hit.
    """
    lit = (variance > 0) & (expected > _LEAST_LIGHT)
    nothing = np.zeros(response.shape, dtype=bool)
    if not lit.any():
        return nothing, nothing
    safe = np.where(lit, expected, 1.0)
    share = np.where(lit, response / safe, 1.0)
    noise = np.sqrt(variance) / safe
    both = lit[:, 1:] & lit[:, :-1]
    scatter = mad_sigma(np.diff(share, axis=1)[both]) / np.sqrt(2.0)
    limit = _LEAST_SIGNIFICANCE * np.maximum(noise, scatter)
    # at the slit's ends a small error of the fitted edge is a large one of the expected light
    limit += _EDGE_DOUBT * np.maximum(_FULL_LIGHT - expected, 0.0)
    below_all = share < np.median(share[lit]) - sigma * mad_sigma(share[lit])
    rows, columns = np.nonzero(lit & (np.abs(share - 1.0) > 0.8 * limit))
    value, limit = share[rows, columns], limit[rows, columns]
    low, high = value < np.minimum(_DEAD, 1.0 - limit), np.ones(len(rows), dtype=bool)
    for half in _NEIGHBOURS:
        level = median_around(share, lit & (share > _DEAD), rows, columns, half)
        low |= value < level - limit
        high &= value > level + limit
    cold, bright = nothing.copy(), nothing
    cold[rows[low], columns[low]] = True
    bright[rows[high], columns[high]] = True
    ends = (variance > 0) & (expected > _NO_LIGHT) & (expected < _FULL_LIGHT)
    below, above = _off_their_row(response, np.sqrt(variance), ends)
    return (cold & below_all) | below, bright | above


def _off_their_row(
    response: np.ndarray, noise: np.ndarray, judged: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(rows, columns) bool twice: `judged` pixels far below, and far above, those along dispersion.

    At the slit's ends the neighbours themselves tell how far the expected light can be off: where an
    order runs along the rows they agree, where it runs obliquely they do not.
    """
    rows, columns = np.nonzero(judged)
    step = _NEIGHBOURS[0][1]
    offsets = np.delete(np.arange(-step, step + 1), step)
    at = rows[:, None], np.clip(columns[:, None] + offsets, 0, response.shape[1] - 1)
    # what is not judged counts as far off: few usable neighbours judge nobody
    around = np.where(judged[at], response[at], np.inf)
    level = np.median(around, axis=1, keepdims=True)
    known = np.isfinite(level[:, 0])
    level = np.where(known[:, None], level, 0.0)
    scatter = 1.4826 * np.median(np.abs(around - level), axis=1)
    limit = _LEAST_SIGNIFICANCE * np.hypot(noise[rows, columns], scatter)
    limit = np.maximum(limit, _LEAST_STEP * level[:, 0])
    value = response[rows, columns] - level[:, 0]
    below, above = np.zeros(response.shape, dtype=bool), np.zeros(response.shape, dtype=bool)
    below[rows, columns] = known & (value < -limit)
    above[rows, columns] = known & (value > limit)
    return below, above
