"""The dark of an exposure time that was not taken, from darks of other times.

A dark is an offset pattern of the read-out, which does not depend on time, plus a current times the
time. Two darks of different times give both: the line through them is exact for the offset as well. One
dark alone can only be scaled as a whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from soxspipe.datamodel.frame import Frame, PixelFlag
from soxspipe.errors import InputError
from soxspipe.maths.blocks import smooth_level
from soxspipe.maths.robust import mad_sigma

#: Exposure times that differ by less, in s, are the same.
SAME_TIME = 1e-3

EQUAL, INTERPOLATED, SCALED = "equal", "interpolated", "scaled"

#: Largest noise variance of a line through two darks, over that of one, at which the line is taken.
_MOST_NOISE = 1.5

_BLOCK = 16

#: Pixels of a short dark this many sigmas above their surroundings may be hot in a long exposure.
_SUSPICIOUS = 3.5


@dataclass(frozen=True)
class Mix:
    """How the dark of a time is made: (index, weight) of the darks taken, and the word for it."""

    weights: tuple[tuple[int, float], ...]
    how: str


def mix(times: Sequence[float], seconds: float) -> Mix:
    """Which of the darks taken with `times` (s) make that of `seconds`, and with what weights.

    One of equal time; else the line through two that tells it with little noise; else the nearest,
    scaled by the ratio of times. A dark of no known time (0 or NaN) cannot be scaled and counts as equal
    only if it is alone.
    """
    known = [(i, t) for i, t in enumerate(times) if np.isfinite(t) and t > 0]
    for i, t in known:
        if abs(t - seconds) < SAME_TIME:
            return Mix(((i, 1.0),), EQUAL)
    if not known:
        return Mix(((0, 1.0),), EQUAL)
    best: tuple[float, Mix] | None = None
    for i, first in known:
        for j, second in known:
            if second - first < SAME_TIME:
                continue
            share = (seconds - first) / (second - first)
            noise = share**2 + (1.0 - share) ** 2
            # of those that are quiet enough the nearest pair: currents need not be strictly constant
            far = abs(seconds - first) + abs(seconds - second)
            if noise <= _MOST_NOISE and (best is None or far < best[0]):
                best = far, Mix(((i, 1.0 - share), (j, share)), INTERPOLATED)
    if best is not None:
        return best[1]
    i, nearest = min(known, key=lambda k: abs(k[1] - seconds))
    return Mix(((i, seconds / nearest),), SCALED)


def at_time(darks: Sequence[Frame], times: Sequence[float], seconds: float) -> Frame:
    """The dark of an exposure of `seconds`, from `darks` (ny, nx each) taken with `times`.

    Variances follow the weights. A dark scaled up would bring its noise along, scaled as well: good
    pixels then take the smooth level of their surroundings, as long as the pattern among them is less
    than their noise, and what might be a weak hot pixel is flagged HOT. Pixels flagged in a dark stay
    flagged: hot and saturated ones need not grow linearly.

    Raises InputError if the darks have different shapes.
    """
    if len({d.shape for d in darks}) > 1:
        raise InputError("the darks have different shapes", hint="use darks of one binning")
    how = mix(times, seconds)
    if how.how == SCALED:
        ((index, scale),) = how.weights
        return scaled(darks[index], scale)
    if how.how == EQUAL:
        return darks[how.weights[0][0]]
    (i, low), (j, high) = how.weights
    one, other = darks[i], darks[j]
    return replace(
        one,
        data=low * one.data + high * other.data,
        variance=low**2 * one.variance + high**2 * other.variance,
        flags=one.flags | other.flags,
    )


def scaled(dark: Frame, scale: float) -> Frame:
    """One dark times `scale`, as `at_time` says."""
    if scale == 1.0:
        return dark
    plain = replace(dark, data=dark.data * scale, variance=dark.variance * scale**2)
    if scale <= 1.0:
        return plain
    noise = np.sqrt(np.maximum(dark.variance, 1e-6))
    level = smooth_level(dark.data, _BLOCK)
    excess = (dark.data - level) / noise
    suspicious = dark.good & (excess > _SUSPICIOUS)
    pattern = max(mad_sigma(excess[dark.good]) ** 2 - 1.0, 0.0) if dark.good.any() else 0.0
    if pattern > 1.0:
        return plain.flagged(suspicious, PixelFlag.HOT)
    # a median of the (size / 2)^2 pixels of a block; their own pattern is not known from it
    share = 0.5 * np.pi / (_BLOCK / 2) ** 2 + pattern
    smooth = dark.good & ~suspicious
    return replace(
        dark,
        data=scale * np.where(smooth, level, dark.data),
        variance=scale**2 * np.where(smooth, share * dark.variance, dark.variance),
        flags=dark.flags | np.where(suspicious, np.uint16(PixelFlag.HOT), np.uint16(0)),
    )


def without_bias(dark: Frame, bias: Frame, *, scale: float = 1.0) -> Frame:
    """A CCD dark without the bias, whether it still holds it or not, in units of its own time.

    A dark whose level is nearer to that of the bias than to nothing holds it. `scale` is the factor by
    which the dark will be multiplied before it is subtracted from a frame that has lost the same bias:
    what the bias adds to the noise there is not counted twice.
    """
    level, pedestal = float(np.median(dark.data)), float(np.median(bias.data))
    if abs(level - pedestal) > abs(level):
        return dark
    shared = ((1.0 - scale) ** 2 - 1.0) / scale**2 if scale > 0 else 0.0
    return replace(
        dark,
        data=dark.data - bias.data,
        variance=np.maximum(dark.variance + shared * bias.variance, 0.0),
        flags=dark.flags | bias.flags,
    )
