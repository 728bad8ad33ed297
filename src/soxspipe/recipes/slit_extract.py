"""Extract one image of an object from a view: spectra of the orders on their native bins."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from soxspipe.datamodel.frame import UNUSABLE
from soxspipe.datamodel.spectrum import OrderSpectra, OrderSpectrum
from soxspipe.instrument.arms import Arm
from soxspipe.recipes.slit_orders import OrderState
from soxspipe.recipes.slit_sources import Source
from soxspipe.recipes.slit_view import View
from soxspipe.science.extraction import optimal


@dataclass(frozen=True)
class ExtractionSettings:
    """aperture: full width of the boxcar, pixels across; clip: rejection limit, squared sigma."""

    aperture: float
    clip: float


@dataclass(frozen=True, eq=False)
class Alone:
    """The pixels of one order as if they held nothing but one source; arrays (n,).

    data      electrons without sky and other sources, of a positive image
    variance  from the model of all light
    good      usable, and not off the model
    share     part of a native bin's light in each pixel
    model     electrons of the source
    sky_variance  variance of the sky model
    """

    order: OrderState
    data: np.ndarray
    variance: np.ndarray
    good: np.ndarray
    share: np.ndarray
    model: np.ndarray
    sky_variance: np.ndarray


def alone(view: View, source: Source, *, clip: float) -> dict[int, Alone]:
    """Every order without sky and other sources; the variance follows the extracted spectrum.

    clip : squared sigma beyond which a pixel is left out.
    """
    return {n: _alone(view, n, o, source, clip) for n, o in view.orders.items()}


def _alone(view: View, number: int, order: OrderState, source: Source, clip: float) -> Alone:
    pixels, share = order.pixels, source.share[number]
    others = np.asarray(view.sources.light(number, but=source))
    bright = view.sources.brightness(number) - source.brightness(number)
    data = source.sign * (order.light - others)
    good, variance = order.good, order.variance
    light = np.zeros(len(data))
    for _ in range(2):
        sums = optimal.horne(pixels, data, variance, good, share)
        flux = np.nan_to_num(sums.flux)
        light = flux[pixels.nearest] * share
        smooth = np.convolve(np.maximum(flux, 0.0), np.full(5, 0.2), mode="same")[pixels.nearest]
        variance = order.expected_variance(
            view.ready, np.maximum(order.sky, 0.0) + bright + source.noise * smooth * share
        )
        good = order.good & ~optimal.outliers(data, variance, light, sigma=np.sqrt(clip))
    return Alone(order, data, variance, good, share, light, order.sky_variance)


def scaled(part: Alone, factor: np.ndarray, share: np.ndarray) -> Alone:
    """The pixels times `factor` (n,), with another `share` (n,)."""
    return Alone(
        order=part.order,
        data=part.data * factor,
        variance=part.variance * factor**2,
        good=part.good,
        share=share,
        model=part.model * factor,
        sky_variance=part.sky_variance * factor**2,
    )


def extract(
    view: View,
    source: Source,
    parts: Mapping[int, Alone],
    lamp: Mapping[int, np.ndarray],
    settings: ExtractionSettings,
    arm: Arm,
) -> OrderSpectra:
    """Spectra of all orders; `parts` from `alone`."""
    return OrderSpectra(
        {
            n: _extract_order(view.sky[n], part, source, lamp.get(n), settings, arm)
            for n, part in parts.items()
        }
    )


def half_aperture(part: Alone, source: Source, settings: ExtractionSettings) -> float:
    """Half of the boxcar's width, arcsec: the user's, else that of the settings."""
    if source.aperture is not None:
        return 0.5 * source.aperture
    return 0.5 * settings.aperture * float(np.median(part.order.pixels.area))


def _extract_order(
    sky: np.ndarray,
    part: Alone,
    source: Source,
    lamp: np.ndarray | None,
    settings: ExtractionSettings,
    arm: Arm,
) -> OrderSpectrum:
    order, pixels = part.order, part.order.pixels
    n = len(pixels.grid)
    sums = optimal.horne(pixels, part.data, part.variance, part.good, part.share)
    heed = np.where(part.good, part.share / part.variance, 0.0)
    heeded = np.maximum(np.bincount(pixels.nearest, heed, n), 1e-30)
    own = np.bincount(pixels.nearest, heed * part.sky_variance, n) / heeded
    half = half_aperture(part, source, settings)
    inside = np.abs(pixels.slit - source.trace.at(pixels.wavelength, pixels.order)) <= half
    box = optimal.boxcar(pixels, part.data, part.variance, part.good, part.model, inside)
    # the same weights as the effective wavelength: sky lines and wavelengths of a bin belong together
    weight = np.where(part.good, part.share**2 / part.variance, 0.0)
    total = np.maximum(np.bincount(pixels.nearest, weight, n), 1e-30)
    density = np.bincount(pixels.nearest, weight * sky / np.maximum(pixels.area, 1e-6), n) / total
    number = pixels.first + np.arange(n)
    touched = optimal.reasons(pixels, order.flags & UNUSABLE, part.share)
    blaze = np.full(n, np.nan) if lamp is None else np.asarray(lamp, dtype="f8")[number]
    x, y = arm.dispersion_and_slit(number.astype("f8"), _trace_pixel(order, source, arm))
    return OrderSpectrum(
        wavelength=sums.wavelength,
        bin_width=pixels.width,
        flux=sums.flux,
        variance=sums.variance + sums.rows**2 * own,
        boxcar=box.flux,
        boxcar_variance=box.variance,
        boxcar_robust=box.robust,
        sky=density * 2.0 * half,
        blaze=blaze,
        flags=optimal.bin_flags(sums, touched),
        x=x,
        y=y,
    )


def _trace_pixel(order: OrderState, source: Source, arm: Arm) -> np.ndarray:
    """Pixel across dispersion (m,) at which the trace crosses each native bin."""
    pixels = order.pixels
    off = np.abs(pixels.slit - source.trace.at(pixels.wavelength, pixels.order))
    nx = arm.shape[1]
    across = (pixels.index // nx if arm.dispersion_axis == "x" else pixels.index % nx).astype("f8")
    weight = np.exp(-0.5 * (off / 0.3) ** 2)
    n = len(pixels.grid)
    total = np.bincount(pixels.nearest, weight, n)
    mean = np.bincount(pixels.nearest, weight * across, n) / np.maximum(total, 1e-12)
    return np.where(total > 1e-6, mean, np.nan)
