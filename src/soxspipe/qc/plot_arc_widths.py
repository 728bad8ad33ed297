"""How sharp arc lines are: panels of width and resolution, for `plot_arcs`."""

from typing import TYPE_CHECKING, Any

import numpy as np

from soxspipe.instrument.arms import Arm
from soxspipe.qc import drawing, style
from soxspipe.science.wavelength.dispersion import scale_at
from soxspipe.science.wavelength.solve import Solved

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def resolution(panel: "Axes", solved: Solved, colours: dict[int, Any], arm: Arm) -> None:
    """Resolution of every line, coloured by order, with the means of the orders."""
    lines, used = solved.lines, solved.fit.used
    power = resolving_power(solved, arm)
    drawing.dots(panel, lines.wavelength, power, lines.order, used, colours)
    for number, colour in colours.items():
        own = used & (lines.order == number) & np.isfinite(power)
        if not own.any():
            continue
        ends = lines.wavelength[own].min(), lines.wavelength[own].max()
        level = float(power[own].mean())
        panel.plot(ends, (level, level), color=style.DARK, linewidth=1.0)
        panel.annotate(
            style.label_of(arm, number),
            (sum(ends) / 2, 0.03),
            color=colour,
            size=8,
            weight="bold",
            ha="center",
            xycoords=("data", "axes fraction"),
        )
    panel.set(xlabel="wavelength [nm]", ylabel="R")
    low, high = style.robust_limits(power[used], 0.5, 99.5, margin=0.25)
    panel.set_ylim(max(low, 0.0), high)
    shown = power[used & np.isfinite(power)]
    middle = f", median {np.median(shown):.0f}" if shown.size else ""
    panel.set_title(
        f"resolution of each line through the pinhole{middle}; bars: means of the orders"
    )


def resolving_power(solved: Solved, arm: Arm) -> np.ndarray:
    """Wavelength over line width, (n,); the width from the fitted Gaussian along dispersion."""
    lines = solved.lines
    return lines.wavelength / (lines.width * scale_at(solved.solution, lines, arm.dispersion_axis))


def histogram(panel: "Axes", solved: Solved) -> None:
    """How often each width occurs."""
    fwhm = solved.lines.fwhm[solved.fit.used]
    fwhm = fwhm[np.isfinite(fwhm)]
    panel.set(xlabel="FWHM [pixel]", ylabel="pinhole images")
    if fwhm.size == 0:
        style.note(panel, "nothing measured")
        return
    low, high = style.robust_limits(fwhm, 0.5, 99.5, margin=0.15)
    panel.hist(fwhm, bins=40, range=(low, high), color=style.BLUE)
    panel.axvline(float(np.median(fwhm)), color=style.RED, linewidth=1.0)
    panel.set_title(f"FWHM: median {np.median(fwhm):.3f}, sd {np.std(fwhm):.3f} pixel")


def width_map(panel: "Axes", solved: Solved, arm: Arm) -> None:
    """Width along dispersion of every pinhole image, at its place on the detector."""
    lines, fit = solved.lines, solved.fit
    used = fit.used & np.isfinite(lines.width)
    panel.set_title("FWHM along dispersion of the pinhole images [pixel]")
    style.detector_labels(panel, arm, panel.get_title(loc="left"))
    if not used.any():
        style.note(panel, "nothing measured")
        return
    along, across = arm.dispersion_and_slit(fit.x[used], fit.y[used])
    low, high = style.robust_limits(lines.width[used], 1.0, 99.0)
    cloud = panel.scatter(
        along, across, c=lines.width[used], s=7, vmin=low, vmax=high, linewidths=0, rasterized=True
    )
    bar = panel.figure.colorbar(cloud, cax=panel.inset_axes((1.012, 0.0, 0.018, 1.0)))
    bar.ax.tick_params(labelsize=7, direction="out", length=2, pad=1)


def width_along(
    panel: "Axes", solved: Solved, width: np.ndarray, colours: dict[int, Any], what: str
) -> None:
    """Line width against wavelength."""
    lines = solved.lines
    shown = solved.fit.used & np.isfinite(width)
    drawing.dots(panel, lines.wavelength, width, lines.order, shown, colours)
    panel.set_xlabel("wavelength [nm]")
    if shown.any():
        panel.set_ylim(*style.robust_limits(width[shown], 0.5, 99.5, margin=0.25))
    panel.set_title(
        f"FWHM of lines through the {what}, median {style.median(width[shown]):.2f} pixel"
    )


def slit_resolution(panel: "Axes", solved: Solved, slit_fwhm: np.ndarray, arm: Arm) -> None:
    """Resolution through the slit, below that through the pinhole."""
    lines = solved.lines
    scale = scale_at(solved.solution, lines, arm.dispersion_axis)
    power = lines.wavelength / (slit_fwhm * scale)
    shown = solved.fit.used & np.isfinite(power)
    panel.plot(
        lines.wavelength[shown],
        power[shown],
        ".",
        color=style.DARK,
        markersize=1.2,
        rasterized=True,
    )
    if shown.any():
        bottom, top = panel.get_ylim()
        panel.set_ylim(min(bottom, 0.8 * float(np.percentile(power[shown], 1))), top)
        title = panel.get_title(loc="left")
        panel.set_title(f"{title}; black: through the slit, {np.median(power[shown]):.0f}")
