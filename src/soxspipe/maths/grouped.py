"""Medians of many small groups of numbers."""

import numpy as np
from numba import njit


def medians(
    key: np.ndarray, value: np.ndarray, n: int, *, side: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Median and number (n,) of the values with each key 0 .. n - 1; 0 where there is none.

    side : of an even number of values the lower (-1) or upper (1) of the middle two, or their mean (0).
    """
    key = np.ascontiguousarray(key, dtype="i8")
    count = np.bincount(key, minlength=n)
    start = np.concatenate([[0], np.cumsum(count)])
    grouped = np.empty(len(key))
    _group(key, np.ascontiguousarray(value, dtype="f8"), start[:-1].copy(), grouped)
    out = np.zeros(n)
    _medians(grouped, start, side, out)
    return out, count


def row_medians(values: np.ndarray) -> np.ndarray:
    """(n,) medians of the rows of `values` (n, m), all finite."""
    n, m = values.shape
    out = np.zeros(n)
    _medians(values.astype("f8").ravel(), np.arange(n + 1) * m, 0, out)
    return out


@njit(cache=True)
def _group(key, value, place, out):  # type: ignore[no-untyped-def]
    for i in range(len(key)):
        out[place[key[i]]] = value[i]
        place[key[i]] += 1


@njit(cache=True)
def _medians(values, start, side, out):  # type: ignore[no-untyped-def]
    """Medians of `values` (changed) from start[k] to start[k + 1], to `out`."""
    for k in range(len(out)):
        first, stop = start[k], start[k + 1]
        if stop == first:
            continue
        even = (stop - first) % 2 == 0
        low = first + (stop - first - 1) // 2
        _select(values, first, stop - 1, low)
        out[k] = values[low]
        if even and side >= 0:
            above = values[low + 1]
            for i in range(low + 2, stop):
                above = min(above, values[i])
            out[k] = above if side > 0 else 0.5 * (values[low] + above)


@njit(cache=True)
def _select(values, first, last, k):  # type: ignore[no-untyped-def]
    """Quickselect (Hoare 1961): values[k] is as if first .. last were sorted, smaller ones before it."""
    while first < last:
        a, b, c = values[first], values[(first + last) // 2], values[last]
        pivot = max(min(a, b), min(max(a, b), c))
        i, j = first, last
        while i <= j:
            while values[i] < pivot:
                i += 1
            while pivot < values[j]:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if k <= j:
            last = j
        elif k >= i:
            first = i
        else:
            return
