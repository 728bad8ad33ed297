"""What disp_solution and spat_solution say of their lines: quality values and tables."""

from collections.abc import Sequence

import numpy as np
from astropy import units as u
from astropy.table import Table

from soxspipe.datamodel.arc_lines import LineFit, LineState
from soxspipe.datamodel.metric import Measurement, Metric
from soxspipe.instrument.arms import Arm
from soxspipe.qc import plot_arc_widths
from soxspipe.recipes.quality import per_order, spread
from soxspipe.science.wavelength.adjustment import expected_scatter
from soxspipe.science.wavelength.dispersion import evaluate, scale_at
from soxspipe.science.wavelength.solve import Solved


def values(solved: Solved, arm: Arm) -> dict[str, float]:
    """Measured values of the whole frame by keyword."""
    lines = solved.lines
    found = lines.detected
    result = _counts(solved) | _measured(solved, arm, np.ones(len(lines), dtype=bool))
    for name, shift in (("X", lines.x - lines.predicted_x), ("Y", lines.y - lines.predicted_y)):
        result[f"{name} SHIFT"] = float(np.median(shift[found])) if found.any() else np.nan
    return result


def values_per_order(
    solved: Solved, metrics: Sequence[Metric], arm: Arm
) -> tuple[Measurement, ...]:
    """The same by order, all but the counts; recorded, not judged."""
    numbers = [int(n) for n in np.unique(solved.lines.order)]
    parts = {n: _measured(solved, arm, solved.lines.order == n) for n in numbers}
    return tuple(
        measurement
        for keyword in next(iter(parts.values()))
        for measurement in per_order(
            metrics, keyword, {n: part[keyword] for n, part in parts.items()}, arm
        )
    )


def _counts(solved: Solved) -> dict[str, float]:
    """Numbers of lines of the list; what an atlas adds does not count."""
    seen, used = solved.lines.seen[solved.listed], solved.fit.used[solved.listed]
    return {
        "DETLINES TOT": len(seen),
        "DETLINES NUM": int(seen.sum()),
        "DETLINES CLIP NUM": int((seen & ~used).sum()),
    }


def _measured(solved: Solved, arm: Arm, where: np.ndarray) -> dict[str, float]:
    """Residuals, distances from the start, widths and resolution of the lines `where` (n,)."""
    lines, fit = solved.lines, solved.fit
    found, used = lines.detected & where, fit.used & where
    res_x, res_y = (lines.x - fit.x)[used], (lines.y - fit.y)[used]
    listed = where & solved.listed
    start = evaluate(solved.start, lines, found)
    off_x, off_y = (start.x - lines.x)[found], (start.y - lines.y)[found]
    result = {
        "DETLINES FRAC": float(lines.seen[listed].mean()),
        "GOODLINES FRAC": float(fit.used[listed].mean()),
        **spread("X RES", res_x),
        **spread("Y RES", res_y),
        **spread("XY RES", np.hypot(res_x, res_y)),
    }
    for name, off in (
        ("X DIFF", off_x),
        ("Y DIFF", off_y),
        ("XY DIFF", np.hypot(off_x, off_y)),
        ("FWHM PIN", lines.fwhm[used]),
        ("R PIN", plot_arc_widths.resolving_power(solved, arm)[used]),
    ):
        finite = off[np.isfinite(off)]
        result[f"{name} MEDIAN"] = float(np.median(finite)) if finite.size else np.nan
        result[f"{name} SD"] = float(np.std(finite)) if finite.size else np.nan
    return result


def fitted_table(solved: Solved, arm: Arm, slit_fwhm: np.ndarray | None = None) -> Table:
    """One row per detected pinhole image, columns as documented.

    slit_fwhm : FWHM (n,) of all listed lines through the slit, pixels, if there was a slit arc.
    """
    found = solved.lines.detected
    if slit_fwhm is None:
        slit_fwhm = np.full(len(found), np.nan)
    lines, fit = solved.lines.select(found), solved.fit
    start = evaluate(solved.start, lines, lines.detected)
    kept = LineFit(*(getattr(fit, k)[found] for k in ("x", "y", "used")))
    allowed = expected_scatter(lines, solved.scatter)
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
        "listed": solved.listed[found],
        "chi2": lines.chi2,
        "sharpness": lines.sharpness,
        "roundness1": lines.roundness1,
        "roundness2": lines.roundness2,
        "npix": lines.npix,
        "sky": lines.background * u.electron,
        "peak": lines.peak * u.electron,
        "flux": lines.counts * u.electron,
        "fwhm_pin_px": lines.fwhm * px,
        "width_px": lines.width * px,
        "R_pin": lines.wavelength / (lines.width * scale),
        "pixelScaleNm": scale * u.nm / px,
        "fwhm_slit_px": slit_fwhm[found] * px,
        "R_slit": lines.wavelength / (slit_fwhm[found] * scale),
        "expected_x_scatter": allowed[0] * px,
        "expected_y_scatter": allowed[1] * px,
    }
    return Table(columns, meta={"EXTNAME": "FITTED_LINES"})


def missed_table(solved: Solved) -> Table:
    """One row per listed pinhole image (or one of the atlas) that was not detected, with the reason."""
    out = ~solved.lines.detected
    missed = solved.lines.select(out)
    return Table(
        {
            "wavelength": missed.wavelength * u.nm,
            "order": missed.order.astype("i2"),
            "slit_index": missed.slit_index.astype("i2"),
            "slit_position": missed.slit * u.arcsec,
            "detector_x": missed.predicted_x * u.pix,
            "detector_y": missed.predicted_y * u.pix,
            "listed": solved.listed[out],
            "reason": np.array([LineState(int(s)).words for s in missed.state], dtype="U12"),
        },
        meta={"EXTNAME": "MISSED_LINES"},
    )
