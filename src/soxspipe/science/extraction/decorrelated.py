"""One spectrum from the pixels of all orders and exposures, with errors that are independent of each
other (after Bolton & Schlegel 2010, PASP 122, 248).

Pixels d = A f + noise, of variance V, give normal equations M f = y: M = A^T V^-1 A, y = A^T V^-1 d.
Whatever T, the vector z = (T M T^T)^-1/2 T y has independent elements of unit variance, and sees the
spectrum through Q = (T M T^T)^-1/2 T M, Q^T Q = M: no information is lost, and nothing resampled.
Divided by its row sums, z is the spectrum, seen through kernels about as wide as a pixel.

With T = 1, the symmetric root of the paper, a bin of low weight leans towards neighbours of high weight:
at a sky line that raises the variance a hundredfold, lines lose or win up to 3 per cent of their flux.
Here the rows of T are scaled by the root of the bin's weight, which makes the kernels symmetric (0.6 per
cent at most), and smooth over a pixel: finer bins then see the spectrum interpolated, not as steps.

Bins finer than pixels live on the tilt of the lines, which puts the pixels of different rows at different
places. Without any tilt such bins would hold less than independent values, and their errors be too large.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from soxspipe.datamodel.frame import PixelFlag
from soxspipe.errors import DataError
from soxspipe.maths.inverse_root import congruent, inverse_root
from soxspipe.science.extraction.normal_equations import Equations, Part, equations
from soxspipe.science.extraction.optimal import LOST

#: Bins that know less than this part of what their neighbourhood knows are empty.
_LEAST = 1e-5
#: Weights are not taken to differ more than this within a neighbourhood when rows are scaled.
_CONTRAST = 1e-3
#: Width (sigma) of the smoothing T, in pixels; the neighbourhood, in pixels to each side.
_SMOOTHING, _NEIGHBOURHOOD = 0.4, 24.0


@dataclass(frozen=True, eq=False)
class Merged:
    """A spectrum on n bins; errors of bins are independent.

    flux, variance  (n,) electrons per bin, electrons squared, NaN where nothing is known
    common          (n,) part of the variance that is due to the error all pixels of a wavelength share
    sky             (n,) sky in the aperture, electrons per bin, with the weights of the flux
    flags           (n,) uint16 bits of PixelFlag: NOTHING_LEFT; BAD where most of the weight is lost, or
                    what is left belongs to the next bin
    pixels          (n,) number of pixels that see the bin
    shift, blur     (n,) nm: centroid of the bin's kernel from the bin's centre, and its width (sigma)
    """

    flux: np.ndarray
    variance: np.ndarray
    common: np.ndarray
    sky: np.ndarray
    flags: np.ndarray
    pixels: np.ndarray
    shift: np.ndarray
    blur: np.ndarray


def merge_pixels(parts: Sequence[Part], edges: np.ndarray, *, summed: float = 3.0) -> Merged:
    """The spectrum that the pixels of all `parts` see, on bins with rising `edges` (n + 1,), nm.

    The error that all pixels of a wavelength share, that of the sky model, is not part of V: it is the
    same over several bins, and to make it independent too would give the kernels wide negative wings.
    It is added to the variances as if it were the same over a bin and independent otherwise, times the
    number of bins over which it is the same, but `summed` at most: with 1 the errors of single bins are
    true, with 10 those of sums of ten; the default lies between.

    Raises
    ------
    DataError : no usable pixel within the edges.
    """
    system = equations(parts, edges)
    weight = system.weight
    if not (weight > 0).any():
        raise DataError(
            "no pixel is left to make a spectrum of",
            hint="look at the flags of the frame, and at the wavelengths of the grid",
        )
    step = np.diff(edges)
    smoothing = _smoothing(system, weight, step)
    omega = 2.0 * np.pi / (16.0 * max(1.0, float(np.median((system.width / step)[weight > 0]))))
    phase = omega * np.arange(len(step))
    columns = (
        system.data,
        weight,
        system.sky,
        system.level,
        system.times(np.cos(phase)),
        system.times(np.sin(phase)),
    )
    white = _whitened(system.band, smoothing, np.stack(columns, axis=1))
    return _assembled(system, white, weight, step, phase, summed)


def _smoothing(system: Equations, weight: np.ndarray, step: np.ndarray) -> np.ndarray:
    """T as (2 r + 1, n): T[r + o, i] belongs to row i and column i + o; zero rows for empty bins."""
    pixel = system.width / step
    seen = pixel[weight > 0]
    reach = int(np.ceil(_NEIGHBOURHOOD * max(1.0, float(np.median(seen)))))
    best = ndimage.maximum_filter1d(weight, 2 * reach + 1)
    known = weight > _LEAST * best
    best = np.exp(ndimage.uniform_filter1d(np.log(np.maximum(best, 1e-300)), 2 * reach + 1))
    scale = np.where(known, np.sqrt(np.maximum(weight, _CONTRAST * best)) / best, 0.0)
    sigma = _SMOOTHING * np.maximum(pixel, 1e-3)
    r = int(np.ceil(3.0 * float(sigma[known].max(initial=0.0))))
    offset = np.arange(-r, r + 1)[:, None]
    kernel = np.exp(-0.5 * (offset / sigma) ** 2)
    return np.asarray(scale * kernel / kernel.sum(axis=0))


def _whitened(band: np.ndarray, smoothing: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """(T M T^T)^-1/2 T applied to each of the `columns` (n, k)."""
    system = congruent(band, smoothing)
    system[0] = np.where(smoothing.any(axis=0), system[0], 1.0)
    r = len(smoothing) // 2
    smooth = np.zeros(columns.shape)
    n = len(columns)
    for o in range(-r, r + 1):
        rows = slice(max(0, -o), min(n, n - o))
        beside = slice(max(0, o), min(n, n + o))
        smooth[rows] += smoothing[r + o, rows, None] * columns[beside]
    return inverse_root(system, smooth)


def _assembled(
    system: Equations,
    white: np.ndarray,
    weight: np.ndarray,
    step: np.ndarray,
    phase: np.ndarray,
    summed: float,
) -> Merged:
    value, row, sky, level, real, imaginary = white.T
    known = row > 0
    safe = np.where(known, row, 1.0)
    through = (real + 1j * imaginary) / safe * np.exp(-1j * phase)
    omega = phase[1] - phase[0] if len(phase) > 1 else 1.0
    blur = np.sqrt(np.maximum(-2.0 * np.log(np.maximum(np.abs(through), 1e-12)), 0.0)) / omega
    bins = np.minimum(system.reach / step, summed)
    common = (step * level / safe) ** 2 * system.common * bins
    lost = 1.0 - weight / np.where(system.possible > 0, system.possible, 1.0)
    aside = np.abs(np.angle(through)) > 0.5 * omega
    flags = np.where((lost > LOST) | aside, int(PixelFlag.BAD), 0)

    def where_known(values: np.ndarray) -> np.ndarray:
        return np.where(known, values, np.nan)

    return Merged(
        flux=where_known(value / safe * step),
        variance=where_known((step / safe) ** 2 + common),
        common=where_known(common),
        sky=where_known(sky / safe * step),
        flags=np.where(known, flags, int(PixelFlag.NOTHING_LEFT)).astype("u2"),
        pixels=system.pixels.astype("i4"),
        shift=where_known(np.angle(through) / omega * step),
        blur=where_known(blur * step),
    )
