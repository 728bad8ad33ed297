"""Find and trace objects on the slit, with all orders together.

Detection goes as the square root of the number of pixels: one order alone is blind where the whole arm
sees a target of signal to noise 1 per pixel.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev
from scipy import ndimage

from soxspipe.datamodel.geometry import unit
from soxspipe.datamodel.order_pixels import OrderPixels
from soxspipe.maths.polynomials import robust_fit
from soxspipe.maths.profiles import fit_profiles
from soxspipe.maths.robust import mad_sigma

#: Slit cells of collapsed profiles, arcsec.
CELL = 0.2


@dataclass(frozen=True, eq=False)
class Cells:
    """Profiles along the slit in chunks of an order: `value`, `error` (chunks, cells), electrons per
    pixel; `wavelength` (chunks,) nm; `slit` (cells,) arcsec.
    """

    value: np.ndarray
    error: np.ndarray
    wavelength: np.ndarray
    slit: np.ndarray


@dataclass(frozen=True)
class Found:
    """An object on the slit: position and FWHM in arcsec, significance of the detection in sigma."""

    position: float
    fwhm: float
    significance: float


@dataclass(frozen=True, eq=False)
class Trace:
    """Slit position (arcsec) of an object as a function of wavelength: a Chebyshev series over
    `domain` (nm). `samples`: per order wavelength, position, error of what was measured; `clipped`: how
    many of them the fit left out.
    """

    domain: tuple[float, float]
    coefficients: np.ndarray
    samples: Mapping[int, tuple[np.ndarray, np.ndarray, np.ndarray]]
    clipped: int = 0

    def at(self, wavelength: np.ndarray) -> np.ndarray:
        """Slit position at each wavelength; held constant beyond the domain."""
        t = np.clip(unit(wavelength, self.domain), -1.0, 1.0)
        return np.asarray(chebyshev.chebval(t, self.coefficients))


def collapse(
    pixels: OrderPixels,
    residual: np.ndarray,
    variance: np.ndarray,
    good: np.ndarray,
    *,
    slit_range: tuple[float, float],
    chunks: int,
) -> Cells:
    """Median light along the slit in chunks of one order; medians do not see cosmic rays.

    residual, variance : (n,) sky-subtracted electrons of the listed pixels.
    """
    n_cells = round((slit_range[1] - slit_range[0]) / CELL)
    cell = np.floor((pixels.slit - slit_range[0]) / CELL).astype("i8")
    chunk = np.minimum(pixels.nearest * chunks // len(pixels.grid), chunks - 1)
    ok = good & (cell >= 0) & (cell < n_cells)
    key = (chunk * n_cells + cell)[ok]
    value, noise = residual[ok], variance[ok]
    sort = np.lexsort((value, key))
    key, value = key[sort], value[sort]
    count = np.bincount(key, minlength=chunks * n_cells)
    start = np.concatenate([[0], np.cumsum(count)[:-1]])
    low = np.clip(start + np.maximum(count - 1, 0) // 2, 0, max(len(value) - 1, 0))
    high = np.clip(start + count // 2, 0, max(len(value) - 1, 0))
    median = 0.5 * (value[low] + value[high]) if len(value) else np.zeros(chunks * n_cells)
    spread = np.bincount(key, noise[sort], chunks * n_cells) / np.maximum(count, 1)
    error = np.where(count >= 5, np.sqrt(1.57 * spread / np.maximum(count, 1)), np.inf)
    middle = (np.arange(chunks) + 0.5) * len(pixels.grid) / chunks
    return Cells(
        value=np.where(count >= 5, median, 0.0).reshape(chunks, n_cells),
        error=error.reshape(chunks, n_cells),
        wavelength=pixels.grid[np.minimum(middle.astype("i8"), len(pixels.grid) - 1)],
        slit=slit_range[0] + (np.arange(n_cells) + 0.5) * CELL,
    )


def collapse_all(cells: Mapping[int, Cells]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Slit positions, mean profile and its error (cells,), over all chunks of all orders.

    Chunks are weighted as a source seen in all of them with the same electrons per pixel.
    """
    value = np.concatenate([c.value for c in cells.values()])
    error = np.concatenate([c.error for c in cells.values()])
    weight = 1.0 / error**2
    total = weight.sum(axis=0)
    safe = np.where(total > 0, total, 1.0)
    return (
        next(iter(cells.values())).slit,
        np.where(total > 0, (weight * value).sum(axis=0) / safe, 0.0),
        np.where(total > 0, 1.0 / np.sqrt(safe), np.inf),
    )


def find(
    slit: np.ndarray, profile: np.ndarray, error: np.ndarray, *, significance: float, fwhm: float
) -> list[Found]:
    """Objects on a collapsed profile, brightest first.

    A matched filter of `fwhm` arcsec on the profile above its median; peaks of at least `significance`
    sigma, where the noise is the larger of the expected and the seen one.
    """
    known = np.isfinite(error)
    if known.sum() < 8:
        return []
    width = fwhm / 2.355 / CELL
    floor = _background(profile[known], error[known])
    excess = np.where(known, profile - floor, 0.0)
    smooth = ndimage.gaussian_filter1d(excess, width, mode="constant")
    noise = np.sqrt(
        ndimage.gaussian_filter1d(np.where(known, error, 0.0) ** 2, width / np.sqrt(2))
        / (2 * np.sqrt(np.pi) * width)
    )
    quiet = smooth[known & (excess < np.percentile(excess[known], 60))]
    noise = np.maximum(noise, 0.5 * mad_sigma(quiet) if quiet.size > 5 else 0.0)
    strength = np.where(known, smooth / np.maximum(noise, 1e-9), 0.0)
    peaks = (strength == ndimage.maximum_filter1d(strength, int(2 * width) * 2 + 1)) & (
        strength > significance
    )
    found = [
        Found(*_refined(slit, excess, int(at), fwhm), float(strength[at]))
        for at in np.flatnonzero(peaks)
    ]
    return sorted(found, key=lambda f: -f.significance)


def _background(profile: np.ndarray, error: np.ndarray) -> float:
    """Level between objects: median of the lower half of the profile, which in a slit without objects
    lies 0.67 sigma below the mean.
    """
    values = np.sort(profile)
    lower = float(np.median(values[: max(len(values) // 2, 3)]))
    return lower + 0.6745 * float(np.median(error))


def _refined(slit: np.ndarray, excess: np.ndarray, at: int, fwhm: float) -> tuple[float, float]:
    """Position and FWHM (arcsec) of the peak at cell `at`, from a Gaussian fit of its surroundings."""
    half = max(int(2.0 * fwhm / CELL), 6)
    low, high = max(at - half, 0), min(at + half + 1, len(slit))
    parameters, _ = fit_profiles(
        excess[None, low:high],
        np.ones((1, high - low)),
        centre=np.array([float(at - low)]),
        sigma=fwhm / 2.355 / CELL,
    )
    centre, sigma = parameters[0, 1], parameters[0, 2]
    if not np.isfinite(centre):
        return float(slit[at]), fwhm
    return float(slit[low] + centre * CELL), float(np.clip(2.355 * sigma * CELL, 0.3, 8.0))


def trace(
    cells: Mapping[int, Cells],
    found: Found,
    *,
    degree: int,
    clip_sigma: float,
    clip_rounds: int,
) -> Trace:
    """Follow an object through all orders: one series in wavelength for the whole arm.

    Position errors decide: where a chunk is too faint to see the object it does not count, and without
    any the object stays where it was found.
    """
    samples = {n: _measured(c, found) for n, c in cells.items()}
    wavelength = np.concatenate([s[0] for s in samples.values()])
    position = np.concatenate([s[1] for s in samples.values()])
    error = np.concatenate([s[2] for s in samples.values()])
    everywhere = np.concatenate([c.wavelength for c in cells.values()])
    domain = (float(everywhere.min()), float(everywhere.max()))
    degree = min(degree, max(len(wavelength) // 4 - 1, 0))
    coefficients, clipped = np.array([found.position]), 0
    if len(wavelength) >= 4:
        prior = np.array([2.0, 0.5, 0.3, 0.2, 0.1, 0.1, 0.1])[: degree + 1]
        coefficients, kept = robust_fit(
            chebyshev.chebvander(unit(wavelength, domain), degree),
            position - found.position,
            error,
            prior,
            sigma=clip_sigma,
            rounds=clip_rounds,
            floor=0.005,
        )
        coefficients[0] += found.position
        clipped = int((~kept).sum())
    return Trace(domain, coefficients, samples, clipped)


def _measured(cells: Cells, found: Found) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Wavelength, position and error of the object in the chunks of one order that show it."""
    centre = (found.position - cells.slit[0]) / CELL
    sigma = found.fwhm / 2.355 / CELL
    near = np.abs(np.arange(len(cells.slit)) - centre) < max(4 * sigma, 8)
    variance = np.where(near & np.isfinite(cells.error), cells.error**2, np.inf)
    parameters, error = fit_profiles(
        cells.value, variance, centre=np.full(len(cells.value), centre), sigma=sigma
    )
    ok = (
        (parameters[:, 0] > 5 * error[:, 0])
        & (np.abs(parameters[:, 1] - centre) < 2 * sigma + 2)
        & (error[:, 1] < 1.0)
        & (parameters[:, 2] < 3 * sigma)
        & (parameters[:, 2] > sigma / 3)
    )
    return (
        cells.wavelength[ok],
        cells.slit[0] + parameters[ok, 1] * CELL,
        error[ok, 1] * CELL,
    )
