"""Steps of the sky fit on the pixels of one order."""

from dataclasses import dataclass

import numpy as np

from soxspipe.science.sky import along_slit, cells, hits, joint, knots, sky_lines
from soxspipe.science.sky.along_slit import AlongSlit
from soxspipe.science.sky.cells import Cells
from soxspipe.science.sky.line_spread import LineSpread
from soxspipe.science.sky.model import Model, Priors
from soxspipe.science.sky.order_sky import SkyOptions

#: Growth of the misfit by which a model is worse than the one before.
WORSE = 1.02
#: One in so many pixels tells early models what changes along the slit.
THIN = 3


@dataclass(frozen=True, eq=False)
class Pixels:
    """What is fitted: arrays (n,); low, high: range of native bins."""

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


def along(
    work: Pixels,
    model: Model,
    start: AlongSlit,
    used: np.ndarray,
    free: np.ndarray,
    options: SkyOptions,
    *,
    thin: int = 1,
) -> AlongSlit:
    """What changes along the slit, from one in `thin` of the `used` pixels; illumination of cells only
    from those that are `free` of an object.
    """

    def chosen(which: np.ndarray) -> tuple[np.ndarray, ...]:
        at = np.flatnonzero(which)[::thin]
        return work.bins[at], work.slit[at], work.data[at], 1.0 / work.variance[at]

    smooth = along_slit.fit(model, start, *chosen(used), degree=options.illumination)
    return along_slit.uneven(model, smooth, *chosen(used & free))


def kept(pull: np.ndarray, usable: np.ndarray, options: SkyOptions) -> np.ndarray:
    """(n,) bool: usable pixels whose residual is within `clip` of those of their wavelength.

    Where the model misses a line all pixels of its wavelength are off: they stay, and ask for the line.
    """
    noise = np.ones(len(pull))
    far = hits.far_off(pull, noise, usable, sigma=options.clip, rounds=2, window=options.hit_window)
    return np.asarray(usable & ~far)


def begun(
    work: Pixels,
    coarse: Model,
    start: AlongSlit,
    used: np.ndarray,
    free: np.ndarray,
    options: SkyOptions,
) -> tuple[Model, AlongSlit, Cells]:
    """Line spread, a first list of lines, what changes along the slit; `free` (n,) as in `along`."""
    slit, gathered = start, work.gathered(None, start, used)
    model = sky_lines.begun(gathered, coarse, significance=options.lines)
    for _ in range(2):
        model = sky_lines.rough(gathered, model, significance=options.lines)
        slit = along(work, model, slit, used, free, options, thin=THIN)
        gathered = work.gathered(model, slit, used)
    return model, slit, gathered


def refined(
    work: Pixels,
    model: Model,
    slit: AlongSlit,
    used: np.ndarray,
    gathered: Cells,
    options: SkyOptions,
    boxed: LineSpread | None,
) -> tuple[Model, bool]:
    """Knots added where lines do not explain the data; whether that came to its end.

    A round that makes the fit worse is taken back.
    """
    place = slit.moved(work.bins[used], work.slit[used], model)
    for _ in range(options.rounds):
        pull = np.clip(work.pulls(model, slit)[used], -options.noise_clip, options.noise_clip)
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
        trial, _covariance = joint.step(gathered, trial, Priors(), boxed)
        if not joint.misfit(gathered, trial) <= WORSE * joint.misfit(gathered, model):
            return model, False
        model = trial
    return model, False
