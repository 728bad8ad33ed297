"""Continuum spline, lines and line spread of one order in one linear least-squares fit.

Spline coefficients and the three numbers of each line (height, shift, broadening) have neighbours only:
their normal equations are banded. The line spread is shared by all lines: a dense border.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import cho_factor, cho_solve, cho_solve_banded, cholesky_banded, lapack

from soxspipe.maths import bspline
from soxspipe.science.sky import loops
from soxspipe.science.sky.cells import Cells
from soxspipe.science.sky.line_spread import POWERS, LineSpread
from soxspipe.science.sky.model import Lines, Model, Priors

#: Numbers over width of a band below which it is treated as a whole matrix.
_WIDE = 3


@dataclass(frozen=True, eq=False)
class Covariance:
    """Of the fit: Cholesky factor of the banded part, what ties it to the border, factor of the border.

    index  number of each spline coefficient, and of the first of the three numbers of each line
    """

    model: Model
    index: tuple[np.ndarray, np.ndarray]
    lower: np.ndarray  # as (n, width): the band's columns are rows
    ties: np.ndarray
    factor: np.ndarray

    @cached_property
    def inverse(self) -> np.ndarray:
        """Lower band of the inverse of the banded part, (n, width)."""
        n, width = self.lower.shape
        if n < _WIDE * width:  # a spline of few knots ties half of all lines: then LAPACK is faster
            return _whole_inverse(self.lower)
        return np.asarray(loops.selected_inverse(self.lower))

    def variance(self, x: np.ndarray) -> np.ndarray:
        """(n,) electrons squared: variance of the model at native bins x, rising."""
        m = self.model
        out, rows = np.zeros(len(x)), np.zeros((len(x), len(self.factor)))
        loops.model_variance(
            np.ascontiguousarray(x, dtype="f8"),
            (bspline.full_knots(m.breaks, m.degree), m.degree, self.index[0]),
            _columns(m, self.index[1]),
            m.place(m.lines.centre),
            self.inverse,
            self.ties,
            out,
            rows,
        )
        if len(self.factor):
            out += np.einsum("nq,nq->n", rows @ np.linalg.inv(self.factor), rows)
        return out

    @property
    def of_heights(self) -> np.ndarray:
        """(l,) variance of the lines' heights, line spread fixed."""
        return np.asarray(self.inverse[self.index[1], 0])


def _whole_inverse(lower: np.ndarray) -> np.ndarray:
    """Band (n, width) of the inverse, by way of the whole."""
    n, width = lower.shape
    whole = np.zeros((n, n), order="F")
    for d in range(width):
        np.fill_diagonal(whole[d:], lower[: n - d, d])
    inverse, _info = lapack.dpotri(whole, lower=1, overwrite_c=1)
    band = np.zeros_like(lower)
    for d in range(width):
        band[: n - d, d] = np.diagonal(inverse, -d)
    return band


def solve(
    cells: Cells,
    start: Model,
    priors: Priors,
    boxed: LineSpread | None,
    length: float = 1.0,
    heights: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[Model, Covariance]:
    """One Gauss-Newton step from `start`.

    boxed : line spread about which the learned one varies; None: the line spread is not changed.
    length : below 1 the step is damped, by a pull towards `start`.
    heights : prior mean and standard deviation (l,) of the lines' heights; None: no prior.
    """
    lines, spread = start.lines, start.spread
    knots = bspline.full_knots(start.breaks, start.degree)
    n_spline = len(knots) - start.degree - 1
    index = _positions(knots, n_spline, start.degree, lines)
    n = n_spline + 3 * len(lines.centre)
    learned = POWERS * spread.coefficients.shape[1] if boxed is not None else 0
    reach = _reach(knots, n_spline, start.degree, lines, spread.half, *index)
    columns, vector = np.zeros((n, reach + 1)), np.zeros(n)
    tie, border, shared = np.zeros((n, learned)), np.zeros((learned, learned)), np.zeros(learned)
    loops.accumulate(
        (cells.x, cells.spread, cells.y, cells.weight),
        (knots, start.degree, index[0]),
        _columns(start, index[1]),
        start.place(lines.centre),
        (columns, vector, tie, border, shared),
    )
    band = columns.T  # as LAPACK likes it
    _add_priors(band, vector, index, priors, lines, length)
    if heights is not None:
        band[0][index[1]] += 1.0 / heights[1] ** 2
        vector[index[1]] += heights[0] / heights[1] ** 2
    lower = cholesky_banded(band, overwrite_ab=True, lower=True, check_finite=False)
    solution = cho_solve_banded((lower, True), vector, check_finite=False)
    change = np.zeros(0)
    if boxed is not None:
        if boxed.coefficients.shape != spread.coefficients.shape:
            raise ValueError("the learned line spread and the boxed one differ in extent")
        ties = np.ascontiguousarray(cho_solve_banded((lower, True), tie, check_finite=False))
        pull = _pull(boxed, priors.spread)
        target = pull * (boxed.coefficients - spread.coefficients).ravel()
        border = np.tril(border) + np.tril(border, -1).T
        schur = border - tie.T @ ties
        schur[np.diag_indices_from(schur)] += pull / length**2
        factor = cho_factor(schur, check_finite=False)
        change = cho_solve(factor, shared + target - tie.T @ solution, check_finite=False)
        solution = solution - ties @ change
        border = schur
    else:
        ties = tie
    model = _moved(start, solution, change, index)
    covariance = Covariance(model, index, np.ascontiguousarray(lower.T), ties, border)
    return model, covariance


def _columns(model: Model, at: np.ndarray) -> tuple[np.ndarray | float, ...]:
    """The lines as the loops take them."""
    lines, spread = model.lines, model.spread
    return lines.centre, lines.height, lines.broad, model.shapes, spread.half, at


def step(
    cells: Cells, start: Model, priors: Priors, boxed: LineSpread | None
) -> tuple[Model, Covariance]:
    """A step that does not make the fit worse: shorter ones are tried where a long one does."""
    model, covariance, _chi2 = judged_step(cells, start, priors, boxed, chi2(cells, start))
    return model, covariance


def judged_step(
    cells: Cells, start: Model, priors: Priors, boxed: LineSpread | None, before: float
) -> tuple[Model, Covariance, float]:
    """The same, from and to the chi2 of cells `before` and after it."""
    limit = (before + _penalty(start, priors, boxed)) * (1 + 1e-6)
    for length in (1.0, 0.15, 0.01):
        model, covariance = solve(cells, start, priors, boxed, length)
        after = chi2(cells, model)
        if after + _penalty(model, priors, boxed) <= limit:
            break
    return model, covariance, after


def _penalty(model: Model, priors: Priors, boxed: LineSpread | None) -> float:
    """What the priors add to chi2."""
    total = float(np.sum((model.lines.broad / priors.broad) ** 2))
    if boxed is not None:
        change = (model.spread.coefficients - boxed.coefficients).ravel()
        total += float(np.sum(_pull(boxed, priors.spread) * change**2))
    return total


def chi2(cells: Cells, model: Model) -> float:
    """Sum of squared residuals of cells, in units of their noise."""
    left = residuals(cells, model)
    return float(left @ left)


def misfit(cells: Cells, model: Model) -> float:
    """Mean squared residual of cells, in units of their noise."""
    return chi2(cells, model) / len(cells.x)


def residuals(cells: Cells, model: Model) -> np.ndarray:
    """(c,) cells minus model, in units of the cells' noise."""
    out = np.empty(len(cells.x))
    lines = model.lines
    loops.residuals(
        (cells.x, cells.spread, cells.y, cells.weight),
        (bspline.full_knots(model.breaks, model.degree), model.degree, model.coefficients),
        (lines.centre, lines.height, lines.broad, model.shapes, model.spread.half),
        out,
    )
    return out


def _pull(boxed: LineSpread, share: float) -> np.ndarray:
    """Inverse prior variance of all coefficients of the line spread: wings vary less."""
    height = np.maximum(np.abs(boxed.coefficients[0]), 0.05)
    for _ in range(3):  # the flank of a box is where its neighbour towards the middle is high
        height = np.maximum(height, np.maximum(np.roll(height, 1), np.roll(height, -1)))
    return np.asarray(1.0 / (share * np.outer((1.0, 0.7), height)) ** 2).ravel()


def _moved(
    start: Model, solution: np.ndarray, change: np.ndarray, index: tuple[np.ndarray, np.ndarray]
) -> Model:
    """The model after a step."""
    spline, at = index
    height = solution[at]
    shift = np.clip(solution[at + 1], -0.5, 0.5)
    broad = np.clip(start.lines.broad + np.clip(solution[at + 2], -0.1, 0.1), -0.1, 0.5)
    spread = start.spread
    if len(change):
        new = spread.coefficients + change.reshape(POWERS, -1)
        spread = LineSpread(spread.box, spread.blur, new)
    lines = Lines(start.lines.centre + shift, height, broad)
    rising = np.argsort(lines.centre, kind="stable")
    if not np.array_equal(rising, np.arange(len(rising))):
        # lines that pass each other keep their places for this step
        lines = Lines(start.lines.centre, height, start.lines.broad)
    return Model(start.breaks, start.degree, solution[spline], lines, spread, start.low, start.high)


def _positions(
    knots: np.ndarray, n_spline: int, degree: int, lines: Lines
) -> tuple[np.ndarray, np.ndarray]:
    """Number of each spline coefficient, and of the first number of each line, in rising place."""
    where = sum(knots[k : k + n_spline] for k in range(1, degree + 1)) / degree
    every = np.concatenate([where, np.repeat(lines.centre, 3)])
    rank = np.empty(len(every), dtype="i8")
    rank[np.argsort(every, kind="stable")] = np.arange(len(every))
    return rank[:n_spline], rank[n_spline::3]


def _reach(
    knots: np.ndarray,
    n_spline: int,
    degree: int,
    lines: Lines,
    half: float,
    spline: np.ndarray,
    at: np.ndarray,
) -> int:
    """Largest distance of two parameters that a cell can tie."""
    low = np.concatenate([knots[:n_spline] - 0.3, lines.centre - half - loops.MARGIN])
    high = np.concatenate([knots[degree + 1 :] + 0.3, lines.centre + half + loops.MARGIN])
    first = np.concatenate([spline, at])
    rising = np.argsort(first)
    low, high, first = low[rising], high[rising], first[rising]
    last = np.concatenate([spline, at + 2])[rising]
    # the furthest parameter whose range begins before mine ends: the running minimum from behind
    begins = np.minimum.accumulate(low[::-1])[::-1]
    furthest = np.searchsorted(begins, high, side="left") - 1
    far = max(degree, int(np.max(np.maximum.accumulate(last)[furthest] - first)))
    return min(far, n_spline + 3 * len(at) - 1)


def _add_priors(
    band: np.ndarray,
    vector: np.ndarray,
    index: tuple[np.ndarray, np.ndarray],
    priors: Priors,
    lines: Lines,
    length: float,
) -> None:
    """Weak pulls that keep coefficients without data finite, and the priors of the lines."""
    spline, at = index
    diagonal = band[0]
    typical = float(np.median(diagonal[spline][diagonal[spline] > 0]))
    # first differences of spline coefficients, far below the data's weight
    pull = 1e-6 * typical
    diagonal[spline] += 1e-3 * pull
    gap = np.diff(spline)
    diagonal[spline[:-1]] += pull
    diagonal[spline[1:]] += pull
    near = gap < len(band)
    band[gap[near], spline[:-1][near]] -= pull
    diagonal[at] += 1e-9 * typical
    # the shift and broadening columns hold the height: their numbers are bins and bins squared
    diagonal[at + 1] += 1.0 / (priors.shift * length) ** 2
    diagonal[at + 2] += 1.0 / (priors.broad * length) ** 2
    vector[at + 2] -= lines.broad / priors.broad**2
