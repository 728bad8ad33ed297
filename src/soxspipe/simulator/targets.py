"""Stars to look at: the spectrum that reaches the top of the atmosphere.

Fluxes in erg/s/cm2/A over wavelength in nm (air).
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from soxspipe.errors import InputError
from soxspipe.simulator import tables

#: wavelength (nm) -> erg/s/cm2/A
Flux = Callable[[np.ndarray], np.ndarray]

_PHOTON_ENERGY = 1.98644586e-9  # erg nm: Planck constant times speed of light

_REDSHIFT = 0.0123
_EXPANSION = 11000.0  # km/s, of the absorbing layers
_LIGHT = 299792.458

#: Broad features of the explosion: rest wavelength nm, depth of the absorption, relative emission.
_BROAD = (
    (358.0, 0.35, 0.30),
    (394.5, 0.50, 0.35),
    (448.1, 0.35, 0.25),
    (516.9, 0.30, 0.25),
    (545.0, 0.25, 0.15),
    (588.0, 0.20, 0.15),
    (635.5, 0.50, 0.30),
    (777.4, 0.25, 0.15),
    (858.0, 0.45, 0.40),
    (1009.2, 0.20, 0.12),
    (1083.0, 0.25, 0.20),
    (1282.0, 0.10, 0.10),
    (1690.0, 0.15, 0.20),
)

#: Lines of the host galaxy: rest wavelength nm (air), strength relative to H alpha.
_HOST = (
    (372.74, 0.8),
    (434.05, 0.15),
    (486.13, 0.35),
    (495.89, 0.25),
    (500.68, 0.75),
    (587.56, 0.08),
    (654.81, 0.1),
    (656.28, 1.0),
    (658.35, 0.3),
    (671.64, 0.15),
    (673.08, 0.12),
    (907.0, 0.1),
    (953.1, 0.25),
    (1082.9, 0.2),
    (1281.8, 0.15),
    (1643.6, 0.05),
    (1874.6, 0.3),
)


def photons(wavelength: np.ndarray, flux: np.ndarray) -> np.ndarray:
    """erg/s/cm2/A to photons/s/m2/nm."""
    return np.asarray(flux * 1e5 * wavelength / _PHOTON_ENERGY)


def standard(wavelength: np.ndarray) -> np.ndarray:
    """The white dwarf EG 274 (Moehler et al. 2014, A&A 568, A9)."""
    return np.asarray(np.interp(wavelength, *tables.standard_star()))


def supernova(wavelength: np.ndarray) -> np.ndarray:
    """A supernova-like star: hot continuum, P Cygni features, narrow lines of its host galaxy."""
    rest = wavelength / (1.0 + _REDSHIFT)
    result = 5.0e-15 * (rest / 400.0) ** -5 / np.expm1(14388.0 / (rest * 1e-3 * 9000.0))
    result /= 1.0 / np.expm1(14388.0 / (0.4 * 9000.0))
    result *= 1.0 / (1.0 + np.exp(-(rest - 355.0) / 12.0))  # line blanketing in the ultraviolet
    for line, depth, glow in _BROAD:
        width = 0.45 * line * _EXPANSION / _LIGHT
        blue = line * (1.0 - _EXPANSION / _LIGHT)
        result *= 1.0 - depth * np.exp(-0.5 * ((rest - blue) / width) ** 2)
        result *= 1.0 + glow * np.exp(-0.5 * ((rest - line) / (1.5 * width)) ** 2)
    for line, strength in _HOST:
        width = line * 60.0 / _LIGHT
        result += 5.0e-15 * strength * np.exp(-0.5 * ((rest - line) / width) ** 2)
    return np.asarray(result)


def faint(wavelength: np.ndarray) -> np.ndarray:
    """The supernova four magnitudes fainter."""
    return supernova(wavelength) * 10.0**-1.6


def lines_only(wavelength: np.ndarray) -> np.ndarray:
    """Narrow emission lines of a galaxy, without a continuum."""
    rest = wavelength / (1.0 + _REDSHIFT)
    result = np.zeros_like(rest)
    for line, strength in _HOST:
        width = line * 60.0 / _LIGHT
        result += 2.0e-15 * strength * np.exp(-0.5 * ((rest - line) / width) ** 2)
    return result


def blue_poor(wavelength: np.ndarray) -> np.ndarray:
    """A cool, reddened star: ten thousand times fainter at 400 nm than at 1000 nm."""
    return np.asarray(
        4.0e-16 * 10.0 ** np.clip(-4.0 * (1.0 / (wavelength * 1e-3) - 1.0) / 1.5, -9, 1)
    )


def smooth(wavelength: np.ndarray) -> np.ndarray:
    """A featureless continuum, as many photons in every nm."""
    return np.asarray(3.0e-15 * 500.0 / wavelength)


def nothing(wavelength: np.ndarray) -> np.ndarray:
    """An empty slit."""
    return np.zeros_like(np.asarray(wavelength, dtype="f8"))


_NAMED: dict[str, tuple[str, Flux]] = {
    "sn": ("SN2026sim", supernova),
    "standard": ("EG274", standard),
    "faint": ("SN2026faint", faint),
    "smooth": ("SMOOTHsim", smooth),
    "lines": ("LINESsim", lines_only),
    "bluepoor": ("REDsim", blue_poor),
    "none": ("EMPTYsim", nothing),
}
NAMES = tuple(_NAMED)


def target(name: str) -> tuple[str, Flux]:
    """Object name and spectrum of `name`: one of NAMES or a table file.

    A file holds wavelength (nm, air) and flux (erg/s/cm2/A) in its first two columns. Raises
    InputError if it is missing or cannot be read so.
    """
    if name in _NAMED:
        return _NAMED[name]
    path = Path(name)
    if not path.is_file():
        raise InputError(
            f"no target {name!r}",
            hint=f"use {', '.join(_NAMED)}, or a file with wavelength (nm) and flux columns",
        )
    wavelength, flux = _read(path)
    return path.stem, lambda w: np.asarray(np.interp(w, wavelength, flux, left=0.0, right=0.0))


def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Wavelength (rising) and flux from a text, CSV or ECSV table; a header line may be there."""
    hint = "the first two columns must be wavelength (nm) and flux (erg/s/cm2/A)"
    rows: list[list[float]] = []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    for number, line in enumerate(lines, start=1):
        fields = line.split("#")[0].replace(",", " ").split()
        if not fields:
            continue
        try:
            rows.append([float(field) for field in fields[:2]])
        except ValueError as error:
            if rows:  # before the first number it is the header
                raise InputError(f"{path}, line {number}: not a number", hint=hint) from error
    good = len(rows) > 1 and all(len(row) == 2 for row in rows)
    if not good or not np.all(np.isfinite(rows)) or min(rows)[0] <= 0:
        raise InputError(f"{path}: cannot be read as a spectrum", hint=hint)
    wavelength, flux = np.array(sorted(rows)).T
    return wavelength, flux
