"""Arc lines and the dispersion solution: what was found, how well it fits, how sharp the lines are."""

from typing import TYPE_CHECKING, Any

import numpy as np

from soxspipe.datamodel.frame import Frame
from soxspipe.datamodel.geometry import PixelMap
from soxspipe.instrument.arms import Arm
from soxspipe.maths.robust import mad_sigma
from soxspipe.qc import drawing, pixel_grid, plot_arc_widths, style
from soxspipe.science.wavelength.solve import Solved

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Size of a close-up: pixels across dispersion, along it.
_CLOSE_UP = (64, 130)


@style.drawn
def solution(
    frame: Frame,
    solved: Solved,
    arm: Arm,
    pixel_map: PixelMap | None = None,
    slit_fwhm: np.ndarray | None = None,
) -> "Figure":
    """Lines on the frame, residuals, resolution and widths; with a pixel map its grid, too, and with a
    slit arc the widths (n,) of its lines, pixels.

    frame : (ny, nx) the arc, electrons. Residuals are measured minus fitted position.
    """
    what = "dispersion solution" if pixel_map is None else "dispersion and spatial solution"
    frames = style.frame_rows(arm, 1 if pixel_map is None else 2)
    close_ups: list[style.Row] = [] if pixel_map is None else [(1.9, (1.0, 1.0, 1.0))]
    plots: list[style.Row] = [(1.45, (2.6, 1.0)), (1.45, (2.6, 1.0)), (1.7, (2.6, 1.0))]
    maps: list[style.Row] = [(1.7, (1.0, 1.0))]
    rows = [*frames, *close_ups, *plots, *maps]
    # side by side, the key of the frame takes two lines
    figure, panels = style.page(
        style.heading(arm, what), rows, top=0.6 if len(frames[0][1]) == 1 else 0.78
    )

    image = arm.along_rows(np.where(frame.good, frame.data, np.nan))
    noise = mad_sigma(image[::7, ::5])
    noise = noise if noise > 0 else 1.0
    lit = _lit_rows(solved, arm, image.shape[0])
    pictures = style.flat_list(panels[: len(frames)])
    _frame(pictures[0], image, noise, lit, solved, arm)
    if pixel_map is not None:
        _grid(pictures[1], image, noise, lit, pixel_map, arm)
        for panel, share in zip(panels[len(frames)], (0.15, 0.5, 0.85), strict=True):
            _close_up(panel, image, noise, share, solved, pixel_map, arm)

    colours = style.order_colours(int(n) for n in np.unique(solved.lines.order))
    (res_x, cloud), (res_y, widths), (resolution, counts), (sharpness, slit) = panels[-4:]
    _residuals(res_x, solved, "x", colours)
    _residuals(res_y, solved, "y", colours)
    _cloud(cloud, solved, colours)
    plot_arc_widths.histogram(widths, solved)
    plot_arc_widths.resolution(resolution, solved, colours, arm)
    bars = [(where, colour) for _, where, colour, _ in _kinds(solved)]
    drawing.order_bars(
        counts, solved.lines.order, colours, arm, (bars[1], bars[2], bars[3], bars[0])
    )
    counts.set_title("images: used, rejected, not measured")
    plot_arc_widths.width_map(sharpness, solved, arm)
    if slit_fwhm is None:
        plot_arc_widths.width_along(slit, solved, solved.lines.width, colours, "pinhole")
    else:
        plot_arc_widths.width_along(slit, solved, slit_fwhm, colours, "slit")
        plot_arc_widths.slit_resolution(resolution, solved, slit_fwhm, arm)
    return figure


def _lit_rows(solved: Solved, arm: Arm, size: int) -> slice:
    """Rows across dispersion that hold the lines, and some more."""
    across = arm.dispersion_and_slit(solved.fit.x, solved.fit.y)[1]
    across = across[np.isfinite(across)]
    if across.size == 0:
        return slice(0, size)
    low, high = int(across.min()) - 60, int(across.max()) + 60
    return slice(max(low, 0), min(high, size)) if high > 0 and low < size else slice(0, size)


def _sharp(
    panel: "Axes", image: np.ndarray, noise: float, *, brightest: float = 99.7, **options: Any
) -> None:
    """A detector image stretched to show faint lines beside bright ones."""
    top = max(style.robust_limits(image, 1, brightest)[1], 20 * noise)
    soft = max(3 * noise, 0.02 * top)
    drawing.show(panel, image, (-1.5 * noise, top), colours="gray_r", softening=soft, **options)


def _kinds(solved: Solved) -> list[tuple[str, np.ndarray, str, str]]:
    """Label, selection, colour and marker of lines used, rejected and missing."""
    found, used = solved.lines.detected, solved.fit.used
    return [
        ("not seen", ~found & ~solved.lines.seen, style.STEEL, "+"),
        ("used", found & used, style.GREEN, "."),
        ("rejected by the fit", found & ~used, style.RED, "x"),
        ("blended, saturated or odd", ~found & solved.lines.seen, style.BLUE, "x"),
    ]


def _mark(panel: "Axes", solved: Solved, arm: Arm, size: float, *, filled: bool = False) -> None:
    lines, fit = solved.lines, solved.fit
    x = np.where(lines.detected, lines.x, fit.x)
    y = np.where(lines.detected, lines.y, fit.y)
    along, across = arm.dispersion_and_slit(x, y)
    for label, where, colour, marker in _kinds(solved):
        shape = "o" if filled and marker == "." else marker
        drawing.marks(panel, along[where], across[where], shape, colour, size=size, label=label)


def _frame(
    panel: "Axes", image: np.ndarray, noise: float, lit: slice, solved: Solved, arm: Arm
) -> None:
    _sharp(panel, image[lit], noise, origin=(lit.start, 0))
    limits = panel.get_xlim(), panel.get_ylim()
    _mark(panel, solved, arm, 3.0 if len(solved.lines) < 1500 else 1.8)
    panel.set(xlim=limits[0], ylim=limits[1])
    drawing.key(panel, 4 if drawing.inches(panel)[1] > 6.0 else 2)
    style.detector_labels(panel, arm, "")


def _grid(
    panel: "Axes", image: np.ndarray, noise: float, lit: slice, pixel_map: PixelMap, arm: Arm
) -> None:
    _sharp(panel, image[lit], noise, origin=(lit.start, 0))
    limits = panel.get_xlim(), panel.get_ylim()
    slits = np.array([-0.4, -0.2, 0.0, 0.2, 0.4]) * arm.slit_length
    step = pixel_grid.draw(panel, pixel_map, arm, slits=slits)
    panel.set(xlim=limits[0], ylim=limits[1])
    positions = ", ".join(f"{s:g}" for s in slits)
    style.detector_labels(
        panel, arm, f"pixel map: wavelength every {step:g} nm, slit at {positions} arcsec"
    )


def _close_up(
    panel: "Axes",
    image: np.ndarray,
    noise: float,
    share: float,
    solved: Solved,
    pixel_map: PixelMap,
    arm: Arm,
) -> None:
    """Spots of a line of the middle order, `share` of the way through its lines, with the map."""
    numbers = np.unique(solved.lines.order)
    mine = np.flatnonzero(solved.fit.used & (solved.lines.order == numbers[len(numbers) // 2]))
    if mine.size == 0:
        style.note(panel, "no line used in this order")
        return
    sort = mine[np.argsort(solved.lines.wavelength[mine])]
    wavelength = solved.lines.wavelength[sort[int(share * (sort.size - 1))]]
    line = mine[solved.lines.wavelength[mine] == wavelength]
    along, across = arm.dispersion_and_slit(solved.fit.x[line], solved.fit.y[line])
    corner = [
        int(np.clip(np.rint(np.mean(z)) - size // 2, 0, max(n - size, 0)))
        for z, size, n in zip((across, along), _CLOSE_UP, image.shape, strict=True)
    ]
    window = tuple(slice(c, c + size) for c, size in zip(corner, _CLOSE_UP, strict=True))
    _sharp(panel, image[window], noise, brightest=100, origin=(corner[0], corner[1]))
    limits = panel.get_xlim(), panel.get_ylim()
    step = pixel_grid.draw(
        panel, pixel_map, arm, slits=np.asarray(arm.pinholes), window=window, stride=1
    )
    _mark(panel, solved, arm, 2.4, filled=True)
    panel.set(xlim=limits[0], ylim=limits[1])
    label = style.label_of(arm, int(solved.lines.order[line[0]]))
    style.detector_labels(
        panel, arm, f"order {label}, {wavelength:.1f} nm; grid: {step:g} nm, pinholes"
    )


def _residuals(panel: "Axes", solved: Solved, axis: str, colours: dict[int, Any]) -> None:
    lines, fit = solved.lines, solved.fit
    residual = getattr(lines, axis) - getattr(fit, axis)
    reach = _reach(residual[fit.used])
    drawn_at = np.clip(residual, -0.95 * reach, 0.95 * reach)
    drawing.dots(panel, lines.wavelength, drawn_at, lines.order, fit.used, colours)
    out = lines.detected & ~fit.used
    panel.plot(
        lines.wavelength[out],
        drawn_at[out],
        "x",
        color=style.RED,
        markersize=3,
        markeredgewidth=0.6,
        rasterized=True,
    )
    panel.axhline(0.0, color=style.DARK, linewidth=0.5)
    panel.set(ylim=(-reach, reach), ylabel=f"residual in {axis} [pixel]", xlabel="wavelength [nm]")
    spread = style.spread_note(residual[fit.used], "pixel")
    panel.set_title(f"{axis}: {spread}; crosses: rejected; outliers drawn at the edge")


def _reach(residual: np.ndarray) -> float:
    """Half height of a residual panel."""
    finite = np.abs(residual[np.isfinite(residual)])
    return max(float(np.percentile(finite, 99.5)) * 1.4, 0.02) if finite.size else 1.0


def _cloud(panel: "Axes", solved: Solved, colours: dict[int, Any]) -> None:
    lines, fit = solved.lines, solved.fit
    dx, dy = lines.x - fit.x, lines.y - fit.y
    drawing.dots(panel, dx, dy, lines.order, fit.used, colours)
    reach = max(_reach(dx[fit.used]), _reach(dy[fit.used]))
    panel.axhline(0.0, color=style.DARK, linewidth=0.5)
    panel.axvline(0.0, color=style.DARK, linewidth=0.5)
    panel.set(xlim=(-reach, reach), ylim=(-reach, reach))
    panel.set(xlabel="residual in x [pixel]", ylabel="residual in y [pixel]")
    if fit.used.any():
        panel.set_title(f"sd {np.std(dx[fit.used]):.3f}, {np.std(dy[fit.used]):.3f} pixel")
