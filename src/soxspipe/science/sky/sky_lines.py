"""Lines and continuum of one order from its cells, without a list of lines."""

from dataclasses import replace

import numpy as np

from soxspipe.maths import bspline
from soxspipe.science.sky import bright, joint, line_spread, nonnegative, search
from soxspipe.science.sky.cells import Cells
from soxspipe.science.sky.line_spread import LineSpread
from soxspipe.science.sky.model import Model, Priors
from soxspipe.science.sky.refine_lines import settled, without_needless

#: Share of the light by which early models may be off.
ROUGH = 0.005


def coarse(cells: Cells, low: float, high: float, *, degree: int, points: float) -> Model:
    """Continuum on knots `points` pixels apart, below the lines, and a guess of the line spread."""
    per_bin = float(cells.count.sum()) / (high - low)
    n = max(int((high - low) * per_bin / points), 2)
    breaks = np.linspace(low, high, n + 1)
    spline = bspline.fit(cells.x, _below(cells, breaks), cells.weight, breaks, degree=degree)
    model = Model(
        breaks,
        degree,
        spline.coefficients,
        search.NO_LINES,
        line_spread.boxed(3.0, 0.8),
        low,
        high,
    )
    return replace(model, spread=search.width_of_lines(cells, model.continuum(cells.x)))


def _below(cells: Cells, breaks: np.ndarray) -> np.ndarray:
    """(c,) level that is not reached by lines: the lower third within each interval."""
    interval = np.clip(np.searchsorted(breaks, cells.x) - 1, 0, len(breaks) - 2)
    rank = np.lexsort((cells.y, interval))
    count = np.bincount(interval, minlength=len(breaks) - 1)
    start = np.concatenate([[0], np.cumsum(count)[:-1]])
    known = count > 0
    third = np.minimum(start + (0.35 * count).astype("i8"), len(rank) - 1)
    level = cells.y[rank][third]
    middle = 0.5 * (breaks[1:] + breaks[:-1])
    return np.asarray(np.interp(cells.x, middle[known], level[known]))


def with_breaks(cells: Cells, model: Model, breaks: np.ndarray) -> Model:
    """The model with other knots of its continuum."""
    left = cells.y - model.of_lines(cells.x)[0]
    spline = bspline.fit(cells.x, left, cells.weight, breaks, degree=model.degree)
    return replace(model, breaks=breaks, coefficients=spline.coefficients)


def begun(cells: Cells, start: Model, *, significance: float) -> Model:
    """The coarse model with a line spread learned from bright lines, before lines are listed."""
    if not np.isfinite(significance):
        return joint.step(cells, start, Priors(), None)[0]
    return replace(start, spread=bright.learn(cells, start))


def rough(cells: Cells, model: Model, *, significance: float) -> Model:
    """The model with a new list of lines, settled where errors of half a per cent do not matter; its
    line spread is the boxed Gaussian nearest to what these lines ask for.
    """
    if not np.isfinite(significance):
        return model
    light = np.maximum(cells.y - model.continuum(cells.x), 0.0)
    soft = replace(cells, weight=1.0 / (1.0 / cells.weight + (ROUGH * light) ** 2))
    lines = nonnegative.first_lines(cells, model, significance=0.6 * significance)
    model = settled(soft, replace(model, lines=lines), Priors(), None, steps=2)
    model = without_needless(soft, model, Priors(), significance=0.75 * significance)
    if not len(model.lines.centre):
        return model
    learned = settled(soft, model, Priors(spread=0.1), model.spread, steps=2)
    return replace(learned, spread=line_spread.nearest_boxed(learned.spread))


def improved(cells: Cells, model: Model, boxed: LineSpread, *, significance: float) -> Model:
    """The model settled on its cells, with missing lines added and needless ones left out."""
    if not np.isfinite(significance):
        return joint.step(cells, model, Priors(), None)[0]
    model = settled(cells, model, Priors(), boxed, steps=3)
    for _ in range(2):
        lines = search.more_lines(cells, model, significance=significance, share=0.03)
        new = len(lines.centre) > len(model.lines.centre)
        if new:
            model = settled(cells, replace(model, lines=lines), Priors(), boxed, steps=3)
        model = without_needless(cells, model, Priors(), significance=0.75 * significance)
        if not new:
            break
    return settled(cells, model, Priors(), boxed, steps=2)
