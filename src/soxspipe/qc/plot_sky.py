"""The sky model: frame, model, difference, and whether what is left is noise."""

from typing import TYPE_CHECKING

import numpy as np

from soxspipe.datamodel.frame import Frame
from soxspipe.datamodel.geometry import PixelMap
from soxspipe.instrument.arms import Arm
from soxspipe.maths.robust import MAD_SCALE
from soxspipe.qc import drawing, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Window = tuple[slice, slice]


@style.drawn
def sky_quicklook(
    before: Frame, model: np.ndarray, pixel_map: PixelMap, arm: Arm, title: str
) -> "Figure":
    """Frame, sky model, frame minus sky, the same in sigmas; a bright line close up.

    before : frame with sky, electrons. model : (ny, nx) electrons.
    """
    frames = style.frame_rows(arm, 4)
    rows: list[style.Row] = [*frames, (1.7, (1.0, 1.0, 1.0)), (1.9, (1.7, 1.0))]
    figure, panels = style.page(style.heading(arm, f"sky model, {title}"), rows)
    order = arm.along_rows(pixel_map.order)
    in_orders = order != 0
    image = arm.along_rows(np.where(before.good, before.data, np.nan))
    sky = arm.along_rows(model)
    sigma = arm.along_rows(np.sqrt(np.where(before.variance > 0, before.variance, np.nan)))
    left = image - sky
    lit = _lit_rows(in_orders)

    _pictures(style.flat_list(panels[: len(frames)]), image, sky, sigma, in_orders, lit, arm)
    window = _brightest_line(sky, order, arm)
    pulls = np.where(in_orders, left / sigma, 0.0)
    shown = image[window], sky[window], pulls[window]
    _close_ups(panels[-2], shown, window, arm)
    profile, histogram = panels[-1]
    _line_profile(profile, image, sky, window, pixel_map, arm)
    _pulls(histogram, (left / sigma)[in_orders])
    return figure


def _lit_rows(in_orders: np.ndarray) -> slice:
    rows = np.flatnonzero(in_orders.any(axis=1))
    if rows.size == 0:
        return slice(0, in_orders.shape[0])
    return slice(max(int(rows[0]) - 30, 0), int(rows[-1]) + 31)


def _pictures(
    panels: "list[Axes]",
    image: np.ndarray,
    sky: np.ndarray,
    sigma: np.ndarray,
    in_orders: np.ndarray,
    lit: slice,
    arm: Arm,
) -> None:
    low, high = style.robust_limits(image[in_orders], 1, 99.5)
    noise = style.median(sigma[in_orders])
    noise = noise if noise > 0 else 1.0
    pulls = np.where(in_orders, (image - sky) / sigma, 0.0)
    left = np.where(in_orders, image - sky, 0.0)
    soft = max(2 * noise, 0.02 * (high - low))
    for panel, shown, limits, softening, colours, title in (
        (panels[0], image, (low, high), soft, "gray", "frame [e-]"),
        (panels[1], sky, (low, high), soft, "gray", "sky model [e-], same scale"),
        (panels[2], left, (-5 * noise, 20 * noise), None, "gray", "frame - sky, in orders [e-]"),
        (panels[3], pulls, (-2.0, 2.0), None, "RdBu_r", "(frame - sky) / sigma, block means"),
    ):
        drawing.show(
            panel,
            shown[lit],
            limits,
            softening=softening,
            colours=colours,
            scale="",
            origin=(lit.start, 0),
        )
        style.detector_labels(panel, arm, title)


def _brightest_line(sky: np.ndarray, order: np.ndarray, arm: Arm) -> Window:
    """A window of 100 pixels along dispersion, centred on the line that stands out most."""
    light = np.where(order != 0, np.nan_to_num(sky), 0.0)
    # lines stand out against what lies a few pixels further along
    contrast = light[:, 8:-8] - np.maximum(light[:, :-16], light[:, 16:])
    same = (order[:, :-16] == order[:, 8:-8]) & (order[:, 16:] == order[:, 8:-8])
    contrast = np.where(same, contrast, 0.0)
    if contrast.size == 0:
        return slice(0, order.shape[0]), slice(0, order.shape[1])
    blocks, (step_y, step_x) = drawing.block_means(contrast, 200, max(contrast.shape[1] // 2, 1))
    row, column = np.unravel_index(int(np.argmax(blocks)), blocks.shape)
    y, x = int(row) * step_y, int(column) * step_x + 8
    rows = np.flatnonzero(order[:, x] == order[y, x])
    middle = int(rows.mean()) if order[y, x] != 0 else y
    half = 32 if arm.dispersion_axis == "x" else 34
    return (
        slice(max(middle - half, 0), min(middle + half, sky.shape[0])),
        slice(max(x - 50, 0), min(x + 50, sky.shape[1])),
    )


def _close_ups(
    panels: "list[Axes]", shown: tuple[np.ndarray, ...], window: Window, arm: Arm
) -> None:
    low, high = style.robust_limits(shown[1], 1, 99.9, margin=0.1)
    span = f"{low:.0f} to {high:.0f} e-"
    for panel, image, limits, colours, title in zip(
        panels,
        shown,
        ((low, high), (low, high), (-5.0, 5.0)),
        ("gray", "gray", "RdBu_r"),
        (f"a bright line: frame, {span}", f"model, {span}", "(frame - sky) / sigma, -5 to 5"),
        strict=True,
    ):
        drawing.show(
            panel, image, limits, colours=colours, origin=(window[0].start, window[1].start)
        )
        style.detector_labels(panel, arm, title)


def _line_profile(
    panel: "Axes",
    image: np.ndarray,
    sky: np.ndarray,
    window: Window,
    pixel_map: PixelMap,
    arm: Arm,
) -> None:
    """Pixels of the close-up against their wavelength: tilted lines sample themselves finely."""
    order = arm.along_rows(pixel_map.order)[window]
    number = _most_common(order)
    mine = (order == number) & np.isfinite(image[window])
    panel.set(xlabel="wavelength [nm]", ylabel="[e-]")
    if number == 0 or not mine.any():
        style.note(panel, "no order here")
        return
    wavelength = arm.along_rows(pixel_map.wavelength)[window][mine]
    values, fitted = image[window][mine], sky[window][mine]
    panel.plot(
        wavelength,
        values,
        "o",
        color=style.GREY,
        markersize=1.6,
        markeredgewidth=0,
        label="pixels, object included",
        rasterized=True,
    )
    panel.plot(
        wavelength,
        fitted,
        "o",
        color=style.RED,
        markersize=1.0,
        markeredgewidth=0,
        label="sky model",
        rasterized=True,
    )
    low, high = style.robust_limits(fitted, 0.5, 100, margin=0.3)
    panel.set_ylim(low, high)
    panel.legend(loc="upper right", markerscale=3)
    panel.set_title(f"all pixels of the close-up in order {style.label_of(arm, number)}")


def _most_common(order: np.ndarray) -> int:
    numbers, counts = np.unique(order[order != 0], return_counts=True)
    return int(numbers[np.argmax(counts)]) if numbers.size else 0


def _pulls(panel: "Axes", pulls: np.ndarray) -> None:
    """Residuals in sigmas and the normal curve they should follow."""
    values = pulls[np.isfinite(pulls)]
    panel.set(xlabel="(frame - sky) / sigma", ylabel="share of pixels", xlim=(-7, 7))
    if values.size == 0:
        style.note(panel, "no pixel in orders")
        return
    count, bounds = np.histogram(values, bins=70, range=(-7.0, 7.0))
    panel.stairs(count / (values.size * 0.2), bounds, color=style.SKY, fill=True)
    x = np.linspace(-7, 7, 200)
    panel.plot(x, np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi), color=style.RED, label="pure noise")
    panel.legend(loc="upper left")
    panel.set_yscale("log")
    panel.set_ylim(1e-5, 2)
    # the object raises the positive side only
    sky_side = np.median(np.abs(values[values < 0])) if (values < 0).any() else np.nan
    panel.set_title(f"pixels in orders; negative side: sigma {MAD_SCALE * sky_side:.3f}")
