"""Scattered light: a smooth surface through what is seen between the orders."""

from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy import sparse
from scipy.interpolate import BSpline
from scipy.linalg import cho_solve_banded, cholesky_banded

from soxspipe.datamodel.frame import Frame
from soxspipe.datamodel.geometry import OrderTable, OrderTrace
from soxspipe.maths.bspline import full_knots
from soxspipe.maths.robust import mad_sigma

#: Pixels across and along dispersion that are averaged before the fit.
_CELL = (8, 32)
#: Distance of the knots, the same way.
_KNOTS = (12.0, 64.0)
#: Smoothing lengths tried, in units of the longest.
_SHARES = (1.0, 0.5, 0.25, 0.125)
#: A Gaussian of unit sigma passes half of a wave of this many radians per pixel.
_HALF_PASSED = 1.18


def between_orders(table: OrderTable, shape: tuple[int, int], *, clearance: float) -> np.ndarray:
    """(ny, nx) bool, True at least `clearance` pixels away from every order edge.

    Where two orders leave less room, the middle of their gap is free, 3 pixels from both. Orders may
    show light beyond the ends of their traces: they are continued as parabolas.
    """
    along_x = table.dispersion_axis == "x"
    n_across, n_along = shape if along_x else shape[::-1]
    pixel = np.arange(n_along, dtype="f8")
    edges = [
        np.sort([_continued(trace, which, pixel) for which in ("lower", "upper")], axis=0)
        for trace in table.orders.values()
    ]
    edges.sort(key=lambda both: float(np.median(both)))
    free = np.zeros((n_across, n_along), dtype=bool)
    borders = [np.full(n_along, -np.inf), *(e for both in edges for e in both)]
    borders.append(np.full(n_along, np.inf))
    for below, above in zip(borders[::2], borders[1::2], strict=True):
        distance = np.minimum(clearance, np.maximum(0.5 * (above - below) - 2.0, 3.0))
        _mark(free, below + distance, above - distance, value=True)
    for low, high in edges:  # a gap may be crossed by an order that is not next to it
        _mark(free, low - 2.999, high + 2.999, value=False)
    return free if along_x else free.T


def _mark(image: np.ndarray, start: np.ndarray, stop: np.ndarray, *, value: bool) -> None:
    """Set the rows from `start` to `stop` (columns,) of each column."""
    last = image.shape[0] - 1
    first = int(np.clip(np.floor(start.min()), 0, last))
    end = int(np.clip(np.ceil(stop.max()), 0, last)) + 1
    row = np.arange(first, end)[:, None]
    image[first:end][(row >= start) & (row <= stop)] = value


def _continued(trace: OrderTrace, which: str, pixel: np.ndarray) -> np.ndarray:
    """An edge (n,), beyond the domain the parabola that continues its last third."""
    low, high = trace.domain
    edge = trace.at(which, pixel)
    for end, sign in ((low, -1.0), (high, 1.0)):
        beyond = sign * (pixel - end) > 0
        if beyond.any() and high > low:
            last = end - sign * np.linspace(0.0, (high - low) / 3.0, 20)
            curve = np.polynomial.Polynomial.fit(last, trace.at(which, last), 2)
            edge = np.where(beyond, curve(pixel), edge)
    return edge


@dataclass(frozen=True, eq=False)
class _Cells:
    """Means over cells of free pixels: row, column, value, weight (n,); rows run across dispersion."""

    row: np.ndarray
    column: np.ndarray
    value: np.ndarray
    weight: np.ndarray

    def part(self, kept: np.ndarray) -> "_Cells":
        """The cells where `kept` (n,) is True."""
        return _Cells(self.row[kept], self.column[kept], self.value[kept], self.weight[kept])


def fit(
    frame: Frame, free: np.ndarray, *, smoothing: float, degree: int = 2, along_x: bool = True
) -> np.ndarray:
    """Scattered-light surface (ny, nx), in the frame's unit.

    A product of B-splines, with a penalty on its third derivatives (Eilers & Marx 1996, Stat. Sci. 11,
    89), through clipped means of cells of free pixels. Unlike blurring, that keeps the height of a hump
    and continues its slope and curvature below an order. The penalty that smooths as a Gaussian of
    `smoothing` does is the strongest tried; weaker ones are taken if they predict left-out cells better.

    Parameters
    ----------
    free : (ny, nx) True between orders. smoothing : the longest smoothing length, Gaussian sigma, pixels.
    degree : of the splines, 1 to 5. along_x : dispersion is along x.

    Returns
    -------
    The surface, 0 if next to nothing is free.
    """
    turn = (lambda z: z) if along_x else (lambda z: z.T)
    data, variance, use = (turn(z) for z in (frame.data, frame.variance, free & frame.good))
    cells = _averaged(data, variance, use)
    if len(cells.value) < 8:
        return np.zeros(frame.shape, dtype="f4")
    surface = _Surface(data.shape, degree)
    cells = _without_outliers(surface, cells, smoothing * _SHARES[-1])
    test = np.random.default_rng(0).random(len(cells.value)) < 0.15
    length = smoothing
    if 4 < test.sum() < 0.5 * len(test):
        length = smoothing * _best_share(surface, cells, test, smoothing)
    return turn(surface.image(surface.coefficients(cells, length)).astype("f4"))


def left_over(
    frame: Frame, free: np.ndarray, surface: np.ndarray, *, along_x: bool = True
) -> float:
    """Median distance of the model from means over cells of free pixels, in the frame's unit.

    NaN if nothing is free. The noise of a cell, about a sixteenth of that of a pixel, is part of it.
    """
    turn = (lambda z: z) if along_x else (lambda z: z.T)
    data, variance, use = (
        turn(z) for z in (frame.data - surface, frame.variance, free & frame.good)
    )
    cells = _averaged(data, variance, use)
    return float(np.median(np.abs(cells.value))) if len(cells.value) else float("nan")


def _best_share(surface: "_Surface", cells: _Cells, test: np.ndarray, smoothing: float) -> float:
    """The share of the longest smoothing that predicts the cells left out best, or as well."""
    best, least = _SHARES[0], np.inf
    for share in _SHARES:
        known = surface.coefficients(cells.part(~test), smoothing * share)
        off = (surface.at(known, cells) - cells.value)[test] ** 2 * cells.weight[test]
        if off.mean() < 0.99 * least:
            best, least = share, off.mean()
    return best


def _without_outliers(surface: "_Surface", cells: _Cells, length: float) -> _Cells:
    """Cells that follow their neighbours: ghosts and remnants of orders are left out."""
    for _ in range(2):
        off = surface.at(surface.coefficients(cells, length), cells) - cells.value
        off *= np.sqrt(cells.weight)
        kept = np.abs(off) < 8.0 * max(mad_sigma(off), 1.0)
        if kept.all():
            break
        cells = cells.part(kept)
    return cells


class _Surface:
    """Products of B-splines on an image of `shape` (rows, columns), fitted to cells."""

    def __init__(self, shape: tuple[int, int], degree: int) -> None:
        self.shape, self.degree = shape, degree
        breaks = [
            np.linspace(-0.5, n - 0.5, max(round(n / step), 3) + 1)
            for n, step in zip(shape, _KNOTS, strict=True)
        ]
        self.knots = [full_knots(b, degree) for b in breaks]
        self.step = [float(b[1] - b[0]) for b in breaks]
        self.size = [len(k) - degree - 1 for k in self.knots]

    def _basis(self, axis: int, at: np.ndarray) -> sparse.csr_array:
        matrix = BSpline.design_matrix(np.asarray(at, dtype="f8"), self.knots[axis], self.degree)
        return sparse.csr_array(matrix)

    def _matrix(self, cells: _Cells) -> sparse.csr_array:
        """(cells, coefficients): those along dispersion side by side."""
        across, along = self._basis(0, cells.row), self._basis(1, cells.column)
        n, few = len(cells.row), self.degree + 1
        place = across.indices.reshape(n, few, 1) * self.size[1] + along.indices.reshape(n, 1, few)
        value = across.data.reshape(n, few, 1) * along.data.reshape(n, 1, few)
        start = np.arange(n + 1) * few**2
        shape = (n, self.size[0] * self.size[1])
        return sparse.csr_array((value.ravel(), place.ravel(), start), shape=shape)

    def _penalty(self, length: float) -> sparse.csr_array:
        """Integral of both third derivatives squared, per weight of a pixel, for that smoothing."""
        rough = [_roughness(n) for n in self.size]
        one = [sparse.eye_array(n) for n in self.size]
        strength = (length / _HALF_PASSED) ** 6
        (h, g) = self.step
        return strength * (
            g / h**5 * sparse.kron(rough[0], one[1]) + h / g**5 * sparse.kron(one[0], rough[1])
        )

    def coefficients(self, cells: _Cells, length: float) -> np.ndarray:
        """(across, along) coefficients of the penalised fit."""
        matrix = self._matrix(cells)
        per_pixel = float(np.median(cells.weight)) / (_CELL[0] * _CELL[1])
        normal = matrix.T @ (matrix * cells.weight[:, None]) + per_pixel * self._penalty(length)
        found = _solved(normal, matrix.T @ (cells.weight * cells.value))
        return found.reshape(self.size)

    def at(self, coefficients: np.ndarray, cells: _Cells) -> np.ndarray:
        """Values (n,) at the places of the cells."""
        return np.asarray(self._matrix(cells) @ coefficients.ravel())

    def image(self, coefficients: np.ndarray) -> np.ndarray:
        """(rows, columns) values at the pixels."""
        across, along = (self._basis(axis, np.arange(n)) for axis, n in enumerate(self.shape))
        return np.asarray(across @ (along @ coefficients.T).T)


def _roughness(n: int) -> sparse.csr_array:
    """(n, n) sum of the squared third differences of n coefficients, as a quadratic form."""
    third = sparse.diags_array([-1.0, 3.0, -3.0, 1.0], offsets=[0, 1, 2, 3], shape=(n - 3, n))
    return sparse.csr_array(third.T @ third)


def _solved(normal: sparse.csr_array, vector: np.ndarray) -> np.ndarray:
    """Solution of the banded, positive definite equations."""
    entries = sparse.coo_array(sparse.triu(normal))
    i, j = entries.coords
    reach = int((j - i).max())
    band = np.zeros((reach + 1, len(vector)))
    band[reach + i - j, j] = entries.data
    band[reach] *= 1.0 + 1e-12  # few cells may leave a plane undecided
    return cho_solve_banded((cholesky_banded(band, check_finite=False), False), vector)


def _averaged(data: np.ndarray, variance: np.ndarray, use: np.ndarray) -> _Cells:
    """Clipped means of the cells that hold at least a few free pixels."""
    rows, columns = (-(-n // step) for n, step in zip(data.shape, _CELL, strict=True))
    out = np.zeros((5, rows * columns))
    _average(np.ascontiguousarray(data), np.ascontiguousarray(variance), use, *_CELL, columns, out)
    out = out[:, out[4] >= 8]
    return _Cells(out[0], out[1], out[2], 1.0 / out[3])


@njit(cache=True)
def _average(data, variance, use, high, wide, columns, out):  # type: ignore[no-untyped-def]
    """Row, column, mean, variance of the mean and number of pixels of each cell."""
    ny, nx = data.shape
    values, places = np.empty(high * wide), np.empty((high * wide, 2))
    noise = np.empty(high * wide)
    for cell in range(out.shape[1]):
        y0, x0 = cell // columns * high, cell % columns * wide
        n = 0
        for y in range(y0, min(y0 + high, ny)):
            for x in range(x0, min(x0 + wide, nx)):
                if use[y, x]:
                    values[n], noise[n] = data[y, x], variance[y, x]
                    places[n, 0], places[n, 1] = y, x
                    n += 1
        if n < 8:
            continue
        centre = np.median(values[:n])
        limit = 4.0 * np.sqrt(np.median(noise[:n]))
        kept = 0
        for k in range(n):
            if abs(values[k] - centre) <= limit:
                kept += 1
                out[0, cell] += places[k, 0]
                out[1, cell] += places[k, 1]
                out[2, cell] += values[k]
                out[3, cell] += noise[k]
        if kept >= 8:
            out[0, cell] /= kept
            out[1, cell] /= kept
            out[2, cell] /= kept
            out[3, cell] = max(out[3, cell], 1e-6) / kept**2
        out[4, cell] = kept
