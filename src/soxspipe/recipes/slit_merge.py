"""One spectrum of an object from the pixels of all orders of all its images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from soxspipe.datamodel.frame import UNUSABLE, PixelFlag
from soxspipe.datamodel.order_pixels import OrderPixels
from soxspipe.datamodel.spectrum import OrderSpectra, OrderSpectrum, Spectrum
from soxspipe.instrument.arms import Arm
from soxspipe.recipes.slit_extract import Alone, ExtractionSettings, half_aperture
from soxspipe.recipes.slit_sources import Source
from soxspipe.recipes.slit_view import View
from soxspipe.science.extraction import decorrelated, footprints, merge
from soxspipe.science.extraction.normal_equations import Part
from soxspipe.science.wavelength import air


@dataclass(frozen=True, eq=False)
class Image:
    """One image of the object: where it was seen, its pixels and its native spectra."""

    view: View
    source: Source
    parts: Mapping[int, Alone]
    spectra: OrderSpectra


@dataclass(frozen=True)
class Scale:
    """The wavelengths that are wanted: step of the merged spectrum (nm), in "air" or "vacuum", and the
    unit of files, "nm" or "angstrom".
    """

    step: float
    medium: str = "air"
    unit: str = "nm"


def merged(
    images: Sequence[Image],
    lamp: Mapping[int, np.ndarray],
    settings: ExtractionSettings,
    arm: Arm,
    scale: Scale,
) -> Spectrum:
    """All images and orders on one linear grid; nothing is resampled.

    The spectrum is on the scale of the order with the highest throughput at each wavelength.
    """
    low = min(min(o.full) for o in arm.orders.values())
    high = max(max(o.full) for o in arm.orders.values())
    step = scale.step
    wavelength = merge.grid(low, high, step)
    edges = np.concatenate([wavelength - 0.5 * step, [wavelength[-1] + 0.5 * step]])
    pixels = {n: part.order.pixels for n, part in images[0].parts.items()}
    throughput = footprints.relative_throughput(pixels, _native_lamp(pixels, lamp))
    along = {
        n: footprints.footprints(p, arm.shape[1], dispersion_axis=arm.dispersion_axis)
        for n, p in pixels.items()
    }
    seconds = float(np.mean([image.view.ready.seconds for image in images]))
    parts = [
        _part(image, n, part, along[n], throughput[n] * _relative(image, seconds), settings)
        for image in images
        for n, part in image.parts.items()
    ]
    if scale.medium == "vacuum":
        parts = [_in_vacuum(part) for part in parts]
    whole = decorrelated.merge_pixels(parts, edges)
    told = np.bitwise_or.reduce([_reasons(image, scale, edges) for image in images])
    return Spectrum(
        wavelength=wavelength,
        flux=whole.flux,
        variance=whole.variance,
        sky=whole.sky,
        flags=np.where(whole.flags != 0, whole.flags | told, whole.flags),
        step=step,
        medium=scale.medium,
        unit=scale.unit,
    )


def _reasons(image: Image, scale: Scale, edges: np.ndarray) -> np.ndarray:
    """(m,) uint16: what is wrong with native bins, for the bins between the `edges` that they overlap."""
    told = np.zeros(len(edges) - 1, dtype="u2")
    for order in as_wanted(image.spectra, scale).orders.values():
        wrong = (order.flags & UNUSABLE) != 0
        ends = (order.wavelength + half * order.bin_width for half in (-0.5, 0.5))
        first, last = (np.searchsorted(edges, end[wrong]) - 1 for end in ends)
        flags = order.flags[wrong] & UNUSABLE & ~np.uint16(PixelFlag.NOTHING_LEFT)
        for k in range(int(np.max(last - first, initial=-1)) + 1):
            here = first + k
            inside = (here <= last) & (here >= 0) & (here < len(told))
            np.bitwise_or.at(told, here[inside], flags[inside])
    return told


def _in_vacuum(part: Part) -> Part:
    """The pixels with their wavelengths in vacuum."""
    wavelength = air.to_vacuum(part.wavelength)
    factor = wavelength / part.wavelength
    return replace(
        part,
        wavelength=wavelength,
        along=part.along * factor,
        across=part.across * factor,
        response=part.response * factor,
        sky=part.sky / factor,
        reach=part.reach * factor,
    )


def as_wanted(spectra: OrderSpectra, scale: Scale) -> OrderSpectra:
    """Spectra of the orders with the wavelengths that are wanted."""
    orders = dict(spectra.orders)
    if scale.medium == "vacuum":
        for n, order in orders.items():
            wavelength = air.to_vacuum(order.wavelength)
            width = order.bin_width * wavelength / order.wavelength
            orders[n] = replace(order, wavelength=wavelength, bin_width=width)
    return OrderSpectra(orders, scale.medium, scale.unit)


def _relative(image: Image, seconds: float) -> float:
    """Exposure time of an image over the mean of all."""
    own = image.view.ready.seconds
    return own / seconds if own > 0 and seconds > 0 else 1.0


def _native_lamp(
    pixels: Mapping[int, OrderPixels], lamp: Mapping[int, np.ndarray]
) -> dict[int, np.ndarray]:
    """The lamp's light at the native bins (m,), NaN where there is none."""
    return {
        n: np.asarray(lamp[n], dtype="f8")[p.first : p.first + len(p.grid)]
        if n in lamp
        else np.full(len(p.grid), np.nan)
        for n, p in pixels.items()
    }


def _part(
    image: Image,
    number: int,
    part: Alone,
    footprint: tuple[np.ndarray, np.ndarray],
    throughput: np.ndarray,
    settings: ExtractionSettings,
) -> Part:
    """The pixels of one order of one image as the common grid wants them."""
    order, pixels = part.order, part.order.pixels
    density = image.view.sky[number] / np.maximum(pixels.area, 1e-6)
    aperture = 2.0 * half_aperture(part, image.source, settings)
    return footprints.as_part(
        pixels,
        footprint,
        throughput,
        share=part.share,
        data=part.data,
        variance=part.variance,
        good=part.good,
        sky=density * aperture,
        common=part.sky_variance,
        reach=order.reach,
    )


def joined(spectra: Sequence[OrderSpectra]) -> OrderSpectra:
    """Spectra of several images on the same native bins as one, weighted by inverse variance.

    Fluxes are means: electrons of one exposure.
    """
    if len(spectra) == 1:
        return spectra[0]
    numbers = spectra[0].orders
    return OrderSpectra({n: _joined([s.orders[n] for s in spectra]) for n in numbers})


def _joined(parts: Sequence[OrderSpectrum]) -> OrderSpectrum:
    def stack(name: str) -> np.ndarray:
        return np.stack([getattr(p, name) for p in parts])

    good = (stack("flags") == 0) & np.isfinite(stack("flux")) & (stack("variance") > 0)
    some = good.any(axis=0)
    use = good | ~some
    variance = stack("variance")
    weight = np.where(use & np.isfinite(variance) & (variance > 0), 1.0 / variance, 0.0)
    total = weight.sum(axis=0)
    safe = np.where(total > 0, total, 1.0)

    def mean(name: str, power: int = 1) -> np.ndarray:
        values = np.where(weight > 0, stack(name), 0.0)
        return np.where(total > 0, (weight**power * values).sum(axis=0) / safe**power, np.nan)

    flags = np.bitwise_or.reduce(np.where(use, stack("flags"), 0)).astype("u2")
    return OrderSpectrum(
        wavelength=np.where(total > 0, mean("wavelength"), parts[0].wavelength),
        bin_width=parts[0].bin_width,
        flux=mean("flux"),
        variance=np.where(total > 0, 1.0 / safe, np.nan),
        boxcar=mean("boxcar"),
        boxcar_variance=mean("boxcar_variance", 2),
        boxcar_robust=mean("boxcar_robust"),
        sky=mean("sky"),
        blaze=parts[0].blaze,
        flags=np.where(total > 0, flags, np.uint16(PixelFlag.NOTHING_LEFT)).astype("u2"),
        x=parts[0].x,
        y=parts[0].y,
    )
