"""The same geometry seen at another detector binning.

Pixel centres are at integers, so the edge of the detector is at -0.5 at any binning.
"""

from dataclasses import replace

import numpy as np

from soxspipe.datamodel.geometry import DispersionSolution, OrderTable

Scale = tuple[float, float]


def _scaled(series: np.ndarray, scale: float) -> np.ndarray:
    """A Chebyshev series of positions, in pixels 1 / `scale` times as large."""
    moved = series * scale
    moved[(0,) * series.ndim] += (scale - 1) / 2
    return moved


def solution_at(solution: DispersionSolution, scale: Scale) -> DispersionSolution:
    """The dispersion solution in new pixels; `scale` is old binning over new, (x, y)."""
    return DispersionSolution(
        {
            number: replace(order, x=_scaled(order.x, scale[0]), y=_scaled(order.y, scale[1]))
            for number, order in solution.orders.items()
        }
    )


def table_at(table: OrderTable, scale: Scale) -> OrderTable:
    """The order table in new pixels; `scale` is old binning over new, (x, y)."""
    along, across = scale if table.dispersion_axis == "x" else scale[::-1]
    orders = {}
    for number, trace in table.orders.items():
        low, high = ((end + 0.5) * along - 0.5 for end in trace.domain)
        orders[number] = replace(
            trace,
            domain=(low, high),
            centre=_scaled(trace.centre, across),
            width=trace.width * across,
            lower=None if trace.lower is None else _scaled(trace.lower, across),
            upper=None if trace.upper is None else _scaled(trace.upper, across),
        )
    return OrderTable(orders, table.dispersion_axis)
