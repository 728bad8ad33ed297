"""Master bias and dark: level, structure, noise and flagged pixels."""

from typing import TYPE_CHECKING

import numpy as np

from soxspipe.datamodel.frame import Frame, PixelFlag
from soxspipe.instrument.arms import Arm
from soxspipe.maths.blocks import smooth_level
from soxspipe.maths.robust import mad_sigma
from soxspipe.qc import drawing, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Side of the blocks, pixels, that tell the smooth level; span of the histogram, in errors.
_BLOCK, _SPAN = 32, (-8.0, 16.0)


@style.drawn
def master(frame: Frame, arm: Arm, title: str) -> "Figure":
    """The frame, its flagged pixels, collapsed profiles along both axes, and its noise beside the
    expected one.

    frame : (ny, nx). title : what it is, without instrument and arm.
    """
    rows = style.frame_rows(arm, 2)
    figure, panels = style.page(style.heading(arm, title), [*rows, (1.9, (1.0, 1.0, 1.0))])
    image_panel, flag_panel = style.flat_list(panels[: len(rows)])
    image = arm.along_rows(np.where(frame.good, frame.data, np.nan))
    flagged = arm.along_rows(frame.flags) != 0
    unit = _unit(frame)

    drawing.show(image_panel, image, style.robust_limits(image, 1, 99), scale="")
    style.detector_labels(image_panel, arm, f"{title} [{unit}]; flagged pixels are left out")
    _flag_map(flag_panel, flagged)
    style.detector_labels(flag_panel, arm, _flag_counts(frame))

    along, across = ("x", "y") if arm.dispersion_axis == "x" else ("y", "x")
    profiles, histogram = panels[-1][:2], panels[-1][2]
    for panel, axis, name in zip(profiles, (0, 1), (along, across), strict=True):
        _profile(panel, image, axis)
        panel.set(xlabel=f"{name} [pixel]", ylabel=f"level [{unit}]")
        panel.set_title(f"mean over {across if axis == 0 else along}")
    _histogram(histogram, frame)
    return figure


def _unit(frame: Frame) -> str:
    return "e-" if frame.unit == "electron" else frame.unit


def _flag_counts(frame: Frame) -> str:
    """`flagged: 312 (0.009 %): 300 HOT, 12 NOTHING_LEFT`."""
    flags = frame.flags
    total = int(np.count_nonzero(flags))
    counts = {flag.name: int(np.count_nonzero(flags & np.uint16(flag))) for flag in PixelFlag}
    named = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    share = f"flagged pixels: {total} ({100 * total / max(flags.size, 1):.2g} %)"
    return f"{share}: {named}" if named else share


def _flag_map(panel: "Axes", flagged: np.ndarray) -> None:
    """Flagged pixels in coarse blocks, on a scale on which a single one can be seen."""
    height, width = drawing.inches(panel)
    most = int(28 * height), int(28 * width)
    share, (rows, columns) = drawing.block_means(flagged.astype("f4"), *most)
    top = max(float(np.percentile(share, 99.9)), 1.0 / (rows * columns))
    drawing.show(panel, flagged.astype("f4"), (0.0, top), colours="gray_r", most=most)


def _profile(panel: "Axes", image: np.ndarray, axis: int) -> None:
    """Mean along `axis` of the pixels within the image's robust range."""
    low, high = style.robust_limits(image, 0.1, 99.9)
    inside = (image >= low) & (image <= high)
    count = inside.sum(axis=axis)
    total = np.where(inside, image, 0.0).sum(axis=axis, dtype="f8")
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    panel.plot(np.arange(len(mean)), mean, color=style.BLUE, linewidth=0.6, rasterized=True)
    panel.set_xlim(0, max(len(mean) - 1, 1))
    panel.set_ylim(*style.robust_limits(mean, 0.2, 99.8, margin=0.25))


def _histogram(panel: "Axes", frame: Frame) -> None:
    """Values above the smooth level in units of their errors, beside the normal curve of width 1."""
    panel.set(xlabel="(value - smooth level) / its error", ylabel="pixels per bin")
    if not frame.good.any():
        style.note(panel, "no good pixel")
        return
    noise = np.sqrt(np.maximum(frame.variance, 1e-12))
    away = (frame.data - smooth_level(frame.data, _BLOCK)) / noise
    good, flagged = away[frame.good], away[~frame.good]
    width = mad_sigma(good)
    low, high = _SPAN
    edges = np.linspace(low, high, 8 * int(high - low) + 1)
    x, bins = 0.5 * (edges[1:] + edges[:-1]), edges[1] - edges[0]
    count = np.histogram(good, edges)[0]
    panel.fill_between(x, count, 0.01, step="mid", color=style.SKY, linewidth=0, label="good")
    if flagged.size:
        bad = np.histogram(np.clip(flagged, low, high), edges)[0]
        panel.step(x, bad, where="mid", color=style.RED, label="flagged")
    normal = np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi)
    panel.plot(x, good.size * bins * normal, color=style.DARK, label="expected")
    panel.legend(loc="upper right")
    panel.set_yscale("log")
    panel.set_ylim(0.7, max(count.max(), 1) * 4)
    panel.set_xlim(low, high)
    panel.set_title(f"noise {width:.3f} of the expected")
    beyond = int(np.count_nonzero(flagged > high))
    if beyond:
        style.note(panel, f"{beyond} beyond {high:g}", corner="lower right")
