"""Steps of extract: objects at given places, in a sky-subtracted frame or in a rectified image."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from soxspipe.datamodel.frame import Frame
from soxspipe.datamodel.order_pixels import OrderPixels
from soxspipe.datamodel.rectified import RectifiedSpectrum
from soxspipe.datamodel.spectrum import OrderSpectra, Spectrum
from soxspipe.instrument.arms import Arm
from soxspipe.recipes import slit_extract, slit_object, slit_sky
from soxspipe.recipes.slit_frame import SlitFrame
from soxspipe.recipes.slit_orders import Orders, OrderState
from soxspipe.recipes.slit_sky import Target
from soxspipe.science.detector.noise import NoiseModel
from soxspipe.science.extraction import merge, objects, slit_sums
from soxspipe.science.extraction.objects import Found
from soxspipe.science.extraction.slit_cells import slit_cells
from soxspipe.settings import ExtractSettings

#: FWHM (arcsec) and significance with which objects are looked for.
FWHM, SIGNIFICANCE = 1.0, 5.0
#: Pieces into which a rectified image is cut, so that the profile may vary along it.
PIECES = 8


@dataclass(frozen=True, eq=False)
class Extracted:
    """One object: where it was extracted, its spectra, and those of the orders if there are such.

    factor : median ratio of the true error of sums of many bins to the naive one.
    """

    target: Target
    width: float
    model: slit_object.Model
    optimal: Spectrum
    boxcar: Spectrum
    orders: OrderSpectra | None
    factor: float


@dataclass(frozen=True)
class _AsWritten(NoiseModel):
    """The variance of a finished frame: sky and object are in it."""

    def variance(self, light: np.ndarray, index: np.ndarray) -> np.ndarray:
        return np.asarray(self.base.ravel()[index], dtype="f8")


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
    return OrderState(pixels, light, np.where(own > 0, own, 1.0), bits, nothing, nothing)


def find(orders: Orders) -> Target:
    """The brightest object and its trace."""
    return slit_sky.look_for_objects(
        orders,
        significance=SIGNIFICANCE,
        fwhm=FWHM,
        degree=4,
        clip_sigma=4.0,
        clip_rounds=5,
        edge=0.02,
    )


def find_in_image(image: RectifiedSpectrum) -> Target:
    """The brightest object of a rectified image and its trace."""
    cells = {1: slit_cells(image, chunks=PIECES * slit_sky.CHUNKS)}
    slit, collapsed, error = objects.collapse_all(cells)
    found = objects.find(slit, collapsed, error, significance=SIGNIFICANCE, fwhm=FWHM)
    trace = objects.Trace((1.0, 2.0), np.array([0.0]), {})
    if found:
        trace = objects.trace(cells, found[0], degree=4, clip_sigma=4.0, clip_rounds=5)
    return Target(found[0] if found else None, trace, tuple(found), slit, collapsed, error)


def position_of(target: Target) -> float:
    """Slit position (arcsec) of an object: mean of its trace where it was measured."""
    measured = [w for w, _, _ in target.trace.samples.values()]
    wavelength = np.concatenate(measured) if measured else np.empty(0)
    where = wavelength if wavelength.size else np.array(target.trace.domain)
    return float(np.mean(target.trace.at(where)))


def placed(brightest: Target, position: float) -> Target:
    """An object at a given slit position; its trace bends as that of the brightest object,
    as light of all objects is dispersed alike by the atmosphere.
    """
    near = [f for f in brightest.others if abs(f.position - position) < f.fwhm]
    fwhm = near[0].fwhm if near else (brightest.found.fwhm if brightest.found else FWHM)
    coefficients = np.array(brightest.trace.coefficients)
    coefficients[0] += position - position_of(brightest)
    found = Found(position, fwhm, near[0].significance if near else 0.0)
    return replace(
        brightest, found=found, trace=replace(brightest.trace, coefficients=coefficients)
    )


def from_frame(
    frame: Frame,
    orders: Orders,
    lamp: Mapping[int, np.ndarray],
    target: Target,
    width: float,
    settings: ExtractSettings,
    arm: Arm,
) -> Extracted:
    """One object from the pixels of a sky-subtracted frame. width : of the boxcar, arcsec."""
    one = np.ones(frame.shape, dtype="f4")
    ready = SlitFrame(frame, _AsWritten(frame.variance, one, one), np.zeros(frame.shape))
    model = slit_object.model_object(orders, target, degree=settings.profile_poly_order, fwhm=FWHM)
    scale = float(np.median(np.concatenate([o.pixels.area for o in orders.values()])))
    options = slit_extract.ExtractionSettings(width / scale, settings.clipping_sigma**2)
    spectra = slit_extract.extract(ready, orders, target, model, lamp, options, arm)
    boxes = OrderSpectra(
        {
            n: replace(s, flux=s.boxcar_robust, variance=s.boxcar_variance)
            for n, s in spectra.orders.items()
        }
    )
    limits = (
        min(o.full[0] for o in arm.orders.values()),
        max(o.full[1] for o in arm.orders.values()),
    )
    optimal, boxcar = (
        merge.orders(s, step=arm.merged_step, limits=limits) for s in (spectra, boxes)
    )
    return Extracted(target, width, model, optimal, boxcar, spectra, 1.0)


def from_image(
    image: RectifiedSpectrum,
    orders: Orders,
    target: Target,
    width: float,
    settings: ExtractSettings,
) -> Extracted:
    """One object from a rectified image. orders : from `pieces_of`; width : of the boxcar, arcsec."""
    model = slit_object.model_object(orders, target, degree=settings.profile_poly_order, fwhm=FWHM)
    share = np.zeros(image.grid.shape)
    for n, order in orders.items():
        share.ravel()[order.pixels.index] = model.share[n]
    inside = slit_sums.aperture(image, target.trace.at(image.wavelength), width)
    optimal = slit_sums.optimal_sums(image, share, inside, clip=settings.clipping_sigma)
    box = slit_sums.box_sums(image, share, inside)
    factor = float(np.median(optimal.factor[np.isfinite(optimal.flux)])) if orders else 1.0
    return Extracted(
        target, width, model, _spectrum(image, optimal), _spectrum(image, box), None, factor
    )


def _spectrum(image: RectifiedSpectrum, sums: slit_sums.SlitSums) -> Spectrum:
    return Spectrum(
        wavelength=image.wavelength,
        flux=sums.flux,
        variance=sums.variance,
        sky=sums.sky,
        flags=sums.flags,
        step=image.grid.step,
    )
