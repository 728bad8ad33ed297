"""Adjust a mean solution to the arc lines of all orders at once: the final fit.

Rough fits tell wrong lines from right ones; then corrections, scatter and rejection are repeated until
they agree with each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from soxspipe.datamodel.arc_lines import ArcLines, LineFit
from soxspipe.datamodel.geometry import DispersionSolution, OrderSolution
from soxspipe.science.wavelength.corrections import (
    AxisFit,
    OrderData,
    Term,
    fit_adaptive,
    fit_documented,
)
from soxspipe.science.wavelength.dispersion import FitOptions, add_terms, evaluate, fit_roughly
from soxspipe.science.wavelength.scatter import (
    Scatter,
    Support,
    estimate,
    off_the_solution,
    off_their_line,
    offset_rms,
    offsets,
)
from soxspipe.science.wavelength.spots import Spots, along_both_axes, line_numbers

_ROUNDS = 6
#: Share of the spots whose rejection may still change.
_SETTLED = 2e-3


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fitted solution.

    fit       how it fits every entry of the lines
    degree    chosen along wavelength, for x and y; 0 if nothing was fitted
    scatter   of the lines about it beyond their photon noise, for x and y
    """

    solution: DispersionSolution
    fit: LineFit
    degree: tuple[int, int]
    scatter: tuple[Scatter, Scatter]


def fit_orders(
    mean: DispersionSolution, lines: ArcLines, options: FitOptions, *, least_lines: int = 4
) -> Fitted:
    """Correct `mean` to the detected lines.

    An order with fewer than `least_lines` different lines keeps the solution it had, unless orders share
    a part of their corrections (`options.order_degree`, `options.fixed`).
    """
    _, rough = fit_roughly(mean, lines, options, least_lines=least_lines)
    alone = options.order_degree is None and options.fixed is None
    found = np.flatnonzero(lines.detected & np.isin(lines.order, list(mean.orders)))
    found = found[
        _enough_holes(line_numbers(lines.select(found)), np.ones(len(found), bool), options)
    ]
    counts = {
        n: len(np.unique(lines.wavelength[found][rough.used[found] & (lines.order[found] == n)]))
        for n in sorted(mean.orders)
    }
    numbers = np.array([n for n, count in counts.items() if count >= least_lines or not alone])
    at = found[np.isin(lines.order[found], numbers)]
    if not rough.used[at].any():
        nothing = evaluate(mean, lines, np.zeros(len(lines), dtype=bool))
        return Fitted(mean, nothing, (0, 0), (Scatter(), Scatter()))
    own = lines.select(at)
    views, used = _settled(along_both_axes(mean, own), numbers, rough.used[at], options)
    kept = np.zeros(len(lines), dtype=bool)
    kept[at[used]] = True
    solution = _corrected(mean, numbers, (views[0].fit, views[1].fit), own.select(used))
    return Fitted(
        solution,
        evaluate(solution, lines, kept),
        (views[0].fit.degree, views[1].fit.degree),
        (views[0].scatter, views[1].scatter),
    )


@dataclass(frozen=True, eq=False)
class _View:
    """A fit along one axis and what it leaves: residuals (n,), the scatter that explains them, and the
    noise (error of a spot, offset shared with its line) the fit was made with.
    """

    spots: Spots
    fit: AxisFit
    noise: tuple[np.ndarray, np.ndarray]
    residual: np.ndarray
    scatter: Scatter

    @property
    def error(self) -> np.ndarray:
        """1-sigma error (n,) of a spot within its line."""
        return self.scatter.spot(self.spots.error)

    def lonely(self, fine: np.ndarray, sigma: float) -> np.ndarray:
        """(n,) spots that disagree with their line."""
        return off_their_line(self.residual, self.error, self.spots.line, fine, sigma=sigma)

    def wrong(self, used: np.ndarray, fine: np.ndarray, sigma: float, ends: bool) -> np.ndarray:
        """(n,) spots whose line disagrees with the solution; with `ends` the first and last line of each
        order with the solution without it.
        """
        last = self.spots.ends(used) if ends else np.zeros(len(used), dtype=bool)
        support = Support(used, last, self.noise[1], self.spots.unsure(self.fit))
        line = self.spots.line
        return off_the_solution(
            self.residual, self.error, line, fine, self.scatter, support, sigma=sigma
        )

    def better_noise(self, fine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The noise (n,), (n,) to fit with next."""
        common = offsets(self.residual, self.error, self.spots.line, fine, self.scatter)
        return self.error, common

    def with_offset(self, used: np.ndarray) -> "_View":
        """The same with the rms of the offsets of the lines used."""
        rms = offset_rms(
            self.residual[used],
            self.error[used],
            self.spots.line[used],
            freedom=_line_freedom(self.fit),
        )
        return replace(self, scatter=replace(self.scatter, offset=rms))


def _settled(
    axes: Sequence[Spots], numbers: np.ndarray, used: np.ndarray, options: FitOptions
) -> tuple[list[_View], np.ndarray]:
    """Corrections along both axes, what they leave, and the spots they rest on."""
    floor = np.full(len(used), options.floor)
    noise = [(np.hypot(axis.error, floor), floor) for axis in axes]
    line, fine = axes[0].line, used
    views: list[_View] = []
    for number in range(_ROUNDS):
        # prior and degree: a first guess, then for good once the scatter of the lines is known
        like = [view.fit for view in views] if number > 1 else [None, None]
        views = [
            _view(
                axis,
                _fit_axis(
                    axis.by_order(numbers, used, *noise[axis.index]),
                    axis.index,
                    options,
                    choose=number > 0,
                    like=like[axis.index],
                ),
                noise[axis.index],
                fine,
            )
            for axis in axes
        ]
        if number == _ROUNDS - 1:
            break
        before = used
        fine = ~(views[0].lonely(fine, options.sigma) | views[1].lonely(fine, options.sigma))
        # once only: the next line would be the last one then
        wrong = [view.wrong(used, fine, options.sigma, ends=number == 1) for view in views]
        used = _whole(fine & ~(wrong[0] | wrong[1]), line, options)
        noise = [view.better_noise(fine) for view in views]
        if number > 0 and np.mean(before != used) < _SETTLED:
            break
    return [view.with_offset(used) for view in views], used


def _view(
    spots: Spots, fit: AxisFit, noise: tuple[np.ndarray, np.ndarray], fine: np.ndarray
) -> _View:
    residual, line = spots.residual(fit), spots.line
    # lines off the solution still tell how wide the offsets are; spots off their line do not
    scatter = estimate(
        residual[fine],
        spots.error[fine],
        line[fine],
        int(line.max()) + 1,
        freedom=_line_freedom(fit),
    )
    return _View(spots, fit, noise, residual, scatter)


def _whole(used: np.ndarray, line: np.ndarray, options: FitOptions) -> np.ndarray:
    """Without lines that have too few spots left; with `whole_sets` without lines that lost any."""
    if options.whole_sets:
        used = used & ~np.isin(line, line[~used])
    return used & _enough_holes(line, used, options)


def _line_freedom(fit: AxisFit) -> float:
    """Coefficients taken from the means of lines: the share of the terms without slit position."""
    return fit.freedom / (1 + max(k for _, k in fit.terms))


def _enough_holes(line: np.ndarray, where: np.ndarray, options: FitOptions) -> np.ndarray:
    """(n,) whether the spot's line has enough spots among `where`."""
    return np.asarray(np.bincount(line, where)[line] >= options.least_holes)


def _fit_axis(
    data: dict[int, OrderData],
    index: int,
    options: FitOptions,
    *,
    choose: bool,
    like: AxisFit | None,
) -> AxisFit:
    if options.fixed is not None:
        fixed = options.fixed
        degrees = (fixed.order[index], fixed.wavelength[index], fixed.slit[index])
        return fit_documented(data, degrees)
    return fit_adaptive(
        data,
        highest=options.wavelength_degree,
        slit_degree=options.slit_degree,
        order_degree=options.order_degree,
        choose=choose,
        like=like,
    )


def _corrected(
    mean: DispersionSolution, numbers: np.ndarray, fits: tuple[AxisFit, AxisFit], used: ArcLines
) -> DispersionSolution:
    orders: dict[int, OrderSolution] = dict(mean.orders)
    for number in map(int, numbers):
        order = mean.orders[number]
        seen = used.wavelength[used.order == number]
        orders[number] = replace(
            order,
            x=add_terms(order.x, fits[0].terms, fits[0].values[number]),
            y=add_terms(order.y, fits[1].terms, fits[1].values[number]),
            x_covariance=_dense(fits[0].wide, fits[0].covariance[number]),
            y_covariance=_dense(fits[1].wide, fits[1].covariance[number]),
            # no line of its own: the middle of the order is a span of length 0
            lines=(
                (float(seen.min()), float(seen.max()))
                if len(seen)
                else (float(np.mean(order.wavelength)),) * 2
            ),
        )
    return DispersionSolution(orders)


def _dense(terms: Sequence[Term], covariance: np.ndarray) -> np.ndarray:
    """(n_wavelength, n_slit, n_wavelength, n_slit) from the covariance of listed terms."""
    shape = tuple(np.max(terms, axis=0) + 1)
    dense = np.zeros((*shape, *shape))
    i, k = np.transpose(terms)
    dense[i[:, None], k[:, None], i[None, :], k[None, :]] = covariance
    return dense


def expected_scatter(lines: ArcLines, scatter: Sequence[Scatter]) -> tuple[np.ndarray, np.ndarray]:
    """1-sigma scatter (n,) of every spot about the solution along x and y, pixels: photon noise of the
    centroid, jitter and the line's own offset.
    """
    return scatter[0].total(lines.x_error), scatter[1].total(lines.y_error)
