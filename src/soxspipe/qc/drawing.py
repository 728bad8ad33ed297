"""Images, curves and dots, reduced to what a page can show, so that files stay small."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from soxspipe.instrument.arms import Arm
from soxspipe.qc.style import label_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Image pixels per inch on the page, and columns of a curve.
_PIXELS, _COLUMNS = 110.0, 60.0


def inches(panel: "Axes") -> tuple[float, float]:
    """Height and width of a panel."""
    dpi = panel.figure.dpi
    return panel.bbox.height / dpi, panel.bbox.width / dpi


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
    from matplotlib.ticker import AsinhLocator

    if most is None:
        height, width = inches(panel)
        most = int(height * _PIXELS), int(width * _PIXELS)
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
        ticks = None if softening is None else AsinhLocator(softening, numticks=5)
        bar = panel.figure.colorbar(
            drawing,
            cax=panel.inset_axes((1.008, 0.0, 0.009, 1.0)),
            ticks=ticks,
            format=None if ticks is None else "%g",
        )
        bar.ax.tick_params(labelsize=7, direction="out", length=2, pad=1)
        bar.set_label(scale, fontsize=7.5)


def curve(
    panel: "Axes", x: np.ndarray, y: np.ndarray, colour: str, label: str | None = None
) -> None:
    """A curve of many points, reduced to what the page can show: extremes of each column."""
    columns = int(_COLUMNS * inches(panel)[1])
    panel.plot(*extremes(x, y, columns), color=colour, linewidth=0.6, label=label)


def extremes(x: np.ndarray, y: np.ndarray, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest point of each of about `columns` runs of points, in their order along x.

    x, y : (n,); points that are not finite are left out, and break the curve where a run has none.
    """
    step = len(x) // max(2 * columns, 1)
    if step < 2:
        return np.asarray(x), np.asarray(y)
    step *= 2
    n = len(x) // step
    px = np.asarray(x[: n * step], dtype="f8").reshape(n, step)
    py = np.asarray(y[: n * step], dtype="f8").reshape(n, step)
    finite = np.isfinite(py)
    both = (
        np.where(finite, py, np.inf).argmin(axis=1),
        np.where(finite, py, -np.inf).argmax(axis=1),
    )
    at = np.sort(np.stack(both, axis=1), axis=1)
    row = np.arange(n)[:, None]
    return px[row, at].ravel(), py[row, at].ravel()


def marks(
    panel: "Axes",
    x: np.ndarray,
    y: np.ndarray,
    marker: str,
    colour: str,
    *,
    size: float,
    label: str,
) -> None:
    """Markers (n,) as one picture: `o` filled, `.` an open ring, `x` and `+` thin; label with count."""
    ring = marker == "."
    panel.plot(
        x,
        y,
        "o" if ring else marker,
        color=colour,
        markerfacecolor="none" if ring else colour,
        markersize=size,
        markeredgewidth=0.0 if marker == "o" else 0.6,
        label=f"{label}: {np.count_nonzero(np.isfinite(y))}",
        rasterized=len(x) > 400,
    )


def key(panel: "Axes", columns: int) -> None:
    """Legend in one line above the panel, in place of a title."""
    panel.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=columns, borderaxespad=0.1)


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
    panel.set_xticks(place, [label_of(arm, n) for n in colours], size=7 if len(colours) < 10 else 6)
    panel.tick_params(axis="x", length=0)
    panel.set(xlabel="order", ylim=(0, max(base.max(initial=0.0), 1.0) * 1.1))
