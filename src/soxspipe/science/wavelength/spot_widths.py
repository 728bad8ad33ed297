"""What neighbouring pinhole images share: widths, lean and background, smooth along each order."""

from dataclasses import dataclass

import numpy as np

from soxspipe.maths.polynomials import basis_2d, robust_fit
from soxspipe.maths.robust import mad_sigma

#: Spots an order needs for a mean, for a slope along dispersion, for a curve and a slope along the slit.
_LEAST = (3, 8, 16)
_TERMS = ([(0, 0)], [(0, 0), (1, 0)], [(0, 0), (1, 0), (2, 0), (0, 1)])
#: Widths differ at least by this much from spot to spot, relative: pixels are not all alike.
_FLOOR = 0.005
#: Backgrounds differ at least by so many electrons.
_LEVEL_FLOOR = 0.5


@dataclass(frozen=True, eq=False)
class Shared:
    """What is expected at every spot; arrays of shape (n,), or (n, 2) for x and y.

    level electrons per pixel; sigma pixels; covariance pixels squared. The scatter of single spots about
    level and sigma is `scatter` (n, 3).
    """

    level: np.ndarray
    sigma: np.ndarray
    covariance: np.ndarray
    scatter: np.ndarray

    @property
    def wanted(self) -> np.ndarray:
        """(n, 2, 3) level, sigma x, sigma y, and their scatter, for maths.blends."""
        return np.stack([np.column_stack([self.level, self.sigma]), self.scatter], axis=1)

    def of(self, rows: np.ndarray) -> "Shared":
        """The same for some rows, repeated or not."""
        return Shared(self.level[rows], self.sigma[rows], self.covariance[rows], self.scatter[rows])


def shared(
    order: np.ndarray,
    along: np.ndarray,
    slit: np.ndarray,
    measured: np.ndarray,
    error: np.ndarray,
    good: np.ndarray,
) -> Shared:
    """Smooth what was measured on single spots.

    order, along (pixel along dispersion), slit (arcsec) : (n,), of all spots.
    measured, error : (n, 4) level, sigma x, sigma y, covariance of single spots, where `good` (n,).

    An order with too few good spots gets the median of all. ValueError if there is no good spot at all.
    """
    # a spot without a pixel left to measure its lean on tells nothing
    good = good & np.isfinite(measured).all(axis=1) & np.isfinite(error).all(axis=1)
    if not good.any():
        raise ValueError("there is no good spot")
    typical = np.median(measured[good], axis=0)
    smooth = np.tile(typical, (len(order), 1))
    spread = [max(mad_sigma(measured[good, k]), low) for k, low in enumerate((5.0, 0.05, 0.05))]
    scatter = np.tile(spread, (len(order), 1))
    floor = (_LEVEL_FLOOR, *(_FLOOR * typical[1:3]), _FLOOR)
    u = _scaled(along - 0.5 * (along.min() + along.max()))
    s = _scaled(slit)
    for number in np.unique(order):
        own = order == number
        use = own & good
        if use.sum() < _LEAST[0]:
            continue
        terms = _TERMS[int(np.searchsorted(_LEAST, use.sum(), side="right")) - 1]
        everywhere, here = basis_2d(u[own], s[own], terms), basis_2d(u[use], s[use], terms)
        for k in range(4):
            # where there are no spots the curve stays near the mean
            prior = np.array([np.inf, *[40.0 * floor[k]] * (len(terms) - 1)])
            c, _ = robust_fit(
                here, measured[use, k], error[use, k], prior, sigma=4.0, rounds=5, floor=floor[k]
            )
            smooth[own, k] = everywhere @ c
            if k < 3:
                scatter[own, k] = _beyond(measured[use, k] - here @ c, error[use, k], floor[k])
    return Shared(smooth[:, 0], smooth[:, 1:3], smooth[:, 3], scatter)


def _scaled(values: np.ndarray) -> np.ndarray:
    return np.asarray(values / max(float(np.abs(values).max()), 1.0))


def _beyond(left: np.ndarray, error: np.ndarray, floor: float) -> float:
    """Scatter of residuals that their errors do not explain, at least `floor`."""
    typical = float(np.median(error))
    pulls = left / np.maximum(error, 0.05 * typical + 1e-9)
    return float(np.hypot(typical * np.sqrt(max(mad_sigma(pulls) ** 2 - 1.0, 0.0)), floor))
