"""What pixels on an object should hold, and how far to trust it: what cosmic rays are held against."""

import numpy as np
from numba import njit


def against_profile(
    bins: np.ndarray,
    offset: np.ndarray,
    share: np.ndarray,
    data: np.ndarray,
    variance: np.ndarray,
    good: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What a pixel should hold by the *other* pixels of its wavelength (after Horne 1986, PASP 98, 609).

    An emission line has the object's profile and is expected by this; a hit is not. The flux of a bin is
    the weighted median of data over profile, which neither a track that crosses the object nor a line
    whose image is a little off the profile can carry away.

    Parameters
    ----------
    bins : (n,) number of the native bin, from 0. offset : (n,) distance from its middle, bins. share :
    (n,) part of the object's light of a bin in the pixel. data, variance : (n,) electrons without sky.
    good : (n,) bool.

    Returns
    -------
    star : (n,) electrons of the object; NaN where no other pixel tells. variance : (n,) of that value.
    step : (n,) largest difference to what the neighbouring bins would give it.
    """
    m = int(bins.max()) + 1 if len(bins) else 0
    use = good & (share > 0)
    safe = np.where(use, share, 1.0)
    ratio = data / safe
    weight = np.where(use, share / np.sqrt(variance), 0.0)
    order = np.lexsort((ratio, bins))
    flux, spectrum = np.full(len(bins), np.nan), np.zeros(m)
    last = np.cumsum(np.bincount(bins, minlength=m))
    _medians_of_others(order, last, ratio, weight, flux, spectrum)
    known = np.bincount(bins, weight**2, m)
    left = known[bins] - weight**2
    told = np.isfinite(flux) & (left > 0)
    error = np.where(told, 0.5 * np.pi * share**2 / np.where(told, left, 1.0), 0.0)
    middle = np.bincount(bins, weight**2 * offset, m) / np.where(known > 0, known, 1.0)
    moved = offset - middle[bins]
    change, rise = _changes(spectrum)
    star = np.where(told, (flux + rise[bins] * moved) * share, np.nan)
    return star, error, change[bins] * share


@njit(cache=True)
def _medians_of_others(order, last, ratio, weight, flux, spectrum):  # type: ignore[no-untyped-def]
    """Weighted median of `ratio` over each bin (m,), and without each of its pixels (n,).

    order : (n,) pixels by bin and ratio. last : (m,) where each bin ends in it.
    """
    for k in range(last.size):
        start = last[k - 1] if k > 0 else 0
        total = 0.0
        for i in range(start, last[k]):
            total += weight[order[i]]
        if total <= 0.0:
            continue
        for j in range(start - 1, last[k]):
            left = total if j < start else total - weight[order[j]]
            if left <= 0.0:
                continue
            passed, low, low_at = 0.0, 0.0, 0.0
            for i in range(start, last[k]):
                w = weight[order[i]]
                if i == j or w <= 0.0:
                    continue
                # between the middles of the weights, so that few pixels give no steps
                middle = passed + 0.5 * w
                here = ratio[order[i]]
                if middle >= 0.5 * left:
                    if passed > 0.0:
                        part = (0.5 * left - low_at) / (middle - low_at)
                        here = low + part * (here - low)
                    break
                passed += w
                low, low_at = here, middle
            if j < start:
                spectrum[k] = here
            else:
                flux[order[j]] = here


def along_slit(
    bins: np.ndarray, value: np.ndarray, variance: np.ndarray, good: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """How far the sky model is off in each bin, and how much more the pixels scatter than they should.

    A line that fills a third of the slit pulls a sky model up and bends it. Taken off, it would be
    sharper than it is.

    Returns
    -------
    level : (n,) median of `value` over the bin, electrons, where that is clear, else 0. excess : (n,)
    variance over the expected one, from the 70 % of its pixels that are nearest to that; 1 or more.
    """
    use = np.flatnonzero(good & np.isfinite(value))
    m = int(bins.max()) + 1 if len(bins) else 0
    where = bins[use]
    middle = _quantiles(where, value[use], m, 0.5)
    count = np.maximum(np.bincount(where, minlength=m), 1)
    noise = np.sqrt(np.bincount(where, variance[use], m) / count)
    clear = np.abs(middle) > 5.0 * noise / np.sqrt(count)
    level = np.where(clear, middle, 0.0)
    off = np.abs(value[use] - level[where]) / np.sqrt(variance[use])
    width = _quantiles(where, off, m, 0.7) / 1.036
    wide = np.where(width > 1.6, width, 1.0)
    padded = np.pad(wide, 1, mode="edge")
    return level[bins], np.maximum(np.maximum(padded[2:], padded[:-2]), wide)[bins] ** 2


def _quantiles(bins: np.ndarray, values: np.ndarray, m: int, part: float) -> np.ndarray:
    """Quantile of the values (n,) in each of m bins, 0 in empty ones."""
    ordered = values[np.lexsort((values, bins))]
    count = np.bincount(bins, minlength=m)
    place = np.cumsum(count) - count + part * np.maximum(count - 1, 0)
    low = np.minimum(np.floor(place).astype("i8"), max(len(values) - 1, 0))
    high = np.minimum(np.ceil(place).astype("i8"), max(len(values) - 1, 0))
    if not len(values):
        return np.zeros(m)
    mixed = ordered[low] + (place - low) * (ordered[high] - ordered[low])
    return np.where(count > 0, mixed, 0.0)


def _changes(spectrum: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Largest step to either neighbour and mean step (m,) of a spectrum (m,)."""
    padded = np.pad(spectrum, 1, mode="edge")
    steps = np.diff(padded)
    return np.maximum(np.abs(steps[1:]), np.abs(steps[:-1])), 0.5 * (steps[1:] + steps[:-1])
