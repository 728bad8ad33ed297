"""Lines of equal wavelength and equal slit position, as the pixel map has them."""

from typing import TYPE_CHECKING

import numpy as np

from soxspipe.datamodel.geometry import PixelMap
from soxspipe.instrument.arms import Arm
from soxspipe.qc import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Window = tuple[slice, ...]


def draw(
    panel: "Axes",
    pixel_map: PixelMap,
    arm: Arm,
    *,
    slits: np.ndarray,
    window: Window = (slice(None), slice(None)),
    stride: int = 24,
    lines: int = 8,
) -> float:
    """Draw the grid onto an image with dispersion along its rows; returns the wavelength step, nm.

    slits : arcsec. window : part of the image (rows, columns) as slices. stride : pixels along
    dispersion between points that are looked at. lines : wavelengths per order, about.
    """
    thin = tuple(
        slice(w.start, w.stop, n)
        for w, n in zip(window, (max(1, stride // 8), stride), strict=True)
    )
    wavelength, slit, order = (
        arm.along_rows(z)[thin] for z in (pixel_map.wavelength, pixel_map.slit, pixel_map.order)
    )
    row = np.arange(arm.along_rows(pixel_map.order).shape[0])[thin[0]]
    column = np.arange(arm.along_rows(pixel_map.order).shape[1])[thin[1]]
    numbers = [int(n) for n in np.unique(order) if n != 0]
    spans = [float(np.ptp(wavelength[order == n])) for n in numbers]
    step = round_step(float(np.median(spans)) / lines) if spans else 1.0
    for number in numbers:
        inside = order == number
        rows = np.flatnonzero(inside.any(axis=1))
        part = slice(rows[0], rows[-1] + 1)
        if rows[-1] == rows[0] or len(column) < 2:
            continue
        low, high = wavelength[inside].min(), wavelength[inside].max()
        levels = np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step
        for values, at, colour, width in (
            (wavelength, levels, style.BLUE, 0.7),
            (slit, np.sort(slits), style.PINK, 0.4),
        ):
            shown = np.ma.masked_where(~inside[part], values[part])
            if at.size and shown.count() and _crossed(shown, at):
                panel.contour(column, row[part], shown, at, colors=[colour], linewidths=width)
    return step


def _crossed(values: np.ma.MaskedArray, levels: np.ndarray) -> bool:
    """Whether any level lies inside the values."""
    return bool(np.any((levels > values.min()) & (levels < values.max())))


def round_step(value: float) -> float:
    """1, 2 or 5 times a power of ten, near `value`; 1 if it is not positive."""
    if not value > 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(value))
    return float(power * min((1, 2, 5, 10), key=lambda k: abs(np.log(value / (k * power)))))
