"""Optimal extraction from detector pixels (Horne 1986, PASP 98, 609), tilt included.

Every pixel counts for the native wavelength bin that holds its centre, whatever its column: no pixel is
resampled, none counts twice, so the errors of bins are independent. What the pixels of a bin see on
average is delivered as its effective wavelength.
"""

from dataclasses import dataclass

import numpy as np

from soxspipe.datamodel.frame import PixelFlag
from soxspipe.datamodel.order_pixels import OrderPixels

#: Largest share of a bin's optimal weight that may be lost to bad pixels before the bin is flagged.
LOST = 0.5
#: A pixel with less of a bin's light than this is no reason to flag the bin.
_LIT = 0.02


@dataclass(frozen=True, eq=False)
class Sums:
    """Optimal sums of one order, per native bin (m,): flux, variance (electrons), effective wavelength
    (nm), share of the weight lost to bad pixels, and number of rows the weights add up to.
    """

    flux: np.ndarray
    variance: np.ndarray
    wavelength: np.ndarray
    lost: np.ndarray
    rows: np.ndarray


def horne(
    pixels: OrderPixels,
    data: np.ndarray,
    variance: np.ndarray,
    good: np.ndarray,
    share: np.ndarray,
) -> Sums:
    """Weighted flux of each native bin.

    Parameters
    ----------
    data, variance : (n,) sky-subtracted electrons and their variance from a model. good : (n,) bool.
    share : (n,) part of the bin's flux that falls on the pixel (profile times area).
    """
    n, bins = len(pixels.grid), pixels.nearest
    every = share**2 / variance
    weight = np.where(good, every, 0.0)
    total = np.bincount(bins, weight, n)
    possible = np.bincount(bins, every, n)
    some = total > 0
    safe = np.where(some, total, 1.0)
    flux = np.bincount(bins, np.where(good, share * data / variance, 0.0), n) / safe
    wavelength = np.bincount(bins, weight * pixels.wavelength, n) / safe
    rows = np.bincount(bins, np.where(good, share / variance, 0.0), n) / safe
    return Sums(
        flux=np.where(some, flux, np.nan),
        variance=np.where(some, 1.0 / safe, np.nan),
        wavelength=np.where(some, wavelength, pixels.grid),
        lost=1.0 - total / np.where(possible > 0, possible, 1.0),
        rows=rows,
    )


def outliers(
    data: np.ndarray,
    variance: np.ndarray,
    model: np.ndarray,
    *,
    sigma: float,
    mismatch: float = 0.1,
) -> np.ndarray:
    """(n,) bool: pixels further than `sigma` from the object model.

    `mismatch` is the share of the model by which the profile may be off: a bright star's wings must not
    look like cosmic rays.
    """
    return np.abs(data - model) > sigma * np.sqrt(variance + (mismatch * model) ** 2)


@dataclass(frozen=True, eq=False)
class Boxcar:
    """Plain sums over an aperture, per native bin (m,), electrons: with the data as they are, their
    variance, and with bad pixels replaced by the model.
    """

    flux: np.ndarray
    variance: np.ndarray
    robust: np.ndarray


def boxcar(
    pixels: OrderPixels,
    data: np.ndarray,
    variance: np.ndarray,
    good: np.ndarray,
    model: np.ndarray,
    inside: np.ndarray,
) -> Boxcar:
    """Sum of the pixels `inside` (n,) the aperture, each shared by the two bins it overlaps.

    model : (n,) electrons of the object, used where a pixel is bad.
    """
    n = len(pixels.grid)
    # a plain sum is one of detector pixels: where there are more to the arcsec each holds less
    stretch = 1.0 if pixels.stretch is None else pixels.stretch
    data, model, variance = data * stretch, model * stretch, variance * stretch**2
    lower = np.floor(pixels.bin).astype("i8") - pixels.first
    part = pixels.bin - np.floor(pixels.bin)
    result = {}
    for name, values, power in (
        ("flux", np.where(inside, data, 0.0), 1),
        ("variance", np.where(inside, np.where(good, variance, 0.0), 0.0), 2),
        ("robust", np.where(inside, np.where(good, data, model), 0.0), 1),
    ):
        total = np.zeros(n)
        for offset, share in ((0, 1.0 - part), (1, part)):
            at = np.clip(lower + offset, 0, n - 1)
            total += np.bincount(at, values * share**power, n)
        result[name] = total
    return Boxcar(**result)


def bin_flags(sums: Sums, touched: np.ndarray) -> np.ndarray:
    """(m,) uint16: BAD or NOTHING_LEFT where too much weight is lost, with the reasons in `touched`."""
    flags = np.where(sums.lost > LOST, touched | np.uint16(PixelFlag.BAD), np.uint16(0))
    empty = touched | np.uint16(PixelFlag.NOTHING_LEFT)
    return np.where(np.isfinite(sums.flux), flags, empty).astype("u2")


def reasons(pixels: OrderPixels, flags: np.ndarray, share: np.ndarray) -> np.ndarray:
    """(m,) uint16: flags of the pixels that hold a good part of each bin's light.

    flags, share : (n,) bits of PixelFlag, part of the bin's light in the pixel.
    """
    touched = np.zeros(len(pixels.grid), dtype="u2")
    lit = share > _LIT
    np.bitwise_or.at(touched, pixels.nearest[lit], flags[lit])
    return touched
