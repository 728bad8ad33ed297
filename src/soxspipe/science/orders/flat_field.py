"""The flat field, taken apart: lamp spectrum times blaze, and the response of slit and pixels.

Flat = lamp and blaze (smooth along dispersion) x slit illumination (along the slit) x pixel response.
The first factor is taken out and kept beside the flat; science is divided by the rest, so extracted
orders hold detected electrons, and the kept spectrum tells how orders compare where they overlap.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.polynomial import chebyshev

from soxspipe.datamodel.flat import MasterFlat
from soxspipe.datamodel.frame import Frame, PixelFlag
from soxspipe.datamodel.geometry import OrderTable
from soxspipe.errors import DataError
from soxspipe.science.orders.cold_pixels import cold_pixels
from soxspipe.science.orders.emission_lines import near_lines
from soxspipe.science.orders.illumination import slit_illumination
from soxspipe.science.orders.lamp_spectrum import lamp_spectrum
from soxspipe.science.orders.lit_pixels import LitPixels, lit_pixels
from soxspipe.science.orders.shrinkage import shrunk

#: Most that the lamp's light may change over two pixels, relative, where it tells the response.
_STEEPEST = 0.3
#: A cold pixel's response is not taken for less than this.
_LEAST_RESPONSE = 0.1


@dataclass(frozen=True)
class FlatOptions:
    """least_electrons: lamp light per pixel of the stack below which nothing is known about the
    response; cold_sigma: how far below the median response a cold pixel is, in MAD-based scatters.
    """

    least_electrons: float
    cold_sigma: float


@dataclass(frozen=True, eq=False)
class Separated:
    """The flat as measured, and (rows, columns) the response that pixels of usual sensitivity have at
    their place in the slit, 0 between orders.
    """

    flat: MasterFlat
    usual: np.ndarray


@dataclass(frozen=True, eq=False)
class _Order:
    """One order's pixels with the lamp's light (n,), electrons, 0 where it tells nothing, and the
    spectrum of the lamp at the order centre (columns,), NaN where there is none.
    """

    pixels: LitPixels
    level: np.ndarray
    lamp: np.ndarray


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


def separate(
    frame: Frame, table: OrderTable, tilt: Mapping[int, np.ndarray], options: FlatOptions
) -> Separated:
    """Divide the stacked flat by its lamp spectrum, order by order.

    Parameters
    ----------
    frame : (rows, columns) stacked flat in electrons, scattered light removed, dispersion along columns.
    table : centres and edges. tilt : per order (columns,), shift along dispersion per pixel across of
    light of one wavelength.

    Returns
    -------
    The response (1 between orders) with its variance and flags, and the lamp spectra relative to the
    brightest. Pixels where the lamp is too faint, or shows emission lines, are NO_FLAT and hold 1;
    pixels whose response is significantly low are COLD, those where it is impossibly high OUTLIER.

    Raises
    ------
    DataError : no order shows light.
    """
    pixels = {n: lit_pixels(t, tilt[n], frame.shape) for n, t in table.orders.items()}
    pixels = {n: p for n, p in pixels.items() if p.rows.size}
    orders = {n: _with_lamp(frame, p) for n, p in pixels.items()}
    peaks = [float(np.nanmax(o.lamp)) for o in orders.values() if np.isfinite(o.lamp).any()]
    if not peaks or max(peaks) < options.least_electrons:
        raise DataError("no order shows light on the flat", hint="check lamp and slit of the flats")
    first, usual = _divided(frame, orders, options, lines=False)
    cold, _ = _deviating(first, usual, options)
    # once more without them: a stripe across the slit lowers the median of its wavelengths
    marked = frame.flagged(cold, PixelFlag.COLD)
    orders = {n: _with_lamp(marked, p) for n, p in pixels.items()}
    flat, usual = _divided(marked, orders, options, lines=True)
    cold, bright = _deviating(flat, usual, options)
    flat = replace(flat, flags=flat.flags & ~np.uint16(PixelFlag.COLD))
    flat = flat.flagged(cold, PixelFlag.COLD).flagged(bright, PixelFlag.OUTLIER)
    held = np.maximum(flat.data, np.where(flat.variance > 0, _LEAST_RESPONSE, 1.0))
    lamps = {
        n: np.where(o.lamp > options.least_electrons, o.lamp, np.nan) for n, o in orders.items()
    }
    relative = {n: (z / max(peaks)).astype("f4") for n, z in lamps.items()}
    return Separated(MasterFlat(replace(flat, data=held), relative), usual)


def _deviating(
    flat: Frame, usual: np.ndarray, options: FlatOptions
) -> tuple[np.ndarray, np.ndarray]:
    """Cold and impossibly bright pixels (rows, columns) among those whose light is known.

    Saturated pixels would look alike, and make the scatter of the others seem small.
    """
    known = (flat.flags & ~np.uint16(PixelFlag.COLD)) == 0
    variance = np.where(known, flat.variance, 0.0)
    return cold_pixels(flat.data, variance, usual, sigma=options.cold_sigma)


def _with_lamp(frame: Frame, pixels: LitPixels) -> _Order:
    at = pixels.rows, pixels.columns
    core = pixels.core & (frame.flags[at] == 0)
    lamp = lamp_spectrum(pixels.along[core], frame.data[at][core])
    before, level, after = (np.nan_to_num(lamp.at(pixels.along + d), nan=0.0) for d in (-1, 0, 1))
    steep = np.abs(after - before) > _STEEPEST * level
    # a steep spectrum needs the tilt of the slit's image better than it is known
    level = np.where(steep, 0.0, level)
    return _Order(pixels, level, lamp.at(np.arange(frame.shape[1], dtype="f8")))


def _divided(
    frame: Frame, orders: Mapping[int, _Order], options: FlatOptions, *, lines: bool
) -> tuple[Frame, np.ndarray]:
    """The response with variance and NO_FLAT flags, and that of usual pixels, 0 between orders.

    `lines`: look for emission lines of the lamp; a dead stripe must have been flagged before.
    """
    response, usual = np.ones(frame.shape, dtype="f4"), np.zeros(frame.shape, dtype="f4")
    variance, flags = np.zeros(frame.shape, dtype="f4"), np.array(frame.flags)
    for order in orders.values():
        at = order.pixels.rows, order.pixels.columns
        unknown = order.level < options.least_electrons
        level = np.where(unknown, 1.0, order.level)
        value, noise = frame.data[at] / level, frame.variance[at] / level**2
        good = ~unknown & (frame.flags[at] == 0)
        if lines:
            unknown |= near_lines(order.pixels, value, noise, good)
        response[at] = np.where(unknown, 1.0, value)
        variance[at] = np.where(unknown, 0.0, noise)
        flags[at] |= np.where(unknown, np.uint16(PixelFlag.NO_FLAT), np.uint16(0))
        usual[at] = slit_illumination(order.pixels, response[at], good & ~unknown)
    return Frame(response, variance, flags, unit="", header=frame.header), usual


def quietened(
    master: MasterFlat,
    usual: np.ndarray,
    table: OrderTable,
    tilt: Mapping[int, np.ndarray],
    *,
    least_scatter: float,
) -> MasterFlat:
    """The flat with noisy responses drawn towards what is usual, order by order (see `shrinkage`).

    usual : (rows, columns) as `separate` gives it. least_scatter : of the response from pixel to pixel.
    """
    flat = master.frame
    data, variance = np.array(flat.data), np.array(flat.variance)
    for number, trace in table.orders.items():
        pixels = lit_pixels(trace, tilt[number], flat.shape)
        at = pixels.rows, pixels.columns
        data[at], variance[at] = shrunk(flat, usual, at, least_scatter=least_scatter)
    return replace(master, frame=replace(flat, data=data, variance=variance))


def tilt_of(x: np.ndarray, y: np.ndarray, along_first: bool, size: int) -> np.ndarray:
    """Shift along dispersion per pixel across, on the pixel grid 0 .. size-1.

    x, y : (n, 2) positions of n wavelengths at two slit positions; along_first: dispersion is x.
    """
    along, across = (x, y) if along_first else (y, x)
    slope = (along[:, 1] - along[:, 0]) / (across[:, 1] - across[:, 0])
    series = chebyshev.Chebyshev.fit(along.mean(axis=1), slope, 3)
    return np.asarray(series(np.arange(size, dtype="f8")))
