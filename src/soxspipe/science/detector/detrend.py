"""Take the detector's signature off a frame, noise first.

Order matters: photon noise belongs to electrons that light or dark current freed, so it is added once
the bias is gone and before the dark is.
"""

from dataclasses import replace

import numpy as np

from soxspipe.datamodel.frame import Frame, PixelFlag
from soxspipe.errors import InputError


def to_electrons(
    adu: np.ndarray, *, gain: float, read_noise: float, saturation: float | None
) -> Frame:
    """Raw counts to electrons; the variance is that of the read-out alone.

    Parameters
    ----------
    adu : (ny, nx). gain : e-/ADU. read_noise : e-. saturation : ADU at and above which a pixel is
    flagged SATURATED. Pixels that are not finite are flagged BAD and set to 0.

    Raises
    ------
    InputError : gain or read noise not positive, or no finite pixel.
    """
    if not (gain > 0 and read_noise > 0):
        raise InputError(
            f"gain {gain:g} e-/ADU and read noise {read_noise:g} e- must be positive",
            hint="the raw frame is corrupt; take it out of the SOF",
        )
    finite = np.isfinite(adu)
    if not finite.any():
        raise InputError("the frame holds no finite pixel", hint="take it out of the SOF")
    flags = np.where(finite, np.uint16(0), np.uint16(PixelFlag.BAD))
    if saturation is not None:
        flags |= np.where(
            finite & (adu >= saturation), np.uint16(PixelFlag.SATURATED), np.uint16(0)
        )
    return Frame(
        data=np.where(finite, adu, 0.0) * np.float32(gain),
        variance=np.full(adu.shape, read_noise**2, dtype="f4"),
        flags=flags,
    )


def add_photon_noise(frame: Frame) -> Frame:
    """Variance plus the Poisson variance of the electrons in `frame`, which must be free of bias.

    The electrons are smoothed over 3 pixels along each axis where they are few, so that the variance
    does not follow the noise: with variances from single noisy pixels, weighted sums come out low.
    """
    data = np.maximum(frame.data, 0.0)
    few = data < 25.0
    if few.any():
        rows = np.pad(data, 1, mode="edge")
        smooth = sum(
            rows[1 + dy : rows.shape[0] - 1 + dy, 1 + dx : rows.shape[1] - 1 + dx]
            for dy in (-1, 0, 1)
            for dx in (-1, 0, 1)
        )
        data = np.where(few, np.minimum(smooth / np.float32(9.0), 50.0), data)
    return replace(frame, variance=frame.variance + data)


def subtract_bias(frame: Frame, bias: Frame) -> Frame:
    """Frame minus master bias, then photon noise of what is left."""
    return add_photon_noise(frame - bias)


def divide_flat(frame: Frame, flat: Frame) -> Frame:
    """Frame over flat; the flat's own variance is added, its flags are kept.

    Raises InputError if the shapes differ.
    """
    if frame.shape != flat.shape:
        raise InputError(
            f"the flat has shape {flat.shape}, the frame {frame.shape}",
            hint="take a flat of the frame's binning",
        )
    response = np.where(flat.data > 0, flat.data, 1.0)
    data = frame.data / response
    variance = (frame.variance + data**2 * flat.variance) / response**2
    return replace(frame, data=data, variance=variance, flags=frame.flags | flat.flags)
