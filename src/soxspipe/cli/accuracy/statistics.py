"""How well measured values and their errors agree with the truth. Arrays in, numbers out."""

import math

import numpy as np

from soxspipe.maths.robust import mad_sigma


def pull_width(pull: np.ndarray) -> float:
    """Robust width of (measured - true) / error; 1 if the errors are true."""
    return mad_sigma(pull)


def reduced_chi2(pull: np.ndarray) -> float:
    """Mean square of the pulls; NaN of nothing."""
    return float(np.mean(np.square(pull))) if pull.size else math.nan


def beyond(pull: np.ndarray, sigma: float = 5.0) -> float:
    """Share of the pulls farther than `sigma` from zero; NaN of nothing."""
    return float(np.mean(np.abs(pull) > sigma)) if pull.size else math.nan


def spread(values: np.ndarray) -> float:
    """Half of the range that holds the middle 68.27 %; NaN of nothing."""
    if not values.size:
        return math.nan
    low, high = np.percentile(values, [15.865, 84.135])
    return float(0.5 * (high - low))


def runs(place: np.ndarray, number: int) -> np.ndarray:
    """(m, number) indices of groups of `number` neighbours, without gap nor overlap.

    place : (n,) rising whole numbers; neighbours differ by 1.
    """
    if not place.size:
        return np.empty((0, number), dtype=int)
    breaks = np.flatnonzero(np.diff(place) != 1) + 1
    starts = np.concatenate([[0], breaks])
    ends = np.concatenate([breaks, [place.size]])
    first = [np.arange(a, b - number + 1, number) for a, b in zip(starts, ends, strict=True)]
    return np.asarray(np.concatenate(first)[:, None] + np.arange(number), dtype=int)


def group_pulls(difference: np.ndarray, variance: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """(m,) pulls of sums over groups of bins, their variances added as if they were independent."""
    total = np.sqrt(variance[groups].sum(axis=1))
    return np.asarray(difference[groups].sum(axis=1) / total)


def weighted_ratio(
    measured: np.ndarray, true: np.ndarray, variance: np.ndarray
) -> tuple[float, float]:
    """The factor between measured and true (least squares), and its error; NaN of nothing."""
    weight = np.sum(true**2 / variance) if true.size else 0.0
    if not weight > 0.0:
        return math.nan, math.nan
    return float(np.sum(measured * true / variance) / weight), float(1.0 / np.sqrt(weight))
