"""Stretches of detector rows that see too little light: dead or partly blocked rows along dispersion.

An order runs along such a row for hundreds of pixels, each of which alone is within its noise, and all of
which pull the order's centre to the same side. Rows here run along dispersion.
"""

from dataclasses import replace

import numpy as np
from scipy.ndimage import uniform_filter1d

from soxspipe.science.orders.slices import Slices

#: Pixels along dispersion over which a row's response is measured.
_STRETCHES = (65, 513)
_WEAK = 0.6
_SIGMA = 5.0


def weak_pixels(
    strip: Slices, light: np.ndarray, background: np.ndarray, noise: np.ndarray
) -> np.ndarray:
    """(n, m) True where a detector row sees less than 0.6 of the model's light for a stretch.

    strip : one cut for each column along dispersion. light, background, noise : (n, m), the model of
    the order, what lies below it, and the variance.
    """
    seen = np.isfinite(strip.variance) & (light > 0)
    seen &= light > 0.01 * light.max(axis=1, keepdims=True)
    at, shape = _rows_of(strip)
    share, information = np.zeros(shape), np.zeros(shape)
    share[at] = np.where(seen, light * (strip.values - background) / noise, 0.0)
    information[at] = np.where(seen, light**2 / noise, 0.0)
    weak = np.zeros(shape, dtype=bool)
    for length in _STRETCHES:
        got, could = _sum(share, length), _sum(information, length)
        enough = could > _SIGMA**2  # the rest cannot be significant
        weak |= enough & (got < _WEAK * could) & (could - got > _SIGMA * np.sqrt(could * enough))
    return weak[at] & seen


def dips(strip: Slices, stretch: int = _STRETCHES[0]) -> np.ndarray:
    """(n, m) True where a row is darker than half of what is on both its sides, for a stretch.

    Light that has one maximum across the order has no dip. No model is needed: this finds a dead row
    that lies along the whole of an order, to which every fit would yield. stretch : number of cuts.
    """
    at, shape = _rows_of(strip)
    good = np.isfinite(strip.variance) & (strip.variance > 0)
    light, noise, count = (np.zeros(shape) for _ in range(3))
    light[at] = np.where(good, strip.values, 0.0)
    noise[at] = np.where(good, strip.variance, 0.0)
    count[at] = good
    number = np.maximum(_sum(count, stretch), 1.0)
    mean, error = _sum(light, stretch) / number, np.maximum(_sum(noise, stretch), 0.0) / number**2
    dark = np.ones(shape, dtype=bool)
    for side in (1, -1):
        darker = np.zeros(shape, dtype=bool)
        for rows in (side, 2 * side):  # two dead rows may lie side by side
            missing = 0.5 * np.roll(mean, rows, axis=0) - mean
            darker |= missing > _SIGMA * np.sqrt(0.25 * np.roll(error, rows, axis=0) + error)
        dark &= darker
    return dark[at]


def without_dips(strip: Slices, good: np.ndarray) -> tuple[Slices, np.ndarray]:
    """The strip and the map of good pixels without dead rows along the order."""
    dead = dips(strip)
    if not dead.any():
        return strip, good
    i, k = np.nonzero(dead)
    left = good.copy()
    left[np.clip(strip.first[i] + k, 0, len(good) - 1), strip.pixel[i]] = False
    return replace(strip, variance=np.where(dead, np.inf, strip.variance)), left


def _rows_of(strip: Slices) -> tuple[tuple[np.ndarray, np.ndarray], tuple[int, int]]:
    """Index (rows, columns) of each pixel of the cuts in the band of rows they come from, and the shape
    of that band.
    """
    row = strip.first[:, None] - strip.first.min() + np.arange(strip.values.shape[1])
    column = np.broadcast_to(np.arange(len(row))[:, None], row.shape)
    return (row, column), (int(row.max()) + 1, len(row))


def _sum(image: np.ndarray, length: int) -> np.ndarray:
    """Running sum along the rows."""
    return np.asarray(length * uniform_filter1d(image, length, axis=1, mode="constant"))
