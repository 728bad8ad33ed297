"""Cuts across an order, straightened onto its predicted centre.

Images here have dispersion along the last axis (`Arm.along_rows`).
"""

from dataclasses import dataclass

import numpy as np

#: Columns taken together when light is looked for, and the most sigma that each of them counts.
_BLOCK, _MOST = 32, 10.0


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
    none = count == 0
    noise = np.where(use, variance[at], 0.0).sum(axis=2) / np.maximum(count, 1)
    # variance of a median of n normal values over that of their mean, to 1 %
    inflation = np.where(count > 2, 0.5 * np.pi * count / (count + 0.5), 1.0)
    return Slices(
        values=_medians(data[at], use, none),
        variance=np.where(none, np.inf, noise * inflation / np.maximum(count, 1)),
        pixel=pixel,
        first=first,
    )


def _medians(stack: np.ndarray, use: np.ndarray, none: np.ndarray) -> np.ndarray:
    """Median along the last axis of what is used, 0 where that is nothing; float64."""
    if stack.shape[2] == 1:
        return np.where(use, stack, 0.0)[:, :, 0].astype("f8")
    chosen = np.where(use, stack, np.nan)
    chosen[none] = 0.0
    return np.asarray(np.nanmedian(chosen, axis=2), dtype="f8")


def find_shift(strip: Slices) -> tuple[float, float]:
    """How far the light of an order lies from the middle of its cuts (pixels), and its significance.

    Blocks of columns are averaged, and each counts in units of its noise, up to a limit: a bright
    cosmic ray is one block among many.
    """
    n, length = len(strip.values) // _BLOCK, strip.values.shape[1]
    if n == 0:
        return 0.0, 0.0
    blocks = (z[: n * _BLOCK].reshape(n, _BLOCK, length) for z in (strip.values, strip.variance))
    values, variance = blocks
    weight = np.where(np.isfinite(variance) & (variance > 0), 1.0 / variance, 0.0)
    total = weight.sum(axis=1)
    mean = (weight * values).sum(axis=1) / np.maximum(total, 1e-30)
    mean -= np.median(mean, axis=1, keepdims=True)
    light = np.clip(mean * np.sqrt(total), -_MOST, _MOST).mean(axis=0)
    kernel = np.exp(-0.5 * (np.arange(-3, 4) / 1.2) ** 2)
    found = np.convolve(light, kernel, mode="same")
    peak = int(found.argmax())
    near = np.arange(max(peak - 2, 0), min(peak + 3, length))
    share = np.maximum(light[near], 0.0)
    place = float((share * near).sum() / share.sum()) if share.sum() > 0 else float(peak)
    noise = np.sqrt((kernel**2).sum() / n)
    return place - length // 2, float(found[peak] / noise)
