"""What wavelengths a pixel of an order sees, and on what scale the order speaks."""

from collections.abc import Mapping

import numpy as np

from soxspipe.datamodel.order_pixels import OrderPixels
from soxspipe.science.extraction.merge import LEAST_BLAZE
from soxspipe.science.extraction.normal_equations import Part


def as_part(
    pixels: OrderPixels,
    footprint: tuple[np.ndarray, np.ndarray],
    throughput: np.ndarray,
    *,
    share: np.ndarray,
    data: np.ndarray,
    variance: np.ndarray,
    good: np.ndarray,
    sky: np.ndarray,
    common: np.ndarray,
    reach: np.ndarray,
) -> Part:
    """The pixels of an order, all arrays (n,), as the common grid wants them.

    Parameters
    ----------
    footprint, throughput : from `footprints` and `relative_throughput`. share : part of the light of a
    native bin that falls on the pixel. data, variance : sky-subtracted electrons. sky : electrons of
    the sky in the aperture, per native bin. common, reach : variance of the sky model in the pixel, and
    native bins over which its error is the same.
    """
    rising = np.argsort(pixels.grid)
    width = np.interp(pixels.wavelength, pixels.grid[rising], pixels.width[rising])
    return Part(
        wavelength=pixels.wavelength,
        along=footprint[0],
        across=footprint[1],
        response=share * width * throughput,
        data=data,
        variance=variance,
        good=good,
        sky=sky / (width * np.where(throughput > 0, throughput, 1.0)),
        common=common,
        reach=reach * width,
    )


def footprints(
    pixels: OrderPixels, columns: int, *, dispersion_axis: str
) -> tuple[np.ndarray, np.ndarray]:
    """Change of wavelength (nm) over each listed pixel: along dispersion and along the slit, (n,) each.

    Central differences, one-sided at the order's edges. columns : width of the detector image.
    """
    x, y = pixels.index % columns, pixels.index // columns
    x, y = x - x.min() + 1, y - y.min() + 1
    image = np.full((y.max() + 2, x.max() + 2), np.nan)
    image[y, x] = pixels.wavelength
    along_x = _slope(image[y, x - 1], pixels.wavelength, image[y, x + 1])
    along_y = _slope(image[y - 1, x], pixels.wavelength, image[y + 1, x])
    return (along_x, along_y) if dispersion_axis == "x" else (along_y, along_x)


def _slope(before: np.ndarray, here: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Size of the change per pixel; 0 where neither neighbour is known."""
    back, forth = here - before, after - here
    back, forth = np.where(np.isnan(back), forth, back), np.where(np.isnan(forth), back, forth)
    return np.abs(np.nan_to_num(0.5 * (back + forth)))


#: Half the stretch of slit (arcsec) around its centre over which areas of pixels are averaged.
_CENTRE = 1.5


def relative_throughput(
    pixels: Mapping[int, OrderPixels], lamp: Mapping[int, np.ndarray]
) -> dict[int, np.ndarray]:
    """Throughput of each pixel's order (n,) over that of the best order at its wavelength.

    The lamp fills the slit: what it puts into a pixel is divided by the nm and the arcsec that the
    pixel sees, which differ between orders. An order whose lamp light is not known gets 1 where no other
    is known, so that it can speak there; below LEAST_BLAZE of the best an order gets 0.

    Parameters
    ----------
    lamp : per order (m,) light of the flat lamp per pixel at the native bins, on one scale for all
    orders, NaN where it is not known.
    """
    curves = {n: _curve(part, lamp[n]) for n, part in pixels.items()}
    result = {}
    for number, part in pixels.items():
        seen = {n: np.interp(part.wavelength, *c, left=0.0, right=0.0) for n, c in curves.items()}
        best = np.max(list(seen.values()), axis=0)
        ratio = np.where(best > 0, seen[number] / np.where(best > 0, best, 1.0), 1.0)
        result[number] = np.where(ratio >= LEAST_BLAZE, ratio, 0.0)
    return result


def _curve(pixels: OrderPixels, lamp: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rising wavelengths, and the lamp's light per nm and arcsec; zeros if nothing is known."""
    n = len(pixels.grid)
    central = np.abs(pixels.slit) < _CENTRE
    count = np.bincount(pixels.nearest[central], minlength=n)
    area = np.bincount(pixels.nearest[central], pixels.area[central], n) / np.maximum(count, 1)
    known = np.isfinite(lamp) & (count > 0)
    if not known.any():
        return np.array([0.0, 1.0]), np.zeros(2)
    rising = np.argsort(pixels.grid[known])
    density = lamp[known] / (pixels.width * area)[known]
    return pixels.grid[known][rising], density[rising]
