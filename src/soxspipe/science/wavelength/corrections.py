"""Fit smooth corrections to a mean solution: Chebyshev series per order, with all their covariance.

How large the terms of rising degree are is learnt from the data of all orders (empirical Bayes: the
width of the prior that makes the data most likely). Where there are no lines the correction and its
error follow from that. Orders of one echelle share a part that is smooth in order number. The degree
along wavelength is chosen by leaving out lines with all their holes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.polynomial import chebyshev

from soxspipe.maths.hierarchical import (
    Normal,
    Posterior,
    Prior,
    evidence_of_groups,
    posterior,
    whitened,
)
from soxspipe.maths.polynomials import basis_2d

Term = tuple[int, int]

#: Terms beyond the chosen degree that the covariance allows for.
BEYOND = 2

_FOLDS = 5
_FREE = 30.0  # px: shift and slope of an order are not known beforehand
_ALONG_SLIT = (1.0, 0.3, 0.1, 0.03)  # terms in slit position against those without
_AMPLITUDES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
_DECAYS = (0.3, 0.5, 0.7, 0.9)
_FEW_ORDERS = 1.5  # widths learnt from few orders that share nothing may be too small
_WIDER = (1.0, 3.0, 10.0)  # how much further a single order may be from the design
_LOWEST = 3  # the prior keeps terms small that are not needed; a bend is always allowed
_SHARED = 4  # highest degree along wavelength of what orders share
_LARGE = 5.0  # sigma beyond which a left-out spot counts no more


@dataclass(frozen=True)
class Degrees:
    """Documented degrees [x, y] of a polynomial in order number, wavelength and slit position."""

    order: tuple[int, int]
    wavelength: tuple[int, int]
    slit: tuple[int, int]

    def lowered(self) -> "Degrees":
        """One less each, not below 1 (order and slit: 0)."""
        return Degrees(
            (max(self.order[0] - 1, 0), max(self.order[1] - 1, 0)),
            (max(self.wavelength[0] - 1, 1), max(self.wavelength[1] - 1, 1)),
            (max(self.slit[0] - 1, 0), max(self.slit[1] - 1, 0)),
        )


@dataclass(frozen=True, eq=False)
class OrderData:
    """Spots of one order along one axis; arrays of shape (n,).

    t, s    wavelength and slit position on [-1, 1]
    off     observed minus mean solution, pixels
    error   of each spot by itself; `common`: of the offset it shares with its line
    line    integers from 0, which line a spot belongs to
    """

    t: np.ndarray
    s: np.ndarray
    off: np.ndarray
    error: np.ndarray
    common: np.ndarray
    line: np.ndarray


@dataclass(frozen=True, eq=False)
class AxisFit:
    """Corrections of all orders along one axis.

    terms, values   the Chebyshev terms (i, k) and per order their values (p,), pixels
    narrow          per order the covariance (p, p) of the values, as if there were no other terms
    wide, covariance   the terms of the covariance, and per order the covariance (w, w)
    degree          along wavelength; freedom: coefficients that the data determined
    prior           of the terms up to the highest degree tried; None if there is none
    """

    terms: list[Term]
    values: Mapping[int, np.ndarray]
    narrow: Mapping[int, np.ndarray]
    wide: list[Term]
    covariance: Mapping[int, np.ndarray]
    degree: int
    freedom: float
    prior: Prior | None = None


def terms_of(wavelength_degree: int, slit_degree: int) -> list[Term]:
    """Terms (i, k) of the tensor product."""
    return list(product(range(wavelength_degree + 1), range(slit_degree + 1)))


def fit_documented(data: Mapping[int, OrderData], degrees: tuple[int, int, int]) -> AxisFit:
    """One polynomial in order number, wavelength and slit position, of exactly these degrees."""
    order_degree, wavelength_degree, slit_degree = degrees
    terms = terms_of(wavelength_degree, slit_degree)
    bridges, shared = _bridges(sorted(data), terms, order_degree, terms)
    normal = _stacked([_normal(*_rows(data[n], terms)) for n in sorted(data)])
    prior = Prior(np.zeros(len(terms)), np.full(len(shared), 1e3), bridges)
    found = posterior(normal, prior)
    return _axis_fit(sorted(data), terms, found, terms, found, wavelength_degree)


def fit_adaptive(
    data: Mapping[int, OrderData],
    *,
    highest: int,
    slit_degree: int,
    order_degree: int | None,
    choose: bool = True,
    like: AxisFit | None = None,
) -> AxisFit:
    """Each order has its own series; prior widths and degree follow from the data.

    highest : degree tried along wavelength, and taken if not told to `choose`. order_degree : of the part
    that orders share; None: they share nothing. like : fit whose prior and degree are taken over.
    """
    numbers = sorted(data)
    every = terms_of(highest + BEYOND, slit_degree)
    rows = {number: _rows(data[number], every) for number in numbers}
    fold = {number: data[number].line % _FOLDS for number in numbers}
    folded = [
        _stacked([_normal(*(part[fold[n] == f] for part in rows[n])) for n in numbers])
        for f in range(_FOLDS)
    ]
    whole = Normal(sum(f.matrix for f in folded), sum(f.right for f in folded))  # type: ignore[arg-type]
    prior = like.prior if like is not None else None
    prior = prior or _learnt(whole, numbers, every, order_degree)
    degree = highest if like is None else like.degree
    if choose and like is None:
        degree = min(
            range(min(_LOWEST, highest), highest + 1),
            key=lambda tried: _left_out_error(tried, rows, fold, folded, whole, every, prior),
        )
    terms, wide = terms_of(degree, slit_degree), terms_of(degree + BEYOND, slit_degree)
    found, broad = (_limited(whole, every, prior, some) for some in (terms, wide))
    return replace(_axis_fit(numbers, terms, found, wide, broad, degree), prior=prior)


def _axis_fit(
    numbers: Sequence[int],
    terms: list[Term],
    found: Posterior,
    wide: list[Term],
    broad: Posterior,
    degree: int,
) -> AxisFit:
    return AxisFit(
        terms,
        dict(zip(numbers, found.mean, strict=True)),
        dict(zip(numbers, found.covariance, strict=True)),
        wide,
        dict(zip(numbers, broad.covariance, strict=True)),
        degree,
        found.freedom,
    )


def _rows(data: OrderData, terms: Sequence[Term]) -> tuple[np.ndarray, np.ndarray]:
    """Whitened basis (n, p) and values (n,) of the spots of an order."""
    if not len(data.t):
        return np.zeros((0, len(terms))), np.zeros(0)
    both = whitened(
        np.column_stack([basis_2d(data.t, data.s, terms), data.off]),
        data.error,
        data.line,
        data.common,
    )
    return both[:, :-1], both[:, -1]


def _normal(rows: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return rows.T @ rows, rows.T @ values


def _stacked(parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> Normal:
    return Normal(
        np.array([matrix for matrix, _ in parts]), np.array([right for _, right in parts])
    )


def _bridges(
    numbers: Sequence[int], terms: Sequence[Term], order_degree: int, shared: Sequence[Term]
) -> tuple[np.ndarray, list[tuple[int, int, int]]]:
    """Per order the matrix (p, q) from shared coefficients to its own, and the shared terms (j, i, k)
    in order number, wavelength and slit position.
    """
    highest = min(order_degree, len(numbers) - 1)
    middle, half = 0.5 * (numbers[0] + numbers[-1]), max(0.5 * (numbers[-1] - numbers[0]), 0.5)
    powers = chebyshev.chebvander((np.array(numbers) - middle) / half, highest)
    pick = np.array([[float(term == other) for other in shared] for term in terms])
    bridges = (pick[None, :, :, None] * powers[:, None, None, :]).reshape(
        len(numbers), len(terms), -1
    )
    return bridges, [(j, i, k) for i, k in shared for j in range(highest + 1)]


def _widths(terms: Sequence[Term], amplitude: float, decay: float, free: bool) -> np.ndarray:
    """Prior width of each term; with `free`, shift and slope along wavelength are unbound."""
    along = [_FREE if free and i < 2 else amplitude * decay ** max(i - 2, 0) for i, _ in terms]
    return np.array(along) * np.array([_ALONG_SLIT[min(k, 3)] for _, k in terms])


def _learnt(
    normal: Normal, numbers: Sequence[int], terms: Sequence[Term], order_degree: int | None
) -> Prior:
    """The prior that the data of all orders speak for: the mean of those tried, weighted by how likely
    they make the data.
    """
    if order_degree is None:
        bridges, shared = np.zeros((len(numbers), len(terms), 0)), np.zeros(0)
    else:
        smooth = [term for term in terms if term[0] <= _SHARED]
        bridges, listed = _bridges(numbers, terms, order_degree, smooth)
        shared = _widths([(i, k) for _, i, k in listed], 3.0, 0.5, free=True)
    widths = [
        _widths(terms, amplitude, decay, order_degree is None)
        for amplitude, decay in product(_AMPLITUDES, _DECAYS)
    ]
    evidence = np.array([posterior(normal, Prior(w, shared, bridges)).log_evidence for w in widths])
    weight = np.exp(evidence - evidence.max())
    own = np.sqrt(np.average(np.square(widths), axis=0, weights=weight))
    own = own * _FEW_ORDERS if order_degree is None else own
    # an order may be further from the design than the others
    common = posterior(normal, Prior(own, shared, bridges)).common
    wider = [np.broadcast_to(own * scale, (len(numbers), len(own))) for scale in _WIDER]
    each = [evidence_of_groups(normal, Prior(w, shared, bridges), common) for w in wider]
    return Prior(own * np.array(_WIDER)[np.argmax(each, axis=0)][:, None], shared, bridges)


def _limited(normal: Normal, every: list[Term], prior: Prior, terms: Sequence[Term]) -> Posterior:
    """Posterior of a model that has only `terms` of all."""
    at = np.array([every.index(term) for term in terms])
    return posterior(normal.only(at), Prior(prior.own[..., at], prior.shared, prior.bridges[:, at]))


def _left_out_error(
    degree: int,
    rows: Mapping[int, tuple[np.ndarray, np.ndarray]],
    fold: Mapping[int, np.ndarray],
    folded: Sequence[Normal],
    whole: Normal,
    every: list[Term],
    prior: Prior,
) -> float:
    """Mean squared error, in sigma, of lines predicted from the others."""
    terms = terms_of(degree, max(k for _, k in every))
    at = np.array([every.index(term) for term in terms])
    squares = []
    for number, left_out in enumerate(folded):
        found = _limited(whole - left_out, every, prior, terms)
        for mean, (order, (basis, values)) in zip(found.mean, rows.items(), strict=True):
            own = fold[order] == number
            squares.append((values[own] - basis[own][:, at] @ mean) ** 2)
    return float(np.mean(np.minimum(np.concatenate(squares), _LARGE**2)))
