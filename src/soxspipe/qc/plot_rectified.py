"""Rectified images, laid out in strips so that each of their bins can be seen."""

from typing import TYPE_CHECKING

import numpy as np

from soxspipe.datamodel.frame import UNUSABLE
from soxspipe.datamodel.rectified import RectifiedImage, RectifiedOrders, RectifiedSpectrum
from soxspipe.instrument.arms import Arm
from soxspipe.maths.robust import MAD_SCALE
from soxspipe.qc import drawing, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Wavelength bins in one strip, height of a strip and room between strips, inches.
_BINS, _HEIGHT, _GAP = 1700, 0.78, 0.27
#: Least contrast of a strip, in sigmas of what one point of the drawing shows.
_NOISE = 6.0
#: Percentiles of the sky between which scatter is measured: lines are few and bright.
_SHARES = np.append(np.linspace(0, 99, 25), (99.5, 99.9, 100))


@style.drawn
def merged(image: RectifiedSpectrum, arm: Arm, title: str) -> "Figure":
    """The image of the whole arm in strips of wavelength, the last panel the light along the slit."""
    known = np.flatnonzero(np.isfinite(image.flux).any(axis=0))
    first, last = (int(known[0]), int(known[-1]) + 1) if known.size else (0, image.grid.shape[1])
    number = max(1, -(-(last - first) // _BINS))
    size = -(-(last - first) // number)
    rows: list[style.Row] = [(_HEIGHT, (1.0,))] * number
    heading = style.heading(arm, f"2-D spectrum, {title}")
    figure, panels = style.page(heading, [*rows, (1.5, (1.0, 1.0))], gap=_GAP, top=0.5)
    for panel, start in zip(
        style.flat_list(panels[:number]), range(first, last, size), strict=False
    ):
        _strip(panel, image, slice(start, min(start + size, last)))
    _lower(panels[-1], dy=0.35)
    _profile(panels[-1][0], image)
    _lines(panels[-1][1], image)
    return figure


@style.drawn
def orders(product: RectifiedOrders, arm: Arm, title: str) -> "Figure":
    """The images of all orders, one strip each, by rising wavelength."""
    ordered = sorted(product.orders.items(), key=lambda item: item[1].grid.first)
    rows: list[style.Row] = [(_HEIGHT, (1.0,))] * max(len(ordered), 1)
    heading = style.heading(arm, f"rectified orders, {title}")
    figure, panels = style.page(heading, rows, gap=_GAP, top=0.5)
    if not ordered:
        style.note(panels[0][0], "no order")
    for panel, (number, image) in zip(style.flat_list(panels), ordered, strict=False):
        _strip(panel, image, slice(0, image.grid.shape[1]), f"order {style.label_of(arm, number)}")
    return figure


def _strip(panel: "Axes", image: RectifiedImage, part: slice, label: str = "") -> None:
    """A stretch of the image, wavelength along x in nm, slit along y in arcsec; its scale in words."""
    grid = image.grid
    flux = image.flux[:, part]
    usable = np.where((image.flags[:, part] & UNUSABLE) == 0, flux, np.nan)
    height, width = drawing.inches(panel)
    most = int(height * 110), int(width * 110)
    seen, (step_y, step_x) = drawing.block_means(usable, *most)
    noise = style.median(image.error[:, part]) / np.sqrt(step_y * step_x) * image.noise_factor
    noise = noise if noise > 0 else 1.0
    _, high = style.robust_limits(seen, 0.5, 99.5)
    top = max(high, _NOISE * noise)
    drawing.show(panel, usable, (-_NOISE * noise, top), softening=2.0 * noise, most=most)
    picture, step = panel.images[0], (step_y * grid.slit_step, step_x * grid.step)
    low = grid.wavelength[part.start] - 0.5 * grid.step
    bottom = grid.slit[0] - 0.5 * grid.slit_step
    rows, columns = seen.shape
    picture.set_extent((low, low + columns * step[1], bottom, bottom + rows * step[0]))
    panel.set_xlim(low, low + flux.shape[1] * grid.step)
    panel.set_ylim(bottom, grid.slit[-1] + 0.5 * grid.slit_step)
    panel.tick_params(labelsize=7, direction="out", pad=1.5, length=2)
    panel.set_yticks([-4, 0, 4])
    text = f"{-_NOISE * noise:.3g} to {top:.3g} {_short(image.unit)} per bin, asinh; x in nm"
    panel.annotate(
        f"{label}   {text}".strip(),
        (1.0, 1.0),
        xytext=(0, 1),
        textcoords="offset points",
        xycoords="axes fraction",
        ha="right",
        va="bottom",
        size=6.5,
    )
    panel.set_ylabel("slit [arcsec]", size=7, labelpad=1)


def _short(unit: str) -> str:
    return {"electron": "e-"}.get(unit, unit)


def _lower(panels: "list[Axes]", *, dy: float) -> None:
    """Move panels down by `dy` inches: they have titles, strips have none."""
    for panel in panels:
        box = panel.get_position()
        shift = dy * box.height / drawing.inches(panel)[0]
        panel.set_position((box.x0, box.y0 - 0.2 * shift, box.width, box.height - 0.8 * shift))


def _profile(panel: "Axes", image: RectifiedImage) -> None:
    """Mean light along the slit with its error."""
    good = np.isfinite(image.flux) & ((image.flags & UNUSABLE) == 0) & (image.error > 0)
    weight = np.where(good, 1.0 / np.where(good, image.variance, 1.0), 0.0)
    total = weight.sum(axis=1)
    safe = np.where(total > 0, total, 1.0)
    mean = np.where(
        total > 0, (weight * np.where(good, image.flux, 0.0)).sum(axis=1) / safe, np.nan
    )
    error = image.noise_factor / np.sqrt(safe)
    panel.fill_between(image.slit, mean - error, mean + error, color=style.SKY, step="mid", lw=0)
    panel.plot(image.slit, mean, color=style.BLUE, drawstyle="steps-mid")
    panel.axhline(0.0, color=style.DARK, linewidth=0.4)
    panel.set(xlabel="slit position [arcsec]", ylabel=f"[{_short(image.unit)} / bin]")
    panel.set_xlim(image.slit[0], image.slit[-1])
    panel.set_ylim(*style.robust_limits(mean[2:-2], 0, 100, margin=0.15))
    panel.set_title("light along the slit, weighted mean over wavelength")


def _lines(panel: "Axes", image: RectifiedImage) -> None:
    """Scatter of the rows without object over the noise: what sky lines leave behind.

    Against the sky if it is known, else along wavelength.
    """
    good = np.isfinite(image.flux) & ((image.flags & UNUSABLE) == 0) & (image.error > 0)
    panel.set_title("rows away from the object: scatter over noise")
    panel.set(ylabel="scatter / noise", xlabel="wavelength [nm]")
    if image.sky is not None:
        panel.set(xlabel=f"sky [{_short(image.unit)} / bin]")
    if not good.any():
        style.note(panel, "nothing is known")
        return
    rows = np.flatnonzero(_quiet_rows(np.where(good, image.flux, np.nan), good))
    pull = (image.flux[rows] / np.where(good, image.error, 1.0)[rows])[good[rows]]
    along = np.broadcast_to(image.wavelength, image.grid.shape) if image.sky is None else image.sky
    place = along[rows][good[rows]]
    known = np.isfinite(place) & (place > 0)
    if np.count_nonzero(known) < 500:
        style.note(panel, "no rows without object")
        return
    share = np.linspace(0, 100, 60) if image.sky is None else _SHARES
    x, y = _scatter(place[known], pull[known], share)
    panel.plot(x, y, "o-", color=style.BLUE, markersize=2.5)
    panel.set_xscale("linear" if image.sky is None else "log")
    panel.axhline(1.0, color=style.RED, linewidth=0.8)
    panel.set_ylim(0.0, max(1.5, 1.1 * float(y.max())))


def _scatter(
    place: np.ndarray, pull: np.ndarray, share: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Median place and scatter of the pulls in groups that percentiles of the place divide."""
    bounds = np.unique(np.percentile(place, share))
    group = np.clip(np.searchsorted(bounds, place, side="right") - 1, 0, len(bounds) - 2)
    found = [
        (style.median(place[group == k]), MAD_SCALE * style.median(np.abs(pull[group == k])))
        for k in range(len(bounds) - 1)
        if np.count_nonzero(group == k) > 30
    ]
    x, y = np.array(found).T
    return x, y


def _quiet_rows(flux: np.ndarray, good: np.ndarray) -> np.ndarray:
    """(m,) bool: the half of the well-filled rows with the least light, negative images included."""
    filled = good.mean(axis=1)
    well = filled > 0.8 * filled.max()
    level = np.full(len(flux), np.inf)
    level[well] = [abs(style.median(row)) for row in flux[well]]
    return np.asarray(level <= np.median(level[well]))
