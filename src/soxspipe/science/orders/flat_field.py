"""The flat field, taken apart: lamp spectrum times blaze, and the response of slit and pixels.

Flat = lamp and blaze (smooth along dispersion) x slit illumination (along the slit) x pixel response.
The first factor is taken out and kept beside the flat; science is divided by the rest, so extracted
orders hold detected electrons, and the kept spectrum tells how orders compare where they overlap.
"""

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev
from scipy.interpolate import PchipInterpolator

from soxspipe.datamodel.flat import MasterFlat
from soxspipe.datamodel.frame import Frame, PixelFlag
from soxspipe.datamodel.geometry import OrderTable, OrderTrace
from soxspipe.errors import DataError
from soxspipe.maths.robust import mad_sigma, median_around

#: Pixels along dispersion per median of the lamp spectrum.
_BIN = 4.0


@dataclass(frozen=True)
class FlatOptions:
    """least_electrons: lamp light per pixel of the stack below which nothing is known about the
    response; cold_sigma: significance of a low-sensitivity pixel.
    """

    least_electrons: float
    cold_sigma: float


def centre_strip(table: OrderTable, shape: tuple[int, int], half_width: float) -> np.ndarray:
    """(rows, columns) bool: the strip around every order centre; dispersion along columns."""
    inside = np.zeros(shape, dtype=bool)
    pixel = np.arange(shape[1], dtype="f8")
    row = np.arange(shape[0])[:, None]
    for trace in table.orders.values():
        low, high = trace.domain
        centre = trace.at("centre", pixel)
        inside |= (np.abs(row - centre) <= half_width) & (pixel >= low) & (pixel <= high)
    return inside


def _lamp_coordinate(
    trace: OrderTrace, tilt: np.ndarray, rows: np.ndarray, columns: np.ndarray
) -> np.ndarray:
    """Pixel along dispersion at the order centre that sees the same wavelength."""
    return columns - tilt[columns] * (rows - trace.at("centre", columns.astype("f8")))


def _lamp_spectrum(coordinate: np.ndarray, values: np.ndarray, n: int) -> np.ndarray:
    """Monotone curve through medians of 4-pixel bins, on the pixel grid 0 .. n-1; NaN without light.

    A bin holds over a hundred pixels, so its median adds nothing to the noise of one; a stiffer curve
    would ring where a dichroic cuts the lamp off. Medians: cold pixels and columns have a small
    variance, any weighted mean would follow them.
    """
    bins = np.clip(np.rint(coordinate / _BIN).astype("i8"), 0, int(n / _BIN))
    sort = np.lexsort((values, bins))
    count = np.bincount(bins, minlength=int(n / _BIN) + 1)
    start = np.concatenate([[0], np.cumsum(count)[:-1]])
    filled = count > 4
    if filled.sum() < 20:
        return np.full(n, np.nan)
    ordered = values[sort]
    middle = start[filled] + count[filled] // 2
    x, y = np.flatnonzero(filled) * _BIN, 0.5 * (ordered[middle] + ordered[middle - 1])
    pixel = np.arange(n, dtype="f8")
    curve = PchipInterpolator(x, y)(np.clip(pixel, x[0], x[-1]))
    return np.where((pixel >= x[0] - _BIN) & (pixel <= x[-1] + _BIN), curve, np.nan)


def separate(
    frame: Frame, table: OrderTable, tilt: dict[int, np.ndarray], options: FlatOptions
) -> MasterFlat:
    """Divide the stacked flat by its lamp spectrum, order by order.

    Parameters
    ----------
    frame : (rows, columns) stacked flat in electrons, scattered light removed, dispersion along columns.
    table : centres and edges. tilt : per order (columns,), shift along dispersion per pixel across of
    light of one wavelength.

    Returns
    -------
    The response (1 between orders) with its variance and flags, and the lamp spectra relative to the
    brightest. Pixels where the lamp is too faint are NO_FLAT and hold 1; pixels whose response is
    significantly low are COLD.
    """
    shape = frame.shape
    response = np.ones(shape, dtype="f4")
    variance = np.zeros(shape, dtype="f4")
    flags = np.array(frame.flags)
    lamps: dict[int, np.ndarray] = {}
    for number, trace in table.orders.items():
        rows, columns = _order_pixels(trace, shape)
        if rows.size == 0:
            continue
        value, noise = frame.data[rows, columns], frame.variance[rows, columns]
        u = _lamp_coordinate(trace, tilt[number], rows, columns)
        middle = trace.at("centre", columns.astype("f8"))
        half = 0.35 * (
            trace.at("upper", columns.astype("f8")) - trace.at("lower", columns.astype("f8"))
        )
        core = (np.abs(rows - middle) < np.abs(half)) & (frame.flags[rows, columns] == 0)
        lamp = _lamp_spectrum(u[core], value[core], shape[1])
        level = np.interp(u, np.arange(shape[1]), np.nan_to_num(lamp, nan=0.0))
        dark = level < options.least_electrons
        safe = np.where(dark, 1.0, level)
        response[rows, columns] = np.where(dark, 1.0, value / safe)
        variance[rows, columns] = np.where(dark, 0.0, noise / safe**2)
        flags[rows, columns] |= np.where(dark, np.uint16(PixelFlag.NO_FLAT), np.uint16(0))
        lamps[number] = np.where(lamp > options.least_electrons, lamp, np.nan)
    peaks = [float(np.nanmax(lamp)) for lamp in lamps.values() if np.isfinite(lamp).any()]
    if not peaks:
        raise DataError("no order shows light on the flat", hint="check lamp and slit of the flats")
    brightest = max(peaks)
    flat = Frame(response, variance, flags, unit="", header=frame.header)
    return MasterFlat(
        _flag_cold(flat, table, options.cold_sigma),
        {n: (lamp / brightest).astype("f4") for n, lamp in lamps.items()},
    )


def _order_pixels(trace: OrderTrace, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """(rows, columns) between the edges and inside the domain of an order."""
    low, high = trace.domain
    pixel = np.arange(shape[1], dtype="f8")
    edges = np.sort([trace.at("lower", pixel), trace.at("upper", pixel)], axis=0)
    first = max(int(np.floor(edges[0].min())) - 1, 0)
    last = min(int(np.ceil(edges[1].max())) + 1, shape[0] - 1)
    row = np.arange(first, last + 1)[:, None]
    inside = (row >= edges[0] - 0.5) & (row <= edges[1] + 0.5) & (pixel >= low) & (pixel <= high)
    rows, columns = np.nonzero(inside)
    return rows + first, columns


def _flag_cold(flat: Frame, table: OrderTable, sigma: float) -> Frame:
    """Flag pixels whose response is low in units of its own noise and of the local scatter.

    Neighbours along dispersion share the illumination of the slit, so they judge a pixel right up to
    the slit's edge; those around it judge a column that is cold as a whole.
    """
    shape = flat.shape
    inside, interior = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    for trace in table.orders.values():
        rows, columns = _order_pixels(trace, shape)
        lower, upper = (trace.at(e, columns.astype("f8")) for e in ("lower", "upper"))
        edge = np.minimum(np.abs(rows - lower), np.abs(rows - upper))
        slope = np.abs(trace.at("lower", columns + 4.0) - lower) / 4.0
        # where the order runs obliquely, neighbours along dispersion come closer to the edge
        inside[rows, columns] = edge > 1.5 + 5.0 * slope
        interior[rows, columns] = edge > 2.5
    inside &= flat.variance > 0
    interior &= inside
    if not interior.any():
        return flat
    scatter = mad_sigma(np.diff(flat.data, axis=1)[interior[:, 1:]]) / np.sqrt(2.0)
    limit = max(sigma, 5.0) * np.maximum(np.sqrt(flat.variance), scatter)
    low = np.zeros(shape, dtype=bool)
    for where, half in ((inside, (0, 5)), (interior, (2, 4))):
        rows, columns = np.nonzero(where & (flat.data < 1.0 - 0.8 * limit))
        level = median_around(flat.data, where, rows, columns, half)
        low[rows, columns] |= flat.data[rows, columns] < level - limit[rows, columns]
    return flat.flagged(low, PixelFlag.COLD)


def tilt_of(x: np.ndarray, y: np.ndarray, along_first: bool, size: int) -> np.ndarray:
    """Shift along dispersion per pixel across, on the pixel grid 0 .. size-1.

    x, y : (n, 2) positions of n wavelengths at two slit positions; along_first: dispersion is x.
    """
    along, across = (x, y) if along_first else (y, x)
    slope = (along[:, 1] - along[:, 0]) / (across[:, 1] - across[:, 0])
    series = chebyshev.Chebyshev.fit(along.mean(axis=1), slope, 3)
    return np.asarray(series(np.arange(size, dtype="f8")))
