"""Orders on their way through an object recipe: pixels with data, variance, flags and sky."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from soxspipe.datamodel.frame import UNUSABLE, Frame
from soxspipe.datamodel.order_pixels import OrderPixels
from soxspipe.recipes.slit_frame import SlitFrame
from soxspipe.science.sky import sky_model


@dataclass(frozen=True, eq=False)
class OrderState:
    """One order on its way: pixels, data and variance (n,), flags (n,), sky model (n,), sky variance
    relative to that of a pixel (n,).
    """

    pixels: OrderPixels
    data: np.ndarray
    variance: np.ndarray
    flags: np.ndarray
    sky: np.ndarray
    sky_error: np.ndarray
    converged: bool = True

    @property
    def good(self) -> np.ndarray:
        """(n,) bool: usable pixels."""
        return (self.flags & UNUSABLE) == 0

    @property
    def light(self) -> np.ndarray:
        """(n,) data without sky."""
        return self.data - self.sky


Orders = dict[int, OrderState]


def listed(ready: SlitFrame, pixels: Mapping[int, OrderPixels]) -> Orders:
    """Orders with data, first variance and flags; no sky yet."""
    frame = ready.frame
    flat_data, flat_flags = frame.data.ravel(), frame.flags.ravel()
    orders = {}
    for number, part in pixels.items():
        data = flat_data[part.index].astype("f8")
        flags = flat_flags[part.index]
        good = (flags & UNUSABLE) == 0
        level = sky_model.initial_level(part, data, good)
        variance = ready.noise.variance(level, part.index)
        zero = np.zeros(len(data))
        orders[number] = OrderState(part, data, variance, flags, level, zero)
    return orders


def slit_range(orders: Orders) -> tuple[float, float]:
    """Slit positions (arcsec) that all orders cover."""
    low = max(float(np.percentile(o.pixels.slit, 0.5)) for o in orders.values())
    high = min(float(np.percentile(o.pixels.slit, 99.5)) for o in orders.values())
    return low, high


def sky_image(orders: Orders, shape: tuple[int, int]) -> np.ndarray:
    """(ny, nx) sky model, 0 outside orders."""
    image = np.zeros(shape, dtype="f4")
    for o in orders.values():
        image.ravel()[o.pixels.index] = o.sky
    return image


def frame_with_variance(ready: SlitFrame, orders: Orders) -> Frame:
    """The flat-fielded frame with the final model variance inside orders."""
    variance = np.array(ready.frame.variance)
    for o in orders.values():
        variance.ravel()[o.pixels.index] = o.variance
    return replace(ready.frame, variance=variance)
