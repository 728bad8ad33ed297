"""The master flat: pixel response, and what the lamp and the blaze contributed to it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from soxspipe.datamodel.frame import Frame


@dataclass(frozen=True, eq=False)
class MasterFlat:
    """The normalised flat and the smooth spectrum taken out of it.

    frame   relative response, 1 where nothing is known
    lamp    per order, relative lamp times blaze per pixel along dispersion, (n,) float32, NaN where
            there is no light
    """

    frame: Frame
    lamp: Mapping[int, np.ndarray]
