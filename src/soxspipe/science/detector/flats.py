"""Stack flat exposures whose lamp drifts."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from soxspipe.datamodel.frame import Frame
from soxspipe.errors import DataError
from soxspipe.science.detector.combine import clipped_mean


def exposure_level(frame: Frame, inside: np.ndarray) -> float:
    """Mean lamp light of the good pixels in the strip along the order centres, electrons.

    Raises DataError if there is no light.
    """
    values = frame.data[inside & frame.good]
    if values.size == 0 or float(np.mean(values)) <= 0:
        raise DataError(
            "the flat shows no light along the order centres",
            hint="check the lamp and the slit of the raw frame, or leave it out of the SOF",
        )
    return float(np.mean(values))


def stack(frames: Sequence[Frame], inside: np.ndarray, *, sigma: float, rounds: int) -> Frame:
    """Mean flat in electrons of an average exposure; lamp drifts are taken out first.

    Two passes: levels along the centres, then levels of each exposure over the first mean, which no
    longer depend on the spectrum of the lamp. frames : electrons, variance that of the read-out.
    """
    levels = np.array([exposure_level(f, inside) for f in frames])
    first = _scaled_mean(frames, levels / levels.mean(), sigma, rounds)
    ratios = np.array([float(np.sum(f.data[inside]) / np.sum(first.data[inside])) for f in frames])
    return _scaled_mean(frames, ratios, sigma, rounds)


def _scaled_mean(frames: Sequence[Frame], factors: np.ndarray, sigma: float, rounds: int) -> Frame:
    scaled = [replace(f, data=f.data / np.float32(k)) for f, k in zip(frames, factors, strict=True)]
    return clipped_mean(scaled, sigma=sigma, rounds=rounds, photon_noise=True)
