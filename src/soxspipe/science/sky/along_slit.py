"""What the sky changes along the slit: illumination, place and width of its lines."""

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import polynomial

from soxspipe.science.sky.joint import Model

#: Powers (slit, place along the order) of the shift and of the broadening of lines.
SHIFT = ((1, 0), (2, 0), (3, 0), (1, 1), (2, 1))
BROAD = ((1, 0), (2, 0))
#: Prior standard deviations at the slit's end: illumination (share), shift (bins), broadening (bins^2).
PRIORS = (0.01, 0.05, 0.1)


@dataclass(frozen=True, eq=False)
class AlongSlit:
    """illumination  polynomial of the slit position (arcsec), 1 at its middle
    shift, broad  coefficients of SHIFT and BROAD: bins, bins squared; scale: arcsec of the slit's end
    """

    illumination: np.ndarray
    shift: np.ndarray
    broad: np.ndarray
    scale: float

    def factor(self, slit: np.ndarray) -> np.ndarray:
        """(n,) illumination."""
        return np.asarray(polynomial.polyval(slit, self.illumination))

    def moved(self, bins: np.ndarray, slit: np.ndarray, model: Model) -> np.ndarray:
        """(n,) native bin at which a pixel sees the sky of the slit's middle."""
        return np.asarray(bins + _terms(SHIFT, slit / self.scale, model.place(bins)) @ self.shift)

    def at(self, model: Model, bins: np.ndarray, slit: np.ndarray) -> np.ndarray:
        """(n,) electrons."""
        moved = self.moved(bins, slit, model)
        lines, _slope, curve = model.of_lines(moved)
        broad = _terms(BROAD, slit / self.scale, model.place(bins)) @ self.broad
        level = model.continuum(moved) + lines + broad * curve
        return np.asarray(self.factor(slit) * level)

    def broadening(self, model: Model, bins: np.ndarray, slit: np.ndarray) -> np.ndarray:
        """(n,) electrons, before illumination, by which lines are broader here."""
        broad = _terms(BROAD, slit / self.scale, model.place(bins)) @ self.broad
        return np.asarray(broad * model.of_lines(self.moved(bins, slit, model))[2])


def even(slit: np.ndarray) -> AlongSlit:
    """A sky that is the same at all slit positions."""
    scale = max(float(np.abs(slit).max(initial=0.0)), 1e-3)
    return AlongSlit(np.array([1.0]), np.zeros(len(SHIFT)), np.zeros(len(BROAD)), scale)


def _terms(powers: tuple[tuple[int, int], ...], slit: np.ndarray, place: np.ndarray) -> np.ndarray:
    out = np.empty((len(slit), len(powers)))
    for k, (a, b) in enumerate(powers):
        out[:, k] = slit
        for _ in range(a - 1):
            out[:, k] *= slit
        for _ in range(b):
            out[:, k] *= place
    return out


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
    found = np.linalg.solve(normal, weighted.T @ target)[4:]
    shape = found[:degree] / start.scale ** np.arange(1, degree + 1)
    return AlongSlit(
        np.concatenate([[1.0], shape]),
        np.clip(found[degree : degree + len(SHIFT)], -0.3, 0.3),
        np.clip(found[degree + len(SHIFT) :], -0.3, 0.3),
        start.scale,
    )
