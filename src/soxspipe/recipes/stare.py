"""stare, stare_std: one pointing; sky modelled on the frame, object extracted optimally."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np

from soxspipe.datamodel.flat import MasterFlat
from soxspipe.datamodel.frame import Frame
from soxspipe.datamodel.geometry import DispersionSolution, OrderTable, PixelMap
from soxspipe.datamodel.spectrum import OrderSpectra
from soxspipe.instrument.arms import Arm
from soxspipe.instrument.headers import FrameKind
from soxspipe.qc import plot_spectra
from soxspipe.recipes import slit_extract, slit_frame, slit_object, slit_orders, slit_sky
from soxspipe.recipes.quality import judged, temperatures
from soxspipe.recipes.recipe import Calibration, Raw, RawFrame, Result, recipe
from soxspipe.recipes.slit_orders import Orders
from soxspipe.recipes.slit_products import (
    METRICS,
    PLOTS,
    products,
    snr_per_order,
    trace_table,
    values,
)
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
    dark: Annotated[
        Frame | None, Calibration("MASTER_DARK", "mdark", by_hand=("VIS",), by_time=True)
    ]
    flat: Annotated[MasterFlat, Calibration("MASTER_FLAT", "mflat")]
    orders: Annotated[OrderTable, Calibration("ORDER_TAB", "mflat")]
    # documented SOF files name the table the map was made from; it is kept for the record
    solution: Annotated[
        DispersionSolution | None, Calibration("DISP_TAB", "spat_solution", required=False)
    ]
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


@recipe(
    "stare_std",
    folder="soxs-stare-std",
    title="Standard star in stare mode",
    inputs=StandardInputs,
    settings=StareStdSettings,
    products=products("ECHELLE,SLIT,STARE"),
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
    products=products("ECHELLE,SLIT,STARE"),
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
        background_settings=(
            settings.background_subtraction if settings.subtract_background else None
        ),
    )
    sky = _sky_settings(settings)
    find = _finder(settings, sky, _seeing(target))
    orders = slit_orders.listed(
        ready, order_pixels(inputs.pixel_map, dispersion_axis=arm.dispersion_axis)
    )
    found = find(orders)
    orders = slit_sky.subtract_sky(ready, orders, found, sky)
    found = find(orders)
    degree = min(settings.horne_extraction_profile_poly_order, 2)
    model = slit_object.model_object(orders, found, degree=degree, fwhm=_seeing(target))
    ready, orders = slit_object.reject_cosmics(
        ready,
        orders,
        model,
        sigma=settings.lacosmic_sigma if settings.use_lacosmic else None,
        clip=6.0,
    )
    orders = slit_sky.subtract_sky(ready, orders, found, sky, model.light)
    found = find(orders)
    model = slit_object.model_object(orders, found, degree=degree, fwhm=_seeing(target))
    spectra = slit_extract.extract(
        ready,
        orders,
        found,
        model,
        inputs.flat.lamp,
        slit_extract.ExtractionSettings(
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
    return float(np.clip(seeing, 0.4, 3.0)) if np.isfinite(seeing) else slit_object.USUAL_SEEING


def _sky_settings(settings: Settings) -> slit_sky.SkySettings:
    given = settings.sky_subtraction
    return slit_sky.SkySettings(
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
    settings: Settings, sky: slit_sky.SkySettings, fwhm: float
) -> Callable[[Orders], slit_sky.Target]:
    options = settings.detect_continuum
    return lambda orders: slit_sky.look_for_objects(
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
    orders: Orders,
    found: slit_sky.Target,
    model: slit_object.Model,
    spectra: OrderSpectra,
    settings: Settings,
    arm: Arm,
    pixel_map: PixelMap,
) -> Result:
    before = slit_orders.frame_with_variance(ready, orders)
    sky = slit_orders.sky_image(orders, before.shape)
    subtracted = replace(before, data=before.data - sky)
    noise = np.sqrt(np.maximum(before.variance, 1e-6))
    inside = pixel_map.order != 0
    residuals = Frame(
        np.where(inside, subtracted.data / noise, 0.0), np.ones(before.shape), before.flags, unit=""
    )
    low = min(min(o.full) for o in arm.orders.values())
    high = max(max(o.full) for o in arm.orders.values())
    merged = merge.orders(spectra, step=arm.merged_step, limits=(low, high))
    measured = values(orders, found, model, subtracted, inside, spectra, arm)
    measured |= temperatures([raw.info for raw in target])
    title = f"{target[0].info.object or 'target'}, {target[0].info.file}"
    samples = found.trace.samples
    scale = float(np.median(np.concatenate([o.pixels.area for o in orders.values()])))
    aperture = 0.5 * scale * settings.horne_extraction_slit_length
    line = {n: (o.pixels.grid, found.trace.at(o.pixels.grid)) for n, o in orders.items()}
    return Result(
        products={
            "SKY_SUBTRACTED_OBJECT": subtracted,
            "SKY_MODEL": replace(before, data=sky, variance=np.zeros_like(sky)),
            "SKY_SUB_RESIDUALS": residuals,
            "OBJECT_TRACE": trace_table(spectra, found),
            "EXTRACTED_ORDERS_TABLE": spectra,
            "EXTRACTED_MERGED_TABLE": merged,
            "EXTRACTED_MERGED_ASCII": merged,
        },
        measurements=(
            *judged(METRICS, measured, settings, arm),
            *snr_per_order(spectra, arm),
        ),
        figures={
            "SKY_SUBTRACTION_QUICKLOOK": lambda: plot_spectra.sky_quicklook(
                before, sky, pixel_map, arm, title
            ),
            "OBJECT_TRACE_RES": lambda: plot_spectra.object_trace(
                found.slit, found.collapsed, line, samples, arm, title, aperture=aperture
            ),
            "EXTRACTED_ORDERS_QC_PLOT": lambda: plot_spectra.orders(spectra, arm, title),
            "EXTRACTED_MERGED_QC_PLOT": lambda: plot_spectra.merged(merged, arm, title, spectra),
        },
    )
