"""Order centres, order edges, scattered light and the flat field."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from soxspipe.datamodel.flat import MasterFlat
from soxspipe.datamodel.frame import Frame
from soxspipe.datamodel.geometry import OrderTable, OrderTrace
from soxspipe.instrument.arms import Arm
from soxspipe.maths.robust import mad_sigma
from soxspipe.qc import drawing, style
from soxspipe.science.orders.edges import EdgeSamples
from soxspipe.science.orders.trace import TraceSamples

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FWHM = 2.0 * np.sqrt(2.0 * np.log(2.0))


@style.drawn
def centres(
    frame: Frame, table: OrderTable, samples: Mapping[int, TraceSamples], arm: Arm
) -> "Figure":
    """Slices and traces on the pinhole flat, residuals and widths along the orders.

    frame : (ny, nx) electrons. samples : slices by order number.
    """
    rows: list[style.Row] = [*style.frame_rows(arm, 1), (1.5, (3.2, 1.0)), (1.5, (3.2, 1.0))]
    figure, panels = style.page(style.heading(arm, "order centres"), rows)
    colours = style.order_colours(samples)
    pixel, position, residual, sigma, found, used = (
        _joined(samples, name)
        for name in ("pixel", "position", "residual", "sigma", "detected", "used")
    )
    found, used = found.astype(bool), used.astype(bool)
    order = _orders(samples)

    panel = panels[0][0]
    _orders_image(panel, frame, table, colours, arm)
    limits = panel.get_xlim(), panel.get_ylim()
    for trace in table.orders.values():
        along = _along(trace)
        panel.plot(along, trace.at("centre", along), color=style.BLUE, linewidth=0.5)
    # where nothing was found, the slice is marked on the trace
    fitted = position - residual
    for label, where, height, colour, marker in (
        ("found", found & used, position, style.GREEN, "o"),
        ("found, rejected by the fit", found & ~used, position, style.ORANGE, "D"),
        ("not found", ~found, fitted, style.RED, "x"),
    ):
        drawing.marks(panel, pixel[where], height[where], marker, colour, size=2.6, label=label)
    panel.set(xlim=limits[0], ylim=limits[1])
    drawing.key(panel, 3)
    style.detector_labels(panel, arm, "")

    across = "y" if arm.dispersion_axis == "x" else "x"
    text = style.spread_note(residual[used], "pixel")
    _residual_row(panels[1], pixel, residual, order, used, colours, arm)
    panels[1][0].set(title=f"{across}, measured - fitted: {text}", ylabel="residual [pixel]")
    panel = panels[2][0]
    fwhm = _FWHM * sigma
    drawing.dots(panel, pixel, fwhm, order, used, colours)
    panel.set(xlim=panels[0][0].get_xlim(), ylim=style.robust_limits(fwhm[used], margin=0.3))
    panel.set(xlabel=_along_name(arm), ylabel="FWHM [pixel]", title="width of the trace")
    drawing.order_bars(
        panels[2][1],
        order,
        colours,
        arm,
        ((found & used, style.GREEN), (found & ~used, style.ORANGE), (~found, style.RED)),
    )
    panels[2][1].set_title("slices: used, rejected, not found")
    return figure


@style.drawn
def edges(
    frame: Frame, table: OrderTable, samples: Mapping[int, EdgeSamples], arm: Arm
) -> "Figure":
    """Edges found and fitted on the flat, and their residuals.

    frame : (ny, nx) the stacked flat, electrons. samples : slices by order number.
    """
    rows: list[style.Row] = [*style.frame_rows(arm, 1), (1.5, (3.2, 1.0)), (1.5, (3.2, 1.0))]
    figure, panels = style.page(style.heading(arm, "order edges on the flat"), rows)
    colours = style.order_colours(samples)
    pixel, lower, upper, used = (
        _joined(samples, name) for name in ("pixel", "lower", "upper", "used")
    )
    used, order = used.astype(bool), _orders(samples)
    panel = panels[0][0]
    _orders_image(panel, frame, table, colours, arm)
    limits = panel.get_xlim(), panel.get_ylim()
    for trace in table.orders.values():
        if trace.lower is None or trace.upper is None:
            continue
        along = _along(trace)
        low, high = trace.at("lower", along), trace.at("upper", along)
        panel.fill_between(along, low, high, color=style.SKY, alpha=0.3, linewidth=0)
        panel.plot(along, low, along, high, color=style.BLUE, linewidth=0.6)
    for label, where, colour, marker in (
        ("edge found and used", used, style.GREEN, "o"),
        ("found, not used", ~used & np.isfinite(lower + upper), style.RED, "x"),
    ):
        x, y = np.tile(pixel[where], 2), np.concatenate([lower[where], upper[where]])
        drawing.marks(panel, x, y, marker, colour, size=1.8, label=label)
    panel.set(xlim=limits[0], ylim=limits[1])
    drawing.key(panel, 2)
    style.detector_labels(panel, arm, "")
    for row, name in zip(panels[1:], ("lower", "upper"), strict=True):
        residual = _joined(samples, f"residual_{name}")
        _residual_row(row, pixel, residual, order, used, colours, arm)
        text = style.spread_note(residual[used], "pixel")
        row[0].set(title=f"{name} edge, measured - fitted: {text}", ylabel="residual [pixel]")
    return figure


@style.drawn
def background(frame: Frame, scattered: np.ndarray, arm: Arm) -> "Figure":
    """The flat at its low levels, the scattered-light model, and cuts through both.

    frame, scattered : (ny, nx), electrons.
    """
    frames = style.frame_rows(arm, 2)
    rows: list[style.Row] = [*frames, (1.8, (1.0, 1.0, 1.0))]
    figure, panels = style.page(style.heading(arm, "scattered light"), rows)
    image = arm.along_rows(np.where(frame.good, frame.data, np.nan))
    model = arm.along_rows(scattered)
    low, high = style.robust_limits(model, 0, 100)
    low, high = min(low, 0.0), max(2.0 * high, high + 1.0)
    for panel, shown, title in zip(
        style.flat_list(panels[: len(frames)]),
        (image, model),
        ("flat at the level of the scattered light [e-]", "model [e-], same scale"),
        strict=True,
    ):
        drawing.show(panel, shown, (low, high), colours="viridis", scale="")
        style.detector_labels(panel, arm, title)
    row = np.arange(image.shape[0])
    across = "y" if arm.dispersion_axis == "x" else "x"
    along = "x" if arm.dispersion_axis == "x" else "y"
    for panel, share in zip(panels[-1], (0.25, 0.5, 0.75), strict=True):
        column = int(share * image.shape[1])
        near = image[:, max(column - 5, 0) : column + 6]
        panel.plot(row, _row_medians(near), color=style.GREY, linewidth=0.7, label="flat")
        panel.plot(row, model[:, column], color=style.RED, linewidth=1.2, label="model")
        panel.set(xlim=(0, max(len(row) - 1, 1)), ylim=(low - 0.1 * (high - low), high))
        panel.set(xlabel=f"{across} [pixel]", ylabel="[e-]")
        panel.set_title(f"{along} = {column} (flat: median of 11 pixels)")
    panels[-1][0].legend(loc="upper right")
    return figure


@style.drawn
def flat(master: MasterFlat, arm: Arm) -> "Figure":
    """The response of slit and pixels, and the lamp and blaze that were taken out of it."""
    rows: list[style.Row] = [*style.frame_rows(arm, 1), (2.2, (3.2, 1.0))]
    figure, panels = style.page(style.heading(arm, "master flat"), rows)
    image = arm.along_rows(np.where(master.frame.good, master.frame.data, np.nan))
    known = arm.along_rows(master.frame.good & (master.frame.variance > 0))
    drawing.show(panels[0][0], image, (0.95, 1.05), scale="")
    style.detector_labels(
        panels[0][0], arm, "response, 1 where nothing is known; blue: cold, or too little light"
    )
    panel, histogram = panels[1]
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
    panel.set(xlim=panels[0][0].get_xlim(), ylim=(0, 1.12), xlabel=_along_name(arm))
    panel.set(ylabel="relative electrons per pixel", title="lamp and blaze, by order")
    _response_histogram(histogram, image[known])
    return figure


def _response_histogram(panel: "Axes", values: np.ndarray) -> None:
    panel.set(xlabel="response", ylabel="thousands of pixels")
    if values.size == 0:
        style.note(panel, "no pixel with light")
        return
    count, bounds = np.histogram(values, bins=80, range=(0.8, 1.2))
    panel.stairs(count / 1e3, bounds, color=style.BLUE, fill=True)
    panel.set_title(f"median {np.median(values):.4f}, sigma {mad_sigma(values):.4f}")


def _joined(samples: Mapping[int, Any], name: str) -> np.ndarray:
    """One array of all orders."""
    parts = [np.asarray(getattr(s, name), dtype="f8") for s in samples.values()]
    return np.concatenate(parts) if parts else np.empty(0)


def _orders(samples: Mapping[int, Any]) -> np.ndarray:
    """Order number of each entry of `_joined`."""
    parts = [np.full(len(s.pixel), number) for number, s in samples.items()]
    return np.concatenate(parts) if parts else np.empty(0, dtype=int)


def _along(trace: OrderTrace) -> np.ndarray:
    return np.linspace(*trace.domain, 120)


def _along_name(arm: Arm) -> str:
    return f"{arm.dispersion_axis}, along dispersion [pixel]"


def _row_medians(image: np.ndarray) -> np.ndarray:
    """Median of each row over its finite values, NaN where there are none."""
    empty = ~np.isfinite(image).any(axis=1)
    return np.where(empty, np.nan, np.nanmedian(np.where(empty[:, None], 0.0, image), axis=1))


def _orders_image(
    panel: "Axes", frame: Frame, table: OrderTable, colours: Mapping[int, Any], arm: Arm
) -> None:
    """The rows of the frame that hold orders, faint light enhanced; order labels at the right."""
    image = arm.along_rows(np.where(frame.good, frame.data, np.nan))
    middle = [trace.at("centre", _along(trace)) for trace in table.orders.values()]
    rows = np.concatenate(middle) if middle else np.array([0.0, image.shape[0]])
    first = int(np.clip(rows.min() - 60, 0, image.shape[0] - 2))
    last = int(np.clip(rows.max() + 60, first + 2, image.shape[0]))
    shown = image[first:last]
    top = max(style.robust_limits(shown, 1, 99.5)[1], 1e-3)
    drawing.show(
        panel, shown, (-0.02 * top, top), colours="gray_r", softening=0.05 * top, origin=(first, 0)
    )
    for number, trace in table.orders.items():
        end = float(trace.at("centre", np.array(trace.domain[1])))
        panel.annotate(
            style.label_of(arm, number),
            (1.005, end),
            xycoords=("axes fraction", "data"),
            color=colours.get(number, style.DARK),
            size=8,
            weight="bold",
            va="center",
        )


def _residual_row(
    row: "list[Axes]",
    pixel: np.ndarray,
    residual: np.ndarray,
    order: np.ndarray,
    used: np.ndarray,
    colours: Mapping[int, Any],
    arm: Arm,
) -> None:
    """Residuals along dispersion, and their histogram."""
    panel, histogram = row
    low, high = style.robust_limits(residual[used], 0.3, 99.7, margin=0.3)
    reach = max(abs(low), abs(high), 0.02)
    drawing.dots(panel, pixel, np.clip(residual, -0.97 * reach, 0.97 * reach), order, used, colours)
    panel.axhline(0.0, color=style.DARK, linewidth=0.5)
    size = arm.shape[1] if arm.dispersion_axis == "x" else arm.shape[0]
    panel.set(xlim=(-0.5, size - 0.5), ylim=(-reach, reach), xlabel=_along_name(arm))
    histogram.set(xlabel="residual [pixel]", ylabel="slices", xlim=(-reach, reach))
    values = residual[used & np.isfinite(residual)]
    if values.size:
        histogram.hist(values, bins=40, range=(-reach, reach), color=style.BLUE)
