"""Steps, products and metrics that disp_solution and spat_solution share."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from soxspipe.datamodel.arc_lines import ArcLines, LineList, LineState
from soxspipe.datamodel.metric import Limits, Metric
from soxspipe.datamodel.polynomial_table import PolynomialTable
from soxspipe.errors import DataError
from soxspipe.instrument.arms import Arm
from soxspipe.instrument.spectral_format import nominal
from soxspipe.recipes.recipe import Plot, Product
from soxspipe.science.wavelength import judge, lamps
from soxspipe.science.wavelength.corrections import Degrees
from soxspipe.science.wavelength.dispersion import FitOptions
from soxspipe.science.wavelength.solve import Solved
from soxspipe.settings import DispSolutionSettings, SpatSolutionSettings

log = logging.getLogger(__name__)

#: Highest degree along wavelength of the corrections to the design, and degree in order number of the
#: part that orders of one echelle share.
_HIGHEST, _SHARED = 8, 4
#: The search narrows to these shares of the first distance from round to round.
_NARROWING = (1.0, 0.5, 0.25)

Ranges = Mapping[str, Mapping[str, Limits]]


def line_products(tech: str) -> tuple[Product, ...]:
    """Tables of the lines found and missed, for the qc folder; `tech` is their PRO TECH."""
    return (
        Product("DISP_MAP_LINES", "_FITTED_LINES.fits", "", tech, "detected arc lines", group="qc"),
        Product(
            "DISP_MAP_LINES_MISSING",
            "_MISSED_LINES.fits",
            "",
            tech,
            "listed lines that were not detected",
            group="qc",
        ),
    )


PLOTS = (
    Plot(
        "DISP_MAP_RES",
        "_RESIDUALS_{degrees}.pdf",
        "lines found and missed, residuals, resolution; named after the degrees of the polynomial",
    ),
)


def metrics(ranges: Ranges, mask: str) -> tuple[Metric, ...]:
    """The metrics of a dispersion solution; `ranges` by keyword and arm."""
    declared = [
        ("DETLINES TOT", "", f"pinhole images in the {mask} list"),
        ("DETLINES NUM", "", "pinhole images seen, blended ones included"),
        ("DETLINES FRAC", "", "detected / listed"),
        ("DETLINES CLIP NUM", "", "seen, but blended or rejected by the fit"),
        ("GOODLINES FRAC", "", "detected and kept / listed"),
    ]
    for axis in ("X", "Y", "XY"):
        declared += [
            (f"{axis} RES MIN", "px", f"smallest {axis} residual"),
            (f"{axis} RES MAX", "px", f"largest {axis} residual"),
            (f"{axis} RES MEDIAN", "px", f"median absolute {axis} residual"),
            (f"{axis} RES SD", "px", f"standard deviation of {axis} residuals"),
        ]
    for axis in ("X", "Y", "XY"):
        declared += [
            (f"{axis} DIFF MEDIAN", "px", f"median of registered design - observed, {axis}"),
            (f"{axis} DIFF SD", "px", "its standard deviation"),
        ]
    declared += [
        ("X SHIFT", "px", "median shift of the frame against the design, X"),
        ("Y SHIFT", "px", "median shift of the frame against the design, Y"),
        ("FWHM PIN MEDIAN", "px", "median FWHM of the pinhole images"),
        ("FWHM PIN SD", "px", "its standard deviation"),
        ("R PIN MEDIAN", "", "median resolution through the pinhole"),
        ("R PIN SD", "", "its standard deviation"),
    ]
    return tuple(
        Metric(k, unit, meaning, ranges.get(k, {}), in_pixels=k.startswith(("FWHM", "GOODLINES")))
        for k, unit, meaning in declared
    )


def options_of(
    settings: DispSolutionSettings | SpatSolutionSettings, arm: Arm, *, slit_degree: int
) -> FitOptions:
    """How the solution is fitted. Degrees other than the default ones are taken as they are."""
    slit = settings.slit_deg if isinstance(settings, SpatSolutionSettings) else (0, 0)
    given = Degrees(settings.order_deg, settings.wavelength_deg, slit)
    usual = type(settings).defaults(arm.name)
    same = all(
        getattr(settings, name) == getattr(usual, name)
        for name in ("order_deg", "wavelength_deg", "slit_deg")
        if hasattr(usual, name)
    )
    options = FitOptions(
        wavelength_degree=_HIGHEST,
        slit_degree=slit_degree,
        sigma=settings.poly_fitting_residual_clipping_sigma,
        rounds=settings.poly_clipping_iteration_limit,
        order_degree=None if arm.bands_move_independently else _SHARED,
        fixed=None if same else given,
    )
    if not isinstance(settings, SpatSolutionSettings):
        return options
    return replace(
        options,
        least_holes=settings.mph_line_set_min,
        whole_sets=settings.poly_clipping_pinhole_sets,
    )


def steps(
    settings: DispSolutionSettings | SpatSolutionSettings, arm: Arm, *, slit_degree: int
) -> dict[str, Any]:
    """How lines are measured and fitted: arguments that `solve.refine` and its kin share."""
    return {
        "dispersion_axis": arm.dispersion_axis,
        "independent": arm.bands_move_independently,
        "binning": arm.binning,
        "sigma_limit": settings.pinhole_detection_thres_sigma,
        "design": nominal(arm),
        "options": options_of(settings, arm, slit_degree=slit_degree),
    }


def gates(settings: DispSolutionSettings | SpatSolutionSettings, arm: Arm) -> tuple[float, ...]:
    """Farthest distance of a spot from its prediction, round by round, in binned pixels: at first half
    the window.
    """
    half = 0.5 * settings.pixel_window_size / max(arm.binning)
    return tuple(half * share for share in _NARROWING)


def require_light(lines: ArcLines, name: str) -> None:
    """DataError if no listed line shines at all."""
    if not lines.seen.any():
        raise DataError(
            f"{name}: not one of {len(lines)} pinhole images was found",
            hint="check the raw frame: are the lamps on, is the pinhole mask in, is it exposed enough?",
        )


def check(solved: Solved, line_list: LineList, arm: Arm, name: str) -> None:
    """Report how the fit went and which lamps are dark.

    Raises DataError with the cause if the solution is not good.
    """
    dark = _dark_lamps(solved, line_list, arm)
    if solved.problems:
        judge.require_good((*dark, *solved.problems), name=name)
    for without in dark:
        log.warning("%s: %s; the solution rests on the other lines", name, without)
    log.info("%s: degrees along wavelength (x, y): %d, %d", name, *solved.degree)
    if solved.lowered:
        log.warning("%s: the degrees were lowered %d times", name, solved.lowered)


def _dark_lamps(solved: Solved, line_list: LineList, arm: Arm) -> tuple[str, ...]:
    """The arc lamps that do not shine, in words."""
    lines, used = solved.lines.select(solved.listed), solved.fit.used[solved.listed]
    key = {
        (int(n), float(w)): e
        for n, w, e in zip(
            line_list.order,
            line_list.wavelength,
            lamps.elements_of(line_list.ion),
            strict=True,
        )
    }
    element = np.array(
        [key[int(n), float(w)] for n, w in zip(lines.order, lines.wavelength, strict=True)]
    )
    # what another line hides, or a full or bad pixel, says nothing of the lamp
    tells = np.isin(lines.state, (LineState.FOUND, LineState.NOT_SEEN, LineState.DISPLACED))
    known = tells & np.array([any(e in lamp for lamp in arm.arc_lamps) for e in element])
    return tuple(
        f"no lines of {dark} (is the {next(lamp for lamp in arm.arc_lamps if dark in lamp)} lamp on?)"
        for dark in lamps.dark_elements(element[known], used[known])
    )


def degrees_of(polynomials: tuple[PolynomialTable, PolynomialTable]) -> str:
    """The degrees [x, y] in order, wavelength and slit position, as six digits: `335500`."""
    x, y = polynomials
    return "".join(
        str(digit)
        for digit in (
            x.order_deg, y.order_deg, x.wavelength_deg, y.wavelength_deg, x.slit_deg, y.slit_deg
        )
    )  # fmt: skip
