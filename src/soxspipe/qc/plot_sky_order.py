"""The sky fit of one order: pixels against the native bin, the model, what is left; a line close up."""

from typing import TYPE_CHECKING

import numpy as np

from soxspipe.datamodel.order_pixels import OrderPixels
from soxspipe.instrument.arms import Arm
from soxspipe.qc import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Most points of a panel.
POINTS = 12_000
#: Native bins to both sides of the line that is shown close up.
CLOSE = 14


@style.drawn
def sky_order(
    pixels: OrderPixels,
    data: np.ndarray,
    model: np.ndarray,
    variance: np.ndarray,
    used: np.ndarray,
    arm: Arm,
    title: str,
) -> "Figure":
    """Sky of an order: data and model, residuals in sigmas, means of bins; the brightest line close up.

    data, model, variance : (n,) electrons of the listed pixels, without the object if it is modelled.
    used : (n,) bool, pixels that took part.
    """
    rows: list[style.Row] = [(2.3, (1.0,)), (1.5, (1.0,)), (1.3, (1.0,)), (2.6, (1.0, 1.0, 1.0))]
    label = style.label_of(arm, pixels.order)
    figure, panels = style.page(style.heading(arm, f"sky of order {label}, {title}"), rows)
    shown = used & np.isfinite(data) & np.isfinite(model) & (variance > 0)
    if not shown.any():
        for panel in style.flat_list(panels):
            style.note(panel, "no pixel took part")
        return figure
    pull = (data - model) / np.sqrt(np.where(variance > 0, variance, np.nan))
    _levels(panels[0][0], pixels, data, model, shown)
    _residuals(panels[1][0], pixels, pull, shown)
    _means(panels[2][0], pixels, pull, shown)
    _close_up(panels[3], pixels, (data, model, pull), shown)
    return figure


def _levels(
    panel: "Axes", pixels: OrderPixels, data: np.ndarray, model: np.ndarray, shown: np.ndarray
) -> None:
    """Pixels and model over the whole order."""
    some = _thinned(shown)
    _dots(panel, pixels.bin[some], data[some], style.GREY, "pixels of the sky")
    middle = shown & (np.abs(pixels.slit) < 0.6 * np.abs(pixels.slit[shown]).max())
    x, y = pixels.bin[middle], model[middle]
    panel.plot(x, y, color=style.RED, linewidth=0.6, label="model", rasterized=True)
    level, high = float(np.median(model[shown])), float(model[shown].max())
    noise = 1.5 * float(np.median(np.abs((data - model)[shown])))
    linear = max(level + 5 * noise, 1.0)
    panel.set_yscale("symlog", linthresh=linear, linscale=0.8)
    panel.set_ylim(min(float(model[shown].min()), 0.0) - 5 * noise, 2.5 * max(high, linear))
    panel.set(ylabel="[e-]", xlim=_range(pixels))
    panel.set_title(f"pixels that took part; linear up to {linear:.3g} e-, logarithmic above")
    panel.legend(loc="upper right", markerscale=3, ncols=2)


def _residuals(panel: "Axes", pixels: OrderPixels, pull: np.ndarray, shown: np.ndarray) -> None:
    """Residuals of pixels, coloured by slit position."""
    some = _thinned(shown)
    panel.scatter(
        pixels.bin[some],
        pull[some],
        c=pixels.slit[some],
        s=1.5,
        cmap="viridis",
        linewidths=0,
        rasterized=True,
    )
    panel.axhline(0.0, color=style.DARK, linewidth=0.5)
    panel.set(ylabel="residual [sigma]", xlim=_range(pixels), ylim=(-6, 6))
    values = pull[shown]
    panel.set_title(f"pixels, coloured by slit position: {style.spread_note(values, 'sigma')}")


def _means(panel: "Axes", pixels: OrderPixels, pull: np.ndarray, shown: np.ndarray) -> None:
    """Mean of each native bin times the root of its number: noise of width 1 if the model is right."""
    n = len(pixels.grid)
    count = np.bincount(pixels.nearest[shown], minlength=n)
    total = np.bincount(pixels.nearest[shown], pull[shown], n)
    some = count > 3
    strength = total[some] / np.sqrt(count[some])
    bins = pixels.first + np.flatnonzero(some)
    panel.plot(bins, strength, color=style.BLUE, linewidth=0.5)
    for level in (-3, 0, 3):
        panel.axhline(level, color=style.DARK, linewidth=0.5, linestyle="-" if level == 0 else ":")
    panel.set(xlabel="native bin [pixel along dispersion]", ylabel="[sigma]", xlim=_range(pixels))
    panel.set_ylim(-max(5.0, np.abs(strength).max(initial=0)), None)
    panel.set_ylim(top=-panel.get_ylim()[0])
    panel.set_title(
        "mean residual of each bin over its expected noise: "
        f"sd {strength.std() if strength.size else np.nan:.2f}"
    )


def _close_up(
    panels: "list[Axes]",
    pixels: OrderPixels,
    values: tuple[np.ndarray, np.ndarray, np.ndarray],
    shown: np.ndarray,
) -> None:
    """The brightest line: pixels and model, residuals along the bin and along the slit."""
    data, model, pull = values
    peak = float(pixels.bin[shown][np.argmax(model[shown])])
    near = shown & (np.abs(pixels.bin - peak) < CLOSE)
    _dots(panels[0], pixels.bin[near], data[near], style.GREY, "pixels")
    _dots(panels[0], pixels.bin[near], model[near], style.RED, "model")
    panels[0].set(xlabel="native bin [pixel]", ylabel="[e-]")
    panels[0].set_title(f"brightest line, {np.interp(peak, _bins(pixels), pixels.grid):.2f} nm")
    panels[0].legend(loc="upper right", markerscale=3)
    _dots(panels[1], pixels.bin[near], pull[near], style.BLUE, "")
    panels[1].set(xlabel="native bin [pixel]", ylabel="residual [sigma]", ylim=(-6, 6))
    panels[1].set_title(style.spread_note(pull[near], "sigma"))
    _dots(panels[2], pixels.slit[near], pull[near], style.BLUE, "")
    panels[2].set(xlabel="slit position [arcsec]", ylabel="residual [sigma]", ylim=(-6, 6))
    panels[2].set_title("the same along the slit")
    for panel in panels[1:]:
        panel.axhline(0.0, color=style.DARK, linewidth=0.5)


def _bins(pixels: OrderPixels) -> np.ndarray:
    return pixels.first + np.arange(len(pixels.grid))


def _range(pixels: OrderPixels) -> tuple[float, float]:
    return pixels.first - 0.5, pixels.first + len(pixels.grid) - 0.5


def _thinned(shown: np.ndarray) -> np.ndarray:
    """Numbers of at most POINTS of the `shown` pixels, evenly taken."""
    at = np.flatnonzero(shown)
    return at[:: max(len(at) // POINTS, 1)]


def _dots(panel: "Axes", x: np.ndarray, y: np.ndarray, colour: str, label: str) -> None:
    panel.plot(
        x, y, "o", color=colour, markersize=1.6, markeredgewidth=0, label=label, rasterized=True
    )
