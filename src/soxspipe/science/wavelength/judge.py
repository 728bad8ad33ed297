"""Say whether a dispersion solution can be trusted, and if not, why."""

from collections.abc import Sequence

import numpy as np

from soxspipe.datamodel.arc_lines import ArcLines, LineFit
from soxspipe.datamodel.geometry import DispersionSolution
from soxspipe.errors import DataError
from soxspipe.maths.robust import MAD_SCALE

#: An order that shares nothing with others needs so many lines.
LEAST_LINES = 4
#: Share of the listed lines of the frame that a solution must explain.
LEAST_LISTED = 0.12
#: Scatter of an order's lines about a right solution stays below this, unbinned pixels.
MOST_SCATTER = 0.25
#: Error of a solution between the first and last line of an order, median, pixels.
MOST_ERROR = 0.3


def problems(
    solution: DispersionSolution,
    lines: ArcLines,
    fit: LineFit,
    *,
    orders_alone: bool,
    least_share: float = 0.5,
) -> list[str]:
    """What speaks against a solution, in words; empty if nothing does.

    orders_alone : no order is carried by its neighbours.
    """
    detected, used = int(lines.detected.sum()), int(fit.used.sum())
    if used == 0 or used < least_share * detected:
        share = used / max(detected, 1)
        return [f"only {share:.0%} of {detected} detected lines agree with one solution"]
    found = []
    listed, explained = _distinct(lines, lines.order > 0), _distinct(lines, fit.used)
    if explained < LEAST_LISTED * listed:
        found.append(f"only {explained} of {listed} listed lines were recognised")
    if orders_alone:
        found += _poor_orders(solution, lines, fit)
    return found + _scattered(solution, lines, fit) + _uncertain(solution)


def _distinct(lines: ArcLines, where: np.ndarray) -> int:
    return len(np.unique(np.column_stack([lines.order, lines.wavelength])[where], axis=0))


def _poor_orders(solution: DispersionSolution, lines: ArcLines, fit: LineFit) -> list[str]:
    counts = {n: _distinct(lines, fit.used & (lines.order == n)) for n in sorted(solution.orders)}
    return [
        f"order {number} has only {count} arc lines that fit"
        for number, count in counts.items()
        if count < LEAST_LINES and (lines.order == number).any()
    ]


def _scattered(solution: DispersionSolution, lines: ArcLines, fit: LineFit) -> list[str]:
    found = []
    for number in sorted(solution.orders):
        own = fit.used & (lines.order == number)
        if own.sum() < LEAST_LINES:
            continue
        off = np.abs([(lines.x - fit.x)[own], (lines.y - fit.y)[own]])
        scatter = MAD_SCALE * float(np.median(off, axis=1).max())
        if scatter > MOST_SCATTER:
            found.append(f"the lines of order {number} scatter by {scatter:.2f} px about it")
    return found


def _uncertain(solution: DispersionSolution) -> list[str]:
    found = []
    for number, order in sorted(solution.orders.items()):
        low, high = order.lines
        if low == high:
            found.append(f"order {number} shows no arc line")
            continue
        error = order.error(np.linspace(low, high, 20), np.zeros(20))
        typical = float(np.median(np.hypot(*error)))
        if typical > MOST_ERROR:
            found.append(f"its lines leave order {number} uncertain by {typical:.1f} px")
    return found


def require_good(reasons: Sequence[str], *, name: str) -> None:
    """DataError that names every reason, if there is any."""
    if reasons:
        raise DataError(
            f"{name}: {'; '.join(reasons)}",
            hint="look at the raw frame: are all lamps on, is this the right mask? Then lower "
            "poly-fitting-residual-clipping-sigma in steps of 0.5, or change the degrees",
        )
