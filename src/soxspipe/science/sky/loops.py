"""Loops of the sky fit over cells: design rows, normal equations, variances."""

import numpy as np
from numba import njit

from soxspipe.maths import bspline
from soxspipe.science.sky.line_spread import POWERS, light, profile, weights

#: Bins by which a line reaches beyond its line spread: broadening, and the extent of a cell.
MARGIN = 1.2


@njit(cache=True)
def border_row(x, lines, place, first, row, more, touched, seen, many):  # type: ignore[no-untyped-def]
    """Derivative of the model at x by each coefficient of the line spread, times `more`, to `row`.

    The numbers of coefficients that were not `seen` are added to the `many` in `touched`; their count.
    """
    centre, height, broad, shapes, half, _ = lines
    k = shapes.shape[1]
    out = np.empty(4)
    m = first
    while m < len(centre) and centre[m] < x + half + MARGIN:
        d = np.sqrt(2.0 * max(broad[m], 0.0))
        for sign in (-1.0, 1.0):
            j = weights(x - centre[m] + sign * d, half, k, out)
            if j >= 0:
                for a in range(4):
                    term = 0.5 * more * height[m] * out[a]
                    for p in range(POWERS):
                        q = p * k + j + a
                        if not seen[q]:
                            seen[q], touched[many] = True, q
                            many += 1
                        row[q] += term
                        term *= place[m]
        m += 1
    return many


@njit(cache=True)
def accumulate(cells, spline, lines, place, out):  # type: ignore[no-untyped-def]
    """Normal equations: lower band, ties to the border, border (lower half) and right-hand sides.

    spline : knots, degree, number of each coefficient. lines : centre, height, broadening, line spreads,
    half width, number of the first parameter. place : of lines, -1 to 1 along the order. The band is
    given with its columns as rows, as a loop over cells and LAPACK like it.
    """
    x, spread, y, w = cells
    band, vector, tie, border, shared = out
    most = spline[1] + 3 + 3 * len(lines[0])
    idx, val = np.zeros(most, dtype=np.int64), np.zeros(most)
    hint = np.array([spline[1], 0])
    learned = len(shared)
    row = np.zeros(learned)
    touched, seen = np.zeros(learned, dtype=np.int64), np.zeros(learned, dtype=np.bool_)
    for c in range(len(x)):
        n = _dense(cell_row(x[c], spread[c], spline, lines, hint, idx, val), idx, val)
        for a in range(n):
            i, g = idx[a], w[c] * val[a]
            vector[i] += g * y[c]
            for b in range(a + 1):
                j = idx[b]
                if j <= i:
                    band[j, i - j] += g * val[b]
                else:
                    band[i, j - i] += g * val[b]
        if learned == 0:
            continue
        many = 0
        for sign in (-1.0, 1.0):
            at = x[c] + sign * spread[c]
            many = border_row(at, lines, place, hint[1], row, 0.5, touched, seen, many)
        # the heights' columns hold the present line spread: the border is the change of it
        for a in range(many):
            g = w[c] * row[touched[a]]
            shared[touched[a]] += g * y[c]
            for b in range(a + 1):
                i, j = max(touched[a], touched[b]), min(touched[a], touched[b])
                border[i, j] += g * row[touched[b]]
        for b in range(n):
            g = w[c] * val[b]
            for a in range(many):
                tie[idx[b], touched[a]] += g * row[touched[a]]
        for a in range(many):
            row[touched[a]], seen[touched[a]] = 0.0, False


@njit(cache=True)
def _dense(n, idx, val):  # type: ignore[no-untyped-def]
    """Leave out what is zero in a design row; how many numbers are left."""
    kept = 0
    for a in range(n):
        if val[a] != 0.0:
            idx[kept], val[kept] = idx[a], val[a]
            kept += 1
    return kept


@njit(cache=True)
def residuals(cells, spline, lines, out):  # type: ignore[no-untyped-def]
    """Cells minus model, in units of their noise, to `out`; spline: knots, degree, coefficients."""
    x, spread, y, w = cells
    knots, degree, coefficients = spline
    centre, height, broad, shapes, half = lines
    basis = np.empty(degree + 1)
    span, first = degree, 0
    for c in range(len(x)):
        total = 0.0
        for sign in (-1.0, 1.0):
            at = x[c] + sign * spread[c]
            z = min(max(at, knots[0]), knots[-1])
            span = bspline._span(z, knots, degree, span)
            bspline._basis(z, knots, span, degree, basis)
            for a in range(degree + 1):
                total += coefficients[span - degree + a] * basis[a]
            first = first_line(at, centre, half, first)
            m = first
            while m < len(centre) and centre[m] < at + half + MARGIN:
                total += height[m] * light(at - centre[m], shapes[m], half, broad[m])
                m += 1
        out[c] = (y[c] - 0.5 * total) * np.sqrt(w[c])


@njit(cache=True)
def cell_row(x, spread, spline, lines, hint, idx, val):  # type: ignore[no-untyped-def]
    """Numbers and values of the design row, averaged over the two samples of a cell; their count.

    hint : knot span and first line in reach, from the cell before.
    """
    knots, degree, number = spline
    centre, height, broad, shapes, half, at = lines
    basis = np.empty(degree + 1)
    inside = min(max(x, knots[0]), knots[-1])
    hint[0] = bspline._span(inside, knots, degree, hint[0])
    first = max(hint[0] - degree - 1, 0)
    last = min(hint[0] + 1, len(number) - 1)
    n = 0
    for a in range(first, last + 1):
        idx[n], val[n] = number[a], 0.0
        n += 1
    for sign in (-1.0, 1.0):
        z = min(max(x + sign * spread, knots[0]), knots[-1])
        here = bspline._span(z, knots, degree, hint[0])
        # samples further off than one knot are held in the neighbouring span
        here = min(max(here, first + degree), last)
        bspline._basis(z, knots, here, degree, basis)
        for a in range(degree + 1):
            val[here - degree + a - first] += 0.5 * basis[a]
    hint[1] = first_line(x, centre, half, hint[1])
    m = hint[1]
    while m < len(centre) and centre[m] < x + half + MARGIN:
        idx[n], idx[n + 1], idx[n + 2] = at[m], at[m] + 1, at[m] + 2
        val[n], val[n + 1], val[n + 2] = 0.0, 0.0, 0.0
        for sign in (-1.0, 1.0):
            v, s, t = profile(x + sign * spread - centre[m], shapes[m], half, broad[m])
            val[n] += 0.5 * v
            val[n + 1] -= 0.5 * height[m] * s
            val[n + 2] += 0.5 * height[m] * t
        n += 3
        m += 1
    return n


@njit(cache=True)
def first_line(x, centre, half, guess):  # type: ignore[no-untyped-def]
    """Number of the first line that may reach x."""
    while guess > 0 and centre[guess - 1] > x - half - MARGIN:
        guess -= 1
    while guess < len(centre) and centre[guess] < x - half - MARGIN:
        guess += 1
    return guess


@njit(cache=True)
def add_lines(x, centre, height, broad, shapes, half, out):  # type: ignore[no-untyped-def]
    """Light of all lines at x, and its derivatives, added to `out` (3, n)."""
    m = 0
    first = 0
    for i in range(len(x)):
        first = first_line(x[i], centre, half, first)
        m = first
        while m < len(centre) and centre[m] < x[i] + half + MARGIN:
            v, s, t = profile(x[i] - centre[m], shapes[m], half, broad[m])
            out[0, i] += height[m] * v
            out[1, i] += height[m] * s
            out[2, i] += height[m] * t
            m += 1


@njit(cache=True)
def add_light(x, centre, height, broad, shapes, half, out):  # type: ignore[no-untyped-def]
    """Light of all lines at x, added to `out` (n,)."""
    first = 0
    for i in range(len(x)):
        first = first_line(x[i], centre, half, first)
        m = first
        while m < len(centre) and centre[m] < x[i] + half + MARGIN:
            out[i] += height[m] * light(x[i] - centre[m], shapes[m], half, broad[m])
            m += 1


@njit(cache=True)
def model_variance(x, spline, lines, place, inverse, ties, out, rows):  # type: ignore[no-untyped-def]
    """Variance of the model at x without the border's part, to `out`; to `rows` what the border sees."""
    most = spline[1] + 3 + 3 * len(lines[0])
    idx, val = np.zeros(most, dtype=np.int64), np.zeros(most)
    hint = np.array([spline[1], 0])
    learned = rows.shape[1]
    touched, seen = np.zeros(learned, dtype=np.int64), np.zeros(learned, dtype=np.bool_)
    for i in range(len(x)):
        n = _dense(cell_row(x[i], 0.0, spline, lines, hint, idx, val), idx, val)
        total = 0.0
        for a in range(n):
            for b in range(a + 1):
                d = abs(idx[a] - idx[b])
                if d < inverse.shape[1]:
                    twice = 1.0 if d == 0 else 2.0
                    total += twice * val[a] * val[b] * inverse[min(idx[a], idx[b]), d]
        out[i] = total
        if learned > 0:
            border_row(x[i], lines, place, hint[1], rows[i], 1.0, touched, seen, 0)
            for a in range(n):
                for q in range(learned):
                    rows[i, q] -= val[a] * ties[idx[a], q]


@njit(cache=True)
def selected_inverse(lower):  # type: ignore[no-untyped-def]
    """Band of the inverse, from a banded Cholesky factor (Takahashi et al. 1973); both (n, width), the
    lower band's columns as rows.
    """
    n, width = lower.shape
    out = np.zeros_like(lower)
    for j in range(n - 1, -1, -1):
        pivot = lower[j, 0]
        last = min(j + width - 1, n - 1)
        for i in range(last, j - 1, -1):
            total = 1.0 / pivot if i == j else 0.0
            for k in range(j + 1, i):
                total -= lower[j, k - j] * out[k, i - k]
            for k in range(max(j + 1, i), last + 1):
                total -= lower[j, k - j] * out[i, k - i]
            out[j, i - j] = total / pivot
    return out
