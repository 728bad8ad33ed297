"""The sky of one order, fitted to detector pixels as they were read (Kelson 2003, PASP 115, 688).

Lines are tilted, so the pixels of a column sample a sky line at many sub-pixel phases. The sky is a sum of
lines, each with height, place and broadening, of one line spread learned from the lines themselves, and
of a cubic B-spline in the native bin coordinate. Knots are sparse; they are added only where the data
show what lines do not explain: every number fitted is noise, common to all rows, in the spectrum.
"""

from dataclasses import dataclass, replace

import numpy as np

from soxspipe.datamodel.order_pixels import OrderPixels
from soxspipe.errors import DataError
from soxspipe.maths.robust import mad_sigma
from soxspipe.science.sky import along_slit, cells, hits, joint, knots, sky_lines
from soxspipe.science.sky.along_slit import AlongSlit
from soxspipe.science.sky.cells import Cells
from soxspipe.science.sky.joint import Covariance, Model, Priors

__all__ = ["OrderSky", "SkyOptions", "fit", "initial_level"]


@dataclass(frozen=True)
class SkyOptions:
    """degree         of the continuum spline
    coarse_points  pixels per interval of the first knots; fine_points: least pixels beside a new knot
    significance   of structure that asks for knots
    lines          significance above which a line is modelled; infinite: no lines
    clip           rejection limit of pixels; rounds: most rounds of refinement
    illumination   degree of the polynomial along the slit
    hit_sigma, hit_rounds, hit_window  pixels left out of the first fit, see hits.far_off
    noise_clip     residuals beyond this count as this when knots are placed
    noise_window, noise_floor  bins, percentile: what counts as noise then, see knots.finer
    """

    degree: int = 3
    coarse_points: float = 1000.0
    fine_points: float = 15.0
    significance: float = 3.0
    lines: float = 4.0
    clip: float = 10.0
    rounds: int = 25
    illumination: int = 1
    hit_sigma: float = 4.0
    hit_rounds: int = 15
    hit_window: int = 35
    noise_clip: float = 15.0
    noise_window: float = 250.0
    noise_floor: float = 80.0


@dataclass(frozen=True, eq=False)
class OrderSky:
    """Sky of one order.

    model      sky in the middle of the slit; along: how it changes along the slit
    covariance of the fit; cells: the data it was fitted to
    used       (n,) pixels that took part, as listed in OrderPixels
    converged  False if the fit had to stay with a simpler model than the data ask for
    """

    model: Model
    along: AlongSlit
    covariance: Covariance
    cells: Cells
    used: np.ndarray
    converged: bool

    @property
    def illumination(self) -> np.ndarray:
        """Polynomial along the slit (arcsec), 1 at its middle."""
        return self.along.illumination

    def at(self, bins: np.ndarray, slit: np.ndarray) -> np.ndarray:
        """Sky electrons per pixel at native bin and slit position."""
        return self.along.at(self.model, bins, slit)

    def variance(self, bins: np.ndarray, slit: np.ndarray) -> np.ndarray:
        """(n,) electrons squared: variance of the model at native bin and slit position."""
        x = np.arange(self.model.low, self.model.high + 0.25, 0.25)
        here = np.interp(self.along.moved(bins, slit, self.model), x, self.covariance.variance(x))
        return np.asarray(here * self.along.factor(slit) ** 2)

    def reach(self, bins: np.ndarray) -> np.ndarray:
        """(n,) native bins over which the model's error is common.

        The fit smooths: its variance is that of a bin's mean over the number of bins that share an error.
        """
        n = int(np.ceil(self.model.high - self.model.low))
        at = np.clip((self.cells.x - self.model.low).astype("i8"), 0, n - 1)
        per_bin = np.bincount(at, self.cells.weight, n)
        x = self.model.low + 0.5 + np.arange(n)
        share = self.covariance.variance(x) * per_bin
        most = float(np.diff(self.model.breaks).max())
        return np.asarray(np.interp(bins, x, np.clip(1.0 / np.maximum(share, 1e-9), 1.0, most)))

    def relative_variance(self, bins: np.ndarray, data_per_bin: np.ndarray) -> np.ndarray:
        """Variance of the model over that of one pixel; (n,), `data_per_bin` is not needed any more."""
        pixel = self.cells.count / self.cells.weight
        typical = np.interp(bins, self.cells.x, pixel)
        return np.asarray(self.variance(bins, np.zeros(len(bins))) / typical)


def initial_level(pixels: OrderPixels, data: np.ndarray, good: np.ndarray) -> np.ndarray:
    """First guess of the sky (n,): median of each native bin along the slit, object included."""
    bins = pixels.nearest
    median, count = _medians(bins[good], data[good], len(pixels.grid))
    known = count > 3
    numbers = np.arange(len(median))
    if known.any():
        median = np.interp(numbers, numbers[known], median[known])
    return median[bins]


def _medians(cell: np.ndarray, values: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Median and number of the `values` (k,) in each of `n` cells; 0 in an empty cell."""
    count = np.bincount(cell, minlength=n)
    if not len(values):
        return np.zeros(n), count
    start = np.concatenate([[0], np.cumsum(count)[:-1]])
    middle = np.clip(start + count // 2, 0, len(values) - 1)
    return np.where(count > 0, values[np.lexsort((values, cell))][middle], 0.0), count


@dataclass(frozen=True, eq=False)
class _Pixels:
    """What is fitted: arrays (n,)."""

    bins: np.ndarray
    slit: np.ndarray
    data: np.ndarray
    variance: np.ndarray
    low: float
    high: float

    def gathered(self, model: Model | None, along: AlongSlit, used: np.ndarray) -> Cells:
        """Cells of the `used` pixels, brought to the middle of the slit."""
        bins, slit = self.bins[used], self.slit[used]
        level, weight = self.data[used], 1.0 / self.variance[used]
        if model is not None:
            factor = along.factor(slit)
            level = level / factor - along.broadening(model, bins, slit)
            weight = weight * factor**2
            bins = along.moved(bins, slit, model)
        return cells.gather(bins, level, weight, self.low, self.high)

    def pulls(self, model: Model, along: AlongSlit) -> np.ndarray:
        """(n,) residuals in units of noise."""
        left = self.data - along.at(model, self.bins, self.slit)
        return np.asarray(left / np.sqrt(self.variance))


def fit(
    pixels: OrderPixels,
    data: np.ndarray,
    variance: np.ndarray,
    usable: np.ndarray,
    options: SkyOptions,
) -> OrderSky:
    """Fit the sky of one order.

    Parameters
    ----------
    data, variance : (n,) electrons and their variance for the listed pixels. usable : (n,) bool, False
    for flagged pixels and those under the object or at the slit ends.

    Raises
    ------
    DataError : no usable pixel.
    """
    usable = usable & np.isfinite(data) & (variance > 0)
    if not usable.any():
        raise DataError("no data left for a sky fit", hint="too many pixels are flagged")
    low, high = pixels.first - 0.5, pixels.first + len(pixels.grid) - 0.5
    work = _Pixels(pixels.bin, pixels.slit, data, variance, low, high)
    used = usable & ~hits.far_off(
        data,
        variance,
        usable,
        sigma=options.hit_sigma,
        rounds=options.hit_rounds,
        window=options.hit_window,
    )
    along = along_slit.even(pixels.slit)
    gathered = work.gathered(None, along, used)
    coarse = sky_lines.coarse(
        gathered, low, high, degree=options.degree, points=options.coarse_points
    )
    model = sky_lines.begun(gathered, coarse, significance=options.lines)
    for _ in range(2):
        model = sky_lines.rough(gathered, model, significance=options.lines)
        along = _along(work, model, along, used, options.illumination)
        gathered = work.gathered(model, along, used)
    boxed = model.spread
    for _ in range(2):
        model = sky_lines.improved(gathered, model, boxed, significance=options.lines)
        along = _along(work, model, along, used, options.illumination)
        used = _kept(work.pulls(model, along), usable, options.clip)
        gathered = work.gathered(model, along, used)
    model, converged = _refined(work, model, along, used, gathered, options)
    model, covariance = joint.step(gathered, model, Priors(), boxed)
    if not np.isfinite(joint.misfit(gathered, model)) or joint.misfit(
        gathered, model
    ) > 1.05 * joint.misfit(gathered, coarse):
        along = along_slit.even(pixels.slit)
        gathered = work.gathered(None, along, used)
        model, covariance = joint.step(gathered, coarse, Priors(), None)
        converged = False
    return OrderSky(model, along, covariance, gathered, used, converged)


def _along(
    work: _Pixels, model: Model, start: AlongSlit, used: np.ndarray, degree: int
) -> AlongSlit:
    chosen = (
        work.bins[used],
        work.slit[used],
        work.data[used],
        1.0 / work.variance[used],
    )
    smooth = along_slit.fit(model, start, *chosen, degree=degree)
    return along_slit.uneven(model, smooth, *chosen)


def _kept(pull: np.ndarray, usable: np.ndarray, clip: float) -> np.ndarray:
    """(n,) bool: usable pixels within `clip` of the model, in units of noise or of the scatter."""
    scale = max(mad_sigma(pull[usable]), 1.0)
    return np.asarray(usable & (np.abs(pull) < clip * scale))


def _refined(
    work: _Pixels,
    model: Model,
    along: AlongSlit,
    used: np.ndarray,
    gathered: Cells,
    options: SkyOptions,
) -> tuple[Model, bool]:
    """Knots added where lines do not explain the data; whether that came to its end.

    A round that makes the fit worse is taken back.
    """
    place = along.moved(work.bins[used], work.slit[used], model)
    for _ in range(options.rounds):
        pull = np.clip(work.pulls(model, along)[used], -options.noise_clip, options.noise_clip)
        breaks = knots.finer(
            model.breaks,
            place,
            pull,
            significance=options.significance,
            points=options.fine_points,
            window=options.noise_window,
            floor=options.noise_floor,
        )
        if len(breaks) == len(model.breaks):
            return model, True
        trial = sky_lines.with_breaks(gathered, model, breaks)
        trial, _covariance = joint.step(gathered, trial, Priors(), None)
        if joint.misfit(gathered, trial) > joint.misfit(gathered, model):
            return model, False
        model = replace(trial)
    return model, False
