"""Extracted spectra, order by order and merged."""

from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from soxspipe.datamodel.frame import PixelFlag
from soxspipe.datamodel.spectrum import OrderSpectra, OrderSpectrum, Spectrum
from soxspipe.instrument.arms import Arm
from soxspipe.maths.robust import running_median
from soxspipe.qc import drawing, style
from soxspipe.qc.plot_sky import sky_quicklook
from soxspipe.qc.plot_trace import object_trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["merged", "object_trace", "orders", "sky_quicklook"]

_EXTRACTIONS = (("optimal", style.BLUE), ("boxcar", "#B0B0B0"))

#: Flags told apart on a spectrum: label, bits, colour.
_FLAGS = (
    ("saturated", PixelFlag.SATURATED, style.RED),
    ("cosmic ray or outlier", PixelFlag.COSMIC_RAY | PixelFlag.OUTLIER, style.BLUE),
    ("detector defect", PixelFlag.BAD | PixelFlag.HOT | PixelFlag.COLD, style.GREEN),
    ("no flat, or nothing left", PixelFlag.NO_FLAT | PixelFlag.NOTHING_LEFT, style.ORANGE),
)


@style.drawn
def orders(spectra: OrderSpectra, arm: Arm, title: str) -> "Figure":
    """One row per order, by wavelength: optimal and boxcar flux with flags, sky, signal to noise."""
    shown = sorted(spectra.orders.items(), key=lambda item: _middle(item[1]))
    rows: list[style.Row] = [(1.05 if len(shown) > 6 else 1.5, (2.4, 1.0, 1.0))] * len(shown)
    figure, panels = style.page(
        style.heading(arm, f"extracted orders, {title}"),
        rows or [(1.5, (2.4, 1.0, 1.0))],
        width=13.0,
        gap=0.36,
        top=0.85,
    )
    for (flux, sky, snr), (number, order) in zip(panels, shown, strict=False):
        _order_flux(flux, order)
        w = order.wavelength
        drawing.curve(sky, w, order.sky, style.PINK)
        sky.set_ylim(*_range(order.sky))
        drawing.curve(snr, w, order.snr, style.DARK)
        snr.set_ylim(*_range(order.snr))
        flux.set_ylabel(f"order {style.label_of(arm, number)} [e-]", weight="bold")
        sky.set_ylabel("sky [e- / bin]")
        snr.set_ylabel("S/N per bin")
        for panel in (flux, sky, snr):
            _wavelength_range(panel, [w])
            _shade_beyond_useful(panel, number, arm)
    for panel, name in zip(
        panels[0],
        ("flux; ticks below: flags", "sky in the aperture", "signal to noise"),
        strict=True,
    ):
        panel.set_title(name)
    for panel, name in zip(
        panels[-1], (" (grey: outside the useful range of the order)", "", ""), strict=True
    ):
        panel.set_xlabel(f"wavelength [nm]{name}")
    for row in panels:
        for panel in row[1:]:
            panel.locator_params(nbins=4)
    _orders_legend(panels[0][0])
    return figure


@style.drawn
def merged(
    spectrum: Spectrum, arm: Arm, title: str, orders: OrderSpectra | None = None
) -> "Figure":
    """Flux with its error, sky and signal to noise; with `orders` the joins are marked.

    The limits of the flux follow a running median, so that left-over cosmic rays do not set them.
    """
    rows: list[style.Row] = [(2.6, (1,)), (1.3, (1,)), (1.3, (1,))]
    what = style.heading(arm, f"merged spectrum, {title}")
    figure, panels = style.page(what, rows, width=13.0, gap=0.5)
    flux, sky, snr = style.flat_list(panels)
    w = spectrum.wavelength
    error = np.sqrt(np.where(spectrum.variance > 0, spectrum.variance, np.nan))
    x, mean = _binned(w, spectrum.flux)
    _, mean_error = _binned(w, error)
    drawing.curve(flux, w, spectrum.flux, "#B8B8B8", label=f"bins of {spectrum.step:g} nm")
    flux.fill_between(
        x,
        mean - mean_error,
        mean + mean_error,
        color=style.SKY,
        alpha=0.6,
        zorder=2.2,
        linewidth=0,
        label="1 sigma of a bin",
    )
    drawing.curve(flux, x, mean, style.BLUE, label=_mean_label(w, x))
    flux.lines[-1].set_zorder(3)
    flux.axhline(0.0, color=style.DARK, linewidth=0.4)
    flux.set(ylim=_range(spectrum.flux), ylabel="flux [e- / bin]")
    flux.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, borderaxespad=0.1)

    drawing.curve(sky, w, spectrum.sky, style.PINK)
    _sky_scale(sky, spectrum.sky)
    sky.set_ylabel("sky [e- / bin]")
    drawing.curve(snr, w, spectrum.snr, "#B8B8B8")
    drawing.curve(snr, x, _binned(w, spectrum.snr)[1], style.DARK)
    snr.set(ylim=_range(spectrum.snr), ylabel="S/N per bin", xlabel="wavelength [nm]")
    for panel in (flux, sky, snr):
        _wavelength_range(panel, [w[np.isfinite(spectrum.flux)]])
        if orders is not None:
            _mark_joins(panel, orders, arm, labels=panel is flux)
    return figure


def _order_flux(panel: "Axes", order: OrderSpectrum) -> None:
    w = order.wavelength
    drawing.curve(panel, w, order.boxcar, "#B0B0B0", label="boxcar")
    drawing.curve(panel, w, order.flux, style.BLUE, label="optimal")
    panel.axhline(0.0, color=style.DARK, linewidth=0.4)
    bottom, top = _range(order.flux)
    panel.set_ylim(bottom - 0.2 * (top - bottom), top)
    for level, (_, bits, colour) in enumerate(_FLAGS):
        hit = (order.flags & np.uint16(bits)) != 0
        if hit.any():
            panel.plot(
                w[hit],
                np.full(np.count_nonzero(hit), 0.03 + 0.035 * level),
                "|",
                color=colour,
                markersize=3,
                markeredgewidth=0.6,
                transform=panel.get_xaxis_transform(),
            )


def _orders_legend(panel: "Axes") -> None:
    from matplotlib.lines import Line2D

    lines = [Line2D([], [], color=c, label=n) for n, c in _EXTRACTIONS]
    ticks = [Line2D([], [], color=c, marker="|", linestyle="", label=n) for n, _, c in _FLAGS]
    above = 1.0 + 0.2 / drawing.inches(panel)[0]
    panel.legend(
        handles=[*lines, *ticks],
        loc="lower left",
        bbox_to_anchor=(-0.01, above),
        ncols=6,
        borderaxespad=0.0,
    )


def _shade_beyond_useful(panel: "Axes", number: int, arm: Arm) -> None:
    if number not in arm.orders:
        return
    low, high = panel.get_xlim()
    first, last = arm.orders[number].useful
    for start, end in ((low, first), (last, high)):
        if start < end:
            panel.axvspan(start, end, color="#E4E4E4", linewidth=0, zorder=0)


def _mark_joins(panel: "Axes", spectra: OrderSpectra, arm: Arm, *, labels: bool) -> None:
    """Shade where neighbouring orders overlap; label the orders in between."""
    spans = []
    for number, order in spectra.orders.items():
        w = order.wavelength[np.isfinite(order.flux) & np.isfinite(order.wavelength)]
        if w.size:
            spans.append((float(w.min()), float(w.max()), number))
    spans.sort()
    for (_, end, _), (start, _, _) in pairwise(spans):
        panel.axvspan(min(start, end), max(start, end), color="#ECE3CB", linewidth=0, zorder=0)
    if labels:
        for first, last, number in spans:
            panel.annotate(
                style.label_of(arm, number),
                (0.5 * (first + last), 0.97),
                size=8,
                va="top",
                xycoords=("data", "axes fraction"),
                ha="center",
                weight="bold",
                color=style.GREY,
            )
        panel.set_title("orders by label; shaded: where they overlap and are joined")


def _middle(order: OrderSpectrum) -> float:
    return float(np.nan_to_num(style.median(order.wavelength)))


def _range(values: np.ndarray) -> tuple[float, float]:
    """Limits that show the spectrum and zero, but not outliers of one or two bins."""
    smooth = running_median(values, 5) if len(values) else np.asarray(values)
    low, high = style.robust_limits(smooth, 0.3, 99.8, margin=0.12)
    return min(low, -0.03 * (high - low)), max(high, 0.0)


def _sky_scale(panel: "Axes", values: np.ndarray) -> None:
    """Logarithmic where lines stand high above the continuum (NIR)."""
    positive = values[np.isfinite(values) & (values > 0)]
    low, high = np.percentile(positive, (5, 99.9)) if positive.size else (1.0, 1.0)
    # dropouts of a faint continuum would tear a logarithmic curve
    if high > 50 * low and positive.size > 0.99 * np.count_nonzero(np.isfinite(values)):
        panel.set_yscale("log")
        panel.set_ylim(0.5 * low, 3 * high)
    else:
        panel.set_ylim(*_range(values))


def _binned(x: np.ndarray, y: np.ndarray, most: int = 1500) -> tuple[np.ndarray, np.ndarray]:
    """Means of neighbours, NaN left out, so that no more than `most` points remain."""
    step = max(1, -(-len(x) // most))
    n = len(x) // step
    if n == 0:
        return np.empty(0), np.empty(0)
    mean, _ = drawing.block_means(np.asarray(y[: n * step], dtype="f8")[None], 1, n)
    return np.asarray(x[: n * step]).reshape(n, step).mean(axis=1), mean[0]


def _mean_label(x: np.ndarray, binned: np.ndarray) -> str:
    return f"mean of {len(x) // max(len(binned), 1)} bins"


def _wavelength_range(panel: "Axes", wavelengths: Iterable[np.ndarray]) -> None:
    finite = np.concatenate([w[np.isfinite(w)] for w in wavelengths])
    if finite.size > 1 and finite.max() > finite.min():
        panel.set_xlim(float(finite.min()), float(finite.max()))
