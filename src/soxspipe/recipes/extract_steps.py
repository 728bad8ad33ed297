"""Steps of extract: objects at given places, in a sky-subtracted frame or in a rectified image."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from soxspipe.datamodel.frame import Frame
from soxspipe.datamodel.order_pixels import OrderPixels
from soxspipe.datamodel.rectified import RectifiedSpectrum
from soxspipe.datamodel.spectrum import OrderSpectra, Spectrum
from soxspipe.instrument.arms import Arm
from soxspipe.recipes import slit_models, slit_sources, slit_steps
from soxspipe.recipes.slit_extract import ExtractionSettings, half_aperture
from soxspipe.recipes.slit_frame import SlitFrame
from soxspipe.recipes.slit_orders import Orders, OrderState
from soxspipe.recipes.slit_sources import Search, Source, Sources
from soxspipe.recipes.slit_view import View
from soxspipe.science.detector.noise import NoiseModel
from soxspipe.science.extraction import merge, slit_sums
from soxspipe.settings import ExtractSettings

#: FWHM (arcsec) and significance with which objects are looked for.
FWHM, SIGNIFICANCE = 1.0, 5.0
#: Share of the slit left out at each end.
EDGE = 0.02
#: Pieces into which a rectified image is cut, so that the profile may vary along it.
PIECES = 8


@dataclass(frozen=True, eq=False)
class Extracted:
    """One object: where it was extracted, its spectra, and those of the orders if there are such.

    width  of the boxcar, arcsec
    factor median ratio of the true error of sums of many bins to the naive one.
    """

    source: Source
    width: float
    optimal: Spectrum
    boxcar: Spectrum
    orders: OrderSpectra | None
    factor: float


@dataclass(frozen=True)
class _AsWritten(NoiseModel):
    """The variance of a finished frame: sky and object are in it."""

    def variance(self, light: np.ndarray, index: np.ndarray) -> np.ndarray:
        return np.asarray(self.base.ravel()[index], dtype="f8")


def search_of(settings: ExtractSettings) -> Search:
    """How objects are looked for, or where they are said to be."""
    trace = settings.detect_continuum
    return Search(
        significance=SIGNIFICANCE,
        fwhm=FWHM,
        degree=trace.disp_axis_deg,
        clip_sigma=trace.poly_fitting_residual_clipping_sigma,
        clip_rounds=trace.poly_clipping_iteration_limit,
        edge=EDGE,
        given=settings.object_positions,
        apertures=settings.object_apertures,
    )


def orders_of(frame: Frame, pixels: Mapping[int, OrderPixels]) -> Orders:
    """The orders of a frame whose sky is gone."""
    data, variance, flags = (a.ravel() for a in (frame.data, frame.variance, frame.flags))
    return {n: _state(p, data, variance, flags) for n, p in pixels.items()}


def pieces_of(image: RectifiedSpectrum) -> Orders:
    """The bins of a rectified image as if they were pixels of orders.

    Their variance is that by which sums are judged: bins share pixels.
    """
    data, flags = image.flux.ravel(), image.flags.ravel()
    variance = (image.variance * image.noise_factor**2).ravel()
    listed = slit_sums.pieces(image, PIECES)
    return {n: _state(p, data, variance, flags) for n, p in listed.items()}


def _state(
    pixels: OrderPixels, data: np.ndarray, variance: np.ndarray, flags: np.ndarray
) -> OrderState:
    nothing = np.zeros(len(pixels.index))
    own = variance[pixels.index].astype("f8")
    bits = flags[pixels.index] | np.where(own > 0, 0, 1).astype("u2")
    light = np.nan_to_num(data[pixels.index]).astype("f8")
    known = np.where(own > 0, own, 1.0)
    return OrderState(pixels, light, known, bits, nothing, nothing, np.ones(len(light)), nothing)


def position_of(source: Source) -> float:
    """Slit position (arcsec) of an object: mean of its trace over the arm."""
    return float(source.trace.at(np.linspace(*source.trace.domain, 64)).mean())


def from_frame(
    frame: Frame,
    orders: Orders,
    lamp: Mapping[int, np.ndarray],
    settings: ExtractSettings,
    arm: Arm,
) -> list[Extracted]:
    """All objects, from the pixels of a sky-subtracted frame."""
    one = np.ones(frame.shape, dtype="f4")
    ready = SlitFrame(frame, _AsWritten(frame.variance, one, one), np.zeros(frame.shape))
    sources = slit_sources.look(orders, search_of(settings))
    sources = slit_models.model_sources(orders, sources, slit_steps.profile_options(settings))
    view = View("", ready, orders, sources, {n: o.sky for n, o in orders.items()})
    how = slit_steps.extraction(settings)
    return [_one_of(view, s.number, lamp, how, settings, arm) for s in sources.each]


def _one_of(
    view: View,
    number: int,
    lamp: Mapping[int, np.ndarray],
    how: ExtractionSettings,
    settings: ExtractSettings,
    arm: Arm,
) -> Extracted:
    images = slit_steps.images_of(view, number, lamp, how, arm)
    scale = slit_steps.scale_of(settings, arm)
    native, optimal = slit_steps.spectrum_of(images, lamp, how, arm, scale)
    boxes = OrderSpectra(
        {
            n: replace(s, flux=s.boxcar_robust, variance=s.boxcar_variance)
            for n, s in native.orders.items()
        }
    )
    low = min(o.full[0] for o in arm.orders.values())
    high = max(o.full[1] for o in arm.orders.values())
    boxcar = replace(
        merge.orders(boxes, step=scale.step, limits=(low, high)),
        medium=scale.medium,
        unit=scale.unit,
    )
    source = images[0].source
    width = 2.0 * half_aperture(next(iter(images[0].parts.values())), source, how)
    return Extracted(source, width, optimal, boxcar, native, 1.0)


def from_image(
    image: RectifiedSpectrum, orders: Orders, settings: ExtractSettings
) -> list[Extracted]:
    """All objects of a rectified image. orders : from `pieces_of`."""
    sources = slit_sources.look(orders, search_of(settings))
    sources = slit_models.model_sources(orders, sources, slit_steps.profile_options(settings))
    how = slit_steps.extraction(settings)
    return [_in_image(image, orders, sources, s, how) for s in sources.each]


def _in_image(
    image: RectifiedSpectrum,
    orders: Orders,
    sources: Sources,
    source: Source,
    how: ExtractionSettings,
) -> Extracted:
    share, others = np.zeros(image.grid.shape), np.zeros(image.grid.shape)
    for n, order in orders.items():
        share.ravel()[order.pixels.index] = source.share[n]
        others.ravel()[order.pixels.index] = sources.light(n, but=source)
    alone = replace(image, flux=image.flux - others)
    pixel = float(np.median(np.diff(image.slit)))
    width = source.aperture if source.aperture is not None else how.aperture * pixel
    inside = slit_sums.aperture(image, source.trace.at(image.wavelength), width)
    optimal = slit_sums.optimal_sums(alone, share, inside, clip=float(np.sqrt(how.clip)))
    box = slit_sums.box_sums(alone, share, inside)
    factor = float(np.median(optimal.factor[np.isfinite(optimal.flux)])) if orders else 1.0
    return Extracted(source, width, _spectrum(image, optimal), _spectrum(image, box), None, factor)


def _spectrum(image: RectifiedSpectrum, sums: slit_sums.SlitSums) -> Spectrum:
    return Spectrum(
        wavelength=image.wavelength,
        flux=sums.flux,
        variance=sums.variance,
        sky=sums.sky,
        flags=sums.flags,
        step=image.grid.step,
    )
