"""Native wavelength bins of each order, and the list of its pixels on them."""

from dataclasses import replace

import numpy as np
from numba import njit
from scipy import ndimage

from soxspipe.datamodel.geometry import PixelMap
from soxspipe.datamodel.order_pixels import OrderPixels
from soxspipe.maths.grouped import medians


def _centre_line(
    along: np.ndarray, slit: np.ndarray, wavelength: np.ndarray, n: int
) -> tuple[np.ndarray, np.ndarray]:
    """Wavelength at slit position 0 for each pixel along dispersion, and the pixels that have one.

    Per column a straight line through the pixels near the slit centre.
    """
    near = np.abs(slit) < 1.5
    k, s, w = along[near], slit[near].astype("f8"), wavelength[near]
    count = np.bincount(k, minlength=n)
    ok = count >= 3
    safe = np.maximum(count, 1)
    mean_s, mean_w = np.bincount(k, s, n) / safe, np.bincount(k, w, n) / safe
    ds, dw = s - mean_s[k], w - mean_w[k]
    slope = np.bincount(k, ds * dw, n) / np.maximum(np.bincount(k, ds**2, n), 1e-12)
    return mean_w - slope * mean_s, ok


def order_pixels(pixel_map: PixelMap, *, dispersion_axis: str) -> dict[int, OrderPixels]:
    """The pixels of every order with wavelength, slit position, native bin and area.

    Orders with fewer than 20 pixels along dispersion are left out.
    """
    ny, nx = pixel_map.order.shape
    coordinate = np.full((ny, nx), np.nan)
    slit_image = np.where(pixel_map.order != 0, pixel_map.slit, np.nan)
    rows, columns = np.nonzero(pixel_map.order)
    numbers = pixel_map.order[rows, columns]
    along = columns if dispersion_axis == "x" else rows
    n_along = nx if dispersion_axis == "x" else ny
    grids = {}
    for number in pixel_map.order_numbers:
        own = numbers == number
        w = pixel_map.wavelength[rows[own], columns[own]]
        line, ok = _centre_line(along[own], pixel_map.slit[rows[own], columns[own]], w, n_along)
        pixel = np.flatnonzero(ok)
        if len(pixel) < 20:
            continue
        pixel = np.arange(pixel[0], pixel[-1] + 1)
        known = ok[pixel]
        line = np.interp(pixel, pixel[known], line[pixel[known]])
        grids[number] = (int(pixel[0]), line)
        coordinate[rows[own], columns[own]] = _positions(w, line, pixel)
    return _listed(pixel_map, coordinate, slit_image, grids)


def _positions(wavelength: np.ndarray, line: np.ndarray, pixel: np.ndarray) -> np.ndarray:
    """Fractional pixel along the centre line of each wavelength; goes on straight beyond the ends."""
    rising = line[-1] > line[0]
    x, y = (line, pixel.astype("f8")) if rising else (line[::-1], pixel[::-1].astype("f8"))
    position = np.interp(wavelength, x, y)
    for end, other in ((0, 1), (-1, -2)):
        beyond = wavelength < x[0] if end == 0 else wavelength > x[-1]
        slope = (y[end] - y[other]) / (x[end] - x[other])
        position[beyond] = y[end] + slope * (wavelength[beyond] - x[end])
    return position


def _listed(
    pixel_map: PixelMap,
    coordinate: np.ndarray,
    slit_image: np.ndarray,
    grids: dict[int, tuple[int, np.ndarray]],
) -> dict[int, OrderPixels]:
    area = _area(coordinate, slit_image)
    flat = pixel_map.order.ravel()
    result = {}
    for number, (first, line) in grids.items():
        index = np.flatnonzero((flat == number) & np.isfinite(area.ravel()))
        position = coordinate.ravel()[index]
        inside = (position >= first - 0.5) & (position < first + len(line) - 0.5)
        index, position = index[inside], position[inside]
        sort = np.argsort(position, kind="stable")
        index = index[sort]
        result[number] = OrderPixels(
            order=number,
            index=index,
            wavelength=pixel_map.wavelength.ravel()[index],
            slit=pixel_map.slit.ravel()[index].astype("f8"),
            bin=position[sort],
            area=area.ravel()[index],
            first=first,
            grid=line,
            width=np.abs(np.gradient(line)),
        )
    return result


def _area(coordinate: np.ndarray, slit: np.ndarray) -> np.ndarray:
    """(ny, nx) |d(bin, slit) / d(x, y)|; NaN outside orders, one-sided at their edges."""
    bx, by = _gradient(coordinate, 1), _gradient(coordinate, 0)
    sx, sy = _gradient(slit, 1), _gradient(slit, 0)
    return np.abs(bx * sy - by * sx)


def _gradient(image: np.ndarray, axis: int) -> np.ndarray:
    """Central difference, one-sided where a neighbour is NaN."""
    out = np.empty(image.shape)
    if axis == 0:
        _slopes(np.asarray(image, dtype="f8"), out)
    else:
        _slopes(np.asarray(image, dtype="f8").T, out.T)
    return out


@njit(cache=True)
def _slopes(image, out):  # type: ignore[no-untyped-def]
    """Gradient along the first axis."""
    ny, nx = image.shape
    for y in range(ny):
        for x in range(nx):
            here = image[y, x]
            ahead = image[y + 1, x] - here if y < ny - 1 else np.nan
            behind = here - image[y - 1, x] if y > 0 else np.nan
            if np.isnan(ahead):
                out[y, x] = behind
            elif np.isnan(behind):
                out[y, x] = ahead
            else:
                out[y, x] = 0.5 * (ahead + behind)


#: Native bins over which the areas of the pixels at the slit's middle are averaged, to each side.
_SMOOTH = 25


def flattened(pixels: OrderPixels) -> OrderPixels:
    """The same pixels as they are in a frame divided by its flat.

    The lamp fills the slit evenly, so the flat holds the area of a pixel over that of the median pixel of
    its wavelength. What is left is that median area, for all pixels of a wavelength.
    """
    n = len(pixels.grid)
    bins = pixels.nearest
    median, count = medians(bins, pixels.area, n, side=1)
    known = np.flatnonzero(count > 0)
    median = np.interp(np.arange(n), known, median[known])
    area = ndimage.uniform_filter1d(median, 2 * _SMOOTH + 1, mode="nearest")[bins]
    return replace(pixels, area=area, stretch=pixels.area / area)
