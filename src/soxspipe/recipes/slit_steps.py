"""What stare, nod and offset share: inputs, settings turned into steps, spectra of what was seen."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np

from soxspipe.datamodel.flat import MasterFlat
from soxspipe.datamodel.frame import Frame, PixelFlag
from soxspipe.datamodel.geometry import DispersionSolution, OrderTable, PixelMap
from soxspipe.datamodel.spectrum import OrderSpectra, Spectrum
from soxspipe.instrument.arms import Arm
from soxspipe.qc import plot_spectra
from soxspipe.recipes import slit_extract, slit_merge, slit_orders, slit_sky
from soxspipe.recipes.recipe import Calibration, RawFrame
from soxspipe.recipes.slit_extract import Alone, ExtractionSettings
from soxspipe.recipes.slit_frame import Detrending
from soxspipe.recipes.slit_merge import Image, Scale
from soxspipe.recipes.slit_models import ProfileOptions
from soxspipe.recipes.slit_sources import Search, Source
from soxspipe.recipes.slit_view import Steps, View, expected_seeing
from soxspipe.science.detector import quiet
from soxspipe.science.sky.sky_model import SkyOptions

log = logging.getLogger(__name__)

#: Significance of an object on the collapsed slit of all orders.
DETECTION = 5.0

#: Significance of a rise of the sky spectrum, as the option has it, over that of a line in all rows.
_LINE_SIGMA = 5.0

#: An object closer to the end of the slit, in FWHM, loses light there.
_ROOM = 1.0

#: Cards of a product by name: value and comment.
Cards = dict[str, tuple[Any, str]]


@dataclass(frozen=True)
class SlitInputs:
    """Calibrations of every object recipe."""

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
class DifferenceInputs(SlitInputs):
    """Calibrations of nod and offset; the dark, which a difference cancels, is not needed, but tells hot
    pixels.
    """

    dark: Annotated[
        Frame | None,
        Calibration("MASTER_DARK", "mdark", required=False, by_hand=("VIS",), by_time=True),
    ]


def detrending(inputs: SlitInputs, settings: Any, arm: Arm) -> Detrending:
    """What is taken off every exposure. Masters are freed of their own noise first."""
    return Detrending(
        arm=arm,
        bias=None if inputs.bias is None else quiet.quieter(inputs.bias),
        dark=None if inputs.dark is None else quiet.quieter(inputs.dark),
        orders=inputs.orders,
        clip_sigma=settings.stacked_clipping_sigma,
        background=settings.background_subtraction if settings.subtract_background else None,
    )


def steps(settings: Any, target: Sequence[RawFrame], arm: Arm) -> Steps:
    """How sky, objects and cosmic rays are treated. Recipes without options for the sky use defaults."""
    sky = sky_settings(settings)
    trace = settings.detect_continuum
    return Steps(
        arm=arm,
        search=Search(
            significance=DETECTION,
            fwhm=expected_seeing(target),
            degree=trace.disp_axis_deg,
            clip_sigma=trace.poly_fitting_residual_clipping_sigma,
            clip_rounds=trace.poly_clipping_iteration_limit,
            edge=sky.edge_fraction,
            given=settings.object_positions,
            apertures=settings.object_apertures,
        ),
        sky=sky,
        profile=profile_options(settings),
        lacosmic=settings.lacosmic_sigma if settings.use_lacosmic else None,
    )


def profile_options(settings: Any) -> ProfileOptions:
    """How the profile is fitted. The limit is twice the documented one: the profile is not right to a
    sigma of every pixel while it is being fitted.
    """
    return ProfileOptions(
        degree=min(settings.horne_extraction_profile_poly_order, 2),
        clip=2.0 * settings.horne_extraction_profile_clipping_sigma,
        rounds=settings.horne_extraction_profile_clipping_iteration_count,
    )


def sky_settings(settings: Any) -> slit_sky.SkySettings:
    """Options of the sky model; defaults where a recipe has none."""
    given = getattr(settings, "sky_subtraction", None)
    if given is None:
        return slit_sky.SkySettings(
            options=SkyOptions(), edge_fraction=0.02, generous=True, subtract=True
        )
    return slit_sky.SkySettings(
        options=SkyOptions(
            degree=given.bspline_order,
            coarse_points=given.starting_points_per_knot,
            fine_points=given.min_points_per_knot,
            lines=given.skyline_significance / _LINE_SIGMA,
            hit_sigma=given.percentile_clipping_sigma,
            hit_rounds=given.percentile_clipping_iterations,
            hit_window=given.percentile_rolling_window_size,
            noise_clip=given.noise_sigma,
            noise_window=given.noise_rolling_window_size,
            noise_floor=given.residual_floor_percentile,
            clip=given.bspline_fitting_residual_clipping_sigma,
            rounds=given.bspline_iteration_limit,
            illumination=given.slit_illumination_order,
        ),
        edge_fraction=given.clip_slit_edge_fraction,
        generous=given.aggressive_object_masking,
        subtract=given.subtract_sky,
    )


def extraction(settings: Any) -> ExtractionSettings:
    """Aperture and rejection limit of the extraction."""
    return ExtractionSettings(
        float(settings.horne_extraction_slit_length),
        settings.horne_extraction_profile_global_clipping_sigma,
    )


def images_of(
    view: View, number: int, lamp: Mapping[int, np.ndarray], how: ExtractionSettings, arm: Arm
) -> list[Image]:
    """The images of one object in a view, each with its native spectra."""
    images = []
    for source in view.sources.each:
        if source.number == number:
            parts = slit_extract.alone(view, source, clip=how.clip)
            native = slit_extract.extract(view, source, parts, lamp, how, arm)
            images.append(Image(view, source, parts, native))
    return images


def without_flat(
    image: Image,
    flat: MasterFlat,
    lamp: Mapping[int, np.ndarray],
    how: ExtractionSettings,
    arm: Arm,
) -> Image:
    """The same image as the detector saw it, before it was divided by the flat."""
    response = np.where(flat.frame.data > 0, flat.frame.data, np.float32(1.0)).ravel()
    parts = {n: _unflattened(p, response) for n, p in image.parts.items()}
    native = slit_extract.extract(image.view, image.source, parts, lamp, how, arm)
    return Image(image.view, image.source, parts, native)


def _unflattened(part: Alone, response: np.ndarray) -> Alone:
    factor = response[part.order.pixels.index].astype("f8")
    stretch = part.order.pixels.stretch
    share = part.share if stretch is None else part.share * stretch
    return slit_extract.scaled(part, factor, share)


def scale_of(settings: Any, arm: Arm) -> Scale:
    """The wavelengths that the settings ask for."""
    step = settings.merged_step or arm.merged_step
    return Scale(step, settings.wavelength_medium, settings.wavelength_unit)


def spectrum_of(
    images: Sequence[Image],
    lamp: Mapping[int, np.ndarray],
    how: ExtractionSettings,
    arm: Arm,
    scale: Scale,
) -> tuple[OrderSpectra, Spectrum]:
    """Native spectra of an object, images joined, and its merged spectrum."""
    native = slit_merge.as_wanted(slit_merge.joined([image.spectra for image in images]), scale)
    return native, slit_merge.merged(images, lamp, how, arm, scale)


def others(view: View) -> list[int]:
    """Numbers of the objects besides the target."""
    return sorted({s.number for s in view.sources.each} - {1})


def tell(view: View) -> None:
    """Say what was found on the slit, and what it means if nothing was."""
    target = view.sources.target
    if target.found is None:
        log.warning(
            "no object was found on the slit; the spectrum is that of slit position %+.1f arcsec, "
            "where it was expected, and gives upper limits only",
            float(target.trace.at(np.array([target.trace.domain[0]]))[0]),
        )
    for source in view.sources.each:
        if source.number == 1 and source.found and view.sources.room(source) < _ROOM:
            log.warning(
                "the object at %+.1f arcsec stands at the end of the slit: how much light is lost there "
                "is not well known, and its flux may be off by some per cent",
                source.found.position,
            )
    for order, state in view.orders.items():
        if not state.good.any():
            log.warning("order %s has no usable pixels: its spectrum is empty", order)
        elif not state.converged:
            log.warning(
                "the sky of order %s could not be refined: it is that of a coarse fit", order
            )


def tell_saturated(native: OrderSpectra, least: float = 0.001) -> None:
    """Say so if more than a share `least` of the native bins are lost to saturation."""
    flags = np.concatenate([order.flags for order in native.orders.values()])
    share = float(np.mean((flags & np.uint16(PixelFlag.SATURATED)) != 0)) if flags.size else 0.0
    if share > least:
        log.warning("%.1f %% of the spectrum is saturated: those bins are flagged", 100.0 * share)


def cards(view: View, target: Source) -> Cards:
    """Cards of the spectra: which object this is, whether it was found, and where."""
    found = target.found
    made: Cards = {
        "ESO PRO OBJ NUM": (target.number, "number of the object on the slit, 1 is the target"),
        "ESO PRO OBJ FOUND": (found is not None, "F: nothing found, upper limits only"),
    }
    if found is not None:
        made["ESO PRO OBJ POS"] = (round(found.position, 3), "[arcsec] slit position")
        made["ESO PRO OBJ FWHM"] = (round(target.fwhm, 3), "[arcsec] along the slit")
        at_end = view.sources.room(target) < _ROOM
        made["ESO PRO OBJ ATEND"] = (at_end, "T: at the end of the slit, flux less certain")
    return made


def trace_degrees(settings: Any) -> str:
    """Degrees of the trace as plots are named after them: order, dispersion axis."""
    trace = settings.detect_continuum
    return f"{trace.order_deg}{trace.disp_axis_deg}"


def trace_figure(image: Image, how: ExtractionSettings, arm: Arm, title: str) -> Callable[[], Any]:
    """Draws the collapsed slit and the trace of an image."""
    source, sources = image.source, image.view.sources
    grids = {n: o.pixels.grid for n, o in image.view.orders.items()}
    line = {n: (grid, source.trace.at(grid, n)) for n, grid in grids.items()}
    middle = list(image.parts.values())[len(image.parts) // 2]
    aperture = slit_extract.half_aperture(middle, source, how)
    return lambda: plot_spectra.object_trace(
        sources.slit,
        source.sign * sources.collapsed,
        line,
        source.trace.samples,
        arm,
        title,
        aperture=aperture,
    )


def without_sky(view: View) -> Frame:
    """The flat-fielded frame minus the sky model, with the variance of the model of all light."""
    frame = slit_orders.frame_with_variance(view.ready, view.orders)
    return replace(frame, data=frame.data - slit_orders.sky_image(view.orders, frame.shape))
