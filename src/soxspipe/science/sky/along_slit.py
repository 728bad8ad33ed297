"""What the sky changes along the slit: illumination, place and width of its lines."""

from dataclasses import dataclass, replace

import numpy as np
from numba import njit
from numpy.polynomial import chebyshev, polynomial

from soxspipe.science.sky.model import Model

#: Degree in the slit position and power of the place along the order of what shifts and broadens lines.
SHIFT = ((1, 0), (2, 0), (3, 0), (1, 1), (2, 1))
BROAD = ((1, 0), (2, 0))
#: Prior standard deviations at the slit's end: illumination (share), shift (bins), broadening (bins^2).
PRIORS = (0.05, 0.05, 0.1)


#: Cells along the slit (1 at its end) in which lines tell the illumination; narrow at the ends, where a
#: flat is least certain.
EDGES = np.array([0.0, 0.1, 0.3, 0.5, 0.7, 0.84, 0.92, 0.97, 1.001])
EDGES = np.concatenate([-EDGES[:0:-1], EDGES[1:]])
CENTRES = 0.5 * (EDGES[1:] + EDGES[:-1])
#: Prior standard deviation of the illumination of a cell, beside the polynomial, and of its step from one
#: cell to the next.
UNEVEN = 0.02
STEPS = np.where(np.abs(0.5 * (CENTRES[1:] + CENTRES[:-1])) > 0.85, 0.02, 0.002)
_RISE = np.diff(np.eye(len(CENTRES)), axis=0) / STEPS[:, None]
_PULL = np.eye(len(CENTRES)) / UNEVEN**2 + _RISE.T @ _RISE


@dataclass(frozen=True, eq=False)
class AlongSlit:
    """uneven  illumination minus 1 in cells at CENTRES, times `scale`; beside the polynomial
    illumination  polynomial of the slit position (arcsec), 1 at its middle
    shift, broad  coefficients of SHIFT and BROAD: bins, bins squared; scale: arcsec of the slit's end
    covariance of illumination (powers of slit / scale), shift, broad; of_uneven: variance of `uneven`
    """

    uneven: np.ndarray
    illumination: np.ndarray
    shift: np.ndarray
    broad: np.ndarray
    scale: float
    covariance: np.ndarray
    of_uneven: np.ndarray

    def factor(self, slit: np.ndarray) -> np.ndarray:
        """(n,) illumination."""
        cells = 1.0 + np.interp(slit / self.scale, CENTRES, self.uneven)
        return np.asarray(polynomial.polyval(slit, self.illumination) * cells)

    def moved(self, bins: np.ndarray, slit: np.ndarray, model: Model) -> np.ndarray:
        """(n,) native bin at which a pixel sees the sky of the slit's middle."""
        return bins + _sum(SHIFT, slit / self.scale, model.place(bins), self.shift)

    def at(self, model: Model, bins: np.ndarray, slit: np.ndarray) -> np.ndarray:
        """(n,) electrons."""
        moved = self.moved(bins, slit, model)
        lines, _slope, curve = model.of_lines(moved)
        broad = _sum(BROAD, slit / self.scale, model.place(bins), self.broad)
        level = model.continuum(moved) + lines + broad * curve
        return np.asarray(self.factor(slit) * level)

    def variance(self, model: Model, bins: np.ndarray, slit: np.ndarray) -> np.ndarray:
        """(n,) electrons squared: what the error of these numbers adds to that of the model."""
        s, t = slit / self.scale, model.place(bins)
        moved = self.moved(bins, slit, model)
        lines, slope, curve = model.of_lines(moved)
        level = model.continuum(moved) + lines
        powers = np.arange(1, len(self.illumination))
        columns = np.concatenate(
            [
                level[:, None] * s[:, None] ** powers,
                slope[:, None] * _terms(SHIFT, s, t),
                curve[:, None] * _terms(BROAD, s, t),
            ],
            axis=1,
        )
        known = np.einsum("np,np->n", columns @ self.covariance, columns)
        return np.asarray(known + lines**2 * np.interp(s, CENTRES, self.of_uneven))

    def broadening(self, model: Model, bins: np.ndarray, slit: np.ndarray) -> np.ndarray:
        """(n,) electrons, before illumination, by which lines are broader here."""
        broad = _sum(BROAD, slit / self.scale, model.place(bins), self.broad)
        return np.asarray(broad * model.of_lines(self.moved(bins, slit, model))[2])


def even(slit: np.ndarray) -> AlongSlit:
    """A sky that is the same at all slit positions."""
    scale = max(float(np.abs(slit).max(initial=0.0)), 1e-3)
    nothing = np.zeros(len(CENTRES))
    return AlongSlit(
        nothing,
        np.array([1.0]),
        np.zeros(len(SHIFT)),
        np.zeros(len(BROAD)),
        scale,
        np.zeros((len(SHIFT) + len(BROAD),) * 2),
        nothing,
    )


def _terms(numbers: tuple[tuple[int, int], ...], slit: np.ndarray, place: np.ndarray) -> np.ndarray:
    """(n, k) Chebyshev polynomials of the slit less their value at its middle, times powers of the place.

    slit : 1 at the slit's end.
    """
    highest = max(a for a, _ in numbers)
    along = chebyshev.chebvander(slit, highest) - chebyshev.chebvander(np.zeros(1), highest)
    return np.stack([along[:, a] * place**b for a, b in numbers], axis=1)


def _sum(
    numbers: tuple[tuple[int, int], ...], slit: np.ndarray, place: np.ndarray, factors: np.ndarray
) -> np.ndarray:
    """(n,) sum of the terms times `factors`."""
    out = np.zeros(len(slit))
    table = np.array(numbers)
    middle = chebyshev.chebvander(np.zeros(1), int(table[:, 0].max()))[0][table[:, 0]]
    _add_terms(table, middle, slit, place, np.ascontiguousarray(factors), out)
    return out


@njit(cache=True)
def _add_terms(numbers, middle, slit, place, factors, out):  # type: ignore[no-untyped-def]
    for i in range(len(out)):
        x = slit[i]
        for k in range(len(factors)):
            before, term = 1.0, x  # Chebyshev polynomials by their recurrence
            for _ in range(numbers[k, 0] - 1):
                before, term = term, 2.0 * x * term - before
            term -= middle[k]
            for _ in range(numbers[k, 1]):
                term *= place[i]
            out[i] += term * factors[k]


def fit(
    model: Model,
    start: AlongSlit,
    bins: np.ndarray,
    slit: np.ndarray,
    data: np.ndarray,
    weight: np.ndarray,
    *,
    degree: int,
) -> AlongSlit:
    """Fit what changes along the slit, the sky of its middle given; all (n,).

    degree : of the illumination. Priors pull towards no change: a faint sky says nothing.
    """
    t, s = model.place(bins), slit / start.scale
    cells = 1.0 + np.interp(s, CENTRES, start.uneven)
    data, weight = data / cells, weight * cells**2
    moved = start.moved(bins, slit, model)
    lines, slope, curve = model.of_lines(moved)
    level = model.continuum(moved) + lines
    # what does not change along the slit belongs to the model, but must not get in the way here
    columns = np.concatenate(
        [
            np.stack([level, slope, slope * t, curve], axis=1),
            level[:, None] * s[:, None] ** np.arange(1, degree + 1),
            slope[:, None] * _terms(SHIFT, s, t),
            curve[:, None] * _terms(BROAD, s, t),
        ],
        axis=1,
    )
    known = _terms(SHIFT, s, t) @ start.shift
    target = data - level + slope * known  # the shift is fitted anew, not its change
    weighted = columns * weight[:, None]
    normal = weighted.T @ columns
    numbers = (1, 2, 1, degree, len(SHIFT), len(BROAD))
    sigma = np.repeat(PRIORS[:3] + PRIORS, numbers)
    normal[np.diag_indices_from(normal)] += 1.0 / sigma**2
    covariance = np.linalg.inv(normal)
    found = (covariance @ (weighted.T @ target))[4:]
    shape = found[:degree] / start.scale ** np.arange(1, degree + 1)
    return AlongSlit(
        start.uneven,
        np.concatenate([[1.0], shape]),
        np.clip(found[degree : degree + len(SHIFT)], -0.3, 0.3),
        np.clip(found[degree + len(SHIFT) :], -0.3, 0.3),
        start.scale,
        covariance[4:, 4:],
        start.of_uneven,
    )


def uneven(
    model: Model,
    start: AlongSlit,
    bins: np.ndarray,
    slit: np.ndarray,
    data: np.ndarray,
    weight: np.ndarray,
) -> AlongSlit:
    """Fit the illumination of cells along the slit, by what lines show; all (n,).

    Light that does not follow the lines is left aside: it may be that of an extended object. Cells that
    are not seen, those under an object, lie between their neighbours: left at 1, the brightness of lines,
    the illumination beside the object and its spectrum would slowly drift together.
    """
    cell = np.clip(np.searchsorted(EDGES, slit / start.scale) - 1, 0, len(CENTRES) - 1)
    factor = start.factor(slit)
    light = factor * model.of_lines(start.moved(bins, slit, model))[0]
    left = data - start.at(model, bins, slit)

    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(cell, weight * values, len(CENTRES))

    all_ = np.maximum(total(np.ones(len(light))), 1e-30)
    lines = total(light) / all_
    strength = np.maximum(total(light**2) - all_ * lines**2, 0.0)
    pulled = strength * start.uneven + total(light * left) - lines * total(left)
    covariance = np.linalg.inv(np.diag(strength) + _PULL)
    known = covariance @ pulled
    # how bright the lines are is known from the rest of the model
    known -= float((strength * known).sum() / max(strength.sum(), 1e-30))
    return replace(start, uneven=np.clip(known, -0.2, 0.2), of_uneven=np.diag(covariance))
