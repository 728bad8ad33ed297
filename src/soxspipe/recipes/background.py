"""Scattered light between the orders, as the recipes that may take it off do."""

import numpy as np

from soxspipe.datamodel.frame import Frame
from soxspipe.datamodel.geometry import OrderTable
from soxspipe.instrument.arms import Arm
from soxspipe.science.orders import scattered_light
from soxspipe.settings import BackgroundSubtraction

#: Distance from the edge of an order at which a pixel counts as between orders, unbinned pixels.
_CLEARANCE = 6.0


def scattered(
    frame: Frame, orders: OrderTable, settings: BackgroundSubtraction, arm: Arm
) -> tuple[np.ndarray, np.ndarray]:
    """Model of the scattered light (ny, nx), electrons, and (ny, nx) bool where it was measured."""
    across = arm.binning[1] if arm.dispersion_axis == "x" else arm.binning[0]
    free = scattered_light.between_orders(
        orders, frame.shape, clearance=max(_CLEARANCE / across, 4.0)
    )
    surface = scattered_light.fit(
        frame,
        free,
        smoothing=settings.gaussian_blur_sigma,
        degree=settings.bspline_deg,
        along_x=arm.dispersion_axis == "x",
    )
    return surface, free
