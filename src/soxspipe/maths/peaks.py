"""Peaks of a short row of numbers; scipy.signal has them too, but takes half a second to import."""

import numpy as np


def peaks(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places (k,) of the local maxima of `values` (n,), and how far each stands out (its prominence).

    Of a flat top the middle counts; the ends are no peaks. A peak stands out from the higher of the two
    lowest points between it and what is higher, or the end, on either side.
    """
    n = len(values)
    at, out = [], []
    first = 1
    while first < n - 1:
        last = first
        while last < n - 1 and values[last + 1] == values[first]:
            last += 1
        if last < n - 1 and values[first - 1] < values[first] > values[last + 1]:
            middle = (first + last) // 2
            higher = np.flatnonzero(values > values[middle])
            left = int(np.max(higher[higher < middle], initial=-1)) + 1
            right = int(np.min(higher[higher > middle], initial=n))
            base = max(values[left : middle + 1].min(), values[middle:right].min())
            at.append(middle)
            out.append(float(values[middle] - base))
        first = last + 1
    return np.array(at, dtype="i8"), np.array(out)
