"""Extracted spectra: per order, and merged."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class OrderSpectrum:
    """One order, on its own native bins (one per pixel along dispersion).

    All arrays have shape (n,). Fluxes are detected electrons in the bin, blaze included.

    wavelength       nm, effective wavelength of the bin (mean over the pixels that made it)
    bin_width        nm per bin
    flux, variance   optimal extraction, electrons and electrons squared
    boxcar, boxcar_variance   plain sum over the aperture; boxcar_robust: bad pixels replaced by the model
    sky              sky electrons inside the optimal aperture
    blaze            relative throughput of the order from the flat lamp; on one scale for all orders
    flags            uint16 bits of PixelFlag
    x, y             detector position of the trace, pixels
    """

    wavelength: np.ndarray
    bin_width: np.ndarray
    flux: np.ndarray
    variance: np.ndarray
    boxcar: np.ndarray
    boxcar_variance: np.ndarray
    boxcar_robust: np.ndarray
    sky: np.ndarray
    blaze: np.ndarray
    flags: np.ndarray
    x: np.ndarray
    y: np.ndarray

    @property
    def snr(self) -> np.ndarray:
        """Signal over noise per bin; 0 where the bin holds nothing."""
        ok = self.variance > 0
        return np.where(ok, self.flux / np.sqrt(np.where(ok, self.variance, 1.0)), 0.0)


@dataclass(frozen=True, eq=False)
class OrderSpectra:
    """The spectra of all orders of one object. medium: wavelengths are those in "air" or "vacuum"; unit:
    "nm" or "angstrom", in which files give them (here they are nm).
    """

    orders: Mapping[int, OrderSpectrum]
    medium: str = "air"
    unit: str = "nm"


@dataclass(frozen=True, eq=False)
class Spectrum:
    """A spectrum on one wavelength grid, all arrays (n,).

    wavelength   nm, bin centres, linear grid of `step` nm
    flux         electrons per bin; variance, sky likewise
    flags        uint16 bits of PixelFlag; bins without data hold NaN and NOTHING_LEFT
    medium, unit as of OrderSpectra
    """

    wavelength: np.ndarray
    flux: np.ndarray
    variance: np.ndarray
    sky: np.ndarray
    flags: np.ndarray
    step: float
    medium: str = "air"
    unit: str = "nm"

    @property
    def snr(self) -> np.ndarray:
        """Signal over noise per bin; NaN where the bin holds nothing."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.flux / np.sqrt(self.variance)
