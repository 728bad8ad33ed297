"""The master flat: scattered light, response of slit and pixels, spectra of the lamp."""

from typing import TYPE_CHECKING

import numpy as np

from soxspipe.datamodel.flat import MasterFlat
from soxspipe.datamodel.frame import Frame, PixelFlag
from soxspipe.datamodel.geometry import OrderTable
from soxspipe.instrument.arms import Arm
from soxspipe.maths.robust import mad_sigma
from soxspipe.qc import drawing, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Where along dispersion cuts are shown, and over how many pixels their medians are taken.
_CUTS, _CUT_WIDTH = (0.15, 0.5, 0.85), 11
#: Side of the blocks in which what the background model leaves is shown, pixels.
_BLOCK = 16


@style.drawn
def background(
    frame: Frame,
    scattered: np.ndarray,
    free: np.ndarray,
    table: OrderTable,
    arm: Arm,
    what: str = "flat",
) -> "Figure":
    """The flat at its low levels, the scattered-light model, what it leaves, and cuts through all.

    frame, scattered : (ny, nx), electrons. free : (ny, nx) bool, True where the light was measured.
    what : the frame is, if not a flat.
    """
    frames = style.frame_rows(arm, 2)
    rows: list[style.Row] = [*frames, (2.0, (1.0, 1.0, 1.0)), (1.0, (1.0, 1.0, 1.0))]
    figure, panels = style.page(style.heading(arm, "scattered light"), rows)
    image = arm.along_rows(np.where(frame.good, frame.data, np.nan))
    model, between = arm.along_rows(scattered), arm.along_rows(free)
    low, high = style.robust_limits(model, 0, 100)
    low, high = min(low, 0.0), max(1.3 * high, high + 1.0)
    left, right = style.flat_list(panels[: len(frames)])
    drawing.show(left, image, (low, high), colours="viridis", scale="")
    style.detector_labels(left, arm, f"{what} at the level of the scattered light [e-]")
    rest = np.where(between, image - model, np.nan)
    blocks, step = drawing.block_means(rest, image.shape[0] // _BLOCK, image.shape[1] // _BLOCK)
    reach = max(style.robust_limits(np.abs(blocks), 0, 99)[1], 0.5)
    enlarged = np.repeat(np.repeat(blocks, step[0], axis=0), step[1], axis=1)
    drawing.show(right, enlarged, (-reach, reach), colours="RdBu_r", scale="")
    style.detector_labels(right, arm, f"{what} - model, means over blocks of {_BLOCK} pixels [e-]")
    for upper, lower, share in zip(panels[-2], panels[-1], _CUTS, strict=True):
        column = int(share * image.shape[1])
        _cut(upper, lower, image, model, between, column, (low, high), what)
        name = "x" if arm.dispersion_axis == "x" else "y"
        upper.set_title(f"{name} = {column} (medians of {_CUT_WIDTH} pixels)")
        lower.set(xlabel=f"{'y' if name == 'x' else 'x'} [pixel]", ylabel="rest [e-]")
        _mark_orders(upper, table, column)
    panels[-2][0].set_ylabel("[e-]")
    panels[-2][-1].legend(loc="upper right")
    return figure


def _cut(
    upper: "Axes",
    lower: "Axes",
    image: np.ndarray,
    model: np.ndarray,
    between: np.ndarray,
    column: int,
    limits: tuple[float, float],
    what: str,
) -> None:
    """Frame and model across the orders, and their difference between them."""
    half = _CUT_WIDTH // 2
    near = slice(max(column - half, 0), column + half + 1)
    row, seen = np.arange(image.shape[0]), _row_medians(image[:, near])
    used = _row_medians(np.where(between, image, np.nan)[:, near])
    upper.plot(row, seen, color=style.GREY, linewidth=0.5, label=what)
    upper.plot(row, used, ".", color=style.BLUE, markersize=1.5, label="between orders")
    upper.plot(row, model[:, column], color=style.RED, linewidth=1.0, label="model")
    room = 0.05 * (limits[1] - limits[0])
    upper.set(xlim=(0, len(row) - 1), ylim=(limits[0] - room, limits[1]))
    rest = used - model[:, column]
    lower.plot(row, rest, ".", color=style.BLUE, markersize=1.5)
    lower.axhline(0.0, color=style.DARK, linewidth=0.5)
    reach = max(style.robust_limits(np.abs(rest), 0, 99)[1], 0.5)
    lower.set(xlim=(0, len(row) - 1), ylim=(-1.1 * reach, 1.1 * reach))


def _mark_orders(panel: "Axes", table: OrderTable, column: int) -> None:
    for trace in table.orders.values():
        low, high = sorted(float(trace.at(e, np.array(float(column)))) for e in ("lower", "upper"))
        if trace.domain[0] <= column <= trace.domain[1]:
            panel.axvspan(low, high, color=style.SKY, alpha=0.25, linewidth=0)


@style.drawn
def flat(master: MasterFlat, table: OrderTable, arm: Arm) -> "Figure":
    """The response of slit and pixels, the cold pixels, and the lamp and blaze that were taken out."""
    rows: list[style.Row] = [*style.frame_rows(arm, 2), (2.2, (3.2, 1.0))]
    figure, panels = style.page(style.heading(arm, "master flat"), rows)
    frame = master.frame
    image = arm.along_rows(np.where(frame.good, frame.data, np.nan))
    known = arm.along_rows(frame.good & (frame.variance > 0))
    left, right = style.flat_list(panels[:-1])
    drawing.show(left, image, (0.95, 1.05), scale="")
    style.detector_labels(left, arm, "response, 1 where nothing is known; blue: flagged")
    _flagged(right, master, table, arm)
    right.set(xlim=left.get_xlim(), ylim=left.get_ylim())
    panel, histogram = panels[-1]
    _lamps(panel, master, arm)
    panel.set_xlim(-0.5, image.shape[1] - 0.5)
    _response_histogram(histogram, image[known])
    return figure


def _flagged(panel: "Axes", master: MasterFlat, table: OrderTable, arm: Arm) -> None:
    """Where the pixels without a usable response lie."""
    flags = arm.along_rows(master.frame.flags)
    shown = False
    for flag, colour, label in (
        (PixelFlag.NO_FLAT, style.ORANGE, "too little light"),
        (PixelFlag.SATURATED, style.RED, "saturated"),
        (PixelFlag.COLD, style.BLUE, "cold"),
    ):
        rows, columns = np.nonzero(flags & np.uint16(flag))
        if rows.size:
            drawing.marks(panel, columns, rows, ".", colour, size=1.5, label=label)
            shown = True
    for trace in table.orders.values():
        along = np.linspace(*trace.domain, 120)
        for edge in ("lower", "upper"):
            panel.plot(along, trace.at(edge, along), color=style.GREY, linewidth=0.4)
    style.detector_labels(panel, arm, "" if shown else "no pixel is flagged")
    if shown:
        drawing.key(panel, 3)


def _lamps(panel: "Axes", master: MasterFlat, arm: Arm) -> None:
    """Spectra of the lamp, by order."""
    colours = style.order_colours(master.lamp)
    places = np.linspace(0.2, 0.8, max(len(colours), 1))
    for place, (number, colour) in zip(places, colours.items(), strict=False):
        lamp = master.lamp[number]
        panel.plot(np.arange(len(lamp)), lamp, color=colour)
        at = int(place * (len(lamp) - 1))
        if np.isfinite(lamp[at]):
            panel.annotate(
                style.label_of(arm, number),
                (at, lamp[at]),
                color=colour,
                size=8,
                weight="bold",
                ha="center",
                va="bottom",
            )
    axis = arm.dispersion_axis
    panel.set(ylim=(0, 1.12), xlabel=f"{axis}, along dispersion [pixel]")
    panel.set(ylabel="relative electrons per pixel", title="lamp and blaze, by order")


def _response_histogram(panel: "Axes", values: np.ndarray) -> None:
    panel.set(xlabel="response", ylabel="thousands of pixels")
    if values.size == 0:
        style.note(panel, "no pixel with light")
        return
    count, bounds = np.histogram(values, bins=80, range=(0.9, 1.1))
    panel.stairs(count / 1e3, bounds, color=style.BLUE, fill=True)
    panel.set_title(f"median {np.median(values):.4f}, sigma {mad_sigma(values):.4f}")


def _row_medians(image: np.ndarray) -> np.ndarray:
    """Median of each row over its finite values, NaN where there are none."""
    empty = ~np.isfinite(image).any(axis=1)
    return np.where(empty, np.nan, np.nanmedian(np.where(empty[:, None], 0.0, image), axis=1))
