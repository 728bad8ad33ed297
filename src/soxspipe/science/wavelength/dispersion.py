"""Fit the dispersion solution: small, smooth corrections to the nominal optical design.

The design carries the shape; the night differs from it by a shift, a rotation, a scale and some tenths
of a pixel of smooth distortion. Corrections are Chebyshev series in wavelength and slit position per
order with a prior width for each coefficient: where lines are many they decide, where there are few or
none (order ends, faint orders) the correction stays small.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.polynomial import chebyshev

from soxspipe.datamodel.arc_lines import ArcLines, LineFit
from soxspipe.datamodel.geometry import DispersionSolution, OrderSolution, unit
from soxspipe.errors import DataError
from soxspipe.maths.polynomials import (
    basis_2d,
    chebyshev_nodes,
    chebyshev_on_grid,
    fit_with_prior,
    robust_fit,
)

#: What a centroid can be off beside its photon noise: pixels.
CENTROID_FLOOR = 0.01

_PRIOR_ALONG = (20.0, 5.0, 2.0, 1.5, 1.0, 0.7, 0.3)
_PRIOR_SLIT = (1.0, 0.3, 0.1, 0.03)


@dataclass(frozen=True)
class FitOptions:
    """Degrees in wavelength and slit position, and how outliers are rejected.

    least_holes: lines seen through fewer pinholes take no part. whole_sets: a line of which one pinhole
    is rejected goes as a whole.
    """

    wavelength_degree: int
    slit_degree: int
    sigma: float
    rounds: int
    floor: float = CENTROID_FLOOR
    least_holes: int = 1
    whole_sets: bool = False


def _terms(options: FitOptions, degree: int) -> list[tuple[int, int]]:
    """Terms (i, k) of the tensor product; the prior keeps the mixed ones small."""
    return [(i, k) for k in range(options.slit_degree + 1) for i in range(degree + 1)]


def _prior(terms: list[tuple[int, int]]) -> np.ndarray:
    return np.array([_PRIOR_ALONG[min(i, 6)] * _PRIOR_SLIT[min(k, 3)] for i, k in terms])


def _cross_validated(
    t: np.ndarray,
    s: np.ndarray,
    values: np.ndarray,
    error: np.ndarray,
    lines: np.ndarray,
    options: FitOptions,
) -> int:
    """The degree along wavelength that predicts left-out lines best; ties go to the lower one.

    All holes of one line are left out together: they share its wavelength error.
    """
    folds = np.unique(lines, return_inverse=True)[1] % 5
    weight = 1.0 / np.hypot(error, options.floor) ** 2
    n_lines = len(np.unique(lines))
    best, best_score = 1, np.inf
    for degree in range(1, min(options.wavelength_degree, max(n_lines - 2, 1)) + 1):
        terms = _terms(options, degree)
        matrix, prior = basis_2d(t, s, terms), _prior(terms)
        residual = np.empty_like(values)
        for fold in range(5):
            out = folds == fold
            if out.all() or not out.any():
                residual[out] = 0.0
                continue
            c = fit_with_prior(matrix[~out], values[~out], weight[~out], prior)
            residual[out] = values[out] - matrix[out] @ c
        score = float(np.mean(np.minimum(residual**2, 25 * np.median(residual**2) + 1e-12)))
        if score < 0.95 * best_score:
            best, best_score = degree, score
    return best


def _correct_order(
    nominal: OrderSolution, lines: ArcLines, options: FitOptions
) -> tuple[OrderSolution, np.ndarray]:
    """Solution of one order and which of its detected lines were kept."""
    t, s = unit(lines.wavelength, nominal.wavelength), unit(lines.slit, nominal.slit)
    at_x, at_y = nominal.predict(lines.wavelength, lines.slit)
    kept = np.ones(len(lines), dtype=bool)
    corrected = {}
    for _ in range(2):  # a line rejected along one axis is rejected along the other too
        for axis, off, error in (
            ("x", lines.x - at_x, lines.x_error),
            ("y", lines.y - at_y, lines.y_error),
        ):
            full = _terms(options, options.wavelength_degree)
            _, clean = robust_fit(
                basis_2d(t[kept], s[kept], full),
                off[kept],
                error[kept],
                _prior(full),
                sigma=options.sigma,
                rounds=options.rounds,
                floor=options.floor,
            )
            kept[np.flatnonzero(kept)[~clean]] = False
            if options.whole_sets:
                kept &= ~np.isin(lines.wavelength, lines.wavelength[~kept])
            degree = _cross_validated(
                t[kept], s[kept], off[kept], error[kept], lines.wavelength[kept], options
            )
            terms = _terms(options, degree)
            c = fit_with_prior(
                basis_2d(t[kept], s[kept], terms),
                off[kept],
                1.0 / np.hypot(error[kept], options.floor) ** 2,
                _prior(terms),
            )
            corrected[axis] = _add(getattr(nominal, axis), terms, c)
    span = lines.wavelength[kept]
    return (
        replace(
            nominal,
            x=corrected["x"],
            y=corrected["y"],
            lines=(float(span.min()), float(span.max())),
        ),
        kept,
    )


def _add(series: np.ndarray, terms: list[tuple[int, int]], values: np.ndarray) -> np.ndarray:
    """Chebyshev series plus listed terms."""
    shape = np.maximum(series.shape, np.max(terms, axis=0) + 1)
    total = np.zeros(shape)
    total[: series.shape[0], : series.shape[1]] = series
    np.add.at(total, tuple(np.transpose(terms)), values)
    return total


def fit_orders(
    start: DispersionSolution, lines: ArcLines, options: FitOptions, *, least_lines: int = 4
) -> tuple[DispersionSolution, LineFit]:
    """Correct `start` order by order to the detected lines.

    An order with fewer than `least_lines` different lines keeps the solution it had.

    Returns the corrected solution and how it fits every entry of `lines`.
    """
    orders = dict(start.orders)
    used = np.zeros(len(lines), dtype=bool)
    for number, order in start.orders.items():
        own = np.flatnonzero(lines.detected & (lines.order == number))
        _, line, holes = np.unique(lines.wavelength[own], return_inverse=True, return_counts=True)
        own = own[holes[line] >= options.least_holes]
        if len(np.unique(lines.wavelength[own])) < least_lines:
            continue
        orders[number], kept = _correct_order(order, lines.select(own), options)
        used[own[kept]] = True
    solution = DispersionSolution(orders)
    return solution, evaluate(solution, lines, used)


def evaluate(solution: DispersionSolution, lines: ArcLines, used: np.ndarray) -> LineFit:
    """Where the solution puts each entry of `lines`."""
    x, y = np.full(len(lines), np.nan), np.full(len(lines), np.nan)
    for number in np.unique(lines.order):
        own = lines.order == number
        x[own], y[own] = solution.predict(int(number), lines.wavelength[own], lines.slit[own])
    return LineFit(x, y, used)


def distort(
    start: DispersionSolution, lines: ArcLines, *, degree: int, shape: tuple[int, int]
) -> DispersionSolution:
    """Move all orders by one smooth distortion of the detector plane, fitted to the detected lines.

    The distortion is a polynomial of total `degree` in the predicted pixel; `shape` is (ny, nx). It ties
    orders with few lines to those with many.
    """
    fit = evaluate(start, lines, lines.detected)
    ok = lines.detected
    px, py = _plane(fit.x[ok], shape[1]), _plane(fit.y[ok], shape[0])
    terms = [(i, j) for i in range(degree + 1) for j in range(degree + 1 - i)]
    matrix = basis_2d(px, py, terms)
    prior = np.full(len(terms), np.inf)
    shifts = {}
    for axis, off, error in (
        ("x", lines.x[ok] - fit.x[ok], lines.x_error[ok]),
        ("y", lines.y[ok] - fit.y[ok], lines.y_error[ok]),
    ):
        shifts[axis], _ = robust_fit(matrix, off, error, prior, sigma=4.0, rounds=5, floor=0.1)
    return move(
        start,
        lambda x, y: tuple(
            z + basis_2d(_plane(x, shape[1]), _plane(y, shape[0]), terms) @ shifts[axis]
            for z, axis in ((x, "x"), (y, "y"))
        ),
    )


def _plane(pixel: np.ndarray, size: int) -> np.ndarray:
    return unit(pixel, (0.0, float(size - 1)))


def move(start: DispersionSolution, transform, *, degree: tuple[int, int] = (7, 3)):  # type: ignore[no-untyped-def]
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


def require_good(solution_fit: LineFit, lines: ArcLines, *, least_share: float, name: str) -> None:
    """DataError if too few of the detected lines agree with the solution."""
    detected = int(lines.detected.sum())
    share = solution_fit.used.sum() / max(detected, 1)
    if detected == 0 or share < least_share:
        raise DataError(
            f"{name}: only {share:.0%} of {detected} detected lines agree with one solution",
            hint="lower poly-fitting-residual-clipping-sigma in steps of 0.5, or check the raw frame",
        )


def scale_at(solution: DispersionSolution, lines: ArcLines, dispersion_axis: str) -> np.ndarray:
    """Nm per pixel along dispersion at every line, shape (n,)."""
    scale = np.full(len(lines), np.nan)
    for number in np.unique(lines.order):
        own = lines.order == number
        step = 1e-4 * lines.wavelength[own]
        ends = [
            solution.predict(int(number), lines.wavelength[own] + sign * step, lines.slit[own])
            for sign in (-1, 1)
        ]
        axis = 0 if dispersion_axis == "x" else 1
        scale[own] = np.abs(2 * step / (ends[1][axis] - ends[0][axis]))
    return scale
