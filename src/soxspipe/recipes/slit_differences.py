"""What nod and offset do with their difference frames: spectra, images, quality, plots."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from soxspipe.datamodel.frame import Frame
from soxspipe.datamodel.metric import Metric
from soxspipe.instrument.arms import Arm
from soxspipe.qc import plot_rectified, plot_spectra
from soxspipe.recipes import (
    places,
    slit_metrics,
    slit_orders,
    slit_pairs,
    slit_rectified,
    slit_steps,
)
from soxspipe.recipes.pairs import Pairing
from soxspipe.recipes.quality import judged, temperatures
from soxspipe.recipes.recipe import RawFrame, Result
from soxspipe.recipes.slit_extract import ExtractionSettings
from soxspipe.recipes.slit_merge import Image, Scale
from soxspipe.recipes.slit_pairs import Seen
from soxspipe.recipes.slit_sources import Source
from soxspipe.recipes.slit_view import View

log = logging.getLogger(__name__)

#: Distance (arcsec) from the target within which objects of two frames are one.
_SAME_OBJECT = 0.8

#: Tells from the facts of the exposures which of them are subtracted from each other.
Pair = Callable[[Sequence[places.Shot]], Pairing]

_TOLD = ("OBJECT_TRACE", "EXTRACTED_ORDERS_TABLE", "EXTRACTED_MERGED_TABLE")


def reduce(
    inputs: slit_steps.DifferenceInputs,
    frames: Sequence[RawFrame],
    pair: Pair,
    settings: Any,
    arm: Arm,
    *,
    names: tuple[str, str],
    twins: bool,
    metrics: Sequence[Metric],
) -> Result:
    """Pair the exposures, subtract, extract all images of the target, and make one spectrum of them."""
    shots = places.shots([raw.info for raw in frames])
    flat = inputs.flat if settings.use_flat else None
    setting = slit_pairs.Setting(
        how=slit_steps.detrending(inputs, settings, arm),
        flat=flat,
        pixels=slit_orders.order_pixels(inputs.pixel_map, arm, flat_fielded=flat is not None),
        steps=slit_steps.steps(settings, frames, arm),
        keep=settings.save_single_frame_extractions,
    )
    seen = slit_pairs.see(
        frames,
        shots,
        pair(shots),
        setting,
        names=names,
        twins=twins,
        together=settings.combine == "before",
    )
    for view in seen.views:
        slit_steps.tell(view)
    return _result(inputs, frames, seen, settings, arm, metrics)


def _result(
    inputs: slit_steps.DifferenceInputs,
    frames: Sequence[RawFrame],
    seen: Seen,
    settings: Any,
    arm: Arm,
    metrics: Sequence[Metric],
) -> Result:
    how, lamp = slit_steps.extraction(settings), inputs.flat.lamp
    scale = slit_steps.scale_of(settings, arm)
    by_name = _named_images(seen, 0.0, lamp, how, arm)
    images = list(by_name.values())
    native, whole = slit_steps.spectrum_of(images, lamp, how, arm, scale)
    slit_steps.tell_saturated(native)
    measured = slit_metrics.values(images, native, arm)
    measured |= temperatures([raw.info for raw in frames])
    title = f"{frames[0].info.object or 'target'}, {frames[0].info.file}"
    further: dict[str, Any] = {}
    if settings.save_single_frame_extractions:
        further |= _singles(by_name, lamp, how, arm, scale)
        further["STACKED"] = {
            f"{name}_{view.label}": side
            for view in seen.differences
            for name, side in zip(seen.names, view.sides or (), strict=False)
        }
    _, flattened = slit_rectified.rectified(images, lamp, settings, arm)
    cards = slit_steps.cards(seen.views[0], seen.views[0].sources.target)
    return Result(
        products={
            **_images(seen),
            "OBJECT_TRACE": {
                name: slit_metrics.trace_table(image.spectra, image.source)
                for name, image in by_name.items()
            },
            "EXTRACTED_ORDERS_TABLE": native,
            "EXTRACTED_MERGED_TABLE": whole,
            "EXTRACTED_MERGED_ASCII": whole,
            "RECTIFIED_MERGED": flattened,
            **_others(seen, lamp, how, arm, scale),
            **further,
        },
        measurements=(
            *judged(metrics, measured, settings, arm),
            *slit_metrics.snr_per_order(native, arm),
        ),
        headers=dict.fromkeys(_TOLD, cards),
        figures=_figures(inputs, seen, by_name, how, arm, title)
        | {
            "EXTRACTED_MERGED_QC_PLOT": lambda: plot_spectra.merged(whole, arm, title, native),
            "MERGED2D_QUICKLOOK": lambda: plot_rectified.merged(flattened, arm, title),
        },
        names={"degrees": slit_steps.trace_degrees(settings)},
    )


def _named_images(
    seen: Seen,
    distance: float,
    lamp: Mapping[int, np.ndarray],
    how: ExtractionSettings,
    arm: Arm,
) -> dict[str, Image]:
    """The images of the object that lies `distance` arcsec from the target (0: the target itself) by
    name: A1, B1, A2; single exposures are S1, S2.
    """
    named = {}
    for view in seen.views:
        for number in _numbers(view, distance):
            for image in slit_steps.images_of(view, number, lamp, how, arm):
                side = seen.names[0] if image.source.sign > 0 else seen.names[1]
                side = "S" if view in seen.single else side
                named[f"{side}{view.label}"] = image
    return named


def _numbers(view: View, distance: float) -> list[int]:
    """Number of the object at that distance from the target in a view, if it is there."""
    if distance == 0.0:
        return [1]
    near = sorted(
        (abs(away - distance), source.number)
        for source in view.sources.each
        if source.sign > 0 and source.number != 1
        for away in [_away(view, source)]
    )
    return [near[0][1]] if near and near[0][0] < _SAME_OBJECT else []


def _away(view: View, source: Source) -> float:
    """Distance of an object from the target along the slit, arcsec."""
    target = view.sources.target.found
    if target is None or source.found is None:
        return float("nan")
    return source.found.position - target.position


def _others(
    seen: Seen, lamp: Mapping[int, np.ndarray], how: ExtractionSettings, arm: Arm, scale: Scale
) -> dict[str, dict[str, Any]]:
    """Spectra of the objects besides the target, by label and number in the first view."""
    made: dict[str, dict[str, Any]] = {}
    first = seen.views[0]
    for source in first.sources.each:
        if source.number == 1 or source.sign < 0 or source.found is None:
            continue
        images = list(_named_images(seen, _away(first, source), lamp, how, arm).values())
        if not images:
            continue
        native, whole = slit_steps.spectrum_of(images, lamp, how, arm, scale)
        for label, value in (
            ("EXTRACTED_ORDERS_TABLE_OTHERS", native),
            ("EXTRACTED_MERGED_TABLE_OTHERS", whole),
            ("EXTRACTED_MERGED_ASCII_OTHERS", whole),
        ):
            made.setdefault(label, {})[str(source.number)] = value
    return made


def _singles(
    images: Mapping[str, Image],
    lamp: Mapping[int, np.ndarray],
    how: ExtractionSettings,
    arm: Arm,
    scale: Scale,
) -> dict[str, dict[str, Any]]:
    """Spectra of every image by itself."""
    made: dict[str, dict[str, Any]] = {
        "EXTRACTED_ORDERS_SINGLE": {},
        "EXTRACTED_MERGED_SINGLE": {},
    }
    for name, image in images.items():
        native, whole = slit_steps.spectrum_of([image], lamp, how, arm, scale)
        made["EXTRACTED_ORDERS_SINGLE"][name] = native
        made["EXTRACTED_MERGED_SINGLE"][name] = whole
    return made


def _images(seen: Seen) -> dict[str, dict[str, Frame]]:
    """Difference frames without the rest of the sky, both ways round where both sides hold the object;
    single exposures without sky.
    """
    made: dict[str, dict[str, Frame]] = {}
    first, second = seen.names
    for view in seen.differences:
        frame = slit_steps.without_sky(view)
        made.setdefault(f"DIFFERENCE_{first}{second}", {})[view.label] = frame
        if any(source.sign < 0 for source in view.sources.each):
            turned = replace(frame, data=-frame.data)
            made.setdefault(f"DIFFERENCE_{second}{first}", {})[view.label] = turned
    for view in seen.single:
        made.setdefault("SKY_SUBTRACTED_OBJECT", {})[view.label] = slit_steps.without_sky(view)
    return made


def _figures(
    inputs: slit_steps.DifferenceInputs,
    seen: Seen,
    images: Mapping[str, Image],
    how: ExtractionSettings,
    arm: Arm,
    title: str,
) -> dict[str, Any]:
    def quicklook(view: View) -> Callable[[], Any]:
        before = slit_orders.frame_with_variance(view.ready, view.orders)
        sky = slit_orders.sky_image(view.orders, before.shape)
        return lambda: plot_spectra.sky_quicklook(before, sky, inputs.pixel_map, arm, title)

    def orders(image: Image) -> Callable[[], Any]:
        return lambda: plot_spectra.orders(image.spectra, arm, title)

    return {
        "SKY_SUBTRACTION_QUICKLOOK": {
            **{view.label: quicklook(view) for view in seen.differences},
            **{f"S{view.label}": quicklook(view) for view in seen.single},
        },
        "OBJECT_TRACE_RES": {
            name: slit_steps.trace_figure(image, how, arm, f"{title}, {name}")
            for name, image in images.items()
        },
        "EXTRACTED_ORDERS_QC_PLOT": {name: orders(image) for name, image in images.items()},
    }
