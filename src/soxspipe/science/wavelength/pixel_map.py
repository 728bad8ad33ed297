"""Turn the dispersion solution around: wavelength and slit position of every order pixel.

The solution says where light lands; here Newton's method finds, for each pixel centre, the light that
lands there. Derivatives are those of the Chebyshev series; a pixel starts from its neighbour's answer,
so two or three steps bring it below a ten-thousandth of a pixel.
"""

import math
from collections.abc import Mapping

import numpy as np
from numba import njit
from numpy.polynomial import chebyshev
from scipy import ndimage

from soxspipe.datamodel.geometry import (
    DispersionSolution,
    Domain,
    MapFlag,
    OrderSolution,
    OrderTable,
    PixelMap,
    unit,
)

#: Nodes along wavelength and slit at which errors are computed; they are smooth in between.
_NODES = (81, 13)
#: How far the nodes reach beyond the domain of the solution, on [-1, 1]; errors are held beyond.
_REACH = (1.1, 1.2)
#: A slit position farther out than this, in half lengths of the domain, is no light of the slit.
_LONGEST = 1.5


@njit(cache=True)
def _series(coefficients, in_t, in_s):  # type: ignore[no-untyped-def]
    total = 0.0
    for i in range(coefficients.shape[0]):
        row = 0.0
        for k in range(coefficients.shape[1]):
            row += coefficients[i, k] * in_s[k]
        total += row * in_t[i]
    return total


@njit(cache=True)
def _chebyshev(value, out, derivative):  # type: ignore[no-untyped-def]
    """T_n(value) and T_n'(value), n = 0, 1, ..."""
    out[0], derivative[0] = 1.0, 0.0
    if out.shape[0] > 1:
        out[1], derivative[1] = value, 1.0
    for n in range(2, out.shape[0]):
        out[n] = 2.0 * value * out[n - 1] - out[n - 2]
        derivative[n] = 2.0 * out[n - 1] + 2.0 * value * derivative[n - 1] - derivative[n - 2]


@njit(cache=True)
def _invert_run(cx, cy, x, y, t, s, tolerance):  # type: ignore[no-untyped-def]
    """Newton for each pixel in turn; t and s are filled, NaN where it did not converge."""
    nt, ns = cx.shape
    in_t, dt = np.empty(nt), np.empty(nt)
    in_s, ds = np.empty(ns), np.empty(ns)
    at_t, at_s = t[0], s[0]
    for n in range(x.shape[0]):
        if math.isfinite(t[n]):
            at_t, at_s = t[n], s[n]
        done = False
        for _ in range(30):
            _chebyshev(at_t, in_t, dt)
            _chebyshev(at_s, in_s, ds)
            rx = x[n] - _series(cx, in_t, in_s)
            ry = y[n] - _series(cy, in_t, in_s)
            xt, xs = _series(cx, dt, in_s), _series(cx, in_t, ds)
            yt, ys = _series(cy, dt, in_s), _series(cy, in_t, ds)
            determinant = xt * ys - xs * yt
            if determinant == 0.0:
                break
            step_t = (rx * ys - ry * xs) / determinant
            step_s = (xt * ry - yt * rx) / determinant
            at_t += min(max(step_t, -0.3), 0.3)
            at_s += min(max(step_s, -0.5), 0.5)
            if abs(rx) < tolerance and abs(ry) < tolerance:
                done = True
                break
            if abs(at_t) > 1.6 or abs(at_s) > 3.0:
                break
        if done:
            t[n], s[n] = at_t, at_s
        else:
            t[n], s[n] = np.nan, np.nan
            at_t, at_s = min(max(at_t, -1.2), 1.2), min(max(at_s, -1.2), 1.2)


def invert(
    order: OrderSolution, x: np.ndarray, y: np.ndarray, *, tolerance: float = 1e-5
) -> tuple[np.ndarray, np.ndarray]:
    """Wavelength (nm) and slit position (arcsec) of the light that lands at x, y (pixels), shape (n,).

    NaN where the solution does not reach the pixel. `tolerance` is in pixels. Fastest where
    neighbouring entries are neighbouring pixels.
    """
    t, s = np.full(len(x), np.nan), np.full(len(x), np.nan)
    if len(x) == 0:
        return t, s
    grid_t, grid_s = np.meshgrid(np.linspace(-1, 1, 41), np.linspace(-1, 1, 5), indexing="ij")
    grid_x = chebyshev.chebval2d(grid_t, grid_s, order.x).ravel()
    grid_y = chebyshev.chebval2d(grid_t, grid_s, order.y).ravel()
    nearest = int(np.argmin((grid_x - x[0]) ** 2 + (grid_y - y[0]) ** 2))
    t[0], s[0] = grid_t.ravel()[nearest], grid_s.ravel()[nearest]
    _invert_run(
        np.ascontiguousarray(order.x),
        np.ascontiguousarray(order.y),
        np.asarray(x, dtype="f8"),
        np.asarray(y, dtype="f8"),
        t,
        s,
        tolerance,
    )
    low, high = order.wavelength
    bottom, top = order.slit
    return 0.5 * (low + high + (high - low) * t), 0.5 * (bottom + top + (top - bottom) * s)


def _inside_edges(
    table: OrderTable, number: int, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (x, y) between the edges of an order, walking along dispersion."""
    along_x = table.dispersion_axis == "x"
    n_along, n_across = (shape[1], shape[0]) if along_x else (shape[0], shape[1])
    pixel = np.arange(n_along, dtype="f8")
    trace = table.orders[number]
    edges = np.sort([trace.at("lower", pixel), trace.at("upper", pixel)], axis=0)
    first = max(int(np.floor(edges[0].min())), 0)
    last = min(int(np.ceil(edges[1].max())), n_across - 1)
    across = np.arange(first, last + 1)[:, None]
    rows, columns = np.nonzero((across >= edges[0] - 0.5) & (across <= edges[1] + 0.5))
    rows = rows + first
    return (columns, rows) if along_x else (rows, columns)


def wavelength_error(order: OrderSolution, wavelength: np.ndarray, slit: np.ndarray) -> np.ndarray:
    """1-sigma error (n,) nm of the wavelength that the solution gives to a pixel; NaN if not known.

    The errors of x and y, turned around with the derivatives of the solution.
    """
    t, s = np.meshgrid(
        *(np.linspace(-r, r, n) for r, n in zip(_REACH, _NODES, strict=True)), indexing="ij"
    )
    low, high = order.wavelength
    bottom, top = order.slit
    error_x, error_y = order.error(
        0.5 * (low + high + (high - low) * t), 0.5 * (bottom + top + (top - bottom) * s)
    )
    (xt, xs), (yt, ys) = (
        (
            chebyshev.chebval2d(t, s, chebyshev.chebder(series, axis=0)),
            chebyshev.chebval2d(t, s, chebyshev.chebder(series, axis=1)),
        )
        for series in (order.x, order.y)
    )
    determinant = np.maximum(np.abs(xt * ys - xs * yt), 1e-6)
    error = np.hypot(ys * error_x, xs * error_y) / determinant * 0.5 * (high - low)
    places = [
        (unit(value, domain) / r + 1.0) * 0.5 * (n - 1)
        for value, domain, r, n in zip(
            (wavelength, slit), (order.wavelength, order.slit), _REACH, _NODES, strict=True
        )
    ]
    return np.asarray(ndimage.map_coordinates(error, places, order=1, mode="nearest"))


def make(
    solution: DispersionSolution,
    table: OrderTable,
    shape: tuple[int, int],
    *,
    ranges: Mapping[int, Domain],
    tolerance: float,
) -> tuple[PixelMap, float]:
    """Wavelength with its error, slit position and order of every pixel between the order edges.

    Parameters
    ----------
    shape : (ny, nx). ranges : wavelengths kept, nm, per order. tolerance : pixels.

    Returns
    -------
    The map, and the share of order pixels for which the inversion converged.
    """
    wavelength = np.zeros(shape)
    slit, error = np.zeros(shape, dtype="f4"), np.zeros(shape, dtype="f4")
    order, quality = np.zeros(shape, dtype="i2"), np.zeros(shape, dtype="u1")
    reliable, tried, solved = {}, 0, 0
    for number, part in solution.orders.items():
        if number not in table.orders:
            continue
        x, y = _inside_edges(table, number, shape)
        w, s = invert(part, x, y, tolerance=min(tolerance, 1e-3))
        free = order[y, x] == 0
        found = np.isfinite(w)
        tried, solved = tried + len(x), solved + int(found.sum())
        found &= np.abs(unit(s, part.slit)) < _LONGEST
        low, high = ranges[number]
        within = found & (w >= low) & (w <= high)
        quality[y, x] = np.where(
            free, np.where(found, MapFlag.BEYOND_ORDER, MapFlag.NOT_SOLVED), quality[y, x]
        )
        ok = within & free
        at, w, s = (y[ok], x[ok]), w[ok], s[ok]
        wavelength[at], slit[at], order[at] = w, s, number
        error[at] = wavelength_error(part, w, s)
        extrapolated = (w < part.lines[0]) | (w > part.lines[1])
        quality[at] = np.where(extrapolated, MapFlag.BEYOND_LINES, 0)
        reliable[number] = part.lines
    share = solved / max(tried, 1)
    return PixelMap(wavelength, slit, order, reliable, error, quality), share
