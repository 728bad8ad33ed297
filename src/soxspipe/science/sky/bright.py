"""The line spread of an order, learned from its brightest lines that stand alone."""

from dataclasses import replace

import numpy as np

from soxspipe.science.sky import joint, line_spread
from soxspipe.science.sky.cells import Cells
from soxspipe.science.sky.line_spread import LineSpread
from soxspipe.science.sky.model import Lines, Model, Priors
from soxspipe.science.sky.search import strengths


def learn(cells: Cells, start: Model, *, most: int = 24, significance: float = 25.0) -> LineSpread:
    """Box, blur and learned line spread that fit bright lonely lines best; that of `start` without any.

    start : continuum, and a first guess of the line spread. A round and a boxy shape of its width are
    tried. Lines that do not fit (blends) are left out.
    """
    width = start.spread.box + 2.0 * start.spread.blur
    best, least = start.spread, np.inf
    for box, blur in ((0.9 * width, 0.12 * width), (0.45 * width, 0.32 * width)):
        model = replace(start, spread=line_spread.boxed(box, max(blur, 0.5)))
        lines = lonely(cells, model, most=most, significance=significance)
        if not len(lines.centre):
            return start.spread
        spread, quality = _refined(cells, replace(model, lines=lines))
        if quality < least:
            best, least = spread, quality
    return best


def lonely(cells: Cells, model: Model, *, most: int, significance: float) -> Lines:
    """The brightest lines with no brighter one near."""
    strength, height, place = strengths(cells, model)
    width = model.spread.box + 2.0 * model.spread.blur + 0.5
    bright = np.flatnonzero(strength >= significance)
    # nothing is chosen within 2 widths, nothing else is taken within 0.3 of what is brighter
    alone, new = np.ones(len(strength), dtype=bool), np.ones(len(strength), dtype=bool)
    chosen: list[int] = []
    for i in bright[np.argsort(strength[bright])[::-1]]:
        if len(chosen) >= most:
            break
        if alone[i]:
            chosen.append(int(i))
        if new[i]:
            gap = np.abs(place - place[i])
            alone &= gap > 2.0 * width
            new &= gap > 0.3 * width
    at = np.sort(np.array(chosen, dtype="i8"))
    return Lines(place[at], height[at], np.zeros(len(at)))


def _refined(cells: Cells, model: Model) -> tuple[LineSpread, float]:
    """Line spread learned from the model's lines, and its misfit as share of the lines' light."""
    near = _near(cells, model)
    part = _taken(cells, near)
    quality = np.inf
    for turn in range(3):
        for _ in range(2):
            model, _cov = joint.step(part, model, Priors(), None)
        off = _misfits(part, model)
        if len(off) > 6:
            keep = off <= np.quantile(off, 0.7 if turn else 0.6)
            lines = model.lines
            model = replace(
                model, lines=Lines(lines.centre[keep], lines.height[keep], lines.broad[keep])
            )
            part = _taken(cells, _near(cells, model))
        quality = float(np.median(_misfits(part, model)))
        learned, _cov = joint.step(part, model, Priors(spread=0.1), model.spread)
        box = line_spread.nearest_boxed(learned.spread)
        model = replace(model, spread=box)
    model, _cov = joint.step(part, model, Priors(), None)
    quality = min(quality, float(np.median(_misfits(part, model))))
    return model.spread, quality


def _near(cells: Cells, model: Model) -> np.ndarray:
    """(c,) number of the line within whose reach a cell lies, or -1."""
    width = model.spread.half
    middle = 0.5 * (model.lines.centre[1:] + model.lines.centre[:-1])
    nearest = np.searchsorted(middle, cells.x)
    return np.where(np.abs(cells.x - model.lines.centre[nearest]) < width, nearest, -1)


def _taken(cells: Cells, near: np.ndarray) -> Cells:
    """Cells in reach of a line, and every eighth of the others (they hold the continuum)."""
    keep = (near >= 0) | ((cells.number % 8) == 0)
    return Cells(
        *(getattr(cells, name)[keep] for name in ("x", "spread", "y", "weight", "count", "number"))
    )


def _misfits(cells: Cells, model: Model) -> np.ndarray:
    """(l,) root mean squared residual beside each line beyond noise, as share of its height."""
    near = _near(cells, model)
    inside = near >= 0
    n = len(model.lines.centre)
    left = joint.residuals(cells, model)[inside]
    square = np.clip(left**2 - 1.0, 0.0, None) / cells.weight[inside]
    count = np.maximum(np.bincount(near[inside], minlength=n), 1)
    rms = np.sqrt(np.bincount(near[inside], square, n) / count)
    return np.asarray(rms / np.maximum(np.abs(model.lines.height), 1e-9))
