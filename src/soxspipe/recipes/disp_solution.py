"""disp_solution: first dispersion solution, from an arc through the single pinhole."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from soxspipe.instrument.arms import Arm
from soxspipe.instrument.headers import FrameKind
from soxspipe.instrument.line_lists import arc_lines
from soxspipe.instrument.spectral_format import nominal
from soxspipe.io.geometry_tables import DispersionProduct
from soxspipe.qc import plot_arcs
from soxspipe.recipes import arc_atlas, arc_results, arc_steps
from soxspipe.recipes.lamp import LampInputs, lamp_light
from soxspipe.recipes.quality import TEMPERATURES, judged, temperatures
from soxspipe.recipes.recipe import Product, Raw, RawFrame, Result, recipe
from soxspipe.science.wavelength import export, solve
from soxspipe.settings import DispSolutionSettings


@dataclass(frozen=True)
class Inputs(LampInputs):
    """What disp_solution takes."""

    arc: Annotated[tuple[RawFrame, ...], Raw((FrameKind.PINHOLE_ARC,))]


METRICS = (
    *arc_steps.metrics(
        {
            "DETLINES FRAC": {"VIS": (0.9, 1.01), "NIR": (0.9, 1.01)},
            "X RES MEDIAN": {"VIS": (0.0, 0.15), "NIR": (0.0, 0.35)},
            "X RES SD": {"VIS": (0, 0.4), "NIR": (0, 1.0)},
            "Y RES MEDIAN": {"VIS": (0.0, 0.9), "NIR": (0.0, 0.13)},
            "Y RES SD": {"VIS": (0, 1.2), "NIR": (0, 0.25)},
            "XY RES MEDIAN": {"NIR": (0, 0.4)},
            "XY RES SD": {"VIS": (0, 1.5), "NIR": (0, 1.0)},
            "X DIFF SD": {"VIS": (0, 3.0), "NIR": (0, 1.3)},
            "Y DIFF SD": {"VIS": (0, 10.0), "NIR": (0, 1.5)},
            "XY DIFF MEDIAN": {"NIR": (0, 6.0)},
            "XY DIFF SD": {"NIR": (0, 1.9)},
            "FWHM PIN MEDIAN": {"VIS": (1.6, 1.75), "NIR": (1.75, 1.89)},
            "FWHM PIN SD": {"VIS": (0.1, 0.2), "NIR": (0, 0.211)},
        },
        "single-pinhole",
    ),
    *TEMPERATURES,
)


@recipe(
    "disp_solution",
    folder="soxs-disp-solution",
    title="First dispersion solution",
    inputs=Inputs,
    settings=DispSolutionSettings,
    products=(
        Product(
            "DISP_MAP", ".fits", "DISP_TAB", "ECHELLE,PINHOLE", "wavelength and order to pixel"
        ),
        *arc_steps.line_products("ECHELLE,PINHOLE"),
    ),
    plots=arc_steps.PLOTS,
    metrics=METRICS,
    type_codes={FrameKind.PINHOLE_ARC: "DSOL"},
)
def disp_solution(inputs: Inputs, settings: DispSolutionSettings, arm: Arm) -> Result:
    """Register the arc against the design, measure its lines, fit the solution."""
    frame = lamp_light(inputs.arc, inputs, arm)[0]
    design, line_list = nominal(arm), arc_lines(arm)
    middle = len(arm.pinholes) // 2
    mask = solve.Mask((0.0,), (middle,))
    expected = solve.listed(line_list, mask, design, frame.shape)
    name = f"{arm.instrument} {arm.name} {inputs.arc[0].info.file}"
    start = solve.register_design(
        frame,
        expected,
        design,
        independent=arm.bands_move_independently,
        sigma_limit=settings.pinhole_detection_thres_sigma,
        name=name,
    )
    steps = arc_steps.steps(settings, arm, slit_degree=0)
    solved = solve.refine(frame, expected, start, gates=arc_steps.gates(settings, arm), **steps)
    if settings.bootstrap_dispersion_solution:
        solved = arc_atlas.with_atlas(solved, frame, mask, steps, arm, name)
    arc_steps.require_light(solved.lines, name)
    arc_steps.check(solved, line_list, arm, name)
    polynomials = export.dispersion_polynomials(
        solved.solution,
        order_deg=settings.order_deg,
        wavelength_deg=settings.wavelength_deg,
        slit_deg=(0, 0),
        slits=np.zeros(1),
    )
    values = arc_results.values(solved, arm) | temperatures([inputs.arc[0].info])
    return Result(
        products={
            "DISP_MAP": DispersionProduct(solved.solution, polynomials),
            "DISP_MAP_LINES": arc_results.fitted_table(solved, arm),
            "DISP_MAP_LINES_MISSING": arc_results.missed_table(solved),
        },
        measurements=(
            *judged(METRICS, values, settings, arm),
            *arc_results.values_per_order(solved, METRICS, arm),
        ),
        figures={"DISP_MAP_RES": lambda: plot_arcs.solution(frame, solved, arm)},
        names={"degrees": arc_steps.degrees_of(polynomials)},
    )
