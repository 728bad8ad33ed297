"""Straighten an order: from detector pixels to bins of wavelength and slit position, flux conserved.

Each pixel is a quadrilateral in wavelength and slit, and leaves in each bin the share of its electrons
that corresponds to the overlap. Nothing is interpolated and no light is lost, but bins share pixels:
their noise is correlated, and the coefficients are delivered with the image.
"""

from dataclasses import dataclass

import numpy as np

from soxspipe.datamodel.frame import UNUSABLE, PixelFlag
from soxspipe.datamodel.order_pixels import OrderPixels
from soxspipe.datamodel.rectified import CHUNK, Grid, RectifiedImage
from soxspipe.errors import DataError
from soxspipe.science.extraction.overlap import Laid, lay
from soxspipe.science.extraction.pixel_corners import corners

#: Part of a bin below which it holds nothing: less is rounding.
_NOTHING = 1e-6


@dataclass(frozen=True, eq=False)
class Values:
    """What the listed pixels of an order hold, arrays (n,): electrons, their variance, flags (uint16 bits
    of PixelFlag), electrons of the sky model and their error, which the pixels of a wavelength share
    (None: not known).
    """

    data: np.ndarray
    variance: np.ndarray
    flags: np.ndarray
    sky: np.ndarray | None = None
    sky_error: np.ndarray | None = None


def pixel_scale(pixels: OrderPixels) -> float:
    """Median arcsec along the slit per pixel: the natural step of a rectified image."""
    return float(np.median(pixels.area))


def rectify(
    pixels: OrderPixels,
    values: Values,
    *,
    columns: int,
    step: float,
    slit_step: float,
    slit_offset: float = 0.0,
    least: float = 0.1,
    lost: float = 0.5,
) -> RectifiedImage:
    """The image of one order, on multiples of `step` (nm) and `slit_step` (arcsec).

    Bins with bad pixels hold what the good ones tell: the mean light over their part of the bin.

    Parameters
    ----------
    columns : width of the detector image.
    slit_offset : arcsec added to all slit positions, to bring the targets of several exposures together.
    least : part of a bin that a flagged pixel must cover to hand its flags on.
    lost : part of the covered bin that bad pixels may take before it is BAD.

    Raises
    ------
    DataError : no pixel of the order has neighbours.
    """
    wavelength, slit = corners(pixels, columns)
    u, v = wavelength / step + 0.5, (slit + slit_offset) / slit_step + 0.5
    grid = _grid(u, v, step, slit_step)
    flags = np.asarray(values.flags, dtype="u2")
    broken = ~(np.isfinite(values.data) & np.isfinite(values.variance) & (values.variance >= 0))
    flags = np.where(broken, flags | np.uint16(PixelFlag.BAD), flags)
    sky, sky_error = (
        np.zeros(u.shape[1]) if given is None else given for given in (values.sky, values.sky_error)
    )
    light = np.array([values.data, values.variance, sky, sky_error], dtype="f8")
    laid = lay(
        u - grid.first,
        v - grid.slit_first,
        np.where(broken, 0.0, np.nan_to_num(light)),
        (flags & UNUSABLE) == 0,
        flags,
        shape=grid.shape,
        chunk_offset=grid.first % CHUNK,
        least=least,
    )
    return _image(grid, laid, lost, values)


def _grid(u: np.ndarray, v: np.ndarray, step: float, slit_step: float) -> Grid:
    known = np.isfinite(u).all(axis=0) & np.isfinite(v).all(axis=0)
    if not known.any():
        raise DataError(
            "no pixel of the order has neighbours on both sides",
            hint="look at the pixel map: the order is too thin to be straightened",
        )
    low, slit_low = int(np.floor(u[:, known].min())), int(np.floor(v[:, known].min()))
    high, slit_high = int(np.ceil(u[:, known].max())), int(np.ceil(v[:, known].max()))
    return Grid(low, step, slit_low, slit_step, (slit_high - slit_low, high - low))


def _image(grid: Grid, laid: Laid, lost: float, values: Values) -> RectifiedImage:
    known = laid.good > _NOTHING
    cover = np.where(known, laid.good, 1.0)
    gone = 1.0 - laid.good / np.where(laid.every > _NOTHING, laid.every, 1.0)
    flags = laid.bits | np.where(gone > lost, np.uint16(PixelFlag.BAD), np.uint16(0))
    flags = np.where(laid.every > _NOTHING, flags, 0)
    flags |= np.where(known, 0, int(PixelFlag.NOTHING_LEFT)).astype("u2")
    return RectifiedImage(
        grid=grid,
        flux=np.where(known, laid.light / cover, np.nan),
        error=np.where(known, np.sqrt(laid.variance) / cover, np.nan),
        flags=flags,
        correlation=_correlation(grid, laid),
        cover=np.where(known, laid.good, 0.0),
        sky=None if values.sky is None else np.where(known, laid.sky / cover, np.nan),
        sky_error=(
            None if values.sky_error is None else np.where(known, laid.sky_error / cover, np.nan)
        ),
    )


def _correlation(grid: Grid, laid: Laid) -> np.ndarray:
    """(chunks, 1 + K, 1 + 2 L) mean correlation where the variance of pixels varies slowly."""
    size = np.sqrt(laid.square)
    m, n = grid.shape
    chunks, lags, width = laid.lags.shape
    result = np.zeros(laid.lags.shape)
    for k in range(min(lags, n)):
        for column in range(width):
            lag = column - width // 2
            if abs(lag) >= m:
                continue
            one = size[max(0, -lag) : m - max(0, lag), : n - k]
            other = size[max(0, lag) : m - max(0, -lag), k:]
            total = np.bincount(grid.chunks[: n - k], np.einsum("ij,ij->j", one, other), chunks)
            safe = np.where(total > 0, total, 1.0)
            result[:, k, column] = np.where(total > 0, laid.lags[:, k, column] / safe, 0.0)
    return result
