"""First list of sky lines: the light before the slit, positive on a fine grid (a convex problem)."""

import numpy as np
from numba import njit

from soxspipe.science.sky.cells import Cells
from soxspipe.science.sky.line_spread import value
from soxspipe.science.sky.model import Lines, Model

#: Grid points per native bin.
GRID = 2
#: Share of the light by which line spread and cells may be wrong in this first step.
TOLERANCE = 0.01


def first_lines(cells: Cells, model: Model, *, significance: float, sweeps: int = 150) -> Lines:
    """Lines whose light, blurred by the model's line spread, makes up what lies above its continuum.

    Minimises chi2 / 2 + penalty over positive amounts on a grid by coordinate descent (Friedman et al.
    2007, Ann. Appl. Stat. 1, 302); the penalty leaves out what is below `significance`. Neighbouring
    grid points are one line.
    """
    left = cells.y - model.continuum(cells.x)
    variance = 1.0 / cells.weight + (TOLERANCE * np.maximum(left, 0.0)) ** 2
    n = int(np.ceil((model.high - model.low) * GRID)) + 1
    place = model.low + np.arange(n) / GRID
    shape = model.spread.coefficients[0]
    amount = _descend(
        cells.x, left, 1.0 / variance, place, shape, model.spread.half, significance, sweeps
    )
    return _gathered(place, amount)


def _gathered(place: np.ndarray, amount: np.ndarray) -> Lines:
    """One line per peak of the amounts, at the mean place of what belongs to it."""
    padded = np.concatenate([[0.0], amount, [0.0]])
    starts_new = (padded[1:-1] <= 0) | ((padded[:-2] > padded[1:-1]) & (padded[2:] > padded[1:-1]))
    group = np.cumsum(starts_new)
    total = np.bincount(group, amount)
    some = total > 0
    centre = np.bincount(group, amount * place)[some] / total[some]
    return Lines(centre, total[some], np.zeros(int(some.sum())))


@njit(cache=True)
def _descend(x, left, weight, place, shape, half, significance, sweeps):  # type: ignore[no-untyped-def]
    """Amounts (n,) at `place`; `left` is not changed."""
    n = len(place)
    first = np.searchsorted(x, place - half)
    last = np.searchsorted(x, place + half)
    most = 0
    for j in range(n):
        most = max(most, last[j] - first[j])
    seen = np.zeros((n, most))
    norm = np.zeros(n)
    for j in range(n):
        for c in range(first[j], last[j]):
            v = value(x[c] - place[j], shape, half)[0]
            seen[j, c - first[j]] = v
            norm[j] += v * v * weight[c]
    residual = left.copy()
    amount = np.zeros(n)
    for sweep in range(sweeps):
        moved = 0.0
        for j in range(n):
            if norm[j] <= 0.0:
                continue
            if sweep % 5 != 0 and amount[j] == 0.0:
                continue
            total = 0.0
            for c in range(first[j], last[j]):
                total += seen[j, c - first[j]] * weight[c] * residual[c]
            new = max(amount[j] + (total - significance * np.sqrt(norm[j])) / norm[j], 0.0)
            change = new - amount[j]
            if change != 0.0:
                amount[j] = new
                moved = max(moved, abs(change) * np.sqrt(norm[j]))
                for c in range(first[j], last[j]):
                    residual[c] -= change * seen[j, c - first[j]]
        if moved < 0.3:
            break
    return amount
