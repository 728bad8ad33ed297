"""Extract the modelled object: spectra of the orders."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from soxspipe.datamodel.frame import UNUSABLE
from soxspipe.datamodel.spectrum import OrderSpectra, OrderSpectrum
from soxspipe.instrument.arms import Arm
from soxspipe.recipes.slit_frame import SlitFrame
from soxspipe.recipes.slit_object import Model
from soxspipe.recipes.slit_orders import Orders, OrderState
from soxspipe.recipes.slit_sky import Target
from soxspipe.science.extraction import optimal


@dataclass(frozen=True)
class ExtractionSettings:
    """aperture: full width of the boxcar, pixels across; clip: rejection limit, squared sigma."""

    aperture: float
    clip: float


def extract(
    ready: SlitFrame,
    orders: Orders,
    target: Target,
    model: Model,
    lamp: Mapping[int, np.ndarray],
    settings: ExtractionSettings,
    arm: Arm,
) -> OrderSpectra:
    """Spectra of all orders; the variance follows the extracted spectrum (two rounds)."""
    return OrderSpectra(
        {
            n: _extract_order(ready, o, target, model.share[n], lamp.get(n), settings, arm)
            for n, o in orders.items()
        }
    )


def _extract_order(
    ready: SlitFrame,
    order: OrderState,
    target: Target,
    share: np.ndarray,
    lamp: np.ndarray | None,
    settings: ExtractionSettings,
    arm: Arm,
) -> OrderSpectrum:
    pixels, good, variance = order.pixels, order.good, order.variance
    sums = optimal.horne(pixels, order.light, variance, good, share)
    light = np.zeros(len(order.data))
    for _ in range(2):
        flux = np.nan_to_num(sums.flux)
        light = flux[pixels.nearest] * share
        smooth = np.convolve(np.maximum(flux, 0.0), np.full(5, 0.2), mode="same")[pixels.nearest]
        variance = ready.noise.variance(order.sky + smooth * share, pixels.index)
        good = order.good & ~optimal.outliers(
            order.light, variance, light, sigma=np.sqrt(settings.clip)
        )
        sums = optimal.horne(pixels, order.light, variance, good, share)
    n = len(pixels.grid)
    count = np.maximum(np.bincount(pixels.nearest, minlength=n), 1)
    own = np.bincount(pixels.nearest, order.sky_error * variance, n) / count
    scale = np.bincount(pixels.nearest, pixels.area, n) / count
    half = 0.5 * settings.aperture * float(np.median(scale))
    inside = np.abs(pixels.slit - target.trace.at(pixels.wavelength)) <= half
    box = optimal.boxcar(pixels, order.light, variance, good, light, inside)
    # the same weights as the effective wavelength: sky lines and wavelengths of a bin belong together
    weight = np.where(good, share**2 / variance, 0.0)
    total = np.maximum(np.bincount(pixels.nearest, weight, n), 1e-30)
    density = weight * order.sky / np.maximum(pixels.area, 1e-6)
    sky = np.bincount(pixels.nearest, density, n) / total
    return _assembled(order, sums, box, own, sky * 2.0 * half, target, lamp, arm)


def _assembled(
    order: OrderState,
    sums: optimal.Sums,
    box: optimal.Boxcar,
    sky_variance: np.ndarray,
    sky: np.ndarray,
    target: Target,
    lamp: np.ndarray | None,
    arm: Arm,
) -> OrderSpectrum:
    pixels = order.pixels
    n = len(pixels.grid)
    number = pixels.first + np.arange(n)
    touched = np.zeros(n, dtype="u2")
    np.bitwise_or.at(touched, pixels.nearest, order.flags & UNUSABLE)
    blaze = np.full(n, np.nan) if lamp is None else np.asarray(lamp, dtype="f8")[number]
    across = _trace_pixel(order, target, arm)
    x, y = arm.dispersion_and_slit(number.astype("f8"), across)
    return OrderSpectrum(
        wavelength=sums.wavelength,
        bin_width=pixels.width,
        flux=sums.flux,
        variance=sums.variance + sums.rows**2 * sky_variance,
        boxcar=box.flux,
        boxcar_variance=box.variance,
        boxcar_robust=box.robust,
        sky=sky,
        blaze=blaze,
        flags=optimal.bin_flags(sums, touched),
        x=x,
        y=y,
    )


def _trace_pixel(order: OrderState, target: Target, arm: Arm) -> np.ndarray:
    """Pixel across dispersion (m,) at which the trace crosses each native bin."""
    pixels = order.pixels
    off = np.abs(pixels.slit - target.trace.at(pixels.wavelength))
    nx = arm.shape[1]
    across = (pixels.index // nx if arm.dispersion_axis == "x" else pixels.index % nx).astype("f8")
    weight = np.exp(-0.5 * (off / 0.3) ** 2)
    n = len(pixels.grid)
    total = np.bincount(pixels.nearest, weight, n)
    mean = np.bincount(pixels.nearest, weight * across, n) / np.maximum(total, 1e-12)
    return np.where(total > 1e-6, mean, np.nan)
