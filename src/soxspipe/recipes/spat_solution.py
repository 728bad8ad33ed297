"""spat_solution: dispersion and spatial solution, from an arc through the nine-pinhole mask."""

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np

from soxspipe.datamodel.flat import MasterFlat
from soxspipe.datamodel.geometry import DispersionSolution, OrderTable
from soxspipe.datamodel.metric import Metric
from soxspipe.errors import DataError
from soxspipe.instrument.arms import Arm
from soxspipe.instrument.headers import FrameKind
from soxspipe.instrument.line_lists import arc_lines
from soxspipe.io.geometry_tables import DispersionProduct
from soxspipe.qc import plot_arcs
from soxspipe.recipes import arc_steps
from soxspipe.recipes.lamp import LampInputs, lamp_light
from soxspipe.recipes.quality import TEMPERATURES, judged, temperatures
from soxspipe.recipes.recipe import Calibration, Product, Raw, RawFrame, Result, recipe
from soxspipe.science.detector import detrend
from soxspipe.science.orders import scattered_light
from soxspipe.science.wavelength import dispersion, export, pixel_map, solve
from soxspipe.settings import SpatSolutionSettings


@dataclass(frozen=True)
class Inputs(LampInputs):
    """What spat_solution takes."""

    arc: Annotated[tuple[RawFrame, ...], Raw((FrameKind.MULTI_PINHOLE_ARC,))]
    solution: Annotated[DispersionSolution, Calibration("DISP_TAB", "disp_solution")]
    orders: Annotated[OrderTable, Calibration("ORDER_TAB", "mflat")]
    flat: Annotated[MasterFlat | None, Calibration("MASTER_FLAT", "mflat", required=False)]


METRICS = (
    *arc_steps.metrics(
        {
            "DETLINES FRAC": {"VIS": (0.95, 1.01)},
            "GOODLINES FRAC": {"VIS": (0.55, 1.01), "NIR": (0.4, 1.01)},
            "X RES SD": {"VIS": (0, 0.25), "NIR": (0, 0.42)},
            "Y RES SD": {"VIS": (0, 0.48), "NIR": (0, 0.12)},
            "XY RES MEDIAN": {"VIS": (0, 0.7), "NIR": (0, 0.3)},
            "XY RES SD": {"VIS": (0, 0.5), "NIR": (0, 0.4)},
            "FWHM PIN MEDIAN": {"VIS": (1.6, 1.72), "NIR": (1.55, 1.85)},
            "FWHM PIN SD": {"VIS": (0.0, 0.16), "NIR": (0.0, 0.145)},
        },
        "multi-pinhole",
    ),
    Metric(
        "PINHOLE COUNT MIN",
        "",
        "smallest number of pinholes found in an order",
        {"VIS": (8.5, 9.5), "NIR": (8.5, 9.5)},
    ),
    Metric("MAP FRAC", "", "share of order pixels for which the map converged"),
    *TEMPERATURES,
)


@recipe(
    "spat_solution",
    folder="soxs-spat-solution",
    title="Dispersion and spatial solution",
    inputs=Inputs,
    settings=SpatSolutionSettings,
    products=(
        Product(
            "SPAT_SOL",
            ".fits",
            "DISP_TAB",
            "ECHELLE,MULTI-PINHOLE",
            "order, wavelength and slit position to pixel",
        ),
        Product(
            "2D_MAP",
            "_IMAGE.fits",
            "DISP_IMAGE",
            "ECHELLE,MULTI-PINHOLE",
            "wavelength, slit position and order of every pixel",
        ),
        *arc_steps.line_products("ECHELLE,MULTI-PINHOLE"),
    ),
    plots=arc_steps.PLOTS,
    metrics=METRICS,
    type_codes={FrameKind.MULTI_PINHOLE_ARC: "SSOL"},
)
def spat_solution(inputs: Inputs, settings: SpatSolutionSettings, arm: Arm) -> Result:
    """Measure all nine pinholes of every line, fit the full solution, turn it into a map."""
    frame = lamp_light(inputs.arc, inputs, arm)[0]
    if settings.subtract_background:
        free = scattered_light.between_orders(inputs.orders, frame.shape, clearance=4.0)
        smoothing = settings.background_subtraction.gaussian_blur_sigma
        scattered = scattered_light.fit(frame, free, smoothing=smoothing)
        frame = replace(frame, data=frame.data - scattered)
    if settings.use_flat and inputs.flat is not None:
        frame = detrend.divide_flat(frame, inputs.flat.frame)
    mask = solve.Mask(arm.pinholes, tuple(range(len(arm.pinholes))))
    solved = solve.refine(
        frame,
        solve.listed(arc_lines(arm), mask, inputs.solution, frame.shape),
        inputs.solution,
        dispersion_axis=arm.dispersion_axis,
        independent=True,
        binning=arm.binning,
        sigma_limit=settings.pinhole_detection_thres_sigma,
        options=dispersion.FitOptions(
            wavelength_degree=max(settings.wavelength_deg),
            slit_degree=max(2, *settings.slit_deg),
            sigma=settings.poly_fitting_residual_clipping_sigma,
            rounds=settings.poly_clipping_iteration_limit,
            least_holes=settings.mph_line_set_min,
            whole_sets=settings.poly_clipping_pinhole_sets,
        ),
    )
    name = f"{arm.instrument} {arm.name} {inputs.arc[0].info.file}"
    dispersion.require_good(solved.fit, solved.lines, least_share=0.5, name=name)
    count = _pinholes_per_order(solved)
    if count < len(arm.pinholes) // 2:
        raise DataError(
            f"{name}: an order shows only {count} of {len(arm.pinholes)} pinholes",
            hint="is the multi-pinhole mask in the beam?",
        )
    full_map, share = pixel_map.make(
        solved.solution,
        inputs.orders,
        frame.shape,
        ranges={n: o.full for n, o in arm.orders.items()},
        tolerance=settings.map_to_image_displacement_threshold,
    )
    values = arc_steps.values(solved, arm) | temperatures([inputs.arc[0].info])
    values |= {"PINHOLE COUNT MIN": float(count), "MAP FRAC": share}
    return Result(
        products={
            "SPAT_SOL": DispersionProduct(solved.solution, _polynomials(solved, settings, arm)),
            "2D_MAP": full_map,
            "DISP_MAP_LINES": arc_steps.fitted_table(solved, arm),
            "DISP_MAP_LINES_MISSING": arc_steps.missed_table(solved.lines),
        },
        measurements=judged(METRICS, values, settings, arm),
        figures={"DISP_MAP_RES": lambda: plot_arcs.solution(frame, solved, arm, full_map)},
    )


def _pinholes_per_order(solved: solve.Solved) -> int:
    """Smallest number of different pinholes seen in an order."""
    lines, used = solved.lines, solved.fit.used
    return min(
        len(np.unique(lines.slit_index[used & (lines.order == n)])) for n in np.unique(lines.order)
    )


def _polynomials(solved: solve.Solved, settings: SpatSolutionSettings, arm: Arm):  # type: ignore[no-untyped-def]
    return export.dispersion_polynomials(
        solved.solution,
        order_deg=settings.order_deg,
        wavelength_deg=settings.wavelength_deg,
        slit_deg=settings.slit_deg,
        slits=np.asarray(arm.pinholes),
    )
