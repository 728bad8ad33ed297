"""First part of the object recipes: from raw exposures to one flat-fielded frame with a noise model."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from soxspipe.datamodel.flat import MasterFlat
from soxspipe.datamodel.frame import Frame
from soxspipe.datamodel.geometry import OrderTable
from soxspipe.instrument.arms import Arm
from soxspipe.recipes import background, slit_stack
from soxspipe.recipes.prepare import (
    dark_scale,
    electrons,
    exposure_time,
    measured_read_noise,
)
from soxspipe.recipes.recipe import RawFrame
from soxspipe.science.detector import darks, detrend
from soxspipe.science.detector.noise import NoiseModel
from soxspipe.settings import BackgroundSubtraction


@dataclass(frozen=True, eq=False)
class Pointing:
    """Exposures of one telescope position as one frame, electrons of a mean exposure, not flat-fielded.

    frame      data, variance, flags; without bias and dark
    base       (ny, nx) variance that is not due to light from the slit, of the mean
    exposures  number of exposures averaged
    seconds    mean exposure time
    scattered  (ny, nx) scattered light that was taken off
    """

    frame: Frame
    base: np.ndarray
    exposures: int
    seconds: float
    scattered: np.ndarray


@dataclass(frozen=True, eq=False)
class SlitFrame:
    """A frame ready for sky and object: electrons, flat-fielded; its noise; the scattered light that was
    taken off (ny, nx); mean exposure time, s; whether a flat was divided out.
    """

    frame: Frame
    noise: NoiseModel
    scattered: np.ndarray
    seconds: float = 1.0
    flat_fielded: bool = field(default=True)


@dataclass(frozen=True, eq=False)
class Detrending:
    """What is taken off every exposure. `background` is None where scattered light stays; `cancels`: the
    frames are for a difference, in which the noise of bias and dark cancels.
    """

    arm: Arm
    bias: Frame | None
    dark: Frame | None
    orders: OrderTable
    clip_sigma: float
    background: BackgroundSubtraction | None
    cancels: bool = False


def _one(raw: RawFrame, how: Detrending) -> tuple[Frame, np.ndarray]:
    """Electrons without bias and dark, and the variance that is not due to light from the slit."""
    bias, dark = how.bias, how.dark
    read_noise = measured_read_noise(bias if bias is not None else dark)
    frame = electrons(raw, how.arm, read_noise)
    base = np.array(frame.variance)
    if bias is not None:
        frame = frame - bias
        base += 0.0 if how.cancels else bias.variance
    complete = detrend.add_photon_noise(frame)
    if dark is not None:
        dark = darks.scaled(dark, dark_scale(raw, dark))
        complete = complete - dark
        base += np.maximum(dark.data, 0.0) + (0.0 if how.cancels else dark.variance)
    return complete, base


def _scaled(frame: Frame, factor: float) -> Frame:
    """The frame as if exposed `factor` times as long, with the noise it has."""
    if factor == 1.0:
        return frame
    return replace(frame, data=frame.data * factor, variance=frame.variance * factor**2)


def pointing(exposures: Sequence[RawFrame], how: Detrending) -> Pointing:
    """Mean of the exposures without bias, dark and scattered light.

    Exposures of unequal times are scaled to their mean time first.
    """
    times = np.array([exposure_time(raw) for raw in exposures])
    mean = float(times.mean()) if len(times) else 0.0
    factors = np.where(times > 0, mean / np.where(times > 0, times, 1.0), 1.0)
    parts = [_one(raw, how) for raw in exposures]
    frames = [_scaled(p[0], float(f)) for p, f in zip(parts, factors, strict=True)]
    frame = slit_stack.stacked(frames, clip_sigma=how.clip_sigma, arm=how.arm)
    n = len(parts)
    base = np.zeros(frame.shape, dtype="f4")
    for part, factor in zip(parts, factors, strict=True):
        base += np.float32(factor**2 / n**2) * part[1]
    scattered = np.zeros(frame.shape, dtype="f4")
    if how.background is not None:
        scattered, _ = background.scattered(frame, how.orders, how.background, how.arm)
        frame = replace(frame, data=frame.data - scattered)
        base = base + np.maximum(scattered, 0.0) / n
    return Pointing(frame, base, n, mean, scattered)


def difference(on: Pointing, off: Pointing) -> Pointing:
    """`on` minus `off`, which is scaled to the exposure time of `on`."""
    factor = on.seconds / off.seconds if on.seconds > 0 and off.seconds > 0 else 1.0
    return Pointing(
        frame=on.frame - _scaled(off.frame, factor),
        base=on.base + np.float32(factor**2) * off.base,
        exposures=on.exposures,
        seconds=on.seconds,
        scattered=on.scattered - np.float32(factor) * off.scattered,
    )


def together(on: Pointing, off: Pointing) -> Pointing:
    """Mean of both, on the exposure time of `on`: what tells how much sky there was."""
    factor = on.seconds / off.seconds if on.seconds > 0 and off.seconds > 0 else 1.0
    other = _scaled(off.frame, factor)
    frame = replace(
        on.frame,
        data=0.5 * (on.frame.data + other.data),
        variance=0.25 * (on.frame.variance + other.variance),
        flags=on.frame.flags | other.flags,
    )
    base = 0.25 * (on.base + np.float32(factor**2) * off.base)
    return Pointing(frame, base, on.exposures + off.exposures, on.seconds, on.scattered)


def flat_fielded(seen: Pointing, flat: MasterFlat | None) -> SlitFrame:
    """The frame over the flat (None: as it is), with a model of its noise."""
    if flat is None:
        one = np.ones(seen.frame.shape, dtype="f4")
        noise = NoiseModel(seen.base, one, np.zeros_like(one), seen.exposures)
        return SlitFrame(seen.frame, noise, seen.scattered, seen.seconds, flat_fielded=False)
    response = np.where(flat.frame.data > 0, flat.frame.data, np.float32(1.0))
    noise = NoiseModel(seen.base, response, flat.frame.variance, seen.exposures)
    divided = detrend.divide_flat(seen.frame, flat.frame)
    return SlitFrame(divided, noise, seen.scattered, seen.seconds)
