"""What pixels on an object should hold, and how far to trust it: what cosmic rays are held against."""

import numpy as np
from numba import njit
from scipy import ndimage

#: Shares below this part of the largest are not used.
FAINTEST = 1e-3


def against_profile(
    bins: np.ndarray,
    offset: np.ndarray,
    share: np.ndarray,
    data: np.ndarray,
    variance: np.ndarray,
    good: np.ndarray,
    *,
    beside: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What a pixel should hold by the *other* pixels of its wavelength (after Horne 1986, PASP 98, 609).

    An emission line has the object's profile and is expected by this; a hit is not. The flux of a bin is
    the weighted median of data over profile, which neither a track that crosses the object nor a line
    whose image is a little off the profile can carry away.

    Parameters
    ----------
    bins : (n,) number of the native bin, from 0. offset : (n,) distance from its middle, bins. share :
    (n,) part of the object's light of a bin in the pixel. data, variance : (n,) electrons without sky.
    good : (n,) bool. beside : least light of either neighbouring bin over that of a bin: a track along
    the slit, which fills one bin, has less.

    Returns
    -------
    star : (n,) electrons of the object; NaN where it matters and no other pixel tells. variance :
    (n,) of that value. step : (n,) largest difference to what the neighbouring bins would give it.
    """
    m = int(bins.max()) + 1 if len(bins) else 0
    # far wings tell nothing of the flux, and have next to nothing of it
    wing = share <= FAINTEST * (share.max() if len(share) else 0.0)
    use = good & ~wing
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
    padded = np.pad(np.maximum(spectrum, 0.0), 1)
    doubt = 3.0 * np.sqrt(0.5 * np.pi / np.where(known > 0, known, 1.0))
    most = 0.5 * (padded[2:] + padded[:-2]) / beside + doubt
    spectrum, flux = np.minimum(spectrum, most), np.minimum(flux, most[bins])
    middle = np.bincount(bins, weight**2 * offset, m) / np.where(known > 0, known, 1.0)
    moved = offset - middle[bins]
    change, rise = _changes(spectrum)
    star = np.where(told, (flux + rise[bins] * moved) * share, np.where(wing, 0.0, np.nan))
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
    level : (n,) what the pixels of the bin have in common, electrons, where that is clear, else 0.
    excess : (n,) variance over the expected one, by how low the lowest 15 % of its pixels lie, and by how
    far off the nearest 70 % are if that is so in three bins on end; 1 or more. A track along the slit
    fills one or two, and is no error of the sky.
    """
    use = np.flatnonzero(good & np.isfinite(value))
    m = int(bins.max()) + 1 if len(bins) else 0
    where = bins[use]
    middle, quarter = _quantiles(where, value[use], m, (0.5, 0.25))
    count = np.maximum(np.bincount(where, minlength=m), 1)
    noise = np.sqrt(np.bincount(where, variance[use], m) / count)
    clear = 6.0 * noise / np.sqrt(count)
    # a track along the slit may fill half of it, hardly three quarters
    high = quarter + 0.674 * noise
    level = np.where(middle < -clear, middle, np.where(high > clear, high, 0.0))
    off = (value[use] - level[where]) / np.sqrt(variance[use])
    low = -_quantiles(where, off, m, (0.15,))[0] / 1.036
    both = ndimage.grey_opening(_quantiles(where, np.abs(off), m, (0.7,))[0] / 1.036, 3)
    width = np.maximum(low, both)
    wide = ndimage.maximum_filter1d(np.where(width > 1.6, width, 1.0), 5)
    return level[bins], wide[bins] ** 2


def _quantiles(
    bins: np.ndarray, values: np.ndarray, m: int, parts: tuple[float, ...]
) -> np.ndarray:
    """Quantiles (k, m) of the values (n,) in each of m bins, 0 in empty ones."""
    if (np.diff(bins) < 0).any():
        order = np.argsort(bins, kind="stable")
        bins, values = bins[order], values[order]
    out = np.zeros((len(parts), m))
    _quantiles_of_runs(np.cumsum(np.bincount(bins, minlength=m)), values, parts, out)
    return out


@njit(cache=True)
def _quantiles_of_runs(last, values, parts, out):  # type: ignore[no-untyped-def]
    """See `_quantiles`; last : (m,) where the values of each bin end."""
    start = 0
    for k in range(last.size):
        if last[k] > start:
            ordered = np.sort(values[start : last[k]])
            for q in range(len(parts)):
                place = parts[q] * (ordered.size - 1)
                low = int(place)
                high = min(low + 1, ordered.size - 1)
                out[q, k] = ordered[low] + (place - low) * (ordered[high] - ordered[low])
        start = last[k]


def _changes(spectrum: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Largest step to either neighbour and mean step (m,) of a spectrum (m,)."""
    padded = np.pad(spectrum, 1, mode="edge")
    steps = np.diff(padded)
    return np.maximum(np.abs(steps[1:]), np.abs(steps[:-1])), 0.5 * (steps[1:] + steps[:-1])
