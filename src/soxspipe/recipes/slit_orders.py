"""Orders on their way through an object recipe: pixels with data, variance, flags and sky."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from soxspipe.datamodel.frame import UNUSABLE, Frame, PixelFlag
from soxspipe.datamodel.geometry import PixelMap
from soxspipe.datamodel.order_pixels import OrderPixels
from soxspipe.instrument.arms import Arm
from soxspipe.recipes.slit_frame import SlitFrame
from soxspipe.science.sky import sky_model
from soxspipe.science.wavelength import native_bins

#: An order of which a smaller share is usable tells nothing of sky or object, and is given up.
_LEAST_USABLE = 0.02


@dataclass(frozen=True, eq=False)
class OrderState:
    """One order on its way; arrays (n,).

    data, variance, flags   of the flat-fielded frame
    sky, sky_variance       sky model and its variance
    reach                   native bins over which the error of the sky model is the same
    pedestal                variance left by light that was subtracted: that of the other position
    fitted                  the fit behind the sky model, None before there is one
    """

    pixels: OrderPixels
    data: np.ndarray
    variance: np.ndarray
    flags: np.ndarray
    sky: np.ndarray
    sky_variance: np.ndarray
    reach: np.ndarray
    pedestal: np.ndarray
    fitted: sky_model.OrderSky | None = None

    @property
    def converged(self) -> bool:
        """False if the sky had to stay with a simpler model than the data ask for."""
        return self.fitted is None or self.fitted.converged

    @property
    def good(self) -> np.ndarray:
        """(n,) bool: usable pixels."""
        return (self.flags & UNUSABLE) == 0

    @property
    def light(self) -> np.ndarray:
        """(n,) data without sky."""
        return self.data - self.sky

    def expected_variance(self, ready: SlitFrame, light: np.ndarray) -> np.ndarray:
        """(n,) variance of the pixels if they hold `light` (n,) electrons of sky and objects."""
        return ready.noise.variance(light, self.pixels.index) + self.pedestal


Orders = dict[int, OrderState]

#: Variance, electrons squared, of a pixel of which nothing is known; float32 holds it.
_MOST = 1e30


def order_pixels(
    pixel_map: PixelMap, arm: Arm, *, flat_fielded: bool = True
) -> dict[int, OrderPixels]:
    """The pixels of all orders, with the areas that they have in the frame.

    A pixel that sees more sky than others of its wavelength also got more light of the lamp: once the
    frame is divided by the flat, all pixels of a wavelength have the area of their middle one.
    """
    listed = native_bins.order_pixels(pixel_map, dispersion_axis=arm.dispersion_axis)
    return {n: native_bins.flattened(p) for n, p in listed.items()} if flat_fielded else listed


def listed(ready: SlitFrame, pixels: Mapping[int, OrderPixels]) -> Orders:
    """Orders with data, first variance and flags; no sky yet.

    An order with hardly a usable pixel stays in its place, all its pixels flagged BAD.
    """
    frame = ready.frame
    flat_data, flat_flags = frame.data.ravel(), frame.flags.ravel()
    orders = {}
    for number, part in pixels.items():
        data = flat_data[part.index].astype("f8")
        flags = flat_flags[part.index]
        good = (flags & UNUSABLE) == 0
        if good.mean() < _LEAST_USABLE:
            flags, good = flags | np.uint16(PixelFlag.BAD), np.zeros(len(data), dtype=bool)
        level = sky_model.initial_level(part, data, good)
        variance = ready.noise.variance(level, part.index)
        zero, one = np.zeros(len(data)), np.ones(len(data))
        orders[number] = OrderState(part, data, variance, flags, level, zero, one, zero)
    return orders


def with_pedestal(ready: SlitFrame, orders: Orders, subtracted: Orders, scale: float) -> Orders:
    """Orders of a difference frame, which knows of the photon noise of the sky that went.

    subtracted : orders of the frame in which that sky was modelled. scale : variance over its electrons.
    """
    result = {}
    for n, o in orders.items():
        sky = np.maximum(subtracted[n].sky, 0.0)
        response = ready.noise.response.ravel()[o.pixels.index]
        pedestal = scale * sky / response
        variance = ready.noise.variance(np.zeros(len(sky)), o.pixels.index) + pedestal
        zero = np.zeros(len(sky))
        result[n] = replace(o, sky=zero, sky_variance=zero, pedestal=pedestal, variance=variance)
    return result


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
        variance.ravel()[o.pixels.index] = np.minimum(o.variance, _MOST)
    return replace(ready.frame, variance=variance)
