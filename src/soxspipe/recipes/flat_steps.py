"""From flat exposures of one lamp to its flat: the steps of mflat, once for each lamp."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from soxspipe.datamodel.flat import MasterFlat
from soxspipe.datamodel.frame import Frame, PixelFlag
from soxspipe.datamodel.geometry import OrderTable
from soxspipe.errors import DataError
from soxspipe.instrument.arms import Arm
from soxspipe.instrument.spectral_format import nominal
from soxspipe.recipes import background
from soxspipe.recipes.lamp import LampInputs, lamp_light
from soxspipe.recipes.order_shapes import expected_half_length, order_mask, tilts
from soxspipe.recipes.prepare import lamp_off, measured_read_noise
from soxspipe.recipes.recipe import RawFrame
from soxspipe.science.detector import flats
from soxspipe.science.orders import edges, flat_field, scattered_light
from soxspipe.settings import MflatSettings

log = logging.getLogger(__name__)

#: Lamp light per pixel of the stack below which nothing is known about the response, electrons.
LEAST_LIGHT = 30.0
#: Least scatter of the response from pixel to pixel that a detector is taken to have.
KNOWN_SCATTER = 0.005
#: Parts of an order's pixels from which it is told that they are saturated, or dark.
_MANY_SATURATED, _MANY_DARK = 1e-4, 0.02
#: Part of the slices across an order that must show its edges.
_FEW_EDGES = 0.3


@dataclass(frozen=True, eq=False)
class LampFlat:
    """What the exposures of one lamp give.

    mean        stacked flat, electrons of an average exposure, scattered light in it
    scattered   (ny, nx) model of that, electrons
    between     (ny, nx) bool, where it was measured
    residual    what the model leaves between orders, median over cells, electrons
    samples     edges found, by order
    measured    response and lamp spectra, dispersion along rows
    master      the same in the detector's orientation, with less noise
    left_out    names of the raw frames that were not used
    """

    lamp: str
    mean: Frame
    table: OrderTable
    samples: Mapping[int, edges.EdgeSamples]
    scattered: np.ndarray
    between: np.ndarray
    residual: float
    measured: flat_field.Separated
    master: MasterFlat
    left_out: tuple[str, ...] = ()


def lamp_flat(
    raws: Sequence[RawFrame],
    inputs: LampInputs,
    centres: OrderTable,
    settings: MflatSettings,
    arm: Arm,
) -> LampFlat:
    """Stack the flats, find the order edges, take out scattered light, lamp and blaze.

    Raises DataError if the flats show too little light, or nowhere the edges of an order.
    """
    stack = _stacked(raws, inputs, centres, settings, arm)
    mean = stack.frame
    left_out = tuple(raws[k].info.file for k in stack.left_out)
    for name in left_out:
        log.warning("%s shows another light than the other flats: it is left out", name)
    table, samples = _find_edges(mean, centres, settings, arm)
    scattered, between, residual = _scattered(mean, table, settings, arm)
    clean = replace(mean, data=mean.data - scattered)
    options = flat_field.FlatOptions(
        least_electrons=LEAST_LIGHT,
        cold_sigma=settings.low_sensitivity_clipping_sigma,
    )
    tilt = tilts(nominal(arm), arm)
    measured = flat_field.separate(clean.viewed(arm.along_rows), table, tilt, options)
    master = finished(measured, table, arm)
    _tell(master, table, arm)
    lamp = raws[0].info.lamp
    return LampFlat(
        lamp, mean, table, samples, scattered, between, residual, measured, master, left_out
    )


def finished(measured: flat_field.Separated, table: OrderTable, arm: Arm) -> MasterFlat:
    """The flat in the orientation of the detector, its noise reduced by what is known of detectors."""
    quiet = flat_field.quietened(
        measured.flat,
        measured.usual,
        table,
        tilts(nominal(arm), arm),
        least_scatter=KNOWN_SCATTER,
    )
    return MasterFlat(quiet.frame.viewed(arm.along_rows), quiet.lamp)


def _stacked(
    raws: Sequence[RawFrame],
    inputs: LampInputs,
    centres: OrderTable,
    settings: MflatSettings,
    arm: Arm,
) -> flats.FlatStack:
    master = inputs.bias if inputs.bias is not None else inputs.dark
    read_noise = measured_read_noise(master) or raws[0].info.read_noise
    read_variance = np.full(arm.shape, read_noise**2, dtype="f4")
    frames = [replace(f, variance=read_variance) for f in lamp_light(raws, inputs, arm)]
    strip = flat_field.centre_strip(
        centres, arm.along_rows(frames[0].data).shape, settings.centre_order_window / 2
    )
    stack = flats.stack(
        frames,
        arm.along_rows(strip),
        sigma=settings.stacked_clipping_sigma,
        rounds=settings.stacked_clipping_iterations,
    )
    # all exposures share what was taken off them: its noise does not average down
    shared = [inputs.bias, lamp_off(inputs.off, arm, inputs.dark) or inputs.dark]
    variance = stack.frame.variance + sum(f.variance for f in shared if f is not None)
    return replace(stack, frame=replace(stack.frame, variance=variance))


def _find_edges(
    mean: Frame, centres: OrderTable, settings: MflatSettings, arm: Arm
) -> tuple[OrderTable, dict[int, edges.EdgeSamples]]:
    data, variance, good = (arm.along_rows(z) for z in (mean.data, mean.variance, mean.good))
    half = expected_half_length(arm)
    traces, samples = {}, {}
    for number, trace in centres.orders.items():
        traces[number], samples[number] = edges.find_edges(
            data,
            variance,
            good,
            trace,
            half_length=half[number],
            samples=150,
            width=settings.slice_width_for_edge_detection,
            degree=settings.disp_axis_deg,
            clip_sigma=settings.poly_fitting_residual_clipping_sigma,
            clip_rounds=settings.poly_clipping_iteration_limit,
            length=settings.slice_length_for_edge_detection,
            levels=(
                settings.min_percentage_threshold_for_edge_detection / 100,
                settings.max_percentage_threshold_for_edge_detection / 100,
            ),
        )
    _require_edges(samples, arm)
    return OrderTable(traces, centres.dispersion_axis), samples


def _require_edges(samples: Mapping[int, edges.EdgeSamples], arm: Arm) -> None:
    """Warn of orders whose edges were not seen well; DataError if that is so for all."""
    few = [n for n, s in samples.items() if s.degree < 0 or np.mean(s.used) < _FEW_EDGES]
    names = ", ".join(arm.orders[n].label for n in few)
    if few and len(few) == len(samples):
        raise DataError(
            "no order shows its edges on the flat",
            hint="check lamp and slit; raise slice-width-for-edge-detection to 5-9 or "
            "poly-fitting-residual-clipping-sigma to 3-5, or lower "
            "min-percentage-threshold-for-edge-detection by 2-3",
        )
    if few:
        log.warning("the edges of order %s were seen in few places, or nowhere", names)


def _scattered(
    mean: Frame, table: OrderTable, settings: MflatSettings, arm: Arm
) -> tuple[np.ndarray, np.ndarray, float]:
    """Scattered light (ny, nx), where it was measured, and what the model leaves; nothing if it stays."""
    if not settings.subtract_background:
        return np.zeros(mean.shape, "f4"), np.zeros(mean.shape, bool), float("nan")
    surface, free = background.scattered(mean, table, settings.background_subtraction, arm)
    along_x = arm.dispersion_axis == "x"
    return surface, free, scattered_light.left_over(mean, free, surface, along_x=along_x)


def _tell(master: MasterFlat, table: OrderTable, arm: Arm) -> None:
    """Warn of orders that are saturated, or without light in their useful range."""
    useful = order_mask(table, arm, useful=True)
    for flag, limit, text in (
        (PixelFlag.SATURATED, _MANY_SATURATED, "saturated: expose less"),
        (PixelFlag.NO_FLAT, _MANY_DARK, "without light and not flat-fielded: take more flats"),
    ):
        share = float(np.mean((master.frame.flags[useful] & np.uint16(flag)) > 0))
        if share > limit:
            log.warning("%.2g %% of the pixels in the orders are %s", 100.0 * share, text)
