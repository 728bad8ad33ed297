"""Cosmic rays across exposures of one pointing, and the mean without them."""

from collections.abc import Sequence

import numpy as np

from soxspipe.datamodel.frame import Frame, PixelFlag
from soxspipe.errors import InputError
from soxspipe.science.detector.cosmic_rays import LEAST_BLUR, Excess, Limits, find

#: Seeing and transparency change the light of an object by up to a third between exposures.
BETWEEN = Limits(star_step=0.35)


def between_exposures(
    frames: Sequence[Frame],
    *,
    dispersion_axis: str,
    scales: Sequence[float] | np.ndarray | None = None,
    blur: tuple[float, float] = (LEAST_BLUR, 1.4),
    limits: Limits = BETWEEN,
) -> np.ndarray:
    """(n, ny, nx) bool: pixels of each exposure that a cosmic ray hit.

    Two exposures are compared with each other, more with their median. Only what is higher than the
    comparison, and sharper than light (`cosmic_rays.find`), is a hit: a star that is brighter in one
    exposure, or a little elsewhere, is not. Rejecting high values alone, at 5 sigma, moves the mean by
    less than 1e-5 sigma.

    Parameters
    ----------
    frames : n >= 2 exposures, variance with the photon noise. scales : (n,) or (n, ny, nx) light to
    expect, relative to each other, such as the exposure times; None: equal. blur : least FWHM of light
    along dispersion and along the slit, px.

    Raises
    ------
    InputError : fewer than two exposures, or scales that are not positive.
    """
    n = len(frames)
    factor = _factors(frames, scales)
    if n < 2:
        raise InputError("one exposure has none to be compared with", hint="add exposures")
    level = np.stack([f.data / c for f, c in zip(frames, factor, strict=True)])
    noise = np.stack([f.variance / c**2 for f, c in zip(frames, factor, strict=True)])
    good = np.stack([f.good for f in frames])
    level[~good] = np.nan
    # the photons of a hit are no excuse for it: the noise of a pixel is that of the quietest exposure,
    # each in units of what is usual in it
    usual = np.array([np.median(v[::8, ::8]) for v in noise])
    least = np.where(good, noise / usual[:, None, None], np.inf).min(axis=0)
    least = np.where(np.isfinite(least), least, 0.0)
    hits = np.empty(level.shape, dtype=bool)
    middle = level[::-1] if n == 2 else np.broadcast_to(_median(level), level.shape)
    for k in range(n):
        reference = middle[k]
        compared = usual[1 - k] if n == 2 else (_width(n) - 1.0) * float(usual.mean())
        excess = Excess(
            value=level[k] - reference,
            variance=least * (usual[k] + compared),
            star=np.nan_to_num(np.maximum(reference, 0.0)),
            step=_steps(reference, dispersion_axis),
            sky=np.zeros_like(reference),
        )
        hits[k] = find(excess, dispersion_axis=dispersion_axis, blur=blur, limits=limits)
    return hits


def mean_without_hits(
    frames: Sequence[Frame],
    hits: np.ndarray,
    *,
    scales: Sequence[float] | np.ndarray | None = None,
) -> Frame:
    """Mean exposure: light of the unflagged pixels that are not hit, over what they are to hold.

    A pixel without some exposures has the level of all of them, so unequal exposures may be combined.
    Where none is left it holds the mean of all, the flags of all, COSMIC_RAY where they were hit, and
    NOTHING_LEFT.

    Parameters
    ----------
    frames : n >= 1 exposures. hits : (n, ny, nx) bool. scales : as in `between_exposures`.
    """
    factor = [np.broadcast_to(c, frames[0].shape) for c in _factors(frames, scales)]
    shape = frames[0].shape
    light, expected, variance = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    flags = np.full(shape, PixelFlag.NOTHING_LEFT, dtype="u2")
    for frame, hit, c in zip(frames, hits, factor, strict=True):
        keep = frame.good & ~hit
        light += np.where(keep, frame.data, 0.0)
        expected += np.where(keep, c, 0.0)
        variance += np.where(keep, frame.variance, 0.0)
        flags |= frame.flags | np.where(hit, np.uint16(PixelFlag.COSMIC_RAY), np.uint16(0))
    empty = expected == 0
    mean = np.mean(factor, axis=0)
    over = mean / np.where(empty, 1.0, expected)
    return Frame(
        data=np.where(empty, np.mean([f.data for f in frames], axis=0), light * over),
        variance=np.where(empty, np.mean([f.variance for f in frames], axis=0), variance * over**2),
        flags=np.where(empty, flags, np.uint16(0)),
        unit=frames[0].unit,
        header=frames[0].header,
    )


def _factors(
    frames: Sequence[Frame], scales: Sequence[float] | np.ndarray | None
) -> Sequence[float] | np.ndarray:
    if scales is None:
        return np.ones(len(frames))
    factor = np.asarray(scales, dtype="f8")
    if len(factor) != len(frames) or not (factor > 0).all():
        raise InputError(
            f"{len(frames)} exposures need as many positive scales",
            hint="give the exposure times",
        )
    return factor


def _median(level: np.ndarray) -> np.ndarray:
    """Median over exposures (n, ny, nx) of those that are known; NaN where none is."""
    ordered = np.sort(level, axis=0)  # NaN come last
    count = np.isfinite(level).sum(axis=0)
    low = np.maximum(count - 1, 0) // 2
    high = np.minimum(count // 2, len(level) - 1)
    pair = [np.take_along_axis(ordered, at[None], axis=0)[0] for at in (low, high)]
    return np.asarray(0.5 * (pair[0] + pair[1]))


def _width(n: int) -> float:
    """Variance of (value - median of n) over that of a value; see `combine`."""
    half_pi = 0.5 * np.pi
    return 1.0 + half_pi / (n - 2.0 + half_pi)


def _steps(image: np.ndarray, dispersion_axis: str) -> np.ndarray:
    """Largest step (ny, nx) to a neighbour along dispersion, 0 where none is known."""
    axis = 1 if dispersion_axis == "x" else 0
    size = np.abs(np.diff(np.nan_to_num(image), axis=axis))
    pad = [(0, 0), (0, 0)]
    pad[axis] = (1, 0)
    before = np.pad(size, pad)
    pad[axis] = (0, 1)
    return np.maximum(before, np.pad(size, pad))
