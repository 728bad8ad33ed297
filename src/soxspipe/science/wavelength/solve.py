"""From an arc frame to a dispersion solution: register, measure, fit, look again."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from soxspipe.datamodel.arc_lines import ArcLines, LineFit, LineList
from soxspipe.datamodel.frame import Frame
from soxspipe.datamodel.geometry import DispersionSolution
from soxspipe.science.wavelength import arc_lines, dispersion
from soxspipe.science.wavelength.registration import find_peaks, register


@dataclass(frozen=True, eq=False)
class Solved:
    """A dispersion solution with the lines it rests on; `start` is where the search began: the design
    registered to the frame, or an earlier solution.
    """

    start: DispersionSolution
    solution: DispersionSolution
    lines: ArcLines
    fit: LineFit
    wavelength_degree: int


@dataclass(frozen=True)
class Mask:
    """Pinhole mask in the beam: slit positions (arcsec) and numbers of its holes."""

    slit: tuple[float, ...]
    number: tuple[int, ...]


#: Steps of rotation (rad) and scale tried when nothing but the design is known.
ROTATIONS = np.deg2rad(np.arange(-0.6, 0.601, 0.06))
SCALES = np.arange(-0.004, 0.00401, 0.0008)


def _groups(solution: DispersionSolution, independent: bool) -> list[list[int]]:
    """Orders that move together: each VIS band alone, all NIR orders at once."""
    numbers = sorted(solution.orders)
    return [[n] for n in numbers] if independent else [numbers]


def register_design(
    frame: Frame,
    expected: ArcLines,
    start: DispersionSolution,
    *,
    independent: bool,
    sigma_limit: float,
    name: str,
) -> DispersionSolution:
    """The design moved to where this frame shows the pattern, from shifts of up to 22 pixels.

    Raises DataError if the pattern of a group of orders is not recognised.
    """
    peaks = find_peaks(frame.data, frame.variance, frame.good, sigma=max(sigma_limit, 5.0))
    orders = dict(start.orders)
    for group in _groups(start, independent):
        own = np.isin(expected.order, group)
        label = f"{name}, orders {group}" if independent else name
        found = register(
            expected.predicted_x[own],
            expected.predicted_y[own],
            peaks,
            name=label,
            rotations=ROTATIONS,
            scales=SCALES,
        )
        part = DispersionSolution({n: start.orders[n] for n in group})
        orders.update(dispersion.move(part, found.apply).orders)
    return DispersionSolution(orders)


def refine(
    frame: Frame,
    expected: ArcLines,
    start: DispersionSolution,
    *,
    dispersion_axis: str,
    independent: bool,
    sigma_limit: float,
    options: dispersion.FitOptions,
    binning: tuple[int, int] = (1, 1),
    gates: Sequence[float] = (5.0, 3.0, 1.5),
) -> Solved:
    """Measure and fit in rounds, each looking closer to where the last one predicts the lines.

    `gates` are the farthest accepted distances of a spot from its prediction, pixels.
    """
    solution, lines = start, expected
    fit = dispersion.evaluate(solution, expected, np.zeros(len(expected), dtype=bool))
    for number, gate in enumerate(gates):
        lines = arc_lines.measure(
            frame,
            expected,
            fit.x,
            fit.y,
            dispersion_axis=dispersion_axis,
            sigma_limit=sigma_limit,
            gate=gate,
            binning=binning,
        )
        if number == 0 and not independent:
            solution = dispersion.distort(solution, lines, degree=3, shape=frame.shape)
        solution, fit = dispersion.fit_orders(solution, lines, options)
    return Solved(start, solution, lines, fit, options.wavelength_degree)


def listed(
    line_list: LineList, mask: Mask, solution: DispersionSolution, shape: tuple[int, int]
) -> ArcLines:
    """The lines of the list through the holes of the mask that `solution` puts on the detector."""
    everything = arc_lines.expected(
        line_list, np.asarray(mask.slit), np.asarray(mask.number), solution
    )
    ny, nx = shape
    x, y = everything.predicted_x, everything.predicted_y
    return everything.select((x > -2) & (x < nx + 1) & (y > -2) & (y < ny + 1))
