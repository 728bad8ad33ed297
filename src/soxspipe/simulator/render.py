"""From spectra to expected electrons per pixel, conserving light.

An order is rendered slit sample by slit sample. The spectrum, already blurred by slit and optics,
is kept as its running integral along the slit's centre line; what a detector column receives at one
slit position is the difference of that integral between the column's two sides, so nothing is lost
or counted twice however the slit image leans. Across dispersion the light of a sample is shared
among pixels by a Gaussian integrated over each pixel.

"Along" is the pixel coordinate in the direction of dispersion, "across" the other one.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numba import njit
from numpy.polynomial import chebyshev
from scipy.interpolate import CubicSpline
from scipy.special import erf

from soxspipe.simulator.optics import Optics

#: Spectra are sampled at this many points per detector pixel.
OVERSAMPLING = 8
#: Light is followed this many pixels beyond the detector: wings of lines outside come in.
_OVERHANG = 45.0
_SLIT_NODES = 9
_REACH = 5  # px; half width of the pixel-integrated point-spread function
_SUBPIXELS = 256


@dataclass(frozen=True, eq=False)
class OrderPath:
    """The light path of one order, tabulated for rendering. Unbinned pixels.

    along        (k,) fine grid of pixels along the slit-centre line
    wavelength   (k,) nm; `nm_per_pixel` (k,) positive
    side_nodes   (n_nodes, n + 1) place on the centre line of the light that falls on column sides
    across_nodes (n_nodes, n) pixel across, at column centres; nodes are Chebyshev points in slit
    """

    order: int
    along: np.ndarray
    wavelength: np.ndarray
    nm_per_pixel: np.ndarray
    side_nodes: np.ndarray
    across_nodes: np.ndarray
    pixels_per_arcsec: float
    half_slit: float

    @property
    def n_columns(self) -> int:
        """Detector columns along dispersion."""
        return self.across_nodes.shape[1]

    def at_slit(self, slit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(sides, across) at slit positions (m,) arcsec: shapes (m, n + 1) and (m, n)."""
        matrix = _slit_interpolation(slit, self.half_slit)
        return matrix @ self.side_nodes, matrix @ self.across_nodes

    def column_wavelength(self) -> tuple[np.ndarray, np.ndarray]:
        """Wavelength (nm) of column centres and sides on the centre line; NaN where is no light."""
        curve = CubicSpline(self.along, self.wavelength, extrapolate=False)
        n = self.n_columns
        return curve(np.arange(n, dtype="f8")), curve(np.arange(n + 1) - 0.5)


def _slit_points(half: float) -> np.ndarray:
    return half * np.cos(np.pi * (np.arange(_SLIT_NODES) + 0.5) / _SLIT_NODES)


def _slit_interpolation(slit: np.ndarray, half: float) -> np.ndarray:
    """Matrix (m, n_nodes) that interpolates values at the slit nodes to positions `slit`."""
    degree = _SLIT_NODES - 1
    nodes = chebyshev.chebvander(_slit_points(half) / half, degree)
    return chebyshev.chebvander(np.asarray(slit) / half, degree) @ np.linalg.inv(nodes)


def trace_order(optics: Optics, order: int) -> OrderPath:
    """Tabulate the light path of `order` for rendering."""
    n = optics.pixels_along
    half = 0.5 * optics.arm.slit_length
    wavelength = np.linspace(*optics.light_range(order), 401)
    centre, _ = optics.along_and_across(order, wavelength, 0.0)
    step = 1.0 / OVERSAMPLING
    low = max(float(centre.min()), -_OVERHANG)
    high = min(float(centre.max()), n + _OVERHANG)
    along = np.arange(np.ceil(low), np.floor(high) + 0.5 * step, step)
    rising = np.argsort(centre)
    curve = CubicSpline(centre[rising], wavelength[rising])
    sides = np.arange(n + 1) - 0.5
    centres = np.arange(n, dtype="f8")
    side_nodes = np.empty((_SLIT_NODES, n + 1))
    across_nodes = np.empty((_SLIT_NODES, n))
    for k, slit in enumerate(_slit_points(half)):
        here, across = optics.along_and_across(order, wavelength, slit)
        lean = CubicSpline(here[rising], (centre - here)[rising])
        ends = here[rising[0]], here[rising[-1]]
        side_nodes[k] = sides + lean(np.clip(sides, *ends))
        across_nodes[k] = CubicSpline(here[rising], across[rising])(np.clip(centres, *ends))
    return OrderPath(
        order=order,
        along=along,
        wavelength=curve(along),
        nm_per_pixel=np.abs(curve(along, 1)),
        side_nodes=side_nodes,
        across_nodes=across_nodes,
        pixels_per_arcsec=optics.pixels_per_arcsec(order),
        half_slit=half,
    )


@cache
def _sharing_table(sigma: float) -> np.ndarray:
    """(subpixels + 1, 2 * reach + 1) share of a Gaussian per pixel, by offset; rows sum to 1."""
    offset = np.arange(_SUBPIXELS + 1) / _SUBPIXELS - 0.5
    sides = np.arange(-_REACH, _REACH + 2) - 0.5
    shares = np.diff(erf((sides - offset[:, None]) / (np.sqrt(2.0) * sigma)), axis=1)
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


@njit(cache=True, nogil=True)
def _integral_at(
    place: float, start: float, step: float, total: np.ndarray, density: np.ndarray
) -> float:
    """Running integral at `place`, by cubic Hermite between its tabulated values and slopes."""
    z = (place - start) / step
    last = total.size - 1
    if z <= 0.0:
        return 0.0
    if z >= last:
        return total[last]
    k = int(z)
    t = z - k
    t2, t3 = t * t, t * t * t
    return (
        (2.0 * t3 - 3.0 * t2 + 1.0) * total[k]
        + (3.0 * t2 - 2.0 * t3) * total[k + 1]
        + step * ((t3 - 2.0 * t2 + t) * density[k] + (t3 - t2) * density[k + 1])
    )


@njit(cache=True, nogil=True)
def _integrals_at(
    places: np.ndarray, start: float, step: float, total: np.ndarray, density: np.ndarray
) -> np.ndarray:
    values = np.empty(places.size)
    for i in range(places.size):
        values[i] = _integral_at(places[i], start, step, total, density)
    return values


@njit(cache=True, nogil=True)
def _share_out(
    image: np.ndarray,
    sides: np.ndarray,
    across: np.ndarray,
    weight: np.ndarray,
    start: float,
    step: float,
    total: np.ndarray,
    density: np.ndarray,
    table: np.ndarray,
) -> None:
    """Add one order's light to `image` (n_across, n_along), sample by sample, column by column."""
    n_across, n = image.shape
    n_coarse = weight.shape[1]
    subpixels = table.shape[0] - 1
    width = table.shape[1]
    reach = (width - 1) // 2
    for j in range(sides.shape[0]):
        left = _integral_at(sides[j, 0], start, step, total, density)
        for i in range(n):
            right = _integral_at(sides[j, i + 1], start, step, total, density)
            light = right - left
            left = right
            if light == 0.0:
                continue
            z = i * (n_coarse - 1) / (n - 1.0)
            k = min(int(z), n_coarse - 2)
            light *= weight[j, k] + (z - k) * (weight[j, k + 1] - weight[j, k])
            centre = across[j, i]
            nearest = int(np.floor(centre + 0.5))
            fine = (centre - nearest + 0.5) * subpixels
            row = min(int(fine), subpixels - 1)
            part = fine - row
            for p in range(width):
                y = nearest - reach + p
                if 0 <= y < n_across:
                    share = table[row, p] + part * (table[row + 1, p] - table[row, p])
                    image[y, i] += light * share


@dataclass(frozen=True, eq=False)
class BlurredSpectrum:
    """A spectrum along the slit-centre line after slit and optics have blurred it.

    density   (k,) electrons per pixel on the fine grid of the order's path
    total     (k,) its running integral, electrons
    """

    path: OrderPath
    density: np.ndarray
    total: np.ndarray

    def columns(self) -> np.ndarray:
        """(n,) electrons between the two sides of each column, on the centre line."""
        sides = np.arange(self.path.n_columns + 1) - 0.5
        start, step = float(self.path.along[0]), 1.0 / OVERSAMPLING
        return np.diff(_integrals_at(sides, start, step, self.total, self.density))


def blur(
    path: OrderPath, per_pixel: np.ndarray, lines: tuple[np.ndarray, np.ndarray], kernel: np.ndarray
) -> BlurredSpectrum:
    """Continuum plus narrow lines, convolved with the line-spread `kernel`.

    `per_pixel` (k,) electrons per pixel on the path's fine grid; `lines` wavelengths (nm) and
    electrons; `kernel` odd length, sum 1, sampled like the grid.
    """
    density = per_pixel.copy()
    wavelength, electrons = lines
    rising = np.argsort(path.wavelength)
    places = np.interp(
        wavelength, path.wavelength[rising], path.along[rising], left=np.nan, right=np.nan
    )
    inside = np.isfinite(places)
    z = (places[inside] - path.along[0]) * OVERSAMPLING
    k = np.minimum(z.astype(int), density.size - 2)
    share = z - k
    np.add.at(density, k, electrons[inside] * (1.0 - share) * OVERSAMPLING)
    np.add.at(density, k + 1, electrons[inside] * share * OVERSAMPLING)
    density = np.convolve(density, kernel, mode="same")
    steps = 0.5 * (density[1:] + density[:-1]) / OVERSAMPLING
    return BlurredSpectrum(path, density, np.concatenate([[0.0], np.cumsum(steps)]))


def line_spread(sigma: float, slit_width: float, light: np.ndarray | None = None) -> np.ndarray:
    """Line-spread function on the fine grid: slit box or `light`, blurred by the optics.

    sigma       px, Gaussian blur of the optics
    slit_width  px; 0 for a pinhole
    light       its distribution across the slit on the fine grid, odd length, centred; None: even
    """
    half = int(np.ceil((0.5 * slit_width + 5.0 * sigma) * OVERSAMPLING))
    place = np.arange(-half, half + 1) / OVERSAMPLING
    if slit_width <= 0.0:
        kernel = np.exp(-0.5 * (place / sigma) ** 2)
    elif light is None:
        scale = np.sqrt(2.0) * sigma
        kernel = erf((place + 0.5 * slit_width) / scale) - erf((place - 0.5 * slit_width) / scale)
    else:
        gauss = np.exp(-0.5 * (place / sigma) ** 2)
        kernel = np.convolve(gauss, light, mode="same")
    return np.asarray(kernel / kernel.sum())


def add_light(
    image: np.ndarray,
    spectrum: BlurredSpectrum,
    slit: np.ndarray,
    weight: np.ndarray,
    sigma: float,
) -> None:
    """Add a spectrum to `image` (n_across, n_along), spread along the slit.

    `slit` (m,) arcsec; `weight` (m, n_coarse): share of the light at each slit sample, on evenly
    spaced columns between which it is interpolated; `sigma` px, blur of the optics across.
    """
    sides, across = spectrum.path.at_slit(np.asarray(slit, dtype="f8"))
    _share_out(
        image,
        np.ascontiguousarray(sides),
        np.ascontiguousarray(across),
        np.ascontiguousarray(weight, dtype="f8"),
        float(spectrum.path.along[0]),
        1.0 / OVERSAMPLING,
        spectrum.total,
        spectrum.density,
        _sharing_table(float(sigma)),
    )
