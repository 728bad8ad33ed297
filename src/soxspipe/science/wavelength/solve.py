"""From an arc frame to a dispersion solution: register, measure, fit, look again."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from soxspipe.datamodel.arc_lines import ArcLines, LineFit, LineList
from soxspipe.datamodel.frame import Frame
from soxspipe.datamodel.geometry import DispersionSolution
from soxspipe.science.wavelength import arc_lines, dispersion, judge
from soxspipe.science.wavelength.adjustment import fit_orders
from soxspipe.science.wavelength.distortion import aligned, distort, move
from soxspipe.science.wavelength.registration import Pattern, find_peaks, register
from soxspipe.science.wavelength.scatter import Scatter


@dataclass(frozen=True, eq=False)
class Solved:
    """A dispersion solution with the lines it rests on.

    start      where the search began: the design registered to the frame, or an earlier solution
    degree     along wavelength, of the corrections in x and in y; `lowered` says how often it was
               lowered because the fit was not good
    scatter    of the lines in x and in y beyond their photon noise
    problems   what speaks against the solution; see `judge.require_good`
    added      (n,) True for lines that are not of the line list, but of a denser atlas; None: there are
               none
    """

    start: DispersionSolution
    solution: DispersionSolution
    lines: ArcLines
    fit: LineFit
    degree: tuple[int, int] = (0, 0)
    scatter: tuple[Scatter, Scatter] = (Scatter(), Scatter())
    lowered: int = 0
    problems: tuple[str, ...] = ()
    added: np.ndarray | None = None

    @property
    def listed(self) -> np.ndarray:
        """(n,) True for lines of the line list."""
        return np.ones(len(self.lines), dtype=bool) if self.added is None else ~self.added


@dataclass(frozen=True)
class Mask:
    """Pinhole mask in the beam: slit positions (arcsec) and numbers of its holes."""

    slit: tuple[float, ...]
    number: tuple[int, ...]


#: How often the degrees are lowered before a fit is given up.
LOWERED = 5

# A listed line that was looked for this far off its place (px) is looked for again, so often.
_MOVED = 0.7
_AGAIN = 2

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
    groups = _groups(start, independent)
    patterns = []
    for group in groups:
        own = np.isin(expected.order, group)
        label = f"{name}, orders {group}" if independent else name
        patterns.append(Pattern(expected.predicted_x[own], expected.predicted_y[own], label))
    found = register(patterns, peaks, rotations=ROTATIONS, scales=SCALES)
    orders = dict(start.orders)
    for group, registration in zip(groups, found, strict=True):
        part = DispersionSolution({n: start.orders[n] for n in group})
        orders.update(move(part, registration.apply).orders)
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
    design: DispersionSolution | None = None,
) -> Solved:
    """Measure and fit in rounds, each looking closer to where the last one predicts the lines.

    Parameters
    ----------
    independent : orders move on their own; else one distortion of the detector plane moves them all.
    gates : farthest accepted distances of a spot from its prediction, pixels.
    design : what corrections are added to, if it is not `start`: the nominal format. It has the shape
        of the instrument without the errors of an earlier fit.
    """
    solution, lines = start, expected
    fit = dispersion.evaluate(solution, expected, np.zeros(len(expected), dtype=bool))
    measured = partial(
        arc_lines.measure,
        frame,
        expected,
        dispersion_axis=dispersion_axis,
        sigma_limit=sigma_limit,
        binning=binning,
    )
    for number, gate in enumerate(gates):
        lines = measured(fit.x, fit.y, gate=gate, thorough=number + 1 == len(gates))
        if number == 0 and not independent:
            solution = distort(solution, lines, degree=3, shape=frame.shape)
        if number + 1 < len(gates):
            solution, fit = dispersion.fit_roughly(solution, lines, options)
    for _ in range(_AGAIN + 1):
        solved = _solved(
            start, _mean(start, design, lines, independent, frame.shape), lines, options
        )
        moved = np.hypot(solved.fit.x - fit.x, solved.fit.y - fit.y) > _MOVED
        if not (moved & ~lines.detected).any():
            break
        # where the solution grew beyond the lines that held it, more of them may be found
        fit = solved.fit
        lines = measured(fit.x, fit.y, gate=gates[-1], thorough=True)
    return solved


def _mean(
    start: DispersionSolution,
    design: DispersionSolution | None,
    lines: ArcLines,
    independent: bool,
    shape: tuple[int, int],
) -> DispersionSolution:
    """What the final corrections are added to: the design, moved to the lines as a whole."""
    mean = start
    if design is not None:
        mean = aligned(design, lines, groups=_groups(design, independent), shape=shape)
    return mean if independent else distort(mean, lines, degree=3, shape=shape)


def _solved(
    start: DispersionSolution,
    mean: DispersionSolution,
    lines: ArcLines,
    options: dispersion.FitOptions,
) -> Solved:
    """The solution by the documented or the best degrees; by lower ones if these do not give a good one,
    up to five times.
    """
    first: Solved | None = None
    for lowered in range(LOWERED + 1):
        fitted = fit_orders(mean, lines, options)
        alone = options.order_degree is None and options.fixed is None
        reasons = judge.problems(fitted.solution, lines, fitted.fit, orders_alone=alone)
        solved = Solved(
            start,
            fitted.solution,
            lines,
            fitted.fit,
            degree=fitted.degree,
            scatter=fitted.scatter,
            lowered=lowered,
            problems=tuple(reasons),
        )
        if not reasons:
            return solved
        first, options = first or solved, options.lowered()
    return first or solved


def refine_with(
    frame: Frame,
    first: Solved,
    line_list: LineList,
    mask: Mask,
    *,
    dispersion_axis: str,
    independent: bool,
    sigma_limit: float,
    options: dispersion.FitOptions,
    binning: tuple[int, int] = (1, 1),
    gate: float = 1.5,
    design: DispersionSolution | None = None,
) -> Solved:
    """Solve again with the lines of a denser list (see `atlas.denser`), looked for where the first
    solution puts them. Keeps the first solution if the denser list does not give a good one.

    gate : farthest accepted distance of a spot from its prediction, pixels. Other arguments as `refine`.
    """
    again = refine(
        frame,
        listed(line_list, mask, first.solution, frame.shape),
        first.solution,
        dispersion_axis=dispersion_axis,
        independent=independent,
        sigma_limit=sigma_limit,
        options=options,
        binning=binning,
        gates=(gate,),
        design=design,
    )
    return first if again.problems else replace(again, start=first.start)


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
