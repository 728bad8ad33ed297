"""stare, stare_std: one pointing; sky modelled on the frame, objects extracted optimally."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np

from soxspipe.datamodel.frame import Frame
from soxspipe.instrument.arms import Arm
from soxspipe.instrument.headers import FrameKind
from soxspipe.qc import plot_rectified, plot_sky_order, plot_spectra
from soxspipe.recipes import (
    slit_extract,
    slit_frame,
    slit_metrics,
    slit_orders,
    slit_products,
    slit_rectified,
    slit_steps,
    slit_view,
)
from soxspipe.recipes.quality import judged, temperatures
from soxspipe.recipes.recipe import Raw, RawFrame, Result, recipe
from soxspipe.recipes.slit_merge import Image, Scale
from soxspipe.recipes.slit_metrics import METRICS
from soxspipe.recipes.slit_orders import OrderState
from soxspipe.recipes.slit_view import View
from soxspipe.science.sky.order_sky import OrderSky
from soxspipe.settings import StareSettings, StareStdSettings

log = logging.getLogger(__name__)

_TECH = "ECHELLE,SLIT,STARE"
#: Products whose headers tell of the object.
_TOLD = ("OBJECT_TRACE", "EXTRACTED_ORDERS_TABLE", "EXTRACTED_MERGED_TABLE")
_PRODUCTS = (
    *slit_products.stare_images(_TECH),
    *slit_products.spectra(_TECH),
    *slit_products.two_dimensional(_TECH),
)


@dataclass(frozen=True)
class Inputs(slit_steps.SlitInputs):
    """What stare takes."""

    target: Annotated[tuple[RawFrame, ...], Raw((FrameKind.SCIENCE_STARE,))]


@dataclass(frozen=True)
class StandardInputs(slit_steps.SlitInputs):
    """What stare_std takes."""

    target: Annotated[
        tuple[RawFrame, ...],
        Raw((FrameKind.FLUX_STANDARD_STARE, FrameKind.TELLURIC_STANDARD_STARE)),
    ]


Settings = StareSettings | StareStdSettings


@recipe(
    "stare_std",
    folder="soxs-stare-std",
    title="Standard star in stare mode",
    inputs=StandardInputs,
    settings=StareStdSettings,
    products=(*_PRODUCTS, *slit_products.not_flat_fielded(_TECH)),
    plots=(*slit_products.STARE_PLOTS, *slit_products.NOT_FLAT_PLOTS),
    metrics=METRICS,
    type_codes={
        FrameKind.FLUX_STANDARD_STARE: "STARE_STD_FLUX",
        FrameKind.TELLURIC_STANDARD_STARE: "STARE_STD_TELL",
    },
)
def stare_std(inputs: StandardInputs, settings: StareStdSettings, arm: Arm) -> Result:
    """Extract a standard star, with and without flat field."""
    seen = _seen(inputs, inputs.target, settings, arm)
    result = _result(inputs, inputs.target, seen, settings, arm)
    if not settings.use_flat:
        return result
    how = slit_steps.extraction(settings)
    raw = [
        slit_steps.without_flat(image, inputs.flat, inputs.flat.lamp, how, arm)
        for image in seen.images
    ]
    scale = slit_steps.scale_of(settings, arm)
    native, whole = slit_steps.spectrum_of(raw, inputs.flat.lamp, how, arm, scale)
    title = _title(inputs.target)
    return replace(
        result,
        products={
            **result.products,
            "EXTRACTED_ORDERS_TABLE_NOTFLAT": native,
            "EXTRACTED_MERGED_TABLE_NOTFLAT": whole,
        },
        figures={
            **result.figures,
            "EXTRACTED_ORDERS_QC_PLOT_NOTFLAT": lambda: plot_spectra.orders(native, arm, title),
        },
    )


@recipe(
    "stare",
    folder="soxs-stare",
    title="Science in stare mode",
    inputs=Inputs,
    settings=StareSettings,
    products=_PRODUCTS,
    plots=slit_products.STARE_PLOTS,
    metrics=METRICS,
    type_codes={FrameKind.SCIENCE_STARE: "STARE_OBJ"},
)
def stare(inputs: Inputs, settings: StareSettings, arm: Arm) -> Result:
    """Extract a science target."""
    seen = _seen(inputs, inputs.target, settings, arm)
    return _result(inputs, inputs.target, seen, settings, arm)


@dataclass(frozen=True, eq=False)
class _Seen:
    """The (first) view, and the images of the target in all views."""

    view: View
    images: list[Image]


def _seen(
    inputs: slit_steps.SlitInputs, target: tuple[RawFrame, ...], settings: Settings, arm: Arm
) -> _Seen:
    """Frame, sky, objects, and the target taken apart from the rest."""
    how = slit_steps.detrending(inputs, settings, arm)
    flat = inputs.flat if settings.use_flat else None
    pixels = slit_orders.order_pixels(inputs.pixel_map, arm, flat_fielded=flat is not None)
    steps = slit_steps.steps(settings, target, arm)
    together = settings.combine == "before"
    views = []
    for exposures in (target,) if together else tuple((raw,) for raw in target):
        ready = slit_frame.flat_fielded(slit_frame.pointing(exposures, how), flat)
        views.append(slit_view.seen(ready, pixels, steps))
        slit_steps.tell(views[-1])
    if len(views) > 1:
        log.warning("images and plots show the first of %d exposures", len(views))
    extraction = slit_steps.extraction(settings)
    images = [
        image
        for view in views
        for image in slit_steps.images_of(view, 1, inputs.flat.lamp, extraction, arm)
    ]
    return _Seen(views[0], images)


def _title(target: tuple[RawFrame, ...]) -> str:
    return f"{target[0].info.object or 'target'}, {target[0].info.file}"


def _result(
    inputs: slit_steps.SlitInputs,
    target: tuple[RawFrame, ...],
    seen: _Seen,
    settings: Settings,
    arm: Arm,
) -> Result:
    view, images = seen.view, seen.images
    how = slit_steps.extraction(settings)
    lamp = inputs.flat.lamp
    scale = slit_steps.scale_of(settings, arm)
    native, whole = slit_steps.spectrum_of(images, lamp, how, arm, scale)
    slit_steps.tell_saturated(native)
    before, sky, subtracted, residuals = _frames(view)
    straight, flattened = slit_rectified.rectified(images, lamp, settings, arm)
    further = _others(view, lamp, how, arm, scale)
    measured = slit_metrics.values(images, native, arm)
    measured |= temperatures([raw.info for raw in target])
    title = _title(target)
    cards = slit_steps.cards(view, view.sources.target)
    return Result(
        products={
            "SKY_SUBTRACTED_OBJECT": subtracted,
            "SKY_MODEL": replace(before, data=sky, variance=np.zeros_like(sky)),
            "SKY_SUB_RESIDUALS": residuals,
            "OBJECT_TRACE": slit_metrics.trace_table(native, images[0].source),
            "EXTRACTED_ORDERS_TABLE": native,
            "EXTRACTED_MERGED_TABLE": whole,
            "EXTRACTED_MERGED_ASCII": whole,
            "RECTIFIED_ORDERS": straight[0].images,
            "RECTIFIED_MERGED": flattened,
            **further,
        },
        measurements=(
            *judged(METRICS, measured, settings, arm),
            *slit_metrics.snr_per_order(native, arm),
        ),
        headers=dict.fromkeys(_TOLD, cards),
        figures={
            "SKY_MODEL_QC_PLOTS": _sky_figures(view, settings, arm, title),
            "SKY_SUBTRACTION_QUICKLOOK": lambda: plot_spectra.sky_quicklook(
                before, sky, inputs.pixel_map, arm, title
            ),
            "OBJECT_TRACE_RES": slit_steps.trace_figure(images[0], how, arm, title),
            "EXTRACTED_ORDERS_QC_PLOT": lambda: plot_spectra.orders(native, arm, title),
            "EXTRACTED_MERGED_QC_PLOT": lambda: plot_spectra.merged(whole, arm, title, native),
            "MERGED2D_QUICKLOOK": lambda: plot_rectified.merged(flattened, arm, title),
        },
        names={"degrees": slit_steps.trace_degrees(settings)},
    )


def _sky_figures(view: View, settings: Settings, arm: Arm, title: str) -> dict[str, Any]:
    """Draw the sky fit of every order, if that is wanted."""
    if not settings.sky_subtraction.sky_model_qc_plot:
        return {}

    def figure(number: int, order: OrderState, fitted: OrderSky) -> Callable[[], Any]:
        data = order.data - view.sources.light(number)
        return lambda: plot_sky_order.sky_order(
            order.pixels, data, order.sky, order.variance, fitted.used, arm, title
        )

    return {
        arm.orders[n].label: figure(n, o, o.fitted)
        for n, o in view.orders.items()
        if o.fitted is not None
    }


def _frames(view: View) -> tuple[Frame, np.ndarray, Frame, Frame]:
    """Frame with sky, sky model, frame without sky, and that over its noise."""
    before = slit_orders.frame_with_variance(view.ready, view.orders)
    sky = slit_orders.sky_image(view.orders, before.shape)
    subtracted = slit_steps.without_sky(view)
    inside = np.zeros(before.data.size, dtype=bool)
    for order in view.orders.values():
        inside[order.pixels.index] = True
    noise = np.sqrt(np.maximum(before.variance, 1e-6))
    pull = np.where(inside.reshape(before.shape), subtracted.data / noise, 0.0)
    return before, sky, subtracted, Frame(pull, np.ones(before.shape), before.flags, unit="")


def _others(
    view: View,
    lamp: Mapping[int, np.ndarray],
    how: slit_extract.ExtractionSettings,
    arm: Arm,
    scale: Scale,
) -> dict[str, dict[str, Any]]:
    """Products of the objects besides the target, by label and number."""
    made: dict[str, dict[str, Any]] = {}
    for number in slit_steps.others(view):
        images = slit_steps.images_of(view, number, lamp, how, arm)
        native, whole = slit_steps.spectrum_of(images, lamp, how, arm, scale)
        for label, value in (
            ("EXTRACTED_ORDERS_TABLE_OTHERS", native),
            ("EXTRACTED_MERGED_TABLE_OTHERS", whole),
            ("EXTRACTED_MERGED_ASCII_OTHERS", whole),
            ("OBJECT_TRACE_OTHERS", slit_metrics.trace_table(native, images[0].source)),
        ):
            made.setdefault(label, {})[str(number)] = value
    return made
