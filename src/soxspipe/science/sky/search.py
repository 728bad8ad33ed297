"""Find the lines of the sky in its own residuals: no line list, a doublet is two lines."""

import numpy as np

from soxspipe.science.sky.cells import PER_BIN, Cells
from soxspipe.science.sky.line_spread import LineSpread, boxed
from soxspipe.science.sky.model import Lines, Model

NO_LINES = Lines(np.zeros(0), np.zeros(0), np.zeros(0))


def width_of_lines(cells: Cells, level: np.ndarray, *, usual: float = 3.5) -> LineSpread:
    """First line spread, from the widths at half height of bright lines.

    level : (c,) electrons of the continuum below. Blends look wide: the lower third counts. `usual`
    (bins) is taken where no line stands out by 15 sigma.
    """
    above, error, _number = _on_grid(cells, cells.y - level)
    smooth = np.convolve(above, np.full(3, 1 / 3), mode="same")
    strength = np.convolve(above / error**2, np.ones(PER_BIN), mode="same") / np.sqrt(
        np.convolve(1 / error**2, np.ones(PER_BIN), mode="same")
    )
    widths: list[float] = []
    reach = 30 * PER_BIN
    for i in np.argsort(smooth)[::-1][: 40 * PER_BIN]:
        if strength[i] < 15 or len(widths) >= 12:
            break
        window = slice(max(i - PER_BIN, 0), i + PER_BIN + 1)
        if smooth[i] < smooth[window].max():
            continue
        sides = [_half_height(smooth[i : i + reach]), _half_height(smooth[i::-1][:reach])]
        if np.isfinite(sides).all():
            widths.append(sum(sides) / PER_BIN)
    if not widths:
        return boxed(0.85 * usual, 0.2 * usual)
    width = float(np.quantile(widths, 0.3))
    return boxed(0.7 * width, 0.3 * width)


def _half_height(side: np.ndarray) -> float:
    """Cells from the peak side[0] to half of it; NaN if it is not reached."""
    below = np.flatnonzero(side < 0.5 * side[0])
    if below.size == 0 or side[0] <= 0:
        return np.nan
    k = int(below[0])
    return float(k - 1 + (side[k - 1] - 0.5 * side[0]) / (side[k - 1] - side[k]))


def _on_grid(cells: Cells, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values and errors on all cells, without gaps, and the number of the first."""
    first, last = int(cells.number[0]), int(cells.number[-1])
    full, weight = np.zeros(last - first + 1), np.full(last - first + 1, 1e-30)
    full[cells.number - first] = values
    weight[cells.number - first] = cells.weight
    return full, 1.0 / np.sqrt(weight), np.arange(first, last + 1)


def strengths(cells: Cells, model: Model) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(c,) significance that one more line at each cell would have, its height, and its place."""
    residual = cells.y - model(cells.x)
    scale = np.sqrt(cells.weight)
    residual = np.clip(residual * scale, -1e3, 1e3) / scale
    left, error, number = _on_grid(cells, residual)
    n = int(model.spread.half * PER_BIN)
    shape = model.spread(np.arange(-n, n + 1) / PER_BIN)
    top = np.convolve(left / error**2, shape[::-1], mode="same")
    bottom = np.convolve(1.0 / error**2, shape[::-1] ** 2, mode="same")
    if len(shape) > len(left):
        return np.zeros(0), np.zeros(0), np.zeros(0)
    # where most cells are missing nothing can be told
    seen = np.convolve(np.isin(number, cells.number), shape[::-1] ** 2, mode="same")
    known = seen > 0.15 * float((shape**2).sum())
    safe = np.maximum(bottom, 1e-300)
    strength = np.where(known, top / np.sqrt(safe), 0.0)
    place = np.interp(number, cells.number, cells.x)
    # between cells: the top of a parabola
    curve = strength[2:] + strength[:-2] - 2 * strength[1:-1]
    slope = 0.5 * (strength[2:] - strength[:-2])
    place[1:-1] -= np.clip(slope / np.minimum(curve, -1e-9), -0.6, 0.6) / PER_BIN
    return strength, top / safe, place


def more_lines(cells: Cells, model: Model, *, significance: float, share: float = 0.15) -> Lines:
    """The model's lines and new ones where the residuals peak above `significance`.

    Of peaks within one width only the highest is taken, and none below `share` of the highest of its
    surroundings: what a line that is missing leaves beside itself is no line.
    """
    strength, height, place = strengths(cells, model)
    if not len(strength):
        return model.lines
    width = model.spread.box + 2.0 * model.spread.blur + 0.5
    near = max(int(0.6 * width * PER_BIN), 1)
    peak = strength >= _running_max(strength, near)
    around = _running_max(strength, int(3 * width * PER_BIN))
    peak &= (strength > significance) & (strength > share * around) & (height > 0)
    old = model.lines
    at = np.flatnonzero(peak)
    if len(old.centre) and len(at):
        gap = np.abs(place[at][:, None] - old.centre).min(axis=1)
        at = at[gap > 0.2 * width]
    centre = np.concatenate([old.centre, place[at]])
    rising = np.argsort(centre, kind="stable")
    return Lines(
        centre[rising],
        np.concatenate([old.height, height[at]])[rising],
        np.concatenate([old.broad, np.zeros(len(at))])[rising],
    )


def _running_max(values: np.ndarray, half: int) -> np.ndarray:
    padded = np.pad(values, half, constant_values=-np.inf)
    return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1).max(axis=1))
