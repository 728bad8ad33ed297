"""Fit each order roughly, and say how a solution fits its lines.

The design carries the shape; the night differs from it by a shift, a rotation, a scale and a smooth
distortion. Rough corrections are Chebyshev series in wavelength and slit position with a prior width
for each coefficient, fitted order by order in a way that wrong lines cannot spoil. The final fit is in
`adjustment`.
"""

from dataclasses import dataclass, replace

import numpy as np

from soxspipe.datamodel.arc_lines import ArcLines, LineFit
from soxspipe.datamodel.geometry import DispersionSolution, OrderSolution, unit
from soxspipe.maths.polynomials import basis_2d, robust_fit
from soxspipe.science.wavelength.corrections import Degrees, Term, terms_of

#: What a centroid can be off beside its photon noise while wrong lines are looked for: pixels.
CENTROID_FLOOR = 0.01

_PRIOR_ALONG = (20.0, 5.0, 2.0, 2.0, 1.0, 1.0, 0.5)
_PRIOR_SLIT = (1.0, 0.3, 0.1, 0.03)
#: A line seen through so many pinholes is good enough for a rough fit.
_ENOUGH_HOLES = 4
#: Highest degree along wavelength of a rough fit.
_ROUGH = 6


@dataclass(frozen=True)
class FitOptions:
    """Degrees in wavelength and slit position, and how outliers are rejected.

    wavelength_degree: the highest tried. order_degree: of the part that orders share; None if they are
    independent of each other. fixed: documented degrees, taken as they are instead. least_holes: lines
    seen through fewer pinholes take no part. whole_sets: a line of which one pinhole is rejected goes
    as a whole. floor: centroid error (px) allowed for while wrong lines are looked for.
    """

    wavelength_degree: int
    slit_degree: int
    sigma: float
    rounds: int
    floor: float = CENTROID_FLOOR
    least_holes: int = 1
    whole_sets: bool = False
    order_degree: int | None = None
    fixed: Degrees | None = None

    def lowered(self) -> "FitOptions":
        """The same with all degrees one less."""
        return replace(
            self,
            wavelength_degree=max(self.wavelength_degree - 1, 1),
            fixed=None if self.fixed is None else self.fixed.lowered(),
        )


def _prior(terms: list[Term]) -> np.ndarray:
    return np.array([_PRIOR_ALONG[min(i, 6)] * _PRIOR_SLIT[min(k, 3)] for i, k in terms])


def _correct_roughly(
    mean: OrderSolution, lines: ArcLines, options: FitOptions
) -> tuple[OrderSolution, np.ndarray]:
    """Solution of one order and which of its detected lines were kept."""
    t, s = unit(lines.wavelength, mean.wavelength), unit(lines.slit, mean.slit)
    at_x, at_y = mean.predict(lines.wavelength, lines.slit)
    n_lines = len(np.unique(lines.wavelength))
    terms = terms_of(min(_ROUGH, max(n_lines - 2, 1)), options.slit_degree)
    basis, prior = basis_2d(t, s, terms), _prior(terms)
    kept, corrected = np.ones(len(lines), dtype=bool), {}
    for axis, off, error in (
        ("x", lines.x - at_x, lines.x_error),
        ("y", lines.y - at_y, lines.y_error),
    ):
        found, clean = robust_fit(
            basis[kept],
            off[kept],
            error[kept],
            prior,
            sigma=options.sigma,
            rounds=options.rounds,
            floor=options.floor,
        )
        kept[np.flatnonzero(kept)[~clean]] = False
        if options.whole_sets:
            kept &= ~np.isin(lines.wavelength, lines.wavelength[~kept])
        corrected[axis] = add_terms(getattr(mean, axis), terms, found)
    span = lines.wavelength[kept] if kept.any() else lines.wavelength
    ends = (float(span.min()), float(span.max()))
    return replace(mean, x=corrected["x"], y=corrected["y"], lines=ends), kept


def add_terms(series: np.ndarray, terms: list[Term], values: np.ndarray) -> np.ndarray:
    """Chebyshev series plus listed terms."""
    shape = np.maximum(series.shape, np.max(terms, axis=0) + 1)
    total = np.zeros(shape)
    total[: series.shape[0], : series.shape[1]] = series
    np.add.at(total, tuple(np.transpose(terms)), values)
    return total


def fit_roughly(
    start: DispersionSolution, lines: ArcLines, options: FitOptions, *, least_lines: int = 4
) -> tuple[DispersionSolution, LineFit]:
    """Correct `start` order by order to the detected lines, without regard to their errors' sources.

    An order with fewer than `least_lines` different lines keeps the solution it had.

    Returns the corrected solution and how it fits every entry of `lines`.
    """
    orders = dict(start.orders)
    used = np.zeros(len(lines), dtype=bool)
    for number, order in start.orders.items():
        own = np.flatnonzero(lines.detected & (lines.order == number))
        _, line, holes = np.unique(lines.wavelength[own], return_inverse=True, return_counts=True)
        own = own[holes[line] >= min(options.least_holes, _ENOUGH_HOLES)]
        if len(np.unique(lines.wavelength[own])) < least_lines:
            continue
        orders[number], kept = _correct_roughly(order, lines.select(own), options)
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
