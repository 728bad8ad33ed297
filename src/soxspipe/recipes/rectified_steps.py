"""Steps to 2-D products that recipes share: orders straightened, and joined to one image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from soxspipe.datamodel.frame import Frame
from soxspipe.datamodel.order_pixels import OrderPixels
from soxspipe.datamodel.rectified import RectifiedOrders, RectifiedSpectrum
from soxspipe.instrument.arms import Arm
from soxspipe.recipes.recipe import Plot, Product
from soxspipe.recipes.slit_orders import Orders
from soxspipe.science.extraction import footprints, merge_images, rectify
from soxspipe.science.extraction.rectify import Values


@dataclass(frozen=True, eq=False)
class Straightened:
    """The orders of one exposure as images, and the pixels they were made of."""

    images: RectifiedOrders
    pixels: Mapping[int, OrderPixels]


def values_of(frame: Frame, pixels: Mapping[int, OrderPixels]) -> dict[int, Values]:
    """What a frame holds in the pixels of each order, as electrons of the detector's own pixels."""
    data, variance, flags = (a.ravel() for a in (frame.data, frame.variance, frame.flags))
    return {
        n: stretched(p, Values(data[p.index], variance[p.index], flags[p.index]))
        for n, p in pixels.items()
    }


def stretched(pixels: OrderPixels, values: Values) -> Values:
    """Values with the area of the pixels in them, which the flat has taken out."""
    if pixels.stretch is None:
        return values
    by = pixels.stretch
    return Values(
        values.data * by,
        values.variance * by**2,
        values.flags,
        None if values.sky is None else values.sky * by,
        None if values.sky_error is None else values.sky_error * by,
    )


def values_of_orders(orders: Orders) -> dict[int, Values]:
    """What the orders of an object recipe hold once their sky is fitted, its model and error included."""
    return {
        n: Values(o.light, o.variance, o.flags, o.sky, np.sqrt(o.sky_variance))
        for n, o in orders.items()
    }


def merged_product(tech: str) -> Product:
    """The declaration of the 2-D spectrum of all orders; `tech` is its PRO TECH."""
    meaning = "2-D spectrum: all orders as one image of wavelength and slit position"
    return Product("RECTIFIED_MERGED", "_MERGED2D.fits", "SCI_SLIT_MERGE2D", tech, meaning)


MERGED_PLOT = Plot("MERGED2D_QUICKLOOK", "_MERGED2D_quicklook.pdf", "the image of all orders")


def slit_step(pixels: Mapping[int, OrderPixels]) -> float:
    """Median pixel scale of the orders, arcsec, to a thousandth."""
    return round(float(np.median([rectify.pixel_scale(p) for p in pixels.values()])), 3)


def straightened(
    pixels: Mapping[int, OrderPixels],
    values: Mapping[int, Values],
    arm: Arm,
    *,
    step: float = 0.0,
    along_slit: float = 0.0,
    slit_offset: float = 0.0,
) -> Straightened:
    """Every order as an image of wavelength times slit position.

    step : nm per bin, `along_slit` : arcsec per bin; 0 : that of merged spectra, that of the pixels.
    slit_offset : arcsec added to slit positions, so that the target of each exposure comes to one place.
    """
    step, along_slit = step or arm.merged_step, along_slit or slit_step(pixels)
    images = {
        n: rectify.rectify(
            p,
            values[n],
            columns=arm.shape[1],
            step=step,
            slit_step=along_slit,
            slit_offset=slit_offset,
        )
        for n, p in pixels.items()
    }
    return Straightened(RectifiedOrders(images), pixels)


def joined(
    exposures: Sequence[Straightened],
    lamp: Mapping[int, np.ndarray],
    *,
    response: np.ndarray | None = None,
    unit: str = "electron",
) -> RectifiedSpectrum:
    """The orders of one or several exposures as one image, on the scale of the best order.

    lamp : per order, the light of the flat lamp by pixel along dispersion (MasterFlat.lamp).
    response : factor at each wavelength of the result, as in `merge_images`.
    """
    parts = []
    for exposure in exposures:
        seen = {n: _lamp_in_bins(p, lamp.get(n)) for n, p in exposure.pixels.items()}
        throughput = footprints.relative_throughput(exposure.pixels, seen)
        for n, image in exposure.images.orders.items():
            curve = merge_images.throughput_on(image.grid, exposure.pixels[n], throughput[n])
            parts.append(merge_images.ImagePart(image, curve))
    return merge_images.merge_images(parts, response=response, unit=unit)


def _lamp_in_bins(pixels: OrderPixels, lamp: np.ndarray | None) -> np.ndarray:
    n = len(pixels.grid)
    if lamp is None:
        return np.full(n, np.nan)
    return np.asarray(lamp[pixels.first : pixels.first + n], dtype="f8")
