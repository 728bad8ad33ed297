"""The air and the night sky: extinction, molecular absorption, refraction, seeing, emission."""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from soxspipe.simulator import tables

#: Photons/s/m2/nm times nm of a source of AB magnitude 0: 3631 Jy over the Planck constant.
AB_PHOTONS = 5.48e10

#: Sky between the emission lines, dark time: nm, AB magnitude per square arcsec.
_SKY_MAGNITUDE = (
    (330.0, 23.0),
    (450.0, 22.5),
    (550.0, 21.8),
    (650.0, 21.5),
    (800.0, 21.0),
    (950.0, 20.6),
    (1250.0, 19.8),
    (1650.0, 19.4),
    (1850.0, 19.0),
    (2060.0, 17.8),
)


@dataclass(frozen=True)
class Atmosphere:
    """The sky of one exposure.

    airmass       of the target
    water         mm of precipitable water
    seeing        arcsec, full width at half maximum at 500 nm at the zenith
    compensation  share of the differential refraction that is taken out (VIS has a corrector)
    slit_angle    rad, between slit and parallactic direction
    """

    airmass: float
    water: float
    seeing: float
    compensation: float = 0.0
    slit_angle: float = 0.6

    def transmission(self, wavelength: np.ndarray) -> np.ndarray:
        """Share of the light that comes through, at `wavelength` (nm)."""
        known, magnitudes = tables.extinction()
        magnitude = np.interp(wavelength, known, magnitudes)
        result = 10.0 ** (-0.4 * magnitude * self.airmass)
        grid, curves = tables.telluric()
        for molecule, curve in curves.items():
            column = self.airmass * (self.water / 2.5 if molecule == "H2O" else 1.0)
            zenith = np.interp(wavelength, grid, curve, left=1.0, right=curve[-1])
            result *= np.maximum(zenith, 1e-6) ** column
        return np.asarray(result)

    def image_width(self, wavelength: np.ndarray | float) -> np.ndarray:
        """Full width at half maximum of a star, arcsec: airmass^0.6, wavelength^-0.2."""
        scale = (np.asarray(wavelength, dtype="f8") / 500.0) ** -0.2
        return np.asarray(self.seeing * self.airmass**0.6 * scale)

    def displacement(self, wavelength: np.ndarray, reference: float) -> np.ndarray:
        """Differential refraction along the slit, arcsec, against `reference` (nm).

        Filippenko 1982, PASP 94, 715, for 600 mmHg and 7 C.
        """
        tangent = np.sqrt(self.airmass**2 - 1.0)
        change = _refractivity(wavelength) - _refractivity(np.asarray(reference))
        full = 206265.0 * change * tangent * np.cos(self.slit_angle)
        return np.asarray((1.0 - self.compensation) * full)


def _refractivity(wavelength: np.ndarray) -> np.ndarray:
    """Refractive index of mountain air minus one."""
    inverse = (1e3 / np.asarray(wavelength, dtype="f8")) ** 2
    sea_level = 1e-6 * (64.328 + 29498.1 / (146.0 - inverse) + 255.4 / (41.0 - inverse))
    return np.asarray(sea_level * 600.0 * 1.0 / (720.883 * (1.0 + 0.003661 * 7.0)))


def sky_continuum(wavelength: np.ndarray) -> np.ndarray:
    """Photons/s/m2/nm/arcsec2 of the sky between the lines."""
    known, magnitude = zip(*_SKY_MAGNITUDE, strict=True)
    smooth = PchipInterpolator(known, magnitude)(np.clip(wavelength, known[0], known[-1]))
    return np.asarray(AB_PHOTONS / wavelength * 10.0 ** (-0.4 * smooth))
