"""spat_solution: dispersion and spatial solution, from an arc through the nine-pinhole mask."""

from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np

from soxspipe.datamodel.flat import MasterFlat
from soxspipe.datamodel.frame import Frame
from soxspipe.datamodel.geometry import DispersionSolution, OrderTable
from soxspipe.datamodel.metric import Metric
from soxspipe.datamodel.polynomial_table import PolynomialTable
from soxspipe.errors import DataError, InputError
from soxspipe.instrument.arms import Arm
from soxspipe.instrument.headers import FrameKind
from soxspipe.instrument.line_lists import arc_lines
from soxspipe.io.geometry_tables import DispersionProduct
from soxspipe.qc import plot_arcs, plot_flat
from soxspipe.recipes import arc_atlas, arc_results, arc_slit, arc_steps, background
from soxspipe.recipes.lamp import LampInputs, lamp_light
from soxspipe.recipes.quality import TEMPERATURES, judged, per_order, temperatures
from soxspipe.recipes.recipe import Calibration, Plot, Product, Raw, RawFrame, Result, recipe
from soxspipe.science.detector import detrend
from soxspipe.science.wavelength import export, pixel_map, solve
from soxspipe.settings import SpatSolutionSettings


@dataclass(frozen=True)
class Inputs(LampInputs):
    """What spat_solution takes."""

    arc: Annotated[tuple[RawFrame, ...], Raw((FrameKind.MULTI_PINHOLE_ARC,))]
    slit_arc: Annotated[tuple[RawFrame, ...], Raw((FrameKind.SLIT_ARC,), least=0)]
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
        Product("BKGROUND", "_BKGROUND.fits", "", "IMAGE", "scattered light, if it is subtracted"),
    ),
    plots=(
        *arc_steps.PLOTS,
        Plot("BKGROUND_PLOT", "_BKGROUND.pdf", "scattered light, if it is subtracted"),
    ),
    metrics=METRICS,
    type_codes={FrameKind.MULTI_PINHOLE_ARC: "SSOL"},
)
def spat_solution(inputs: Inputs, settings: SpatSolutionSettings, arm: Arm) -> Result:
    """Measure all nine pinholes of every line, fit the full solution, turn it into a map."""
    light = lamp_light((*inputs.arc, *inputs.slit_arc), inputs, arm)
    clean = [_cleaned(frame, inputs, settings, arm) for frame in light]
    frame, removed = clean[0]
    name = f"{arm.instrument} {arm.name} {inputs.arc[0].info.file}"
    solved = _solved(frame, inputs.solution, settings, arm, name)
    slit_fwhm = None
    if inputs.slit_arc:
        width = inputs.slit_arc[0].info.slit_width
        slit_fwhm = arc_slit.widths(clean[1][0], solved, arm, width)
    full_map, share = pixel_map.make(
        solved.solution,
        inputs.orders,
        frame.shape,
        ranges={n: o.full for n, o in arm.orders.items()},
        tolerance=settings.map_to_image_displacement_threshold,
    )
    polynomials = _polynomials(solved, settings, arm)
    values = arc_results.values(solved, arm) | temperatures([inputs.arc[0].info])
    holes = _pinholes_per_order(solved)
    values |= {"PINHOLE COUNT MIN": float(min(holes.values())), "MAP FRAC": share}
    products: dict[str, Any] = {
        "SPAT_SOL": DispersionProduct(solved.solution, polynomials),
        "2D_MAP": full_map,
        "DISP_MAP_LINES": arc_results.fitted_table(solved, arm, slit_fwhm),
        "DISP_MAP_LINES_MISSING": arc_results.missed_table(solved),
    }
    figures: dict[str, Any] = {
        "DISP_MAP_RES": lambda: plot_arcs.solution(frame, solved, arm, full_map, slit_fwhm)
    }
    if removed is not None:
        model, free = removed
        products["BKGROUND"] = Frame(model, np.zeros_like(model), np.zeros(arm.shape))
        figures["BKGROUND_PLOT"] = lambda: plot_flat.background(
            light[0], model, free, inputs.orders, arm, "arc"
        )
    return Result(
        products=products,
        measurements=(
            *judged(METRICS, values, settings, arm),
            *arc_results.values_per_order(solved, METRICS, arm),
            *per_order(METRICS, "PINHOLE COUNT MIN", holes, arm),
        ),
        figures=figures,
        names={"degrees": arc_steps.degrees_of(polynomials)},
    )


def _cleaned(
    frame: Frame, inputs: Inputs, settings: SpatSolutionSettings, arm: Arm
) -> tuple[Frame, tuple[np.ndarray, np.ndarray] | None]:
    """The frame without scattered light and divided by the flat, as wanted; the model taken off, and
    where it was measured.
    """
    removed = None
    if settings.subtract_background:
        removed = background.scattered(frame, inputs.orders, settings.background_subtraction, arm)
        frame = replace(frame, data=frame.data - removed[0])
    if settings.use_flat:
        if inputs.flat is None:
            raise InputError(
                "use_flat is set, but there is no master flat to divide by",
                hint="add the MASTER_FLAT to the SOF, or set use_flat to false",
            )
        frame = detrend.divide_flat(frame, inputs.flat.frame)
    return frame, removed


def _solved(
    frame: Frame,
    first: DispersionSolution,
    settings: SpatSolutionSettings,
    arm: Arm,
    name: str,
) -> solve.Solved:
    """The full solution. Raises DataError if it is not good, or an order shows too few pinholes."""
    line_list = arc_lines(arm)
    mask = solve.Mask(arm.pinholes, tuple(range(len(arm.pinholes))))
    steps = arc_steps.steps(settings, arm, slit_degree=max(2, *settings.slit_deg))
    expected = solve.listed(line_list, mask, first, frame.shape)
    solved = solve.refine(frame, expected, first, gates=arc_steps.gates(settings, arm), **steps)
    if settings.bootstrap_dispersion_solution:
        solved = arc_atlas.with_atlas(solved, frame, mask, steps, arm, name)
    arc_steps.require_light(solved.lines, name)
    arc_steps.check(solved, line_list, arm, name)
    few = {n: count for n, count in _pinholes_per_order(solved).items() if count < len(mask.slit)}
    if few:
        told = ", ".join(f"{arm.orders[n].label}: {count}" for n, count in few.items())
        raise DataError(
            f"{name}: not all {len(mask.slit)} pinholes are seen in every order ({told})",
            hint="is the multi-pinhole mask in the beam, and are all orders lit?",
        )
    return solved


def _pinholes_per_order(solved: solve.Solved) -> dict[int, int]:
    """How many different pinholes are used in each order."""
    lines, used = solved.lines, solved.fit.used
    return {
        int(n): len(np.unique(lines.slit_index[used & (lines.order == n)]))
        for n in np.unique(lines.order)
    }


def _polynomials(
    solved: solve.Solved, settings: SpatSolutionSettings, arm: Arm
) -> tuple[PolynomialTable, PolynomialTable]:
    return export.dispersion_polynomials(
        solved.solution,
        order_deg=settings.order_deg,
        wavelength_deg=settings.wavelength_deg,
        slit_deg=settings.slit_deg,
        slits=np.asarray(arm.pinholes),
    )
