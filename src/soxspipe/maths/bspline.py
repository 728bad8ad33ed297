"""Weighted least-squares B-splines on banded normal equations."""

from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy.linalg import solveh_banded

from soxspipe.errors import DataError


@dataclass(frozen=True, eq=False)
class Spline:
    """A B-spline: full `knots` vector (with repeated ends), `coefficients`, `degree`."""

    knots: np.ndarray
    coefficients: np.ndarray
    degree: int

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Values at x (n,); beyond the end knots the end polynomial is held at its last value."""
        inside = np.clip(x, self.knots[0], self.knots[-1])
        return _evaluate(
            np.ascontiguousarray(inside, dtype="f8"), self.knots, self.coefficients, self.degree
        )


def full_knots(breaks: np.ndarray, degree: int) -> np.ndarray:
    """Knot vector with the end breaks repeated `degree` more times."""
    return np.concatenate([np.repeat(breaks[0], degree), breaks, np.repeat(breaks[-1], degree)])


@njit(cache=True)
def _basis(x, knots, span, degree, out):  # type: ignore[no-untyped-def]
    """The degree + 1 non-zero B-splines at x, knots[span] <= x (de Boor, Cox)."""
    out[0] = 1.0
    for j in range(1, degree + 1):
        saved = 0.0
        for r in range(j):
            right, left = knots[span + r + 1], knots[span + 1 - j + r]
            term = out[r] / (right - left)
            out[r] = saved + (right - x) * term
            saved = (x - left) * term
        out[j] = saved


@njit(cache=True)
def _span(x, knots, degree, guess):  # type: ignore[no-untyped-def]
    """Index of the knot interval that holds x; `guess` is where the last one was."""
    last = knots.shape[0] - degree - 2
    span = min(max(guess, degree), last)
    while span > degree and x < knots[span]:
        span -= 1
    while span < last and x >= knots[span + 1]:
        span += 1
    return span


@njit(cache=True)
def _accumulate(x, y, w, knots, degree, band, vector):  # type: ignore[no-untyped-def]
    """Normal equations in upper banded form (degree + 1, n)."""
    basis = np.empty(degree + 1)
    span = degree
    for n in range(x.shape[0]):
        if w[n] <= 0.0:
            continue
        span = _span(x[n], knots, degree, span)
        _basis(x[n], knots, span, degree, basis)
        first = span - degree
        for a in range(degree + 1):
            vector[first + a] += w[n] * y[n] * basis[a]
            for b in range(a, degree + 1):
                band[degree - (b - a), first + b] += w[n] * basis[a] * basis[b]


@njit(cache=True)
def _evaluate(x, knots, coefficients, degree):  # type: ignore[no-untyped-def]
    values = np.empty(x.shape[0])
    basis = np.empty(degree + 1)
    span = degree
    for n in range(x.shape[0]):
        span = _span(x[n], knots, degree, span)
        _basis(x[n], knots, span, degree, basis)
        total = 0.0
        for a in range(degree + 1):
            total += coefficients[span - degree + a] * basis[a]
        values[n] = total
    return values


def fit(
    x: np.ndarray, y: np.ndarray, weight: np.ndarray, breaks: np.ndarray, *, degree: int
) -> Spline:
    """Weighted least-squares spline.

    Parameters
    ----------
    x, y, weight : (n,); fastest where x is nearly sorted. breaks : (k,) rising, spanning the data.
    degree : 1 to 5.

    Coefficients without data are held by a very weak pull towards their neighbours' mean.

    Raises
    ------
    DataError : no data of positive weight.
    """
    if not (weight > 0).any():
        raise DataError("no data left for a spline fit", hint="too many pixels are flagged")
    knots = full_knots(np.asarray(breaks, dtype="f8"), degree)
    n = len(knots) - degree - 1
    band, vector = np.zeros((degree + 1, n)), np.zeros(n)
    ordered = (np.ascontiguousarray(a, dtype="f8") for a in (np.clip(x, breaks[0], breaks[-1]), y))
    _accumulate(*ordered, np.ascontiguousarray(weight, dtype="f8"), knots, degree, band, vector)
    # differences of the coefficients, far below the data's weight
    pull = 1e-7 * float(np.median(band[degree][band[degree] > 0]))
    if degree == 1:  # the band has no room for second differences
        band[1, :-1] += pull
        band[1, 1:] += pull
        band[0, 1:] -= pull
    else:
        for k in range(1, n - 1):
            band[degree, k] += 4 * pull
            band[degree, k - 1] += pull
            band[degree, k + 1] += pull
            band[degree - 1, k] -= 2 * pull
            band[degree - 1, k + 1] -= 2 * pull
            band[degree - 2, k + 1] += pull
    band[degree] += 1e-9 * pull
    coefficients = solveh_banded(band, vector, check_finite=False)
    return Spline(knots, coefficients, degree)


def basis_matrix(x: np.ndarray, breaks: np.ndarray, *, degree: int) -> np.ndarray:
    """(n, k + degree - 1) dense values of all B-splines at x; for few knots. x is held inside."""
    knots = full_knots(np.asarray(breaks, dtype="f8"), degree)
    n = len(knots) - degree - 1
    out = np.zeros((len(x), n))
    _fill(np.clip(np.asarray(x, dtype="f8"), breaks[0], breaks[-1]), knots, degree, out)
    return out


@njit(cache=True)
def _fill(x, knots, degree, out):  # type: ignore[no-untyped-def]
    basis = np.empty(degree + 1)
    span = degree
    for n in range(x.shape[0]):
        span = _span(x[n], knots, degree, span)
        _basis(x[n], knots, span, degree, basis)
        for a in range(degree + 1):
            out[n, span - degree + a] = basis[a]


def surface(
    x: np.ndarray, series: np.ndarray, breaks: np.ndarray, coefficients: np.ndarray, *, degree: int
) -> np.ndarray:
    """(n,) sum of B-splines at x (n,), held inside, each times a series: `coefficients` (m, l) of the
    terms `series` (n, l).
    """
    knots = full_knots(np.asarray(breaks, dtype="f8"), degree)
    inside = np.clip(np.asarray(x, dtype="f8"), breaks[0], breaks[-1])
    out = np.zeros(len(x))
    _surface(
        inside, np.ascontiguousarray(series), knots, degree, np.ascontiguousarray(coefficients), out
    )
    return out


@njit(cache=True)
def _surface(x, series, knots, degree, coefficients, out):  # type: ignore[no-untyped-def]
    basis = np.empty(degree + 1)
    span = degree
    for n in range(x.shape[0]):
        span = _span(x[n], knots, degree, span)
        _basis(x[n], knots, span, degree, basis)
        for a in range(degree + 1):
            for k in range(series.shape[1]):
                out[n] += basis[a] * coefficients[span - degree + a, k] * series[n, k]


def surface_equations(
    x: np.ndarray,
    series: np.ndarray,
    breaks: np.ndarray,
    more: float,
    value: np.ndarray,
    weight: np.ndarray,
    *,
    degree: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Normal matrix and vector of a `surface` (m l numbers) plus one number times `more`.

    x, value, weight : (n,); series : (n, l).
    """
    knots = full_knots(np.asarray(breaks, dtype="f8"), degree)
    size = (len(knots) - degree - 1) * series.shape[1] + 1
    normal, vector = np.zeros((size, size)), np.zeros(size)
    inside = np.clip(np.asarray(x, dtype="f8"), breaks[0], breaks[-1])
    given = (inside, np.ascontiguousarray(series), value, weight)
    _add_surface(*given, more, knots, degree, normal, vector)
    return normal + np.tril(normal, -1).T, vector


@njit(cache=True)
def _add_surface(x, series, value, weight, more, knots, degree, normal, vector):  # type: ignore[no-untyped-def]
    basis = np.empty(degree + 1)
    terms = series.shape[1]
    row = np.empty((degree + 1) * terms)
    last = len(vector) - 1
    span = degree
    for n in range(x.shape[0]):
        span = _span(x[n], knots, degree, span)
        _basis(x[n], knots, span, degree, basis)
        first = (span - degree) * terms
        for a in range(degree + 1):
            for k in range(terms):
                row[a * terms + k] = basis[a] * series[n, k]
        for i in range(len(row)):
            scaled = weight[n] * row[i]
            vector[first + i] += scaled * value[n]
            for j in range(i + 1):
                normal[first + i, first + j] += scaled * row[j]
            normal[last, first + i] += scaled * more
        vector[last] += weight[n] * more * value[n]
        normal[last, last] += weight[n] * more * more


def integrals(breaks: np.ndarray, *, degree: int) -> np.ndarray:
    """Integral of each B-spline over the whole line: (t[i + degree + 1] - t[i]) / (degree + 1)."""
    knots = full_knots(np.asarray(breaks, dtype="f8"), degree)
    n = len(knots) - degree - 1
    return (knots[degree + 1 : degree + 1 + n] - knots[:n]) / (degree + 1)
