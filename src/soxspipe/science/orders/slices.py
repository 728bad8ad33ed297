"""Cuts across an order, straightened onto its predicted centre.

Images here have dispersion along the last axis (`Arm.along_rows`).
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Slices:
    """Cuts across an order: `values` and `variance` (n, length); `pixel` (n,) along dispersion;
    `first` (n,) the detector row of column 0 of each cut.
    """

    values: np.ndarray
    variance: np.ndarray
    pixel: np.ndarray
    first: np.ndarray


def cut(
    data: np.ndarray,
    variance: np.ndarray,
    good: np.ndarray,
    *,
    pixel: np.ndarray,
    centre: np.ndarray,
    length: int,
    width: int,
) -> Slices:
    """Cut (length) pixels across and `width` along at each `pixel` (n,), collapsed by a median.

    centre : (n,) row on which each cut is centred. Cuts that leave the image at the sides are dropped;
    rows beyond the image count as excluded (infinite variance).
    """
    rows, columns = data.shape
    half = width // 2
    pixel = np.rint(pixel).astype("i8")
    ok = (pixel - half >= 0) & (pixel + half < columns) & np.isfinite(centre)
    pixel, centre = pixel[ok], centre[ok]
    first = np.rint(centre).astype("i8") - length // 2
    row = first[:, None, None] + np.arange(length)[None, :, None]
    column = pixel[:, None, None] + np.arange(-half, half + 1)[None, None, :]
    inside = (row >= 0) & (row < rows)
    at = (
        np.clip(row, 0, rows - 1),
        np.broadcast_to(column, np.broadcast_shapes(row.shape, column.shape)),
    )
    use = inside & good[at]
    count = use.sum(axis=2)
    stack = np.where(use, data[at], np.nan)
    none = count == 0
    stack[none] = 0.0
    noise = np.where(use, variance[at], 0.0).sum(axis=2) / np.maximum(count, 1)
    # a median of n normal values has pi/2 times the variance of their mean, for n beyond a few
    inflation = np.where(count > 2, 1.57, 1.0)
    return Slices(
        values=np.nanmedian(stack, axis=2),
        variance=np.where(none, np.inf, noise * inflation / np.maximum(count, 1)),
        pixel=pixel,
        first=first,
    )
