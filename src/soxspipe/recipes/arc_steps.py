"""Steps, products and metrics that disp_solution and spat_solution share."""

from collections.abc import Mapping

import numpy as np
from astropy import units as u
from astropy.table import Table

from soxspipe.datamodel.arc_lines import ArcLines, LineFit
from soxspipe.datamodel.metric import Limits, Metric
from soxspipe.instrument.arms import Arm
from soxspipe.recipes.quality import spread
from soxspipe.recipes.recipe import Plot, Product
from soxspipe.science.wavelength.dispersion import evaluate, scale_at
from soxspipe.science.wavelength.solve import Solved

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


PLOTS = (Plot("DISP_MAP_RES", "_RESIDUALS.pdf", "lines found and missed, residuals, resolution"),)


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
        Metric(k, unit, meaning, ranges.get(k, {}), in_pixels=k.startswith("FWHM"))
        for k, unit, meaning in declared
    )


def values(solved: Solved, arm: Arm) -> dict[str, float]:
    """Measured values by keyword."""
    lines, fit = solved.lines, solved.fit
    found, used = lines.detected, fit.used
    res_x, res_y = (lines.x - fit.x)[used], (lines.y - fit.y)[used]
    start = evaluate(solved.start, lines, found)
    off_x, off_y = (start.x - lines.x)[found], (start.y - lines.y)[found]
    resolution = lines.wavelength / (
        lines.width * scale_at(solved.solution, lines, arm.dispersion_axis)
    )
    result = {
        "DETLINES TOT": len(lines),
        "DETLINES NUM": int(lines.seen.sum()),
        "DETLINES FRAC": float(lines.seen.mean()),
        "DETLINES CLIP NUM": int((lines.seen & ~used).sum()),
        "GOODLINES FRAC": float(used.mean()),
        **spread("X RES", res_x),
        **spread("Y RES", res_y),
        **spread("XY RES", np.hypot(res_x, res_y)),
    }
    for name, off in (("X", off_x), ("Y", off_y), ("XY", np.hypot(off_x, off_y))):
        result[f"{name} DIFF MEDIAN"] = float(np.median(off))
        result[f"{name} DIFF SD"] = float(np.std(off))
    result |= {
        "X SHIFT": float(np.median((lines.x - lines.predicted_x)[found])),
        "Y SHIFT": float(np.median((lines.y - lines.predicted_y)[found])),
        "FWHM PIN MEDIAN": float(np.median(lines.fwhm[used])),
        "FWHM PIN SD": float(np.std(lines.fwhm[used])),
        "R PIN MEDIAN": float(np.nanmedian(resolution[used])),
        "R PIN SD": float(np.nanstd(resolution[used])),
    }
    return result


def fitted_table(solved: Solved, arm: Arm) -> Table:
    """One row per detected pinhole image, columns as documented."""
    lines, fit = solved.lines.select(solved.lines.detected), solved.fit
    start = evaluate(solved.start, lines, lines.detected)
    kept = LineFit(*(getattr(fit, k)[solved.lines.detected] for k in ("x", "y", "used")))
    scale = scale_at(solved.solution, lines, arm.dispersion_axis)
    px = u.pix
    columns = {
        "wavelength": lines.wavelength * u.nm,
        "order": lines.order.astype("i2"),
        "slit_index": lines.slit_index.astype("i2"),
        "slit_position": lines.slit * u.arcsec,
        "detector_x": lines.predicted_x * px,
        "detector_y": lines.predicted_y * px,
        "detector_x_shifted": start.x * px,
        "detector_y_shifted": start.y * px,
        "observed_x": lines.x * px,
        "observed_y": lines.y * px,
        "observed_x_error": lines.x_error * px,
        "observed_y_error": lines.y_error * px,
        "x_diff": (start.x - lines.x) * px,
        "y_diff": (start.y - lines.y) * px,
        "fit_x": kept.x * px,
        "fit_y": kept.y * px,
        "residuals_x": (lines.x - kept.x) * px,
        "residuals_y": (lines.y - kept.y) * px,
        "residuals_xy": np.hypot(lines.x - kept.x, lines.y - kept.y) * px,
        "sigma_clipped": ~kept.used,
        "chi2": lines.chi2,
        "sky": lines.background * u.electron,
        "peak": lines.peak * u.electron,
        "flux": lines.counts * u.electron,
        "fwhm_pin_px": lines.fwhm * px,
        "width_px": lines.width * px,
        "R_pin": lines.wavelength / (lines.width * scale),
        "pixelScaleNm": scale * u.nm / px,
    }
    return Table(columns, meta={"EXTNAME": "FITTED_LINES"})


def missed_table(lines: ArcLines) -> Table:
    """One row per listed pinhole image that was not detected."""
    missed = lines.select(~lines.detected)
    return Table(
        {
            "wavelength": missed.wavelength * u.nm,
            "order": missed.order.astype("i2"),
            "slit_index": missed.slit_index.astype("i2"),
            "slit_position": missed.slit * u.arcsec,
            "detector_x": missed.predicted_x * u.pix,
            "detector_y": missed.predicted_y * u.pix,
        },
        meta={"EXTNAME": "MISSED_LINES"},
    )
