"""Light along the slit in cuts across an order: plateau, what lies beside it, and where it begins."""

from dataclasses import dataclass

import numpy as np

from soxspipe.science.orders.slices import Slices

#: Levels tried between the highest and the lowest.
_TRIALS = 4
#: A slit of so many pixels is not binned.
_SLIT = 42.0


@dataclass(frozen=True, eq=False)
class Plateau:
    """Light along the slit in each cut (n,): level at the middle, slope per pixel, floor below (-1) and
    above (+1), and signal to noise per pixel.
    """

    level: np.ndarray
    slope: np.ndarray
    floor: dict[int, np.ndarray]
    snr: np.ndarray

    def at(self, offset: np.ndarray) -> np.ndarray:
        """Level (n,) at `offset` pixels from the middle."""
        return self.level + self.slope * offset


def window_scale(half: np.ndarray) -> float:
    """Length unit of windows for a slit of that half length (n,), pixels; 1 without binning."""
    return float(min(1.0, 2.0 * half.max() / _SLIT))


def plateau_of(slices: Slices, middle: np.ndarray, half: np.ndarray) -> Plateau:
    """Straight line through the inner 70 % of the slit, and the light outside.

    Light may rise or fall along the slit; pixels off the line by a quarter are left out of it.
    """
    offset = np.arange(slices.values.shape[1]) - middle[:, None]
    weight = (np.abs(offset) < 0.7 * half[:, None]) & np.isfinite(slices.variance)
    dark = ~weight.any(axis=1, keepdims=True)
    chosen = np.where(weight, slices.values, np.where(dark, 0.0, np.nan))
    line = np.nanmedian(chosen, axis=1, keepdims=True)
    for _ in range(3):
        noise = np.sqrt(np.where(weight, slices.variance, 0.0))
        near = weight & (np.abs(slices.values - line) < 0.25 * np.abs(line) + 4.0 * noise)
        w = near.astype("f8")
        total = np.maximum(w.sum(axis=1), 1.0)
        x0 = (w * offset).sum(axis=1) / total
        y0 = (w * slices.values).sum(axis=1) / total
        dx = offset - x0[:, None]
        slope = (w * dx * slices.values).sum(axis=1) / np.maximum((w * dx**2).sum(axis=1), 1e-9)
        line = y0[:, None] + slope[:, None] * dx
    # what is saturated is no plateau
    known = weight.sum(axis=1) > 0.5 * (np.abs(offset) < 0.7 * half[:, None]).sum(axis=1)
    sigma = np.sqrt(np.where(near, slices.variance, 0.0).sum(axis=1) / total)
    scale = window_scale(half)
    outside = np.abs(offset) - half[:, None]
    outside = (outside > 3 * scale) & (outside < 8 * scale) & np.isfinite(slices.variance)
    floor = {}
    for side in (-1, 1):
        there = outside & (np.sign(offset) == side)
        lowest = np.min(np.where(there, slices.values, np.inf), axis=1)
        floor[side] = np.where(np.isfinite(lowest), lowest, 0.0)
    return Plateau(y0 - slope * x0, slope, floor, known * y0 / np.maximum(sigma, 1e-9))


def crossings(
    slices: Slices,
    plateau: Plateau,
    middle: np.ndarray,
    half: np.ndarray,
    expected: np.ndarray,
    side: int,
    reach: float,
    levels: tuple[float, float],
) -> np.ndarray:
    """Where the light reaches a level (n,), in columns of the cuts; the highest level that is reached
    near the expected edge counts. NaN where none is.
    """
    beyond = middle + side * (half + 7.0 * window_scale(half))
    rise = np.maximum(plateau.at(side * half) - plateau.floor[side], 0.0)
    values = np.where(np.isfinite(slices.variance), slices.values, -np.inf)
    found = np.full(len(middle), np.nan)
    for level in np.linspace(levels[1], levels[0], _TRIALS):
        at = _crossing(values, beyond, plateau.floor[side] + level * rise, -side)
        near = np.abs(at - expected) < reach
        found = np.where(np.isnan(found) & near, at, found)
    return found


def _crossing(profile: np.ndarray, start: np.ndarray, level: np.ndarray, step: int) -> np.ndarray:
    """First place (n,) from `start`, walking in direction `step`, where each row rises to its level.

    The walk comes from outside the slit: a cold column inside it is not taken for its edge.
    Interpolates linearly between the pixels on both sides; NaN where the level is never reached.
    """
    n, length = profile.shape
    index = np.arange(length)
    ahead = index >= start[:, None] if step > 0 else index <= start[:, None]
    lit = ahead & (profile >= level[:, None])
    found = lit.any(axis=1)
    at = np.where(step > 0, lit.argmax(axis=1), length - 1 - lit[:, ::-1].argmax(axis=1))
    before = np.clip(at - step, 0, length - 1)
    rows = np.arange(n)
    high, low = profile[rows, at], np.maximum(profile[rows, before], 2 * level - profile[rows, at])
    part = (level - low) / np.where(high > low, high - low, np.inf)
    return np.where(found & (before != at), before + step * part, np.nan)
