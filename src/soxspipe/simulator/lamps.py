"""Continuum lamps: quartz-halogen, deuterium, and the lamp that lights the dome."""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from soxspipe.instrument.arms import Arm

#: Electrons/s/px at the peak of the orders through a slit of 1 arcsec, by wavelength (nm).
_QTH = {
    "VIS": (
        (347.0, 20.0),
        (395.0, 75.0),
        (485.0, 220.0),
        (600.0, 560.0),
        (755.0, 830.0),
        (853.0, 900.0),
    ),
    "NIR": ((789.0, 1250.0), (900.0, 1450.0), (1200.0, 1550.0), (1600.0, 1550.0), (2060.0, 1350.0)),
}
_DEUTERIUM = ((347.0, 900.0), (395.0, 600.0), (485.0, 250.0), (600.0, 120.0), (853.0, 60.0))
_DEUTERIUM_LINES = ((485.99, 4000.0), (656.10, 12000.0), (433.93, 800.0))  # nm, electrons/s/arcsec2
_NO_LINES = (np.empty(0), np.empty(0))

#: The dome's screen: redder and fainter than the lamp inside, and not evenly lit.
_DOME_LEVEL, _DOME_SLOPE, _DOME_GRADIENT = 0.6, 1.2, 0.06

#: Blueward of the first wavelength (nm) a dimmed lamp is fully so, redward of the second not at all.
_DIMMED = (430.0, 550.0)


@dataclass(frozen=True)
class ContinuumLamp:
    """A lamp that fills the slit or the pinhole.

    key    "QTH", "DEUT" or "DOME"
    level  of its light, relative to the usual; `blue` likewise, in the blue alone
    """

    key: str = "QTH"
    level: float = 1.0
    blue: float = 1.0

    def photons(self, arm: Arm, wavelength: np.ndarray) -> np.ndarray:
        """Photons/s/nm/arcsec2 at `wavelength` (nm): one smooth curve for all orders."""
        knots = np.array(_DEUTERIUM if self.key == "DEUT" else _QTH[arm.name])
        vis = arm.name == "VIS"
        peak = 0.04 * (wavelength / 755.0) * 0.24 if vis else 0.05 * wavelength / 1150 * 0.14
        scale = 3.65 if vis else 3.05  # px per arcsec
        level = PchipInterpolator(knots[:, 0], np.log(knots[:, 1]))
        light = np.exp(level(np.clip(wavelength, *knots[[0, -1], 0]))) * scale / peak
        if self.key == "DOME":
            light = light * _DOME_LEVEL * (wavelength / (755.0 if vis else 1150.0)) ** _DOME_SLOPE
        return np.asarray(light * self.level * self.blue ** _blueness(wavelength))

    def lines(self) -> tuple[np.ndarray, np.ndarray]:
        """Wavelength (nm) and electrons/s/arcsec2, at 20 % efficiency, of its emission lines."""
        if self.key != "DEUT":
            return _NO_LINES
        places, strength = np.array(_DEUTERIUM_LINES).T
        return places, strength * self.level

    def along_slit(self, slit: np.ndarray) -> np.ndarray:
        """Relative illumination at slit positions (arcsec)."""
        gradient = _DOME_GRADIENT if self.key == "DOME" else 0.0
        return np.asarray(1.0 + gradient * slit / 6.0)


def _blueness(wavelength: np.ndarray) -> np.ndarray:
    """1 in the u band, falling smoothly to 0 through the g band."""
    first, last = _DIMMED
    z = np.clip((last - wavelength) / (last - first), 0.0, 1.0)
    return np.asarray(z * z * (3.0 - 2.0 * z))
