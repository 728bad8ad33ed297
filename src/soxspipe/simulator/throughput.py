"""How much of the light arrives: telescope, dichroics, gratings, detector."""

import numpy as np
from scipy.interpolate import PchipInterpolator

from soxspipe.instrument.arms import Arm

#: Collecting area of the telescope, m2.
AREA = 8.9

_VIS_PEAK = {1: 0.24, 2: 0.12, 3: 0.20, 4: 0.20}  # calibration-table numbers: r, u, g, i
_BLAZE_ANGLE_NIR = 19500.0  # order times wavelength (nm) at the peak of every NIR order


def efficiency(arm: Arm, order: int, wavelength: np.ndarray) -> np.ndarray:
    """Electrons per photon that hits the telescope, blaze included, at `wavelength` (nm)."""
    if arm.name == "VIS":
        return _vis(arm, order, wavelength)
    return _nir(order, wavelength)


def _edge(wavelength: np.ndarray, at: float, width: float) -> np.ndarray:
    """A smooth step from 0 to 1; a negative width makes it fall."""
    return 1.0 / (1.0 + np.exp(-np.clip((wavelength - at) / width, -60.0, 60.0)))


def _vis(arm: Arm, order: int, wavelength: np.ndarray) -> np.ndarray:
    """A quasi-order: broad blaze, cut by the dichroics between full and useful range."""
    (blue, red), (first, last) = arm.orders[order].useful, arm.orders[order].full
    middle, half = 0.5 * (blue + red), 0.5 * (red - blue)
    blaze = np.sinc(0.52 * (wavelength - middle) / half) ** 2
    rise, fall = max(blue - first, 2.0), max(last - red, 2.0)
    rising = _edge(wavelength, blue - 0.45 * rise, 0.12 * rise)
    falling = _edge(wavelength, red + 0.45 * fall, -0.12 * fall)
    return np.asarray(_VIS_PEAK[order] * blaze * rising * falling)


def _nir(order: int, wavelength: np.ndarray) -> np.ndarray:
    """An echelle order: grating blaze, slow change of the optics, dichroic at 800 nm."""
    peak = _BLAZE_ANGLE_NIR / order
    free_range = peak / order
    blaze = np.sinc((wavelength - peak) / (1.6 * free_range)) ** 2
    slow = PchipInterpolator(
        [780.0, 900.0, 1100.0, 1300.0, 1600.0, 1900.0, 2060.0],
        [0.09, 0.12, 0.14, 0.15, 0.15, 0.13, 0.10],
    )(np.clip(wavelength, 780.0, 2060.0))
    return np.asarray(slow * blaze * _edge(wavelength, 799.0, 1.2))
