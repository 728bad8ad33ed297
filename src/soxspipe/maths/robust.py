"""Robust location and scale."""

import numpy as np
from numba import njit

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


@njit(cache=True)
def median_of_first(values, n):  # type: ignore[no-untyped-def]
    """Median of the first n > 0 entries, few of them; they get sorted. For compiled callers."""
    for i in range(1, n):
        key, j = values[i], i - 1
        while j >= 0 and values[j] > key:
            values[j + 1] = values[j]
            j -= 1
        values[j + 1] = key
    return values[n // 2] if n % 2 else 0.5 * (values[n // 2 - 1] + values[n // 2])


@njit(cache=True)
def _medians(image, use, rows, columns, half_rows, half_columns, out):  # type: ignore[no-untyped-def]
    ny, nx = image.shape
    values = np.empty((2 * half_rows + 1) * (2 * half_columns + 1))
    for k in range(rows.shape[0]):
        n = 0
        for j in range(max(rows[k] - half_rows, 0), min(rows[k] + half_rows + 1, ny)):
            for i in range(
                max(columns[k] - half_columns, 0), min(columns[k] + half_columns + 1, nx)
            ):
                if use[j, i] and (j != rows[k] or i != columns[k]):
                    values[n] = image[j, i]
                    n += 1
        out[k] = median_of_first(values, n) if n > 0 else np.nan


def median_around(
    image: np.ndarray,
    use: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    half: tuple[int, int],
) -> np.ndarray:
    """Median of the neighbours of some pixels, themselves left out.

    image, use : (ny, nx), pixels where `use` is False do not count. rows, columns : (n,) pixels asked
    for. half : half height and half width of the window. Returns (n,), NaN without neighbours.
    """
    out = np.empty(len(rows))
    _medians(image, use, rows, columns, half[0], half[1], out)
    return out
