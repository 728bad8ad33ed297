"""Spectra of several objects that share the slit, solved for together in each native bin."""

import numpy as np
from numba import njit

from soxspipe.datamodel.order_pixels import OrderPixels

#: Windows, native bins, over which spectra may be smoothed.
WINDOWS = (1, 5, 25, 101)


def joint(
    pixels: OrderPixels,
    data: np.ndarray,
    variance: np.ndarray,
    good: np.ndarray,
    shapes: np.ndarray,
    *,
    window: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Flux per native bin of each object and its error (k, m), smoothed over `window` bins.

    Parameters
    ----------
    data, variance, good : (n,). shapes : (k, n) part of a bin's light in each pixel.
    Objects that cannot be told apart in a bin share its light; a bin without pixels has flux 0 and an
    infinite error.
    """
    k, m, bins = len(shapes), len(pixels.grid), pixels.nearest
    weight = np.where(good, 1.0 / variance, 0.0)
    normal, vector = np.zeros((m, k, k)), np.zeros((m, k))
    _add(bins, weight, np.asarray(data, dtype="f8"), np.ascontiguousarray(shapes.T), normal, vector)
    if window > 1:
        for i in range(k):
            vector[:, i] = _smoothed(vector[:, i], window)
            for j in range(k):
                normal[:, i, j] = _smoothed(normal[:, i, j], window)
    diagonal = np.einsum("mii->mi", normal)
    known = diagonal > 0
    # a pull of 1e-6 of its weight decides between objects that cover each other
    diagonal += np.where(known, 1e-6 * diagonal, 1.0)
    inverse = np.linalg.inv(normal)
    flux = np.einsum("mij,mj->im", inverse, vector)
    error = np.sqrt(np.maximum(np.einsum("mii->im", inverse), 0.0))
    return np.where(known.T, flux, 0.0), np.where(known.T, error, np.inf)


@njit(cache=True)
def _add(bins, weight, data, shapes, normal, vector):  # type: ignore[no-untyped-def]
    """Normal equations of each bin."""
    k = shapes.shape[1]
    for p in range(len(bins)):
        if weight[p] == 0.0:
            continue
        m = bins[p]
        for i in range(k):
            seen = weight[p] * shapes[p, i]
            vector[m, i] += seen * data[p]
            for j in range(k):
                normal[m, i, j] += seen * shapes[p, j]


def _smoothed(values: np.ndarray, window: int) -> np.ndarray:
    window = min(window, 2 * ((len(values) - 1) // 2) + 1)  # longer than the order says no more
    return values if window == 1 else np.convolve(values, np.ones(window), mode="same")


def adaptive(
    pixels: OrderPixels,
    data: np.ndarray,
    variance: np.ndarray,
    good: np.ndarray,
    shapes: np.ndarray,
    *,
    significance: float = 6.0,
) -> np.ndarray:
    """Flux per native bin of each object (k, m), smoothed as little as its significance allows.

    A continuum of little signal is averaged over many bins, an emission line stays one. Fluxes may be
    negative: what is cut at zero is too bright on average.
    """
    result = np.zeros((len(shapes), len(pixels.grid)))
    for window in reversed(WINDOWS):
        flux, error = joint(pixels, data, variance, good, shapes, window=window)
        wide = window == WINDOWS[-1]
        result = np.where(wide | (np.abs(flux) > significance * error), flux, result)
    return result


def robust(
    pixels: OrderPixels,
    data: np.ndarray,
    variance: np.ndarray,
    good: np.ndarray,
    shape: np.ndarray,
) -> np.ndarray:
    """Flux per native bin (m,) of one object: the weighted median of what its pixels say.

    A cosmic ray moves it little as long as it touches less than half of the weight; an emission line
    moves all pixels alike.
    """
    m, bins = len(pixels.grid), pixels.nearest
    use = good & (shape > 0.05 * float(np.max(shape, initial=0.0)))
    bins, value = bins[use], data[use] / shape[use]
    weight = shape[use] ** 2 / variance[use]
    out = np.zeros(m)
    count = np.bincount(bins, minlength=m)
    start = np.concatenate([[0], np.cumsum(count)])
    order = np.argsort(bins, kind="stable")
    _weighted_medians(value[order], weight[order], start, out)
    return out


@njit(cache=True)
def _weighted_medians(value, weight, start, out):  # type: ignore[no-untyped-def]
    """Weighted medians of the values from start[m] to start[m + 1], to `out`; 0 where there are none."""
    for m in range(len(out)):
        first, stop = start[m], start[m + 1]
        if stop == first:
            continue
        rising = np.argsort(value[first:stop])
        half = 0.5 * weight[first:stop].sum()
        total = 0.0
        for i in rising:
            total += weight[first + i]
            out[m] = value[first + i]
            if total >= half:
                break
