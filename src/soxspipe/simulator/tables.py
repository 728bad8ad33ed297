"""The small tables that come with the simulator: lamps, airglow, atmosphere, a standard star."""

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np

MOLECULES = ("H2O", "O2", "CO2", "CH4", "N2O", "CO", "O3")


def _rows(name: str) -> list[dict[str, str]]:
    source = resources.files("soxspipe.simulator").joinpath("data", name)
    lines = source.read_text(encoding="utf-8").splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))


@dataclass(frozen=True, eq=False)
class ArcLines:
    """Lines of the arc lamps: ion, wavelength nm (air), strength (1 is usual), `listed` if of use."""

    ion: np.ndarray
    wavelength: np.ndarray
    strength: np.ndarray
    listed: np.ndarray


@cache
def arc_lines(arm: str) -> ArcLines:
    """The arc lamps of `arm` ("VIS": ThAr; "NIR": Ar, Hg, Ne, Xe)."""
    rows = _rows(f"arc_{arm.lower()}.csv")
    return ArcLines(
        np.array([r["ion"] for r in rows]),
        np.array([float(r["wavelength_nm"]) for r in rows]),
        np.array([float(r["strength"]) for r in rows]),
        np.array([r["listed"] == "1" for r in rows]),
    )


@cache
def airglow() -> tuple[np.ndarray, np.ndarray]:
    """Night-sky lines: wavelength nm (air), photons/s/m2/arcsec2."""
    rows = _rows("airglow.csv")
    return (
        np.array([float(r["wavelength_nm"]) for r in rows]),
        np.array([float(r["photons"]) for r in rows]),
    )


@cache
def extinction() -> tuple[np.ndarray, np.ndarray]:
    """Atmospheric extinction: wavelength nm, magnitudes per airmass."""
    rows = _rows("extinction.csv")
    return (
        np.array([float(r["wavelength_nm"]) for r in rows]),
        np.array([float(r["mag_per_airmass"]) for r in rows]),
    )


@cache
def telluric() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Wavelength (nm, air, even in log), zenith transmission of each molecule (water: 2.5 mm)."""
    source = resources.files("soxspipe.simulator").joinpath("data", "telluric.npz")
    with source.open("rb") as stream, np.load(stream) as table:
        curves = {  # stored as differences, which compress better
            name: np.cumsum(table[name], dtype="u2").astype("f8") / 65535.0 for name in MOLECULES
        }
        start, step = float(table["start_nm"]), float(table["log_step"])
    return start * np.exp(step * np.arange(curves["H2O"].size)), curves


@cache
def standard_star() -> tuple[np.ndarray, np.ndarray]:
    """EG 274: wavelength nm (air), erg/s/cm2/A."""
    source = resources.files("soxspipe.simulator").joinpath("data", "eg274.npz")
    with source.open("rb") as stream, np.load(stream) as table:
        return table["wavelength_nm"].astype("f8"), table["flux"].astype("f8") * 1e-15
