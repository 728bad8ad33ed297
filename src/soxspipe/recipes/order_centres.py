"""order_centres: trace the centre of each order through a flat behind the single pinhole."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from soxspipe.datamodel.geometry import DispersionSolution, OrderTable
from soxspipe.datamodel.metric import Metric
from soxspipe.errors import DataError
from soxspipe.instrument.arms import Arm
from soxspipe.instrument.headers import FrameKind
from soxspipe.io.geometry_tables import OrderTableProduct
from soxspipe.qc import plot_geometry
from soxspipe.recipes.lamp import LampInputs, lamp_light
from soxspipe.recipes.quality import TEMPERATURES, judged, spread, temperatures
from soxspipe.recipes.recipe import Calibration, Plot, Product, Raw, RawFrame, Result, recipe
from soxspipe.science.orders.trace import TraceSamples, predicted_centre, trace_order
from soxspipe.science.wavelength import export
from soxspipe.settings import OrderCentresSettings


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
    Metric("SAMPLES CLIP NUM", "", "samples rejected by the fit"),
    Metric("SAMPLES CLIP FRAC", "", "rejected fraction"),
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
    *TEMPERATURES,
)


@recipe(
    "order_centres",
    folder="soxs-order-centres",
    title="Order centres",
    inputs=Inputs,
    settings=OrderCentresSettings,
    products=(Product("ORDER_CENTRES", ".fits", "ORDER_TAB", "ECHELLE,PINHOLE", "order centres"),),
    plots=(Plot("ORDER_CENTRES_RES", "_residuals.pdf", "slices, traces, residuals"),),
    metrics=METRICS,
    type_codes={FrameKind.PINHOLE_FLAT: "OLOC"},
)
def order_centres(inputs: Inputs, settings: OrderCentresSettings, arm: Arm) -> Result:
    """Fit the trace of the pinhole in slices along each order."""
    frame = lamp_light(inputs.flat, inputs, arm)[0]
    data, variance, good = (
        arm.along_rows(image) for image in (frame.data, frame.variance, frame.good)
    )
    options = settings.detect_continuum
    traces, samples = {}, {}
    for number, order in arm.orders.items():
        domain, centre = predicted_centre(
            inputs.solution,
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
            degree=options.disp_axis_deg,
            clip_sigma=options.poly_fitting_residual_clipping_sigma,
            clip_rounds=options.poly_clipping_iteration_limit,
        )
    table = OrderTable(traces, arm.dispersion_axis)
    values = _values(samples, arm) | temperatures([inputs.flat[0].info])
    if values["SAMPLES DET FRAC"] < 0.3:
        raise DataError(
            f"the trace was found in only {values['SAMPLES DET FRAC']:.0%} of the slices",
            hint="check that the flat lamp was on and the single pinhole in the beam",
        )
    polynomials = {
        which: export.trace_polynomial(
            table, which, order_deg=options.order_deg, axis_deg=options.disp_axis_deg
        )
        for which in ("centre", "width")
    }
    return Result(
        products={"ORDER_CENTRES": OrderTableProduct(table, polynomials)},
        measurements=judged(METRICS, values, settings, arm),
        figures={"ORDER_CENTRES_RES": lambda: plot_geometry.centres(frame, table, samples, arm)},
    )


def _values(samples: dict[int, TraceSamples], arm: Arm) -> dict[str, float]:
    """Measured values by keyword."""
    detected = np.concatenate([s.detected for s in samples.values()])
    used = np.concatenate([s.used for s in samples.values()])
    residual = np.concatenate([s.residual for s in samples.values()])
    axis = "X" if arm.dispersion_axis == "y" else "Y"
    clipped = int((detected & ~used).sum())
    return {
        "N ORDERS": sum(bool(s.used.any()) for s in samples.values()),
        "SAMPLES TOT NUM": len(detected),
        "SAMPLES DET NUM": int(detected.sum()),
        "SAMPLES DET FRAC": float(detected.mean()),
        "SAMPLES CLIP NUM": clipped,
        "SAMPLES CLIP FRAC": clipped / max(int(detected.sum()), 1),
        **spread(f"{axis} RES", residual[used]),
    }
