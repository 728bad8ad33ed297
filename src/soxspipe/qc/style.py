"""What all figures share: colours, page, and images that keep the files small.

matplotlib is imported by the functions that need it: recipes import these modules, and a recipe that
is only asked for its name or its inputs should not wait for a plotting library.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
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

#: Image pixels per inch on the page: more only makes the file large.
_DENSITY = 110.0

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
    "axes.formatter.limits": (-4, 5),
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
    title: str, rows: Sequence[Row], *, width: float = 11.0, gap: float = 0.62
) -> "tuple[Figure, list[list[Axes]]]":
    """A page with a title and rows of panels, placed in inches; no layout engine, which is slow."""
    from matplotlib.figure import Figure

    left, right, top, bottom, between = 0.75, 0.6, 0.6, 0.5, 0.85
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
    side by side where it is square."""
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


def block_means(image: np.ndarray, rows: int, columns: int) -> tuple[np.ndarray, tuple[int, int]]:
    """Mean over blocks of pixels, finite values only, so that no more than (rows, columns) are left.

    Returns the means, NaN where a block holds nothing finite, and the size of a block (rows, columns).
    """
    step_y, step_x = (max(1, -(-n // m)) for n, m in zip(image.shape, (rows, columns), strict=True))
    ny, nx = image.shape[0] // step_y, image.shape[1] // step_x
    blocks = image[: ny * step_y, : nx * step_x].reshape(ny, step_y, nx, step_x)
    if np.isfinite(blocks).all():
        return blocks.mean(axis=(1, 3), dtype="f4"), (step_y, step_x)
    finite = np.isfinite(blocks)
    count = finite.sum(axis=(1, 3))
    total = np.where(finite, blocks, 0.0).sum(axis=(1, 3))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan), (step_y, step_x)


def show(
    panel: "Axes",
    image: np.ndarray,
    limits: tuple[float, float],
    *,
    colours: str = "gray",
    softening: float | None = None,
    scale: str | None = None,
    origin: tuple[int, int] = (0, 0),
    most: tuple[int, int] | None = None,
) -> None:
    """Draw `image` (rows, columns), pixel centres at integers from `origin` (row, column) on.

    softening : asinh stretch, linear up to about this value; linear throughout if None.
    scale : label of a colour bar; none is drawn if None.
    most : (rows, columns) of the image as drawn; as many as the page can show if None.
    """
    import matplotlib as mpl
    from matplotlib.colors import AsinhNorm, Normalize

    if most is None:
        box = panel.get_position().size * panel.figure.get_size_inches()
        most = int(box[1] * _DENSITY), int(box[0] * _DENSITY)
    values, (step_y, step_x) = block_means(image, *most)
    row, column = origin[0] - 0.5, origin[1] - 0.5
    extent = (
        column,
        column + values.shape[1] * step_x,
        row,
        row + values.shape[0] * step_y,
    )
    norm = (
        Normalize(*limits)
        if softening is None
        else AsinhNorm(vmin=limits[0], vmax=limits[1], linear_width=softening)
    )
    # fewer shades: noise hardly compresses, and the eye does not tell more
    shades = mpl.colormaps[colours].resampled(48).with_extremes(bad="#B0C4DE")
    drawing = panel.imshow(values, norm=norm, cmap=shades, extent=extent)
    if scale is not None:
        bar = panel.figure.colorbar(drawing, cax=panel.inset_axes((1.008, 0.0, 0.009, 1.0)))
        bar.ax.tick_params(labelsize=7, direction="out", length=2, pad=1)
        bar.set_label(scale, fontsize=7.5)


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


def dots(
    panel: "Axes",
    x: np.ndarray,
    y: np.ndarray,
    order: np.ndarray,
    where: np.ndarray,
    colours: Mapping[int, Any],
) -> None:
    """Small dots in the colours of their orders, as one picture; all arrays (n,)."""
    from matplotlib.colors import to_rgba

    where = where & np.isfinite(x) & np.isfinite(y)
    if not where.any():
        return
    shades = [to_rgba(colours[int(n)]) for n in order[where]]
    panel.scatter(x[where], y[where], s=4, c=shades, linewidths=0, alpha=0.7, rasterized=True)


def order_bars(
    panel: "Axes",
    order: np.ndarray,
    colours: Mapping[int, Any],
    arm: Arm,
    kinds: Iterable[tuple[np.ndarray, str]],
) -> None:
    """How many of each kind (selection (n,), colour) there are in each order, stacked."""
    place, base = np.arange(len(colours)), np.zeros(len(colours))
    for where, colour in kinds:
        count = np.array([np.count_nonzero(where & (order == n)) for n in colours], dtype="f8")
        panel.bar(place, count, 0.8, bottom=base, color=colour)
        base += count
    panel.set_xticks(place, [label_of(arm, n) for n in colours], size=7)
    panel.tick_params(axis="x", length=0)
    panel.set(xlabel="order", ylim=(0, max(base.max(initial=0.0), 1.0) * 1.1))


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
