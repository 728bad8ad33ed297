"""order_centres: trace the centre of each order through a flat behind the single pinhole."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from soxspipe.datamodel.frame import Frame
from soxspipe.datamodel.geometry import DispersionSolution, OrderTable
from soxspipe.datamodel.metric import Measurement, Metric
from soxspipe.errors import DataError
from soxspipe.instrument.arms import Arm
from soxspipe.instrument.headers import FrameKind
from soxspipe.io.geometry_tables import OrderTableProduct
from soxspipe.qc import plot_geometry
from soxspipe.recipes.lamp import LampInputs, lamp_light
from soxspipe.recipes.quality import TEMPERATURES, judged, per_order, spread, temperatures
from soxspipe.recipes.recipe import Calibration, Plot, Product, Raw, RawFrame, Result, recipe
from soxspipe.science.orders.trace import TraceSamples, predicted_centre, trace_order
from soxspipe.science.wavelength import export
from soxspipe.settings import DetectContinuum, OrderCentresSettings

log = logging.getLogger(__name__)

#: Least share of slices in which the trace must be seen, in all orders and in one.
LEAST_SEEN = 0.3
#: More scatter than this about the fit, beyond the noise, is told: pixels.
_MOST_EXCESS = 0.1
_FWHM = 2.0 * np.sqrt(2.0 * np.log(2.0))


@dataclass(frozen=True)
class Inputs(LampInputs):
    """What order_centres takes."""

    flat: Annotated[tuple[RawFrame, ...], Raw((FrameKind.PINHOLE_FLAT,))]
    solution: Annotated[DispersionSolution, Calibration("DISP_TAB", "disp_solution")]


METRICS = (
    Metric("N ORDERS", "", "orders with a trace"),
    Metric("SAMPLES TOT NUM", "", "slices cut"),
    Metric("SAMPLES DET NUM", "", "slices with a detection"),
    Metric("SAMPLES DET FRAC", "", "detected / cut", {"VIS": (0.85, 1.01), "NIR": (0.8, 1.01)}),
    Metric("SAMPLES CLIP NUM", "", "detected slices off the fit, or of an order without one"),
    Metric("SAMPLES CLIP FRAC", "", "their fraction of the detected ones"),
    *(
        Metric(f"{axis} RES {k}", "px", meaning, {arm: (0, 0.1)} if k == "SD" else {})
        for axis, arm in (("X", "VIS"), ("Y", "NIR"))
        for k, meaning in (
            ("MIN", f"smallest residual ({arm})"),
            ("MAX", f"largest residual ({arm})"),
            ("MEDIAN", f"median absolute residual ({arm})"),
            ("SD", f"standard deviation of residuals ({arm})"),
        )
    ),
    Metric("TRACE ERR MEDIAN", "px", "median 1-sigma error of the fitted centre"),
    Metric("TRACE FWHM MEDIAN", "px", "median width of the trace"),
    *TEMPERATURES,
)


@recipe(
    "order_centres",
    folder="soxs-order-centres",
    title="Order centres",
    inputs=Inputs,
    settings=OrderCentresSettings,
    products=(Product("ORDER_CENTRES", ".fits", "ORDER_TAB", "ECHELLE,SLIT", "order centres"),),
    plots=(
        Plot(
            "ORDER_CENTRES_RES",
            "_residuals_{degrees}.pdf",
            "slices, traces, residuals; named after the degrees in order and along dispersion",
        ),
    ),
    metrics=METRICS,
    type_codes={FrameKind.PINHOLE_FLAT: "OLOC"},
)
def order_centres(inputs: Inputs, settings: OrderCentresSettings, arm: Arm) -> Result:
    """Fit the trace of the pinhole along each order."""
    frame = lamp_light(inputs.flat, inputs, arm)[0]
    options = settings.detect_continuum
    table, samples = _traced(frame, inputs.solution, options, arm)
    values = _values(table, samples, arm)
    _check(samples, values["SAMPLES DET FRAC"], options, arm)
    polynomials = {
        which: export.trace_polynomial(
            table, which, order_deg=options.order_deg, axis_deg=options.disp_axis_deg
        )
        for which in ("centre", "width")
    }
    degrees = (n - 1 for n in polynomials["centre"].coefficients.shape)
    wavelengths = _wavelengths(samples, inputs.solution, arm)
    whole = values | temperatures([inputs.flat[0].info])
    return Result(
        products={"ORDER_CENTRES": OrderTableProduct(table, polynomials)},
        measurements=(*judged(METRICS, whole, settings, arm), *_by_order(table, samples, arm)),
        figures={
            "ORDER_CENTRES_RES": lambda: plot_geometry.centres(
                frame, table, samples, wavelengths, arm
            )
        },
        names={"degrees": "".join(map(str, degrees))},
    )


def _traced(
    frame: Frame, solution: DispersionSolution, options: DetectContinuum, arm: Arm
) -> tuple[OrderTable, dict[int, TraceSamples]]:
    usual = OrderCentresSettings.defaults(arm.name).detect_continuum.disp_axis_deg
    degree = None if options.disp_axis_deg == usual else options.disp_axis_deg
    data, variance, good = (
        arm.along_rows(image) for image in (frame.data, frame.variance, frame.good)
    )
    traces, samples = {}, {}
    for number, order in arm.orders.items():
        domain, centre = predicted_centre(
            solution,
            number,
            order.full,
            dispersion_axis=arm.dispersion_axis,
            size=(data.shape[1], data.shape[0]),
        )
        traces[number], samples[number] = trace_order(
            data,
            variance,
            good,
            domain=domain,
            predicted=centre,
            samples=options.order_sample_count,
            length=options.slice_length,
            width=options.slice_width,
            peak_sigma=options.peak_sigma_limit,
            degree=degree,
            clip_sigma=options.poly_fitting_residual_clipping_sigma,
            clip_rounds=options.poly_clipping_iteration_limit,
        )
    return OrderTable(traces, arm.dispersion_axis), samples


def _check(
    samples: Mapping[int, TraceSamples], seen: float, options: DetectContinuum, arm: Arm
) -> None:
    """Name the orders that are dark or faint, and degrees that were lowered.

    Raises DataError if the trace was found in less than 30 % of all slices.
    """
    labels = {n: arm.orders[n].label for n in samples}
    dark = [labels[n] for n, s in samples.items() if s.degree < 0]
    faint = [labels[n] for n, s in samples.items() if s.degree >= 0 and s.seen < LEAST_SEEN]
    if not seen >= LEAST_SEEN:
        raise DataError(
            f"the trace was found in only {seen:.0%} of the slices"
            + (f"; no light in order {', '.join(dark)}" if dark else ""),
            hint="check that the flat lamp was on and the single pinhole in the beam; for faint "
            "light raise slice-width to 5-9, or lower "
            "poly-fitting-residual-clipping-sigma to 3-5 and peak-sigma-limit",
        )
    scattered = [labels[n] for n, s in samples.items() if s.degree >= 0 and s.excess > _MOST_EXCESS]
    for names, text in (
        (dark, "shows no light: its centre is that of the dispersion solution"),
        (faint, "is seen in few slices: its centre rests on faint light"),
        (scattered, "is not well fitted: slices scatter more than their noise about its centre"),
    ):
        if names:
            log.warning("order %s %s", ", ".join(names), text)
    for number, sample in samples.items():
        if 0 <= sample.degree < options.disp_axis_deg:
            log.warning("order %s: degree lowered to %d", labels[number], sample.degree)


def _axis(arm: Arm) -> str:
    """The detector axis across dispersion, in which residuals are given."""
    return "X" if arm.dispersion_axis == "y" else "Y"


def _values(table: OrderTable, samples: Mapping[int, TraceSamples], arm: Arm) -> dict[str, float]:
    """Measured values by keyword, of all orders given."""
    detected = np.concatenate([s.detected for s in samples.values()])
    used = np.concatenate([s.used for s in samples.values()])
    residual = np.concatenate([s.residual for s in samples.values()])
    clipped = int((detected & ~used).sum())
    error, width = [], []
    for number, sample in samples.items():
        trace = table.orders[number]
        if trace.error is not None:
            error.append(trace.at("error", sample.pixel))
            width.append(trace.at("width", sample.pixel))
    return {
        "N ORDERS": sum(s.degree >= 0 for s in samples.values()),
        "SAMPLES TOT NUM": len(detected),
        "SAMPLES DET NUM": int(detected.sum()),
        "SAMPLES DET FRAC": float(detected.mean()),
        "SAMPLES CLIP NUM": clipped,
        "SAMPLES CLIP FRAC": clipped / max(int(detected.sum()), 1),
        "TRACE ERR MEDIAN": float(np.median(np.concatenate(error))) if error else np.nan,
        "TRACE FWHM MEDIAN": float(_FWHM * np.median(np.concatenate(width))) if width else np.nan,
        **spread(f"{_axis(arm)} RES", residual[used]),
    }


def _by_order(
    table: OrderTable, samples: Mapping[int, TraceSamples], arm: Arm
) -> tuple[Measurement, ...]:
    """The same by order; the number of orders is not."""
    by_order = {n: _values(table, {n: s}, arm) for n, s in samples.items()}
    return tuple(
        measurement
        for m in METRICS
        if m.keyword != "N ORDERS" and m.keyword in next(iter(by_order.values()), {})
        for measurement in per_order(
            METRICS, m.keyword, {n: v[m.keyword] for n, v in by_order.items()}, arm
        )
    )


def _wavelengths(
    samples: Mapping[int, TraceSamples], solution: DispersionSolution, arm: Arm
) -> dict[int, np.ndarray]:
    """Wavelength (n,) of each slice, nm, by order."""
    found = {}
    for number, sample in samples.items():
        wavelength = np.linspace(*arm.orders[number].full, 400)
        along, _ = arm.dispersion_and_slit(*solution.predict(number, wavelength))
        sort = np.argsort(along)
        found[number] = np.interp(sample.pixel, along[sort], wavelength[sort])
    return found
