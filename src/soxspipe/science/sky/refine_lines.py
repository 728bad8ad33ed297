"""From a first list of lines to the fit: steps, lines left out that are not needed, lines added."""

from dataclasses import replace

import numpy as np

from soxspipe.science.sky import joint
from soxspipe.science.sky.cells import Cells
from soxspipe.science.sky.line_spread import LineSpread
from soxspipe.science.sky.model import Lines, Model, Priors


def settled(
    cells: Cells, model: Model, priors: Priors, boxed: LineSpread | None, *, steps: int
) -> Model:
    """The model after some steps, fewer if it does not change any more."""
    before = joint.chi2(cells, model)
    for _ in range(steps):
        model, _cov, now = joint.judged_step(cells, model, priors, boxed, before)
        if before - now < 1e-3 * before:
            break
        before = now
    return model


def without_needless(
    cells: Cells,
    model: Model,
    priors: Priors,
    *,
    significance: float,
) -> Model:
    """The model without lines it can do without, settled.

    A line is left out if it seems below `significance` in the linear fit, or crowds a brighter one; it
    comes back if chi2 of its surroundings then grows by more than significance^2.
    """
    whole, covariance = joint.step(cells, model, priors, None)
    lines = whole.lines
    out = lines.height < significance * np.sqrt(covariance.of_heights)
    # beyond the order's ends only the wing of a line is seen, which the continuum can make as well
    out |= (lines.centre < model.low) | (lines.centre > model.high)
    width = model.spread.box + 2.0 * model.spread.blur + 0.5
    for i in np.flatnonzero(np.diff(lines.centre) < 0.25 * width):
        if not (out[i] or out[i + 1]):
            out[i if lines.height[i] < lines.height[i + 1] else i + 1] = True
    if not out.any():
        return whole
    fewer = settled(cells, replace(whole, lines=_some(lines, ~out)), priors, None, steps=2)
    gone = _some(lines, out)
    grown = _around(cells, fewer, gone) - _around(cells, whole, gone)
    back = (grown > significance**2) & (gone.height > 0)
    if not back.any():
        return fewer
    both = _merged(fewer.lines, _some(gone, back))
    return settled(cells, replace(fewer, lines=both), priors, None, steps=2)


def _around(cells: Cells, model: Model, lines: Lines) -> np.ndarray:
    """(l,) chi2 of the cells in reach of each line."""
    square = np.concatenate([[0.0], np.cumsum(joint.residuals(cells, model) ** 2)])
    low = np.searchsorted(cells.x, lines.centre - model.spread.half)
    high = np.searchsorted(cells.x, lines.centre + model.spread.half)
    return np.asarray(square[high] - square[low])


def _some(lines: Lines, keep: np.ndarray) -> Lines:
    return Lines(lines.centre[keep], lines.height[keep], lines.broad[keep])


def _merged(one: Lines, other: Lines) -> Lines:
    rising = np.argsort(np.concatenate([one.centre, other.centre]), kind="stable")
    return Lines(
        np.concatenate([one.centre, other.centre])[rising],
        np.concatenate([one.height, other.height])[rising],
        np.concatenate([one.broad, other.broad])[rising],
    )
