"""Combine repeated exposures into one."""

from collections.abc import Sequence

import numpy as np
from numba import njit

from soxspipe.datamodel.frame import Frame, PixelFlag
from soxspipe.errors import InputError
from soxspipe.maths.robust import median_of_first

_NOTHING_LEFT = int(PixelFlag.NOTHING_LEFT)

#: A pixel counts as brighter than its surroundings at this many sigmas of a stack.
_BRIGHT = 5.0

#: Whose electrons make the photon noise of a pixel.
_NOBODYS, _ITS_OWN, _ITS_SURROUNDINGS = 0, 1, 2

#: Rows clipped at a time: what they need stays in the cache of the processor.
_ROWS = 32


def _widths(n: int) -> np.ndarray:
    """(n + 1,) noise of (value - median of m) in units of the noise of a value, by m.

    The median of m normal values has the variance (pi / 2) / (m + pi / 2 - 1), exact for m = 1 and
    for large m.
    """
    others = np.maximum(np.arange(n + 1) - 1.0, 1.0)
    half_pi = 0.5 * np.pi
    return np.sqrt(1.0 + half_pi / (others + half_pi - 1.0))


@njit(cache=True)
def _expected(level, light, read, kept, whose):  # type: ignore[no-untyped-def]
    """Electrons whose photon noise a pixel of that `level` has.

    Those of its surroundings, unless it stands out of them: a variance that follows the noise of the
    pixel favours low values.
    """
    if whose == _NOBODYS:
        return 0.0
    if whose == _ITS_OWN or level - light > _BRIGHT * np.sqrt((read + light) / kept):
        return max(level, 0.0)
    return light


@njit(cache=True)
def _clip_pixel(data, usable, read, light, whose, sigma, widths, rounds, keep, values):  # type: ignore[no-untyped-def]
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
        centre = median_of_first(values, kept)
        noise = np.sqrt(read + _expected(centre, light, read, kept, whose))
        limit = sigma * widths[kept] * noise
        if kept == n and values[n - 1] - centre <= limit and centre - values[0] <= limit:
            break
        changed = False
        for k in range(n):
            inside = usable[k] and abs(data[k] - centre) <= limit
            changed |= inside != keep[k]
            keep[k] = inside
        if not changed:
            break
    return centre


@njit(cache=True)
def _clip(data, flags, light, read, whose, sigma, widths, rounds, mean, variance, out_flags):  # type: ignore[no-untyped-def]
    """Some detector rows: data and flags (n, rows, nx); outputs (rows, nx)."""
    n, ny, nx = data.shape
    values = np.empty(n, dtype=np.float64)
    pixel = np.empty(n, dtype=np.float64)
    keep = np.empty(n, dtype=np.bool_)
    usable = np.empty(n, dtype=np.bool_)
    for y in range(ny):
        for x in range(nx):
            around = light[y, x]
            good, united, total = 0, 0, 0.0
            lowest, highest = np.inf, -np.inf
            for k in range(n):
                value = data[k, y, x]
                pixel[k] = value
                total += value
                lowest, highest = min(lowest, value), max(highest, value)
                usable[k] = flags[k, y, x] == 0
                good += usable[k]
                united |= flags[k, y, x]
            left, centre = n, 0.0
            # where all lie together, the median need not be known
            together = sigma * widths[n] * np.sqrt(read + (0.0 if whose == _NOBODYS else around))
            if good < n or highest - lowest > together:
                if good == 0:
                    usable[:] = True
                centre = _clip_pixel(
                    pixel, usable, read, around, whose, sigma, widths, rounds, keep, values
                )
                left, total = 0, 0.0
                for k in range(n):
                    if keep[k]:
                        left += 1
                        total += pixel[k]
            level = total / left if left > 0 else centre
            kept = max(left, 1)
            mean[y, x] = level
            variance[y, x] = (read + _expected(level, around, read, kept, whose)) / kept
            out_flags[y, x] = united | _NOTHING_LEFT if good == 0 or left == 0 else 0


def clipped_mean(
    frames: Sequence[Frame],
    *,
    sigma: float,
    rounds: int,
    photon_noise: bool,
    light: np.ndarray | None = None,
) -> Frame:
    """Mean of the exposures after rejecting outliers pixel by pixel.

    An exposure is compared with the median over the exposures in units of the *expected* noise of that
    difference: the scatter of n = 3 to 5 values can never exceed (n - 1) / sqrt(n) of its own sigmas,
    so clipping by it rejects nothing.

    Parameters
    ----------
    frames : n >= 3 exposures of one shape, unit and exposure time, variance that of the read-out.
    sigma : rejection limit, in units of the expected noise. rounds : most rounds of rejection.
    photon_noise : add the Poisson variance of the electrons, which must be free of bias.
    light : (ny, nx) smooth electrons expected, for faint frames: pixels that do not stand out of it take
        their Poisson variance from it, not from their own noisy value. None: all take their own.

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
    shape = frames[0].shape
    read = float(np.mean([np.median(f.variance[::8, ::8]) for f in frames]))
    whose = _NOBODYS
    if photon_noise:
        whose = _ITS_OWN if light is None else _ITS_SURROUNDINGS
    around = np.broadcast_to(np.maximum(0.0 if light is None else light, 0.0, dtype="f4"), shape)
    limits = (read, whose, sigma, _widths(len(frames)), rounds)
    mean, variance, flags = _in_parts(frames, around, limits)
    return Frame(mean, variance, flags, unit=frames[0].unit, header=frames[0].header)


def _in_parts(
    frames: Sequence[Frame], around: np.ndarray, limits: tuple
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, variance and flags (ny, nx), a few rows at a time; limits: read, whose, sigma, widths, rounds
    of `_clip`.
    """
    shape = around.shape
    mean, variance, flags = np.empty(shape, "f4"), np.empty(shape, "f4"), np.empty(shape, "u2")
    for start in range(0, shape[0], _ROWS):
        rows = slice(start, start + _ROWS)
        _clip(
            np.stack([f.data[rows] for f in frames]),
            np.stack([f.flags[rows] for f in frames]),
            np.ascontiguousarray(around[rows]),
            *limits,
            mean[rows],
            variance[rows],
            flags[rows],
        )
    return mean, variance, flags


def weighted_mean(masters: Sequence[Frame]) -> Frame:
    """Mean of master frames of one kind, weighted by the inverse of their variances.

    A pixel that only some masters know (NOTHING_LEFT in the others) is taken from those. All other flags
    are kept: a pixel that was hot once is hot. Raises InputError if the shapes differ.
    """
    if len({m.shape for m in masters}) > 1:
        raise InputError(
            f"the master frames have the shapes {', '.join(str(m.shape) for m in masters)}",
            hint="combine masters of one binning",
        )
    lost = np.stack([(m.flags & _NOTHING_LEFT) != 0 for m in masters])
    nowhere = lost.all(axis=0)
    weight = np.stack([1.0 / np.maximum(m.variance, 1e-12) for m in masters])
    weight[lost & ~nowhere] = 0.0
    total = weight.sum(axis=0)
    flags = np.bitwise_or.reduce(
        [np.where(k & ~nowhere, 0, m.flags) for m, k in zip(masters, lost, strict=True)]
    )
    return Frame(
        data=(weight * np.stack([m.data for m in masters])).sum(axis=0) / total,
        variance=1.0 / total,
        flags=flags.astype("u2"),
        unit=masters[0].unit,
        header=masters[0].header,
    )


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
