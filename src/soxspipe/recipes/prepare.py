"""First steps that recipes share: from raw counts to electrons without bias and dark."""

from collections.abc import Sequence

from soxspipe.datamodel.frame import Frame
from soxspipe.errors import InputError
from soxspipe.instrument.arms import Arm
from soxspipe.recipes.recipe import RawFrame
from soxspipe.science.detector import combine, detrend

#: Card of a master frame that holds the read noise measured on its raw frames.
READ_NOISE_CARD = "ESO QC RAW RON"


def electrons(raw: RawFrame, arm: Arm, read_noise: float | None = None) -> Frame:
    """The raw frame in electrons; variance is that of the read-out.

    `read_noise` replaces the header's value, which can be wrong.
    """
    return detrend.to_electrons(
        raw.data,
        gain=raw.info.gain,
        read_noise=raw.info.read_noise if read_noise is None else read_noise,
        saturation=arm.saturation,
    )


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
        return detrend.subtract_dark(frame, dark, scale=dark_scale(raw, dark))
    return frame


def dark_scale(raw: RawFrame, dark: Frame) -> float:
    """Ratio of the exposure times of frame and dark; 1 if they agree to a millisecond or are unknown."""
    time = dark.header.get("EXPTIME")
    if not isinstance(time, int | float) or time <= 0:
        return 1.0
    return 1.0 if abs(raw.info.exptime - time) < 1e-3 else raw.info.exptime / float(time)


def lamp_off(frames: Sequence[RawFrame], arm: Arm, dark: Frame | None) -> Frame | None:
    """Mean of the lamp-off frames with its noise, None if there are none."""
    if not frames:
        return None
    read_noise = measured_read_noise(dark)
    ready = [detrend.add_photon_noise(electrons(raw, arm, read_noise)) for raw in frames]
    return combine.mean_of_kept(ready, sigma=5.0)
