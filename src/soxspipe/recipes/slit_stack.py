"""Exposures of one pointing as one frame."""

from collections.abc import Sequence

import numpy as np

from soxspipe.datamodel.frame import Frame
from soxspipe.instrument.arms import Arm
from soxspipe.science.detector import cosmic_stack


def stacked(frames: Sequence[Frame], *, clip_sigma: float, arm: Arm) -> Frame:
    """Mean of exposures of one pointing without what only one of them holds.

    With three or more, values `clip_sigma` of their noise off the median are left out as well.
    """
    if len(frames) == 1:
        return frames[0]
    hits = cosmic_stack.between_exposures(frames, dispersion_axis=arm.dispersion_axis)
    if len(frames) > 2:
        level = np.stack([f.data for f in frames])
        noise = np.sqrt(np.median(np.stack([f.variance for f in frames]), axis=0))
        hits |= np.abs(level - np.median(level, axis=0)) > clip_sigma * noise
    return cosmic_stack.mean_without_hits(frames, hits)
