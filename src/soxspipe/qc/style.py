"""What all figures share: colours, page, and images that keep the files small.

matplotlib is imported by the functions that need it: recipes import these modules, and a recipe that
is only asked for its name or its inputs should not wait for a plotting library.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec

import numpy as np

from soxspipe.instrument.arms import Arm

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

P = ParamSpec("P")

# Okabe & Ito: told apart with every kind of colour vision.
GREEN, RED, BLUE = "#009E73", "#D55E00", "#0072B2"
ORANGE, SKY, PINK, YELLOW = "#E69F00", "#56B4E9", "#CC79A7", "#F0E442"
GREY, STEEL, DARK = "#8A8A8A", "#5A6470", "#222222"

_DISTINCT = (BLUE, ORANGE, GREEN, PINK, SKY, RED)

_STYLE = {
    "figure.dpi": 120,
    "savefig.dpi": "figure",
    "font.size": 8.5,
    "axes.titlesize": 8.5,
    "axes.titlelocation": "left",
    "axes.titlepad": 4.0,
    "axes.labelpad": 2.0,
    "axes.linewidth": 0.6,
    "axes.formatter.useoffset": False,
    "axes.formatter.limits": (-4, 6),
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 0.8,
    "legend.fontsize": 8.0,
    "legend.frameon": True,
    "legend.framealpha": 0.85,
    "legend.edgecolor": "none",
    "legend.borderpad": 0.25,
    "legend.handletextpad": 0.4,
    "legend.columnspacing": 1.0,
    "image.origin": "lower",
    "image.aspect": "auto",
    "image.interpolation": "none",
}

#: A row of a page: its height in inches, and the relative widths of its panels.
Row = tuple[float, Sequence[float]]


def drawn(function: "Callable[P, Figure]") -> "Callable[P, Figure]":
    """Draw in the house style, whatever the reader's own matplotlib settings say."""

    @wraps(function)
    def draw(*args: P.args, **kwargs: P.kwargs) -> "Figure":
        from matplotlib import style

        with style.context(["default", _STYLE]):
            return function(*args, **kwargs)

    return draw


def heading(arm: Arm, what: str) -> str:
    """`SOXS VIS: what`, with the binning if there is one."""
    binned = "" if arm.binning == (1, 1) else f" {arm.binning[0]}x{arm.binning[1]}"
    return f"{arm.instrument} {arm.name}{binned}: {what}"


def page(
    title: str, rows: Sequence[Row], *, width: float = 11.0, gap: float = 0.62, top: float = 0.6
) -> "tuple[Figure, list[list[Axes]]]":
    """A page with a title and rows of panels, placed in inches; no layout engine, which is slow.

    width, gap (between rows), top (above the first row) : inches.
    """
    from matplotlib.figure import Figure

    left, right, bottom, between = 0.75, 0.6, 0.5, 0.85
    height = top + sum(h for h, _ in rows) + gap * (len(rows) - 1) + bottom
    figure = Figure(figsize=(width, height))
    figure.text(left / width, 1 - 0.14 / height, title, size=11, weight="bold", va="top")
    panels, y = [], height - top
    for row_height, columns in rows:
        y -= row_height
        free = width - left - right - between * (len(columns) - 1)
        x, row = left, []
        for share in columns:
            w = free * share / sum(columns)
            row.append(figure.add_axes((x / width, y / height, w / width, row_height / height)))
            x += w + between
        panels.append(row)
        y -= gap
    return figure, panels


def frame_rows(arm: Arm, number: int) -> list[Row]:
    """Rows for `number` detector images: one below the other where the detector is long (VIS), two
    side by side where it is square.
    """
    if _is_long(arm):
        return [(1.75, (1.0,))] * number
    if number == 1:
        return [(5.4, (1.0,))]
    return [(4.6, (1.0, 1.0))] * (-(-number // 2))


def _is_long(arm: Arm) -> bool:
    return max(arm.shape) > 1.8 * min(arm.shape)


def flat_list(rows: "Iterable[Sequence[Axes]]") -> "list[Axes]":
    """The panels of some rows, one after the other."""
    return [panel for row in rows for panel in row]


def detector_labels(panel: "Axes", arm: Arm, title: str) -> None:
    """Title and axis names of an image with dispersion along its rows."""
    along, across = ("x", "y") if arm.dispersion_axis == "x" else ("y", "x")
    panel.set_title(title)
    panel.set_xlabel(f"{along}, along dispersion [pixel]")
    panel.set_ylabel(f"{across} [pixel]")


def robust_limits(
    values: np.ndarray, low: float = 0.5, high: float = 99.5, *, margin: float = 0.0
) -> tuple[float, float]:
    """Percentiles of the finite values, widened by `margin` of their distance; (0, 1) of nothing."""
    finite = np.asarray(values)[np.isfinite(values)]
    if finite.size == 0:
        return 0.0, 1.0
    if finite.size > 400_000:
        finite = finite[:: finite.size // 200_000]
    bottom, top = (float(v) for v in np.percentile(finite, (low, high)))
    room = margin * (top - bottom)
    if not top > bottom:
        room = 0.5 * max(abs(top), 1.0)
    return bottom - room, top + room


def order_colours(numbers: Iterable[int]) -> dict[int, Any]:
    """A colour for each order: distinct ones for a few, a sequence for many."""
    ordered = sorted(numbers)
    if len(ordered) <= len(_DISTINCT):
        return dict(zip(ordered, _DISTINCT, strict=False))
    import matplotlib as mpl

    places = np.linspace(0.0, 0.88, len(ordered))
    return {n: mpl.colormaps["viridis"](place) for n, place in zip(ordered, places, strict=True)}


def label_of(arm: Arm, number: int) -> str:
    """Label of an order; its number if the arm does not know it."""
    return arm.orders[number].label if number in arm.orders else str(number)


def note(panel: "Axes", text: str, *, corner: str = "upper left") -> None:
    """Words inside a panel."""
    vertical, horizontal = corner.split()
    panel.text(
        0.012 if horizontal == "left" else 0.988,
        0.96 if vertical == "upper" else 0.04,
        text,
        transform=panel.transAxes,
        va="top" if vertical == "upper" else "bottom",
        ha=horizontal,
        size=8,
        bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1.5},
        zorder=10,
    )


def spread_note(values: np.ndarray, unit: str) -> str:
    """Number, mean and standard deviation of the finite values, in words."""
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return "nothing measured"
    mean = round(float(finite.mean()), 3) + 0.0  # no minus zero
    return f"mean {mean:.3f}, sd {finite.std():.3f} {unit}, n = {finite.size}"


def median(values: np.ndarray) -> float:
    """Median of the finite values, NaN of nothing."""
    finite = np.asarray(values, dtype="f8")[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else float("nan")
