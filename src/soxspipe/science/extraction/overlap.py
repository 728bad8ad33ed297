"""Lay quadrilaterals on a grid of unit bins by the exact area of their overlap (after the drizzle of
Fruchter & Hook 2002, PASP 114, 144, with pixels that are not shrunk).
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from soxspipe.datamodel.rectified import CHUNK


@dataclass(frozen=True, eq=False)
class Laid:
    """What pixels leave in the bins of a grid, arrays (m, n) unless said.

    light, sky, sky_error   sums of a pixel's values times the share of it that lies in the bin, good
                 pixels only
    variance     sum of shares squared times variances
    good, every  part of the bin that good, and that all pixels cover
    bits         uint16, flags of the pixels that cover enough of the bin
    square       sum of shares squared, all pixels
    lags         (chunks, 1 + K, 1 + 2 L) sums over pairs of bins k, l apart of products of shares
    """

    light: np.ndarray
    sky: np.ndarray
    sky_error: np.ndarray
    variance: np.ndarray
    good: np.ndarray
    every: np.ndarray
    bits: np.ndarray
    square: np.ndarray
    lags: np.ndarray


def lay(
    u: np.ndarray,
    v: np.ndarray,
    values: np.ndarray,
    good: np.ndarray,
    flags: np.ndarray,
    *,
    shape: tuple[int, int],
    chunk_offset: int,
    least: float,
) -> Laid:
    """Distribute pixels over bins; bin (j, i) covers i to i + 1 in u and j to j + 1 in v.

    Parameters
    ----------
    u, v : (4, n) corners; pixels that reach out of the grid are not laid.
    values : (4, n) light, variance, sky and error of the sky of the pixels.
    good : (n,) bool. flags : (n,) uint16.
    chunk_offset : bins by which the first chunk began before the first bin.
    least : part of a bin that a pixel must cover to hand on its flags.
    """
    low_u, low_v = np.floor(u.min(axis=0)), np.floor(v.min(axis=0))
    with np.errstate(invalid="ignore"):
        wide, high = np.ceil(u.max(axis=0)) - low_u, np.ceil(v.max(axis=0)) - low_v
        inside = (low_u >= 0) & (low_v >= 0)
        inside &= (low_u + wide <= shape[1]) & (low_v + high <= shape[0])
    place = np.where(inside, [low_u, low_v, wide, high], 0).astype("i8")
    k, m = int(place[2].max(initial=1)), int(place[3].max(initial=1))
    chunks = (chunk_offset + shape[1] - 1) // CHUNK + 1
    sums, bits = np.zeros((7, *shape)), np.zeros(shape, dtype="u2")
    lags = np.zeros((chunks, max(k, 1), 2 * max(m, 1) - 1))
    chunk = np.arange(chunk_offset, chunk_offset + shape[1]) // CHUNK
    _lay(u, v, place, values, good, flags.astype("u2"), sums, bits, lags, chunk, least)
    light, sky, variance, covered, every, square, sky_error = sums
    return Laid(light, sky, sky_error, variance, covered, every, bits, square, lags)


@njit(cache=True)
def _primitive(t):  # type: ignore[no-untyped-def]
    """Integral from 0 to t of a ramp that is 0 below 0 and 1 above 1."""
    if t <= 0.0:
        return 0.0
    return 0.5 * t * t if t < 1.0 else t - 0.5


@njit(cache=True)
def _below(u0, v0, u1, v1, patch, rows, columns):  # type: ignore[no-untyped-def]
    """Add the signed area below one side, from (u0, v0) to (u1, v1), to the bins of `patch`."""
    if u0 == u1:
        return
    left, right = min(u0, u1), max(u0, u1)
    sign = 1.0 if u1 > u0 else -1.0
    slope = (v1 - v0) / (u1 - u0)
    for i in range(max(int(left), 0), min(int(right) + 1, columns)):
        a, b = max(left, float(i)), min(right, i + 1.0)
        if b <= a:
            continue
        va, vb = v0 + slope * (a - u0), v0 + slope * (b - u0)
        if abs(vb - va) < 1e-7:
            middle = 0.5 * (va + vb)
            for j in range(rows):
                patch[j, i] += sign * (b - a) * min(max(middle - j, 0.0), 1.0)
        else:
            scale = sign * (b - a) / (vb - va)
            for j in range(rows):
                patch[j, i] += scale * (_primitive(vb - j) - _primitive(va - j))


@njit(cache=True)
def _lay(u, v, place, values, good, flags, sums, bits, lags, chunk, least):  # type: ignore[no-untyped-def]
    """The loop of `lay`, pixel after pixel; `sums` are light, sky, variance, good, every, square and
    error of the sky.
    """
    middle = lags.shape[2] // 2
    patch = np.zeros((middle + 1, lags.shape[1]))
    for p in range(u.shape[1]):
        first, low, columns, rows = place[0, p], place[1, p], place[2, p], place[3, p]
        if columns == 0:
            continue
        patch[:rows, :columns] = 0.0
        for c in range(4):
            d = (c + 1) % 4
            _below(
                u[c, p] - first, v[c, p] - low, u[d, p] - first, v[d, p] - low, patch, rows, columns
            )
        area = patch[:rows, :columns].sum()
        if area == 0.0:
            continue
        for j in range(rows):
            for i in range(columns):
                share = patch[j, i] / area
                if share == 0.0:
                    continue
                y, x = low + j, first + i
                covered = abs(patch[j, i])
                sums[4, y, x] += covered
                sums[5, y, x] += share * share
                if covered > least:
                    bits[y, x] |= flags[p]
                if good[p]:
                    sums[0, y, x] += share * values[0, p]
                    sums[1, y, x] += share * values[2, p]
                    sums[2, y, x] += share * share * values[1, p]
                    sums[3, y, x] += covered
                    sums[6, y, x] += share * values[3, p]
                for jj in range(rows):
                    for ii in range(i, columns):
                        lags[chunk[x], ii - i, middle + jj - j] += share * patch[jj, ii] / area
