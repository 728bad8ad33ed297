"""Measured spots along one detector axis, as the fit sees them."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from soxspipe.datamodel.arc_lines import ArcLines
from soxspipe.datamodel.geometry import DispersionSolution, unit
from soxspipe.maths.polynomials import basis_2d
from soxspipe.science.wavelength.corrections import AxisFit, OrderData
from soxspipe.science.wavelength.dispersion import evaluate


def line_numbers(lines: ArcLines) -> np.ndarray:
    """(n,) one integer from 0 for each line of each order, rising with wavelength."""
    keys = np.column_stack([lines.order, lines.wavelength])
    return np.unique(keys, axis=0, return_inverse=True)[1].ravel()


@dataclass(frozen=True, eq=False)
class Spots:
    """Spots along one axis; arrays of shape (n,).

    index    0 for x, 1 for y
    order, line   which order and line a spot belongs to; lines are numbered from 0
    t, s     wavelength and slit position on [-1, 1] of the order's domain
    off      observed minus mean solution, pixels; `error` its photon error
    """

    index: int
    order: np.ndarray
    line: np.ndarray
    t: np.ndarray
    s: np.ndarray
    off: np.ndarray
    error: np.ndarray

    def by_order(
        self, numbers: Iterable[int], used: np.ndarray, error: np.ndarray, common: np.ndarray
    ) -> dict[int, OrderData]:
        """The spots used, order by order; error and common are widths of their noise, (n,)."""
        data = {}
        for number in numbers:
            own = np.flatnonzero(used & (self.order == number))
            line = np.unique(self.line[own], return_inverse=True)[1].ravel()
            data[int(number)] = OrderData(
                self.t[own], self.s[own], self.off[own], error[own], common[own], line
            )
        return data

    def ends(self, used: np.ndarray) -> np.ndarray:
        """(n,) whether a spot is of the first or the last line of its order among those used."""
        found = np.zeros(len(used), dtype=bool)
        for number in np.unique(self.order[used]):
            own = np.flatnonzero(used & (self.order == number))
            low, high = self.line[own].min(), self.line[own].max()
            found |= (self.line == low) | (self.line == high)
        return found

    def residual(self, fit: AxisFit) -> np.ndarray:
        """Observed minus corrected (n,), pixels."""
        basis, left = basis_2d(self.t, self.s, fit.terms), self.off.copy()
        for number, values in fit.values.items():
            own = self.order == number
            left[own] -= basis[own] @ values
        return left

    def unsure(self, fit: AxisFit) -> np.ndarray:
        """1-sigma error (n,) of the correction at the middle of each spot's line, given its terms."""
        basis = basis_2d(self.t, self.s, fit.terms)
        total = np.zeros((int(self.line.max()) + 1, basis.shape[1]))
        np.add.at(total, self.line, basis)
        middle = total / np.maximum(np.bincount(self.line), 1)[:, None]
        variance = np.zeros(len(self.order))
        for number, covariance in fit.narrow.items():
            own = np.flatnonzero(self.order == number)
            at = middle[self.line[own]]
            variance[own] = ((at @ covariance) * at).sum(axis=1)
        return np.sqrt(np.maximum(variance, 0.0))


def along_both_axes(mean: DispersionSolution, lines: ArcLines) -> tuple[Spots, Spots]:
    """The measured lines against a mean solution."""
    t, s = np.empty(len(lines)), np.empty(len(lines))
    for number in np.unique(lines.order):
        own, order = lines.order == number, mean.orders[int(number)]
        t[own] = unit(lines.wavelength[own], order.wavelength)
        s[own] = unit(lines.slit[own], order.slit)
    at, line = evaluate(mean, lines, lines.detected), line_numbers(lines)
    return (
        Spots(0, lines.order, line, t, s, lines.x - at.x, lines.x_error),
        Spots(1, lines.order, line, t, s, lines.y - at.y, lines.y_error),
    )
