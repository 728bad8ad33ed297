"""Join the orders of an arm into one spectrum.

Where orders overlap they are combined with inverse-variance weights, on the scale of the order with the
higher blaze at that wavelength: the merged spectrum holds detected electrons, and has no step where one
order takes over from the next.
"""

from collections.abc import Mapping

import numpy as np

from soxspipe.datamodel.frame import PixelFlag
from soxspipe.datamodel.spectrum import OrderSpectra, OrderSpectrum, Spectrum
from soxspipe.maths.resample import edges_of, rebin

#: An order counts where its blaze is at least this share of the best order's.
LEAST_BLAZE = 0.1


def grid(low: float, high: float, step: float) -> np.ndarray:
    """Linear wavelength grid (nm) on multiples of `step`."""
    return np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step


def _on_grid(order: OrderSpectrum, edges: np.ndarray) -> dict[str, np.ndarray]:
    """Flux, variance, sky, blaze and coverage of one order on the common grid."""
    sort = np.argsort(order.wavelength)
    centres = order.wavelength[sort]
    rising = np.concatenate([[True], np.diff(np.maximum.accumulate(centres)) > 0])
    sort, centres = sort[rising], centres[rising]
    width = order.bin_width[sort]
    good = (order.flags[sort] == 0) & np.isfinite(order.flux[sort]) & (order.variance[sort] > 0)
    old = edges_of(centres)
    density, noise = order.flux[sort] / width, order.variance[sort] / width**2
    flux, variance, covered = rebin(
        old, edges, np.where(good, density, 0.0), np.where(good, noise, 0.0), good
    )
    sky, _, _ = rebin(old, edges, order.sky[sort] / width, noise, good)
    middle = 0.5 * (edges[:-1] + edges[1:])
    known = np.isfinite(order.blaze[sort])
    blaze = (
        np.interp(middle, centres[known], (order.blaze[sort] / width)[known], left=0.0, right=0.0)
        if known.any()
        else np.zeros(len(middle))
    )
    return {"flux": flux, "variance": variance, "sky": sky, "blaze": blaze, "covered": covered}


def orders(spectra: OrderSpectra, *, step: float, limits: tuple[float, float]) -> Spectrum:
    """Merge all orders on a linear grid.

    Parameters
    ----------
    step : nm. limits : wavelength range of the merged spectrum, nm; gaps stay gaps (NaN).
    """
    wavelength = grid(*limits, step)
    edges = edges_of(wavelength)
    parts = {n: _on_grid(o, edges) for n, o in spectra.orders.items()}
    best = np.max([p["blaze"] for p in parts.values()], axis=0)
    return _combined(parts, best, wavelength, step)


def _combined(
    parts: Mapping[int, Mapping[str, np.ndarray]],
    best: np.ndarray,
    wavelength: np.ndarray,
    step: float,
) -> Spectrum:
    total, flux, sky = (np.zeros(len(wavelength)) for _ in range(3))
    noise = np.zeros(len(wavelength))
    for part in parts.values():
        # an order without a known blaze can still speak where no other order does
        ratio = np.where(best > 0, part["blaze"] / np.where(best > 0, best, 1.0), 1.0)
        use = (part["covered"] > 0.5) & (part["variance"] > 0) & (ratio >= LEAST_BLAZE)
        safe = np.where(use, ratio, 1.0)
        value, variance = part["flux"] / safe, part["variance"] / safe**2
        weight = np.where(use, 1.0 / np.where(use, variance, 1.0), 0.0)
        total += weight
        flux += weight * value
        sky += weight * part["sky"] / safe
        noise += weight**2 * np.where(use, variance, 0.0)
    some = total > 0
    safe = np.where(some, total, 1.0)
    return Spectrum(
        wavelength=wavelength,
        flux=np.where(some, flux / safe, np.nan),
        variance=np.where(some, noise / safe**2, np.nan),
        sky=np.where(some, sky / safe, np.nan),
        flags=np.where(some, 0, int(PixelFlag.NOTHING_LEFT)).astype("u2"),
        step=step,
    )
