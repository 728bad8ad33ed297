"""Move a whole solution by a smooth distortion of the detector plane."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.polynomial import chebyshev

from soxspipe.datamodel.arc_lines import ArcLines
from soxspipe.datamodel.geometry import DispersionSolution, unit
from soxspipe.maths.polynomials import (
    basis_2d,
    chebyshev_nodes,
    chebyshev_on_grid,
    robust_fit,
)

Transform = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]

#: An order needs so many spots before it says anything about its own place.
_LEAST_SPOTS = 6
#: How far the plane may be stretched one way, or sheared, against the design: relative.
_STRAIN, _NO_STRAIN = 0.003, 1e-6


def distort(
    start: DispersionSolution, lines: ArcLines, *, degree: int, shape: tuple[int, int]
) -> DispersionSolution:
    """Move all orders by one smooth distortion of the detector plane, fitted to the detected lines.

    The distortion is a polynomial of total `degree` in the predicted pixel; `shape` is (ny, nx). It ties
    orders with few lines to those with many.
    """
    own = lines.select(lines.detected & np.isin(lines.order, list(start.orders)))
    at_x, at_y = _predicted(start, own)
    px, py = _plane(at_x, shape[1]), _plane(at_y, shape[0])
    terms = [(i, j) for i in range(degree + 1) for j in range(degree + 1 - i)]
    matrix = basis_2d(px, py, terms)
    prior = np.full(len(terms), np.inf)
    shifts = {}
    for axis, off, error in (
        ("x", own.x - at_x, own.x_error),
        ("y", own.y - at_y, own.y_error),
    ):
        shifts[axis], _ = robust_fit(matrix, off, error, prior, sigma=4.0, rounds=5, floor=0.1)

    def bent(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        basis = basis_2d(_plane(x, shape[1]), _plane(y, shape[0]), terms)
        return x + basis @ shifts["x"], y + basis @ shifts["y"]

    return move(start, bent)


def aligned(
    design: DispersionSolution,
    lines: ArcLines,
    *,
    groups: Sequence[Sequence[int]],
    shape: tuple[int, int],
) -> DispersionSolution:
    """The design shifted, turned and scaled to the detected lines, each group of orders by itself.

    What is left to correct is small and smooth. A group with too few lines stays where it was. Lines of a
    single pinhole in one order lie on a curve: they do not tell how the plane is stretched across it.
    """
    orders = dict(design.orders)
    for group in groups:
        part = DispersionSolution({n: design.orders[n] for n in group})
        own = lines.detected & np.isin(lines.order, group)
        if own.sum() >= _LEAST_SPOTS:
            orders.update(_similar(part, lines.select(own)).orders)
    return DispersionSolution(orders)


def _similar(start: DispersionSolution, lines: ArcLines) -> DispersionSolution:
    """`start` shifted, turned and scaled to the lines; a little stretched one way or sheared, too, if the
    lines lie on more than one curve.
    """
    at_x, at_y = _predicted(start, lines)
    middle = float(np.median(at_x)), float(np.median(at_y))
    u, v = at_x - middle[0], at_y - middle[1]
    one, nil = np.ones_like(u), np.zeros_like(u)
    # columns: shift in x and y, scale, rotation, stretch along one axis against the other, shear
    matrix = np.concatenate(
        [
            np.column_stack([one, nil, u, -v, u, v]),
            np.column_stack([nil, one, v, u, -v, u]),
        ]
    )
    off = np.concatenate([lines.x - at_x, lines.y - at_y])
    error = np.concatenate([lines.x_error, lines.y_error])
    curves = len(np.unique(np.column_stack([lines.order, lines.slit_index]), axis=0))
    prior = np.array([np.inf] * 4 + [_STRAIN if curves > 1 else _NO_STRAIN] * 2)
    (dx, dy, scale, turn, stretch, shear), _ = robust_fit(
        matrix, off, error, prior, sigma=4.0, rounds=5, floor=0.1
    )

    def moved(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        u, v = x - middle[0], y - middle[1]
        return (
            x + dx + (scale + stretch) * u + (shear - turn) * v,
            y + dy + (scale - stretch) * v + (shear + turn) * u,
        )

    return move(start, moved)


def _predicted(solution: DispersionSolution, lines: ArcLines) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.empty(len(lines)), np.empty(len(lines))
    for number in np.unique(lines.order):
        own = lines.order == number
        x[own], y[own] = solution.predict(int(number), lines.wavelength[own], lines.slit[own])
    return x, y


def _plane(pixel: np.ndarray, size: int) -> np.ndarray:
    return unit(pixel, (0.0, float(size - 1)))


def move(
    start: DispersionSolution, transform: Transform, *, degree: tuple[int, int] = (7, 3)
) -> DispersionSolution:
    """Apply `transform(x, y) -> (x, y)` of the detector plane to a solution, exact at the nodes of a
    Chebyshev grid of `degree` in wavelength and slit position.
    """
    moved = {}
    t, s = np.meshgrid(chebyshev_nodes(degree[0]), chebyshev_nodes(degree[1]), indexing="ij")
    for number, order in start.orders.items():
        x, y = chebyshev.chebval2d(t, s, order.x), chebyshev.chebval2d(t, s, order.y)
        new_x, new_y = transform(x.ravel(), y.ravel())
        moved[number] = replace(
            order,
            x=chebyshev_on_grid(new_x.reshape(x.shape)),
            y=chebyshev_on_grid(new_y.reshape(y.shape)),
        )
    return DispersionSolution(moved)
