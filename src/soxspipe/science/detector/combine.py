"""Combine repeated exposures into one."""

from collections.abc import Sequence

import numpy as np
from numba import njit

from soxspipe.datamodel.frame import Frame, PixelFlag
from soxspipe.errors import InputError

_NOTHING_LEFT = int(PixelFlag.NOTHING_LEFT)


@njit(cache=True)
def _median(values, n):  # type: ignore[no-untyped-def]
    """Median of the first n entries; they get sorted."""
    for i in range(1, n):
        key, j = values[i], i - 1
        while j >= 0 and values[j] > key:
            values[j + 1] = values[j]
            j -= 1
        values[j + 1] = key
    return values[n // 2] if n % 2 else 0.5 * (values[n // 2 - 1] + values[n // 2])


@njit(cache=True)
def _clip_pixel(data, usable, read, photon, sigma, rounds, keep, values):  # type: ignore[no-untyped-def]
    """Clip the n exposures of one pixel; `keep` (n,) is filled. Returns the last median."""
    n = data.shape[0]
    centre = 0.0
    keep[:] = usable
    for _ in range(rounds + 1):
        kept = 0
        for k in range(n):
            if keep[k]:
                values[kept] = data[k]
                kept += 1
        if kept == 0:
            break
        centre = _median(values, kept)
        limit = sigma * np.sqrt(read + (max(centre, 0.0) if photon else 0.0))
        changed = False
        for k in range(n):
            inside = usable[k] and abs(data[k] - centre) <= limit
            changed |= inside != keep[k]
            keep[k] = inside
        if not changed:
            break
    return centre


@njit(cache=True)
def _clip_row(data, flags, read, photon, sigma, rounds, mean, variance, out_flags):  # type: ignore[no-untyped-def]
    """One detector row: data and flags (n, nx); outputs (nx,)."""
    n, nx = data.shape
    values = np.empty(n, dtype=np.float64)
    keep = np.empty(n, dtype=np.bool_)
    for x in range(nx):
        usable = flags[:, x] == 0
        flagged = not usable.any()
        if flagged:
            usable[:] = True
        centre = _clip_pixel(data[:, x], usable, read, photon, sigma, rounds, keep, values)
        left = keep.sum()
        mean[x] = (data[:, x] * keep).sum() / left if left > 0 else centre
        light = max(mean[x], 0.0) if photon else 0.0
        variance[x] = (read + light) / max(left, 1)
        out_flags[x] = 0
        if flagged or left == 0:
            out_flags[x] = _NOTHING_LEFT
            for k in range(n):
                out_flags[x] |= flags[k, x]


@njit(cache=True)
def _clip(data, flags, read, photon, sigma, rounds, mean, variance, out_flags):  # type: ignore[no-untyped-def]
    for y in range(data.shape[1]):
        _clip_row(
            data[:, y], flags[:, y], read, photon, sigma, rounds, mean[y], variance[y], out_flags[y]
        )


def clipped_mean(
    frames: Sequence[Frame], *, sigma: float, rounds: int, photon_noise: bool
) -> Frame:
    """Mean of the exposures after rejecting outliers pixel by pixel.

    An exposure is compared with the median over the exposures in units of the *expected* noise: the
    scatter of n = 3 to 5 values can never exceed (n - 1) / sqrt(n) of its own sigmas, so clipping by it
    rejects nothing.

    Parameters
    ----------
    frames : n >= 3 exposures of one shape, unit and exposure time, variance that of the read-out.
    sigma : rejection limit, in units of the expected noise. rounds : most rounds of rejection.
    photon_noise : add the Poisson variance of the electrons, which must be free of bias.

    Returns
    -------
    Frame in the input unit; variance is the expected noise of one exposure over the number kept. A
    pixel with no exposure left holds the median, keeps its inputs' flags and gains NOTHING_LEFT.

    Raises
    ------
    InputError : fewer than three exposures; with two there is no majority.
    """
    if len(frames) < 3:
        raise InputError(
            f"clipping needs at least 3 exposures, got {len(frames)}",
            hint="add exposures to the SOF",
        )
    data = np.stack([f.data for f in frames])
    flags = np.stack([f.flags for f in frames])
    read = float(np.mean([np.median(f.variance) for f in frames]))
    shape = frames[0].shape
    mean, variance = np.empty(shape, "f4"), np.empty(shape, "f4")
    out_flags = np.empty(shape, "u2")
    _clip(data, flags, read, photon_noise, sigma, rounds, mean, variance, out_flags)
    return Frame(mean, variance, out_flags, unit=frames[0].unit, header=frames[0].header)


def mean_of_kept(frames: Sequence[Frame], *, sigma: float) -> Frame:
    """Plain mean of one to many exposures of equal exposure time.

    With three or more, values further than `sigma` of their own noise from the median are rejected;
    flagged values never count. Variances of the inputs are taken as they are.
    """
    if len(frames) == 1:
        return frames[0]
    data = np.stack([f.data for f in frames])
    variance = np.stack([f.variance for f in frames])
    good = np.stack([f.good for f in frames])
    if len(frames) > 2:
        centre = np.median(data, axis=0)
        good &= np.abs(data - centre) <= sigma * np.sqrt(np.median(variance, axis=0))
    weight = np.where(good, 1.0, 0.0)
    kept = weight.sum(axis=0)
    empty = kept == 0
    kept = np.where(empty, 1.0, kept)
    union = np.bitwise_or.reduce([f.flags for f in frames]) | np.uint16(PixelFlag.NOTHING_LEFT)
    return Frame(
        data=np.where(empty, data.mean(axis=0), (data * weight).sum(axis=0) / kept),
        variance=np.where(empty, variance.mean(axis=0), (variance * weight).sum(axis=0) / kept**2),
        flags=np.where(empty, union, np.uint16(0)),
        unit=frames[0].unit,
        header=frames[0].header,
    )
