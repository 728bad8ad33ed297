"""First half of the object recipes: from raw exposures to one flat-fielded frame with a noise model."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from soxspipe.datamodel.flat import MasterFlat
from soxspipe.datamodel.frame import Frame
from soxspipe.datamodel.geometry import OrderTable
from soxspipe.instrument.arms import Arm
from soxspipe.recipes import background
from soxspipe.recipes.prepare import dark_scale, electrons, measured_read_noise
from soxspipe.recipes.recipe import RawFrame
from soxspipe.science.detector import combine, darks, detrend
from soxspipe.science.detector.noise import NoiseModel
from soxspipe.settings import BackgroundSubtraction


@dataclass(frozen=True, eq=False)
class SlitFrame:
    """A frame ready for sky and object: electrons, flat-fielded; its noise; the scattered light that was
    taken off (ny, nx).
    """

    frame: Frame
    noise: NoiseModel
    scattered: np.ndarray


def _one(
    raw: RawFrame, arm: Arm, bias: Frame | None, dark: Frame | None
) -> tuple[Frame, np.ndarray]:
    """Electrons without bias and dark, and the variance that is not due to light from the slit."""
    read_noise = measured_read_noise(bias if bias is not None else dark)
    frame = electrons(raw, arm, read_noise)
    base = np.array(frame.variance)
    if bias is not None:
        frame = frame - bias
        base += bias.variance
    complete = detrend.add_photon_noise(frame)
    if dark is not None:
        dark = darks.scaled(dark, dark_scale(raw, dark))
        complete = complete - dark
        base += np.maximum(dark.data, 0.0) + dark.variance
    return complete, base


def ready(
    exposures: Sequence[RawFrame],
    arm: Arm,
    *,
    bias: Frame | None,
    dark: Frame | None,
    flat: MasterFlat | None,
    orders: OrderTable,
    clip_sigma: float,
    background_settings: BackgroundSubtraction | None,
) -> SlitFrame:
    """Mean of the exposures without bias, dark and scattered light, over the flat.

    `background_settings` is None where scattered light stays.
    """
    parts = [_one(raw, arm, bias, dark) for raw in exposures]
    frame = combine.mean_of_kept([p[0] for p in parts], sigma=clip_sigma)
    base = np.mean([p[1] for p in parts], axis=0) / len(parts)
    scattered = np.zeros(frame.shape, dtype="f4")
    if background_settings is not None:
        scattered, _ = background.scattered(frame, orders, background_settings, arm)
        frame = replace(frame, data=frame.data - scattered)
        base += np.maximum(scattered, 0.0) / len(parts)
    if flat is None:
        one = np.ones(frame.shape, dtype="f4")
        return SlitFrame(frame, NoiseModel(base, one, np.zeros_like(one), len(parts)), scattered)
    response = np.where(flat.frame.data > 0, flat.frame.data, np.float32(1.0))
    noise = NoiseModel(base, response, flat.frame.variance, len(parts))
    return SlitFrame(detrend.divide_flat(frame, flat.frame), noise, scattered)
