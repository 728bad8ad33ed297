"""The sky of one order, fitted to detector pixels as they were read (Kelson 2003, PASP 115, 688).

Lines are tilted, so the pixels of a column sample a sky line at many sub-pixel phases. A cubic B-spline
in the native bin coordinate models it without resampling. Knots are dense where the data show structure
and sparse where they do not: a knot too many is noise, common to all rows, in the extracted spectrum.
"""

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import polynomial

from soxspipe.datamodel.order_pixels import OrderPixels
from soxspipe.maths import bspline
from soxspipe.maths.robust import mad_sigma


@dataclass(frozen=True)
class SkyOptions:
    """degree of the spline; coarse and fine: widest and narrowest knot spacing, bins; significance of
    structure that asks for knots; clip: rejection limit of pixels; rounds of fitting; illumination:
    degree of the polynomial along the slit.
    """

    degree: int = 3
    coarse: float = 24.0
    fine: float = 0.75
    significance: float = 3.0
    clip: float = 5.0
    rounds: int = 12
    illumination: int = 1


@dataclass(frozen=True, eq=False)
class OrderSky:
    """Sky of one order: spline over native bins, times a polynomial along the slit (1 at its middle).

    used      (n,) pixels that took part, as listed in OrderPixels
    converged False if the fit had to stay with its coarse knots
    """

    spline: bspline.Spline
    illumination: np.ndarray
    used: np.ndarray
    converged: bool

    def at(self, bins: np.ndarray, slit: np.ndarray) -> np.ndarray:
        """Sky electrons per pixel at native bin and slit position."""
        return self.spline(bins) * polynomial.polyval(slit, self.illumination)

    def relative_variance(self, bins: np.ndarray, data_per_bin: np.ndarray) -> np.ndarray:
        """Variance of the model over the variance of one pixel: knots per data point.

        bins (n,); data_per_bin (n,) pixels that took part per native bin.
        """
        breaks = np.unique(self.spline.knots)
        spacing = np.diff(breaks)
        at = np.clip(np.searchsorted(breaks, bins) - 1, 0, len(spacing) - 1)
        smooth = (
            np.convolve(spacing, np.ones(3) / 3.0, mode="same") if len(spacing) > 3 else spacing
        )
        return 1.0 / np.maximum(np.maximum(data_per_bin, 1.0) * smooth[at], 1.0)


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


def _hits(
    pixels: OrderPixels, data: np.ndarray, variance: np.ndarray, usable: np.ndarray, clip: float
) -> np.ndarray:
    """(n,) bool: usable pixels far off all others of their wavelength, such as cosmic rays.

    Far is `clip` times the scatter seen there: on the flank of a line pixels differ, too. Left in, they
    would bend the first coarse splines, which would ask for knots all around.
    """
    cell, n = _half_bins(pixels)
    at = cell[usable]
    middle, count = _medians(at, data[usable], n)
    off = np.abs(data - middle[cell])
    scatter = 1.4826 * _medians(at, off[usable], n)[0][cell]
    far = off > clip * np.maximum(scatter, np.sqrt(variance))
    return np.asarray(usable & far & (count[cell] >= 6))


def _half_bins(pixels: OrderPixels) -> tuple[np.ndarray, int]:
    """Number of the half-bin cell of each pixel (n,), and the number of cells."""
    n = 2 * len(pixels.grid)
    return np.clip(((pixels.bin - pixels.first + 0.5) * 2).astype("i8"), 0, n - 1), n


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
    low, high = pixels.first - 0.5, pixels.first + len(pixels.grid) - 0.5
    breaks = np.linspace(low, high, max(int((high - low) / options.coarse), 2) + 1)
    x = pixels.bin
    clean = usable & ~_hits(pixels, data, variance, usable, options.clip)
    weight = np.where(clean, 1.0 / variance, 0.0)
    shape = np.array([1.0])
    spline = bspline.fit(x, data, weight, breaks, degree=options.degree)
    converged = False
    for _ in range(options.rounds):
        residual = (data - spline(x)) * np.sqrt(weight)
        finer = _refine(breaks, pixels, residual, clean, options)
        converged = len(finer) == len(breaks)
        breaks = finer
        spline = bspline.fit(x, data, weight, breaks, degree=options.degree)
        if converged:
            break
    for _ in range(3):
        model = spline(x)
        shape = _illumination(pixels.slit, data, model, weight, options.illumination)
        factor = polynomial.polyval(pixels.slit, shape)
        residual = (data - model * factor) / np.sqrt(variance)
        scale = max(mad_sigma(residual[weight > 0]), 1.0)
        weight = np.where(usable & (np.abs(residual) < options.clip * scale), 1.0 / variance, 0.0)
        spline = bspline.fit(x, data / factor, weight * factor**2, breaks, degree=options.degree)
    return OrderSky(spline, shape, weight > 0, converged)


def _refine(
    breaks: np.ndarray,
    pixels: OrderPixels,
    residual: np.ndarray,
    usable: np.ndarray,
    options: SkyOptions,
) -> np.ndarray:
    """Halve the intervals in which residuals are not noise.

    In half-bin cells the mean residual times the root of the number of pixels is normal with width 1 if
    the model is right there. Cells are judged with a clipped residual: single hits do not ask for knots.
    """
    cell, n = _half_bins(pixels)
    cell = cell[usable]
    clipped = np.clip(residual[usable], -20.0, 20.0)
    count = np.bincount(cell, minlength=n)
    mean = np.bincount(cell, clipped, n) / np.maximum(count, 1)
    strength = np.where(count >= 4, np.abs(mean) * np.sqrt(count), 0.0)
    hot = strength > options.significance + 1.0
    pair = strength[:-1] + strength[1:] > 2 * options.significance
    hot[:-1] |= pair & (np.sign(mean[:-1]) == np.sign(mean[1:]))
    if not hot.any():
        return breaks
    position = pixels.first - 0.5 + (np.flatnonzero(hot) + 0.5) / 2.0
    interval = np.searchsorted(breaks, position) - 1
    marked = np.zeros(len(breaks) - 1, dtype=bool)
    marked[np.clip(interval, 0, len(marked) - 1)] = True
    wide = np.diff(breaks) > 2 * options.fine
    # neighbours of a split interval follow, so that spacing changes by steps of two
    middle = 0.5 * (breaks[:-1] + breaks[1:])
    return np.sort(np.concatenate([breaks, middle[marked & wide]]))


def _illumination(
    slit: np.ndarray, data: np.ndarray, model: np.ndarray, weight: np.ndarray, degree: int
) -> np.ndarray:
    """Polynomial along the slit (coefficients, 1 at slit 0) that scales the model onto the data."""
    if degree == 0:
        return np.array([1.0])
    matrix = model[:, None] * slit[:, None] ** np.arange(1, degree + 1)
    target = data - model
    normal = (matrix * weight[:, None]).T @ matrix
    # a faint sky says nothing about illumination: a pull towards none of 1 per cent over the slit
    normal[np.diag_indices_from(normal)] += (5.0 ** np.arange(1, degree + 1) / 0.01) ** 2
    return np.concatenate([[1.0], np.linalg.solve(normal, (matrix * weight[:, None]).T @ target)])
