"""Wavelengths in air and in vacuum."""

import numpy as np


def refraction(vacuum: np.ndarray) -> np.ndarray:
    """Index of refraction of standard air (15 C, 1013.25 hPa) at vacuum wavelengths (nm).

    Birch & Downs (1994, Metrologia 31, 315), as in Morton (2000, ApJS 130, 403).
    """
    wave_number = (1e3 / np.asarray(vacuum, dtype="f8")) ** 2
    return np.asarray(
        1.0 + 8.34254e-5 + 2.406147e-2 / (130.0 - wave_number) + 1.5998e-4 / (38.9 - wave_number)
    )


def to_vacuum(air: np.ndarray) -> np.ndarray:
    """Vacuum wavelengths (nm) of wavelengths in air (nm); exact to 1e-9 of a wavelength."""
    air = np.asarray(air, dtype="f8")
    vacuum = air
    for _ in range(3):
        vacuum = air * refraction(vacuum)
    return vacuum


def to_air(vacuum: np.ndarray) -> np.ndarray:
    """Wavelengths in air (nm) of vacuum wavelengths (nm)."""
    return np.asarray(vacuum / refraction(vacuum))
