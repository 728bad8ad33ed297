"""First steps that recipes share: from raw counts to electrons without bias and dark."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from soxspipe.datamodel.frame import Frame, PixelFlag
from soxspipe.errors import InputError
from soxspipe.instrument.arms import Arm
from soxspipe.recipes.recipe import RawFrame
from soxspipe.science.detector import combine, darks, detrend

#: Card of a master frame that holds the read noise measured on its raw frames.
READ_NOISE_CARD = "ESO QC RAW RON"


def electrons(raw: RawFrame, arm: Arm, read_noise: float | None = None) -> Frame:
    """The raw frame in electrons; variance is that of the read-out. Pixels of the bad-pixel map are BAD.

    `read_noise` replaces the header's value, which can be wrong. Raises InputError for a corrupt frame:
    gain or read noise of zero, or no finite pixel.
    """
    noise = raw.info.read_noise if read_noise is None else read_noise
    if not (raw.info.gain > 0 and noise > 0):
        raise InputError(
            f"{raw.info.file}: is corrupt: gain {raw.info.gain:g} e-/ADU, read noise {noise:g} e-",
            hint="both must be above zero; take the frame out of the SOF",
        )
    frame = detrend.to_electrons(
        raw.data, gain=raw.info.gain, read_noise=noise, saturation=arm.saturation
    )
    return frame if raw.bad is None else frame.flagged(raw.bad, PixelFlag.BAD)


def prepared(raw: RawFrame, arm: Arm) -> Frame:
    """The frame as `save-intermediate-products` keeps it: trimmed electrons, bias and dark still in them.

    The variance is that of read-out and photons; the level of the margins that see no light, where the
    detector has such, is no light.
    """
    frame = electrons(raw, arm)
    if raw.margin.size == 0:
        return detrend.add_photon_noise(frame)
    pedestal = np.float32(np.median(raw.margin) * raw.info.gain)
    noisy = detrend.add_photon_noise(replace(frame, data=frame.data - pedestal))
    return replace(frame, variance=noisy.variance)


def measured_read_noise(master: Frame | None) -> float | None:
    """Read noise that was measured when the master bias or dark was made, None if it does not say."""
    if master is None:
        return None
    value = master.header.get(READ_NOISE_CARD)
    return float(value) if isinstance(value, int | float) and value > 0 else None


def detrended(
    raw: RawFrame, arm: Arm, *, bias: Frame | None, dark: Frame | None, off: Frame | None = None
) -> Frame:
    """Electrons with bias (VIS) and dark or lamp-off frame (NIR) taken off; the variance is complete.

    Raises InputError if neither a bias, a dark nor an off frame is there to take off.
    """
    if bias is None and dark is None and off is None:
        raise InputError(
            "there is neither a bias, a dark nor a lamp-off frame to subtract",
            hint="add a master bias (VIS), or a master dark of this exposure time (NIR), to the SOF",
        )
    read_noise = measured_read_noise(bias if bias is not None else dark)
    frame = electrons(raw, arm, read_noise)
    frame = (
        detrend.subtract_bias(frame, bias) if bias is not None else detrend.add_photon_noise(frame)
    )
    if off is not None:
        return frame - off
    if dark is not None:
        return subtract_dark(frame, raw, dark)
    return frame


def exposure_time(raw: RawFrame) -> float:
    """Exposure time, s, as the header has it; the time by which frames are grouped is rounded."""
    value = raw.header.get("EXPTIME")
    return float(value) if isinstance(value, int | float) else raw.info.exptime


def dark_scale(raw: RawFrame, dark: Frame) -> float:
    """Ratio of the exposure times of frame and dark; 1 if they agree to a millisecond or are unknown."""
    time = dark.header.get("EXPTIME")
    if not isinstance(time, int | float) or time <= 0:
        return 1.0
    seconds = exposure_time(raw)
    return 1.0 if abs(seconds - time) < darks.SAME_TIME else seconds / float(time)


def subtract_dark(frame: Frame, raw: RawFrame, dark: Frame) -> Frame:
    """`frame`, made of `raw`, minus the dark, scaled if the exposure times differ."""
    return frame - darks.scaled(dark, dark_scale(raw, dark))


def lamp_off(frames: Sequence[RawFrame], arm: Arm, dark: Frame | None) -> Frame | None:
    """Mean of the lamp-off frames with its noise, None if there are none."""
    if not frames:
        return None
    read_noise = measured_read_noise(dark)
    ready = [detrend.add_photon_noise(electrons(raw, arm, read_noise)) for raw in frames]
    return combine.mean_of_kept(ready, sigma=5.0)
