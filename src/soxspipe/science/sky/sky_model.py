"""The sky of one order, fitted to detector pixels as they were read (Kelson 2003, PASP 115, 688).

Lines are tilted, so the pixels of a column sample a sky line at many sub-pixel phases. The sky is a sum
of lines, each with height, place and broadening, of one line spread learned from the lines themselves,
and of a cubic B-spline in the native bin coordinate. Knots are sparse; they are added only where the
data show what lines do not explain: every number fitted is noise, common to all rows, in the spectrum.
"""

from dataclasses import replace

import numpy as np

from soxspipe.datamodel.order_pixels import OrderPixels
from soxspipe.errors import DataError
from soxspipe.maths.grouped import medians
from soxspipe.science.sky import along_slit, hits, joint, line_spread, sky_lines, steps
from soxspipe.science.sky import residual as difference
from soxspipe.science.sky.model import Model, Priors
from soxspipe.science.sky.order_sky import OrderSky, SkyOptions
from soxspipe.science.sky.steps import WORSE, Pixels

__all__ = ["OrderSky", "SkyOptions", "fit", "initial_level", "residual"]

#: Intervals of the first spline under the residual sky of a difference.
RESIDUAL_INTERVALS = 6


def initial_level(pixels: OrderPixels, data: np.ndarray, good: np.ndarray) -> np.ndarray:
    """First guess of the sky (n,): median of each native bin along the slit, object included."""
    bins = pixels.nearest
    median, count = medians(bins[good], data[good], len(pixels.grid), side=1)
    known = count > 3
    numbers = np.arange(len(median))
    if known.any():
        median = np.interp(numbers, numbers[known], median[known])
    return median[bins]


def fit(
    pixels: OrderPixels,
    data: np.ndarray,
    variance: np.ndarray,
    usable: np.ndarray,
    options: SkyOptions,
    start: OrderSky | None = None,
    apart: np.ndarray | None = None,
) -> OrderSky:
    """Fit the sky of one order.

    Parameters
    ----------
    data, variance : (n,) electrons and their variance for the listed pixels. usable : (n,) bool, False
    for flagged pixels and those under the object or at the slit ends. start : an earlier fit to the same
    pixels; its lines and knots are the first guess, which is faster. apart : (n,) bool, pixels that must
    not tell the illumination: those of a subtracted object, whose spectrum follows every error.

    Raises
    ------
    DataError : no usable pixel.
    """
    work, usable = _checked(pixels, data, variance, usable)
    used = usable & ~_hits(work, usable, options)
    even = along_slit.even(pixels.slit)
    free = np.ones(len(used), dtype=bool) if apart is None else ~apart
    gathered = work.gathered(None, even, used)
    coarse = sky_lines.coarse(
        gathered, work.low, work.high, degree=options.degree, points=options.coarse_points
    )
    if start is None:
        model, slit, gathered = steps.begun(work, coarse, even, used, free, options)
        boxed = model.spread
    else:
        model, slit = start.model, start.along
        boxed = line_spread.boxed(model.spread.box, model.spread.blur)
        gathered = work.gathered(model, slit, used)
    for _ in range(2):
        model = sky_lines.improved(gathered, model, boxed, significance=options.lines)
        slit = steps.along(work, model, slit, used, free, options)
        used = steps.kept(work.pulls(model, slit), usable, options)
        gathered = work.gathered(model, slit, used)
    model, converged = steps.refined(work, model, slit, used, gathered, options, None)
    model, covariance = joint.step(gathered, model, Priors(), boxed)
    if not joint.misfit(gathered, model) <= WORSE * joint.misfit(gathered, coarse):
        slit, converged = even, False
        gathered = work.gathered(None, even, used)
        model, covariance = joint.step(gathered, coarse, Priors(), None)
    return OrderSky(model, slit, covariance, gathered, used, converged)


def residual(
    pixels: OrderPixels,
    data: np.ndarray,
    variance: np.ndarray,
    usable: np.ndarray,
    template: OrderSky,
    options: SkyOptions,
) -> OrderSky:
    """Fit the sky left in the difference of two exposures.

    Parameters
    ----------
    data, variance : (n,) electrons of the difference and their variance. template : sky of one of the
    exposures, or of their sum: where lines are and how they look.

    Raises
    ------
    DataError : no usable pixel.
    """
    work, usable = _checked(pixels, data, variance, usable)
    used = usable & ~_hits(work, usable, options)
    slit = template.along
    breaks = np.linspace(work.low, work.high, RESIDUAL_INTERVALS + 1)
    start = Model(
        breaks,
        options.degree,
        np.zeros(len(breaks) + options.degree - 1),
        template.model.lines,
        template.model.spread,
        work.low,
        work.high,
    )
    for _ in range(2):
        gathered = work.gathered(start, slit, used)
        model, covariance = difference.scaled(gathered, start, template.model.lines)
        used = steps.kept(work.pulls(model, slit), usable, options)
    finer, converged = steps.refined(work, model, slit, used, gathered, options, None)
    if len(finer.breaks) > len(breaks):
        start = replace(start, breaks=finer.breaks, coefficients=finer.coefficients)
        model, covariance = difference.scaled(gathered, start, template.model.lines)
    return OrderSky(model, slit, covariance, gathered, used, converged)


def _checked(
    pixels: OrderPixels, data: np.ndarray, variance: np.ndarray, usable: np.ndarray
) -> tuple[Pixels, np.ndarray]:
    """What is fitted, and which of its pixels (n,) may take part."""
    usable = np.asarray(usable & np.isfinite(data) & (variance > 0))
    if not usable.any():
        raise DataError("no data left for a sky fit", hint="too many pixels are flagged")
    low, high = pixels.first - 0.5, pixels.first + len(pixels.grid) - 0.5
    safe = np.where(np.isfinite(data), data, 0.0)
    known = np.where(variance > 0, variance, 1.0)
    return Pixels(pixels.bin, pixels.slit, safe, known, low, high), usable


def _hits(work: Pixels, usable: np.ndarray, options: SkyOptions) -> np.ndarray:
    return hits.far_off(
        work.data,
        work.variance,
        usable,
        sigma=options.hit_sigma,
        rounds=options.hit_rounds,
        window=options.hit_window,
    )
