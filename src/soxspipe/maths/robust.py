"""Robust location and scale."""

import numpy as np

#: Scale of a normal distribution over its median absolute deviation.
MAD_SCALE = 1.4826


def mad_sigma(values: np.ndarray) -> float:
    """1-sigma scale from the median absolute deviation; NaN of nothing."""
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return float("nan")
    return float(MAD_SCALE * np.median(np.abs(finite - np.median(finite))))


def clipped(values: np.ndarray, *, sigma: float, rounds: int) -> np.ndarray:
    """True where `values` (n,) lie within `sigma` MAD scales of the median, after `rounds` rounds."""
    keep = np.isfinite(values)
    for _ in range(rounds):
        centre, scale = np.median(values[keep]), mad_sigma(values[keep])
        selected = keep & (np.abs(values - centre) <= sigma * scale)
        if np.array_equal(selected, keep):
            break
        keep = selected
    return keep


def running_median(values: np.ndarray, window: int) -> np.ndarray:
    """Median over `window` neighbours (n,), NaN ignored, ends by what is there."""
    half = window // 2
    padded = np.pad(np.asarray(values, dtype="f8"), half, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1)
    empty = ~np.isfinite(windows).any(axis=1)
    filled = np.where(empty[:, None], 0.0, windows)
    return np.where(empty, np.nan, np.nanmedian(filled, axis=1))
