"""Order centres and order edges."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

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
    frame: Frame,
    table: OrderTable,
    samples: Mapping[int, TraceSamples],
    wavelengths: Mapping[int, np.ndarray],
    arm: Arm,
) -> "Figure":
    """Slices and traces on the pinhole flat, residuals, widths and errors of the traces.

    frame : (ny, nx) electrons. samples : slices by order number; wavelengths : of each slice, nm.
    """
    lower: list[style.Row] = [(1.5, (3.2, 1.0))] * 3
    rows: list[style.Row] = [*style.frame_rows(arm, 1), *lower]
    figure, panels = style.page(style.heading(arm, "order centres"), rows)
    colours = style.order_colours(samples)
    pixel, position, residual, sigma, found, used = (
        _joined(samples, name)
        for name in ("pixel", "position", "residual", "sigma", "detected", "used")
    )
    found, used = found.astype(bool), used.astype(bool)
    order = _orders(samples)
    kinds = (
        ("found", found & used, position, style.GREEN, "o"),
        ("found, off the fit", found & ~used, position, style.ORANGE, "D"),
        # where nothing was found, the slice is marked on the trace
        ("not found", ~found, position - residual, style.RED, "x"),
    )
    panel = panels[0][0]
    _orders_image(panel, frame, table, colours, arm)
    limits = panel.get_xlim(), panel.get_ylim()
    for trace in table.orders.values():
        along = _along(trace)
        panel.plot(along, trace.at("centre", along), color=style.BLUE, linewidth=0.5)
    for label, where, height, colour, marker in kinds:
        drawing.marks(panel, pixel[where], height[where], marker, colour, size=2.6, label=label)
    panel.set(xlim=limits[0], ylim=limits[1])
    drawing.key(panel, 3)
    style.detector_labels(panel, arm, "")

    across = "y" if arm.dispersion_axis == "x" else "x"
    text = style.spread_note(residual[used], "pixel")
    _residual_row(panels[1], pixel, residual, order, used, colours, arm)
    panels[1][0].set(title=f"{across}, measured - fitted: {text}", ylabel="residual [pixel]")
    wavelength = np.concatenate([wavelengths[n] for n in samples]) if samples else np.empty(0)
    _width_row(panels[2], wavelength, _FWHM * sigma, order, used, colours, arm)
    _error_panel(panels[3][0], table, colours, arm)
    bars = [(where, colour) for _, where, _, colour, _ in kinds]
    drawing.order_bars(panels[3][1], order, colours, arm, bars)
    panels[3][1].set_title("slices: found, off the fit, not found")
    return figure


def _width_row(
    row: "list[Axes]",
    wavelength: np.ndarray,
    fwhm: np.ndarray,
    order: np.ndarray,
    used: np.ndarray,
    colours: Mapping[int, Any],
    arm: Arm,
) -> None:
    """Width of the trace against wavelength, and its median and scatter by order."""
    panel, by_order = row
    limits = style.robust_limits(fwhm[used], 1, 99, margin=0.4)
    drawing.dots(panel, wavelength, fwhm, order, used, colours)
    panel.set(ylim=limits, xlabel="wavelength [nm]", ylabel="FWHM [pixel]")
    panel.set_title(f"width of the trace: median {style.median(fwhm[used]):.2f} pixel")
    for place, (number, colour) in enumerate(colours.items()):
        values = fwhm[used & (order == number)]
        if values.size:
            by_order.errorbar(
                place, np.median(values), mad_sigma(values), fmt="o", color=colour, markersize=3.5
            )
    labels = [style.label_of(arm, n) for n in colours]
    by_order.set_xticks(range(len(labels)), labels, size=7 if len(labels) < 10 else 6)
    by_order.set(ylim=limits, xlabel="order", title="median and scatter")


def _error_panel(panel: "Axes", table: OrderTable, colours: Mapping[int, Any], arm: Arm) -> None:
    """1-sigma error of the fitted centre along each order."""
    known = {n: t for n, t in table.orders.items() if t.error is not None}
    top = 1e-4
    for number, trace in known.items():
        error = np.maximum(trace.at("error", _along(trace)), 1e-6)
        panel.plot(_along(trace), error, color=colours.get(number, style.DARK))
        top = max(top, float(error.max()))
    size = arm.shape[1] if arm.dispersion_axis == "x" else arm.shape[0]
    panel.set(xlim=(-0.5, size - 0.5), ylim=(0, 1.1 * top), xlabel=_along_name(arm))
    panel.set(ylabel="error [pixel]", title="1-sigma error of the fitted centre")
    if not known:
        style.note(panel, "no trace")


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
    histogram.locator_params(axis="x", nbins=4)
    values = residual[used & np.isfinite(residual)]
    if values.size:
        histogram.hist(values, bins=40, range=(-reach, reach), color=style.BLUE)
