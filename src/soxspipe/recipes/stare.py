"""stare, stare_std: one pointing; sky modelled on the frame, object extracted optimally."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from astropy import units as u
from astropy.table import Table

from soxspipe.datamodel.flat import MasterFlat
from soxspipe.datamodel.frame import Frame
from soxspipe.datamodel.geometry import OrderTable, PixelMap
from soxspipe.datamodel.metric import Measurement, Metric
from soxspipe.datamodel.spectrum import OrderSpectra
from soxspipe.instrument.arms import Arm
from soxspipe.instrument.headers import FrameKind
from soxspipe.qc import plot_spectra
from soxspipe.recipes import slit_frame, slit_steps
from soxspipe.recipes.quality import TEMPERATURES, judged, per_order, spread, temperatures
from soxspipe.recipes.recipe import Calibration, Plot, Product, Raw, RawFrame, Result, recipe
from soxspipe.science.extraction import merge
from soxspipe.science.sky.sky_model import SkyOptions
from soxspipe.science.wavelength.native_bins import order_pixels
from soxspipe.settings import StareSettings, StareStdSettings

log = logging.getLogger(__name__)

#: Significance of an object on the collapsed slit of all orders.
DETECTION = 5.0


@dataclass(frozen=True)
class _Common:
    bias: Annotated[Frame | None, Calibration("MASTER_BIAS", "mbias", arms=("VIS",))]
    dark: Annotated[Frame | None, Calibration("MASTER_DARK", "mdark", arms=("NIR",))]
    flat: Annotated[MasterFlat, Calibration("MASTER_FLAT", "mflat")]
    orders: Annotated[OrderTable, Calibration("ORDER_TAB", "mflat")]
    pixel_map: Annotated[PixelMap, Calibration("DISP_IMAGE", "spat_solution")]


@dataclass(frozen=True)
class Inputs(_Common):
    """What stare takes."""

    target: Annotated[tuple[RawFrame, ...], Raw((FrameKind.SCIENCE_STARE,))]


@dataclass(frozen=True)
class StandardInputs(_Common):
    """What stare_std takes."""

    target: Annotated[
        tuple[RawFrame, ...],
        Raw((FrameKind.FLUX_STANDARD_STARE, FrameKind.TELLURIC_STANDARD_STARE)),
    ]


METRICS = (
    Metric("BADPIX FRAC", "", "fraction of bad pixels inside orders"),
    Metric("BADPIX NUM", "px", "number of bad pixels inside orders"),
    Metric("INNER ORDER PIX MEAN", "e-", "mean of pixels inside orders, sky subtracted"),
    Metric("INNER ORDER PIX SUM", "e-", "their sum"),
    Metric("N ORDERS", "", "orders with a trace"),
    Metric("N OBJECTS", "", "objects found on the slit"),
    Metric("OBJECT SIGMA", "", "significance of the extracted object on the collapsed slit"),
    Metric("OBJECT POS", "arcsec", "slit position of the object"),
    Metric("OBJECT FWHM", "arcsec", "FWHM of the object along the slit"),
    Metric("SAMPLES TOT NUM", "", "chunks in which the object was looked for"),
    Metric("SAMPLES DET NUM", "", "chunks in which it was seen"),
    Metric("SAMPLES DET FRAC", "", "seen / looked for"),
    *(
        Metric(f"{axis} RES {k}", "px", f"{meaning} of the object trace ({arm})")
        for axis, arm in (("X", "VIS"), ("Y", "NIR"))
        for k, meaning in (
            ("MIN", "smallest residual"),
            ("MAX", "largest residual"),
            ("MEDIAN", "median absolute residual"),
            ("SD", "standard deviation of residuals"),
        )
    ),
    Metric("SKY RES SD", "", "scatter of sky residuals over their expected noise"),
    Metric("SNR MEDIAN", "", "median S/N per native bin, global and per order"),
    *TEMPERATURES,
)


def _products(tech: str) -> tuple[Product, ...]:
    return (
        Product("SKY_SUBTRACTED_OBJECT", "_SKYSUB.fits", "", tech, "sky-subtracted frame"),
        Product("SKY_MODEL", "_SKYMODEL.fits", "", tech, "sky model"),
        Product("SKY_SUB_RESIDUALS", "_SKYSUB_RESIDUALS.fits", "", tech, "residuals over noise"),
        Product("OBJECT_TRACE", "_OBJTRACE.fits", "OBJECT_TAB", tech, "trace of the object"),
        Product(
            "EXTRACTED_ORDERS_TABLE",
            "_EXTRACTED_ORDERS.fits",
            "SCI_ORDERS_FLUX",
            tech,
            "spectra of the orders",
        ),
        Product(
            "EXTRACTED_MERGED_TABLE",
            "_EXTRACTED_MERGED.fits",
            "SCI_SLIT_FLUX",
            tech,
            "merged spectrum",
        ),
        Product(
            "EXTRACTED_MERGED_ASCII", "_EXTRACTED_MERGED.txt", "", tech, "merged spectrum as text"
        ),
    )


PLOTS = (
    Plot("SKY_SUBTRACTION_QUICKLOOK", "_skysub_quicklook.pdf", "frame, sky model, residuals"),
    Plot("OBJECT_TRACE_RES", "_OBJECT_TRACE_residuals.pdf", "collapsed slit and trace"),
    Plot("EXTRACTED_ORDERS_QC_PLOT", "_EXTRACTED_ORDERS_QC_PLOT.pdf", "spectra of the orders"),
    Plot("EXTRACTED_MERGED_QC_PLOT", "_EXTRACTED_MERGED_QC_PLOT.pdf", "merged spectrum"),
)


@recipe(
    "stare_std",
    folder="soxs-stare-std",
    title="Standard star in stare mode",
    inputs=StandardInputs,
    settings=StareStdSettings,
    products=_products("ECHELLE,SLIT,STARE"),
    plots=PLOTS,
    metrics=METRICS,
    type_codes={
        FrameKind.FLUX_STANDARD_STARE: "STARE_STD_FLUX",
        FrameKind.TELLURIC_STANDARD_STARE: "STARE_STD_TELL",
    },
)
def stare_std(inputs: StandardInputs, settings: StareStdSettings, arm: Arm) -> Result:
    """Extract a standard star."""
    return _reduce(inputs, inputs.target, settings, arm)


@recipe(
    "stare",
    folder="soxs-stare",
    title="Science in stare mode",
    inputs=Inputs,
    settings=StareSettings,
    products=_products("ECHELLE,SLIT,STARE"),
    plots=PLOTS,
    metrics=METRICS,
    type_codes={FrameKind.SCIENCE_STARE: "STARE_OBJ"},
)
def stare(inputs: Inputs, settings: StareSettings, arm: Arm) -> Result:
    """Extract a science target."""
    return _reduce(inputs, inputs.target, settings, arm)


Settings = StareSettings | StareStdSettings


def _reduce(inputs: _Common, target: tuple[RawFrame, ...], settings: Settings, arm: Arm) -> Result:
    """Frame, sky, object, spectrum; the sky is fitted again once the object is known."""
    ready = slit_frame.ready(
        target,
        arm,
        bias=inputs.bias,
        dark=inputs.dark,
        flat=inputs.flat if settings.use_flat else None,
        orders=inputs.orders,
        clip_sigma=settings.stacked_clipping_sigma,
        background_smoothing=(
            settings.background_subtraction.gaussian_blur_sigma
            if settings.subtract_background
            else None
        ),
    )
    sky = _sky_settings(settings)
    find = _finder(settings, sky, _seeing(target))
    orders = slit_steps.listed(
        ready, order_pixels(inputs.pixel_map, dispersion_axis=arm.dispersion_axis)
    )
    found = find(orders)
    orders = slit_steps.subtract_sky(ready, orders, found, sky)
    found = find(orders)
    degree = min(settings.horne_extraction_profile_poly_order, 2)
    model = slit_steps.model_object(orders, found, degree=degree, fwhm=_seeing(target))
    ready, orders = slit_steps.reject_cosmics(
        ready,
        orders,
        model,
        sigma=settings.lacosmic_sigma if settings.use_lacosmic else None,
        clip=6.0,
    )
    orders = slit_steps.subtract_sky(ready, orders, found, sky, model.light)
    found = find(orders)
    model = slit_steps.model_object(orders, found, degree=degree, fwhm=_seeing(target))
    spectra = slit_steps.extract(
        ready,
        orders,
        found,
        model,
        inputs.flat.lamp,
        slit_steps.ExtractionSettings(
            float(settings.horne_extraction_slit_length),
            settings.horne_extraction_profile_global_clipping_sigma,
        ),
        arm,
    )
    if found.found is None:
        log.warning(
            "no object was found on the slit; the spectrum is that of the slit centre and gives "
            "upper limits only"
        )
    return _result(target, ready, orders, found, model, spectra, settings, arm, inputs.pixel_map)


def _seeing(target: tuple[RawFrame, ...]) -> float:
    """FWHM to expect, arcsec."""
    seeing = target[0].info.seeing
    return float(np.clip(seeing, 0.4, 3.0)) if np.isfinite(seeing) else slit_steps.USUAL_SEEING


def _sky_settings(settings: Settings) -> slit_steps.SkySettings:
    given = settings.sky_subtraction
    return slit_steps.SkySettings(
        options=SkyOptions(
            degree=given.bspline_order,
            clip=given.bspline_fitting_residual_clipping_sigma,
            rounds=given.bspline_iteration_limit,
            illumination=given.slit_illumination_order,
        ),
        edge_fraction=given.clip_slit_edge_fraction,
        generous=given.aggressive_object_masking,
        subtract=given.subtract_sky,
    )


def _finder(
    settings: Settings, sky: slit_steps.SkySettings, fwhm: float
) -> Callable[[slit_steps.Orders], slit_steps.Target]:
    options = settings.detect_continuum
    return lambda orders: slit_steps.look_for_objects(
        orders,
        significance=DETECTION,
        fwhm=fwhm,
        degree=options.disp_axis_deg,
        clip_sigma=options.poly_fitting_residual_clipping_sigma,
        clip_rounds=options.poly_clipping_iteration_limit,
        edge=sky.edge_fraction,
    )


def _result(
    target: tuple[RawFrame, ...],
    ready: slit_frame.SlitFrame,
    orders: slit_steps.Orders,
    found: slit_steps.Target,
    model: slit_steps.Model,
    spectra: OrderSpectra,
    settings: Settings,
    arm: Arm,
    pixel_map: PixelMap,
) -> Result:
    before = slit_steps.frame_with_variance(ready, orders)
    sky = slit_steps.sky_image(orders, before.shape)
    subtracted = replace(before, data=before.data - sky)
    noise = np.sqrt(np.maximum(before.variance, 1e-6))
    inside = pixel_map.order != 0
    residuals = Frame(
        np.where(inside, subtracted.data / noise, 0.0), np.ones(before.shape), before.flags, unit=""
    )
    low = min(min(o.full) for o in arm.orders.values())
    high = max(max(o.full) for o in arm.orders.values())
    merged = merge.orders(spectra, step=arm.merged_step, limits=(low, high))
    values = _values(orders, found, model, subtracted, inside, spectra, arm)
    values |= temperatures([raw.info for raw in target])
    title = f"{target[0].info.object or 'target'}, {target[0].info.file}"
    samples = found.trace.samples
    line = {n: (o.pixels.grid, found.trace.at(o.pixels.grid)) for n, o in orders.items()}
    return Result(
        products={
            "SKY_SUBTRACTED_OBJECT": subtracted,
            "SKY_MODEL": replace(before, data=sky, variance=np.zeros_like(sky)),
            "SKY_SUB_RESIDUALS": residuals,
            "OBJECT_TRACE": _trace_table(spectra, found),
            "EXTRACTED_ORDERS_TABLE": spectra,
            "EXTRACTED_MERGED_TABLE": merged,
            "EXTRACTED_MERGED_ASCII": merged,
        },
        measurements=(
            *judged(METRICS, values, settings, arm),
            *_snr_per_order(spectra, arm),
        ),
        figures={
            "SKY_SUBTRACTION_QUICKLOOK": lambda: plot_spectra.sky_quicklook(
                before, sky, pixel_map, arm, title
            ),
            "OBJECT_TRACE_RES": lambda: plot_spectra.object_trace(
                found.slit, found.collapsed, line, samples, arm, title
            ),
            "EXTRACTED_ORDERS_QC_PLOT": lambda: plot_spectra.orders(spectra, arm, title),
            "EXTRACTED_MERGED_QC_PLOT": lambda: plot_spectra.merged(merged, arm, title, spectra),
        },
    )


def _trace_table(spectra: OrderSpectra, found: slit_steps.Target) -> Table:
    """Pixel, wavelength and slit position of the trace in every native bin."""
    parts = spectra.orders.items()
    wavelength = np.concatenate([s.wavelength for _, s in parts])
    return Table(
        {
            "order": np.concatenate([np.full(len(s.x), n, dtype="i2") for n, s in parts]),
            "x": np.concatenate([s.x for _, s in parts]) * u.pix,
            "y": np.concatenate([s.y for _, s in parts]) * u.pix,
            "wavelength": wavelength * u.nm,
            "slit_position": found.trace.at(wavelength) * u.arcsec,
        },
        meta={"EXTNAME": "OBJECT_TRACE"},
    )


def _snr_per_order(spectra: OrderSpectra, arm: Arm) -> tuple[Measurement, ...]:
    values = {n: _median_snr([s.snr]) for n, s in spectra.orders.items()}
    return per_order(METRICS, "SNR MEDIAN", values, arm)


def _median_snr(parts: list[np.ndarray]) -> float:
    values = np.concatenate(parts)
    values = values[np.isfinite(values) & (values != 0)]
    return float(np.median(values)) if values.size else float("nan")


def _values(
    orders: slit_steps.Orders,
    found: slit_steps.Target,
    model: slit_steps.Model,
    subtracted: Frame,
    inside: np.ndarray,
    spectra: OrderSpectra,
    arm: Arm,
) -> dict[str, float]:
    """Measured values by keyword."""
    bad = sum(int((~o.good).sum()) for o in orders.values())
    total = sum(len(o.data) for o in orders.values())
    residual, seen = [], 0
    for n, (wavelength, position, _) in found.trace.samples.items():
        scale = float(np.median(orders[n].pixels.area))
        residual.append((position - found.trace.at(wavelength)) / scale)
        seen += len(wavelength)
    light = subtracted.data[inside]
    pull = np.concatenate(
        [((o.light - model.light[n]) / np.sqrt(o.variance))[o.good] for n, o in orders.items()]
    )
    axis = "X" if arm.dispersion_axis == "y" else "Y"
    object_found = found.found
    return {
        "BADPIX FRAC": bad / max(total, 1),
        "BADPIX NUM": bad,
        "INNER ORDER PIX MEAN": float(light.mean()),
        "INNER ORDER PIX SUM": float(light.sum(dtype="f8")),
        "N ORDERS": len(spectra.orders),
        "N OBJECTS": len(found.others),
        "OBJECT SIGMA": object_found.significance if object_found else 0.0,
        "OBJECT POS": object_found.position if object_found else float("nan"),
        "OBJECT FWHM": model.fwhm if object_found else float("nan"),
        "SAMPLES TOT NUM": len(orders) * slit_steps.CHUNKS,
        "SAMPLES DET NUM": seen,
        "SAMPLES DET FRAC": seen / (len(orders) * slit_steps.CHUNKS),
        **spread(f"{axis} RES", np.concatenate(residual) if residual else np.empty(0)),
        "SKY RES SD": float(1.4826 * np.median(np.abs(pull - np.median(pull)))),
        "SNR MEDIAN": _median_snr([s.snr for s in spectra.orders.values()]),
    }
