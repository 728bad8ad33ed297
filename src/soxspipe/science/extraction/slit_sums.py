"""Spectra from a rectified image: sums along the slit, whose errors know that bins share pixels."""

from dataclasses import dataclass

import numpy as np

from soxspipe.datamodel.frame import UNUSABLE, PixelFlag
from soxspipe.datamodel.order_pixels import OrderPixels
from soxspipe.datamodel.rectified import RectifiedImage
from soxspipe.science.extraction.optimal import LOST, outliers


@dataclass(frozen=True, eq=False)
class SlitSums:
    """Sums along the slit, arrays (n,): flux, its variance (of each bin by itself), flags, sky in the
    aperture, and `factor`: true error of a sum over many neighbouring bins over the naive one.
    """

    flux: np.ndarray
    variance: np.ndarray
    flags: np.ndarray
    sky: np.ndarray
    factor: np.ndarray


def pieces(image: RectifiedImage, number: int) -> dict[int, OrderPixels]:
    """The bins of the image listed as if they were pixels of `number` orders, one behind the other.

    So everything that works on the pixels of orders works on a rectified image as well: index is that
    of the bin in the image, bins along wavelength are native bins. Wavelengths without any known bin
    are left out.
    """
    grid = image.grid
    (m, n), wavelength = grid.shape, grid.wavelength
    seen = np.flatnonzero(np.isfinite(image.flux).any(axis=0))
    result = {}
    for piece, part in enumerate(np.array_split(seen, number), start=1):
        if part.size == 0:
            continue
        column = np.arange(part[0], part[-1] + 1)
        x, y = np.repeat(column, m), np.tile(np.arange(m), len(column))
        known = np.isfinite(image.flux[y, x])
        x, y = x[known], y[known]
        result[piece] = OrderPixels(
            order=piece,
            index=y * n + x,
            wavelength=wavelength[x],
            slit=grid.slit[y],
            bin=x.astype("f8"),
            area=np.full(len(x), grid.slit_step),
            first=int(column[0]),
            grid=wavelength[column],
            width=np.full(len(column), grid.step),
        )
    return result


def aperture(image: RectifiedImage, centre: np.ndarray, width: float) -> np.ndarray:
    """(m, n) part of each bin that lies within `width` / 2 (arcsec) of `centre` (n,)."""
    step = image.grid.slit_step
    away = np.abs(image.slit[:, None] - centre)
    return np.asarray(np.clip((0.5 * width - away) / step + 0.5, 0.0, 1.0))


def optimal_sums(
    image: RectifiedImage, share: np.ndarray, inside: np.ndarray, *, clip: float = 5.0
) -> SlitSums:
    """Flux of each wavelength bin with the weights of Horne (1986, PASP 98, 609).

    Parameters
    ----------
    share : (m, n) part of the object's light that falls on the bin. inside : (m, n) part of the bin
    within the aperture in which the sky is added up. clip : bins so many sigma off the model are left
    out.
    """
    good = _good(image)
    variance = np.where(good, image.variance, 1.0)
    data = np.where(good, image.flux, 0.0).astype("f8")
    model = _robust(data, share, variance, good) * share
    good &= ~outliers(data, variance, model, sigma=clip)
    flux, weight = _weighted(data, share, variance, good)
    possible = (share**2 / variance).sum(axis=0)
    left = (weight * share).sum(axis=0)
    safe = np.where(left > 0, left, 1.0)
    lost = 1.0 - left / np.where(possible > 0, possible, 1.0)
    touched = _touched(image, share > 0.02 * share.max(initial=0.0))
    flags = np.where(lost > LOST, touched | np.uint16(PixelFlag.BAD), np.uint16(0))
    return _finished(image, flux, weight / safe, flags, inside)


def box_sums(image: RectifiedImage, share: np.ndarray, inside: np.ndarray) -> SlitSums:
    """Plain sum over the aperture; bad bins hold what the profile and the good ones let expect.

    Parameters : as for `optimal_sums`; share may be 0 throughout, bad bins are then left out.
    """
    good = _good(image)
    data = np.where(good, image.flux, 0.0).astype("f8")
    _, weight = _weighted(data, share, np.where(good, image.variance, 1.0), good)
    total = (weight * share).sum(axis=0)
    # what the bad bins lack, in units of the flux that the good ones tell
    lacking = np.where(good, 0.0, inside * share).sum(axis=0)
    weight = np.where(good, inside, 0.0) + weight * (lacking / np.where(total > 0, total, 1.0))
    some = (good & (inside > 0)).any(axis=0)
    flux = np.where(some, (weight * data).sum(axis=0), np.nan)
    return _finished(image, flux, weight, _touched(image, inside > 0), inside)


def _good(image: RectifiedImage) -> np.ndarray:
    known = np.isfinite(image.flux) & np.isfinite(image.error) & (image.error > 0)
    return np.asarray(known & ((image.flags & UNUSABLE) == 0))


def _weighted(
    data: np.ndarray, share: np.ndarray, variance: np.ndarray, good: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Flux (n,), NaN where nothing is left, and the weights (m, n)."""
    weight = np.where(good, share / variance, 0.0)
    total = (weight * share).sum(axis=0)
    some = total > 0
    return np.where(some, (weight * data).sum(axis=0) / np.where(some, total, 1.0), np.nan), weight


def _robust(
    data: np.ndarray, share: np.ndarray, variance: np.ndarray, good: np.ndarray
) -> np.ndarray:
    """Flux (n,) as the weighted median of what each bin tells: one bin hit does not move it; 0 where
    nothing is known.
    """
    use = good & (share > 0)
    told = np.where(use, data / np.where(use, share, 1.0), np.inf)
    row = np.argsort(told, axis=0)
    weight = np.take_along_axis(np.where(use, share**2 / variance, 0.0), row, axis=0)
    passed = np.cumsum(weight, axis=0)
    middle = np.argmax(passed >= 0.5 * passed[-1], axis=0)[None]
    found = np.take_along_axis(np.take_along_axis(told, row, axis=0), middle, axis=0)[0]
    return np.where(passed[-1] > 0, found, 0.0)


def _touched(image: RectifiedImage, where: np.ndarray) -> np.ndarray:
    """(n,) flags of the known, unusable bins `where` (m, n) the object is."""
    bits = np.where(where & np.isfinite(image.flux), image.flags & UNUSABLE, 0).astype("u2")
    return np.bitwise_or.reduce(bits, axis=0)


def _finished(
    image: RectifiedImage,
    flux: np.ndarray,
    weight: np.ndarray,
    flags: np.ndarray,
    inside: np.ndarray,
) -> SlitSums:
    covariance = image.covariance(weight)
    known = np.isfinite(flux) & (covariance[0] > 0)
    sky = np.full(len(flux), np.nan)
    if image.sky is not None:
        sky = np.nansum(inside * image.sky, axis=0)
    return SlitSums(
        flux=np.where(known, flux, np.nan),
        variance=np.where(known, covariance[0], np.nan),
        flags=np.where(known, flags, int(PixelFlag.NOTHING_LEFT)).astype("u2"),
        sky=np.where(known, sky, np.nan),
        factor=_factor(covariance),
    )


def _factor(covariance: np.ndarray, window: int = 101) -> np.ndarray:
    """(n,) root of the variance of sums of many bins over the sum of their variances."""
    box = np.ones(min(window, covariance.shape[1]))
    own = np.convolve(covariance[0], box, mode="same")
    shared = np.convolve(2.0 * covariance[1:].sum(axis=0), box, mode="same")
    return np.sqrt(1.0 + np.where(own > 0, shared / np.where(own > 0, own, 1.0), 0.0))
