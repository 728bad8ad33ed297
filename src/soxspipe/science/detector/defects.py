"""Pixels that are not to be trusted: hot, deviating."""

import numpy as np
from numba import njit
from scipy.special import erfc

from soxspipe.datamodel.frame import Frame, PixelFlag
from soxspipe.maths.blocks import smooth_level
from soxspipe.maths.robust import mad_sigma, median_around

#: Share of good pixels among those that are flagged.
FALSE_SHARE = 0.01

#: Side of the blocks, pixels, whose medians are the level of a frame.
_BLOCK = 32

#: Neighbours up to so many pixels away tell what a pixel should be.
_REACH = 3

#: How many pixels, evenly spread, tell the scatter about the neighbours.
_SAMPLE = 10_000


def deviating(
    frame: Frame,
    *,
    sigma: float,
    rounds: int,
    flag: PixelFlag,
    low_flag: PixelFlag = PixelFlag.BAD,
) -> Frame:
    """Flag pixels that stand out of their neighbours, in units of their own noise.

    Candidates lie `sigma` of their noise off the smooth level of the frame. They are compared with the
    median of the neighbours that are not flagged, in up to `rounds` rounds, so that clusters are found
    from their rims inwards. Among millions of pixels chance makes 4 and 5 sigma: the limit is the
    lowest (not below `sigma`) at which FALSE_SHARE of the flagged pixels are expected to be good
    (Benjamini & Hochberg 1995, J. R. Stat. Soc. B 57, 289), so it is lower the more pixels are truly
    deviating. The width of the noise is measured, not believed.

    Parameters
    ----------
    flag : given to pixels above their neighbours. low_flag : to pixels below.
    """
    if rounds == 0:
        return frame
    noise = np.sqrt(np.maximum(frame.variance, 1e-6))
    away = np.abs(frame.data - smooth_level(frame.data, _BLOCK)) > sigma * noise
    rows, columns = np.nonzero(away)
    found = np.zeros(frame.shape, dtype=bool)
    unit = noise[rows, columns] * _width_of_noise(frame, noise)
    excess = np.zeros(rows.size)
    ask = np.ones(rows.size, dtype=bool)
    for turn in range(rounds):
        half = _REACH + turn
        level = median_around(
            frame.data, frame.good & ~found, rows[ask], columns[ask], (half, half)
        )
        excess[ask] = np.nan_to_num(
            (frame.data[rows[ask], columns[ask]] - level) / unit[ask], nan=0
        )
        now = _significant(excess, frame.data.size, sigma)
        if np.array_equal(now, found[rows, columns]):
            break
        found[rows, columns] = now
        # for all others the neighbours are what they were
        ask = _neighbours(found, rows, columns, half + 1)
    above = np.zeros(frame.shape, dtype=bool)
    above[rows, columns] = excess > 0
    return frame.flagged(found & above, flag).flagged(found & ~above, low_flag)


@njit(cache=True)
def _neighbours(found, rows, columns, half):  # type: ignore[no-untyped-def]
    """(n,) bool: another pixel is `found` within `half` of the pixel at rows, columns (n,)."""
    ny, nx = found.shape
    near = np.zeros(rows.size, dtype=np.bool_)
    for k in range(rows.size):
        y, x = rows[k], columns[k]
        for j in range(max(y - half, 0), min(y + half + 1, ny)):
            for i in range(max(x - half, 0), min(x + half + 1, nx)):
                if found[j, i] and (j != y or i != x):
                    near[k] = True
    return near


def _width_of_noise(frame: Frame, noise: np.ndarray) -> float:
    """Scatter of pixels about the median of their neighbours in units of their noise."""
    index = np.arange(0, frame.data.size, max(frame.data.size // _SAMPLE, 1))
    rows, columns = np.unravel_index(index, frame.shape)
    level = median_around(frame.data, frame.good, rows, columns, (_REACH, _REACH))
    width = mad_sigma((frame.data[rows, columns] - level) / noise[rows, columns])
    return width if np.isfinite(width) and width > 0 else 1.0


def _significant(excess: np.ndarray, pixels: int, least: float) -> np.ndarray:
    """(n,) bool: candidates of which FALSE_SHARE at most are chance, high and low ones each.

    excess : (n,) significance of the candidates. pixels : how many there were to choose from. least :
    significance needed in any case.
    """
    found = np.zeros(excess.size, dtype=bool)
    for side in (excess, -excess):
        falling = np.sort(side[side >= least])[::-1]
        by_chance = 0.5 * pixels * erfc(falling / np.sqrt(2.0))
        trusted = np.nonzero(by_chance <= FALSE_SHARE * np.arange(1, falling.size + 1))[0]
        if trusted.size:
            found |= side >= falling[trusted[-1]]
    return found
