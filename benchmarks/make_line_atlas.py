"""Make the line atlases of the package: `python -m benchmarks.make_line_atlas THAR.csv PENRAY.csv`.

THAR.csv    ion, wave_vac_A, rel_int, source: Th and Ar lines of NIST, merged with Murphy et al. 2007
PENRAY.csv  ion, wave_vac_A, rel_int, flag, source: Ar, Hg, Kr, Ne and Xe lines of NIST

Of all lines in the range of an arm those are kept whose neighbours, listed for any order or not, do
not pull their centre: light a distance d away that is r times as bright moves the centre of a fitted
Gaussian by r d exp(-d^2 / 4 sigma^2).
"""

import argparse
from pathlib import Path

import numpy as np
from astropy.table import Table

from benchmarks.make_sky_lines import air
from soxspipe.instrument.arms import Arm, get_arm
from soxspipe.instrument.spectral_format import nominal

#: Width of a pinhole image (Gaussian sigma, pixels), and the farthest its centre may be pulled.
SIGMA, MOST_PULL = 0.9, 0.1
#: Relative intensity below which a line is too faint to be of use, and that of lines without one.
FAINTEST = {"VIS": 300.0, "NIR": 10.0}
UNKNOWN = {"VIS": 430.0, "NIR": 10.0}
#: Entries of different lists closer than this, nm, are one line.
SAME = 0.002
#: Elements of the arm's lamps.
ELEMENTS = {"VIS": ("Th", "Ar"), "NIR": ("Ar", "Hg", "Ne", "Xe")}

Lines = tuple[np.ndarray, np.ndarray, np.ndarray]


def read_lines(path: Path, arm: str) -> Lines:
    """Wavelength (nm, air), ion and relative intensity (0 if unknown), in order of wavelength."""
    table = Table.read(path, format="ascii.csv")
    wavelength = air(np.asarray(table["wave_vac_A"], dtype="f8") / 10)
    strength = np.nan_to_num(np.ma.filled(np.ma.asarray(table["rel_int"], dtype="f8"), 0.0))
    source = np.asarray(table["source"], dtype=str)
    strength[source == "MURPHY"] = 0.0  # a mark, not an intensity
    ion = np.char.replace(np.asarray(table["ion"], dtype=str), " ", "")
    mine = np.char.startswith(ion, ELEMENTS[arm][0])
    for element in ELEMENTS[arm][1:]:
        mine |= np.char.startswith(ion, element)
    mine |= arm == "VIS"  # what is not identified still shines
    order = np.flatnonzero(mine)[np.argsort(wavelength[mine], kind="stable")]
    return _once(wavelength[order], ion[order], strength[order])


def _once(wavelength: np.ndarray, ion: np.ndarray, strength: np.ndarray) -> Lines:
    """Of entries for the same line, the brightest."""
    group = np.cumsum(np.diff(wavelength, prepend=-1.0) > SAME)
    best = np.lexsort((-strength, group))
    first = np.unique(group[best], return_index=True)[1]
    keep = np.sort(best[first])
    return wavelength[keep], ion[keep], strength[keep]


def alone(wavelength: np.ndarray, strength: np.ndarray, arm: Arm) -> np.ndarray:
    """(n,) True for lines that an order shows and that neighbours do not pull."""
    bright = np.where(strength > 0, strength, UNKNOWN[arm.name])
    pull = np.full(len(wavelength), np.nan)
    design = nominal(arm)
    for number, order in arm.orders.items():
        low, high = order.full
        inside = np.flatnonzero((wavelength > low) & (wavelength < high))
        place = arm.dispersion_and_slit(*design.predict(number, wavelength[inside]))[0]
        away = np.abs(place[:, None] - place[None, :])
        share = bright[inside][None, :] / bright[inside][:, None]
        pulls = (share * away * np.exp(-((away / SIGMA) ** 2) / 4.0)).sum(axis=1)
        pull[inside] = np.fmax(pull[inside], pulls)
    return np.asarray((pull < MOST_PULL) & (strength >= FAINTEST[arm.name]))


def write(name: str, path: Path, reference: str) -> None:
    """Write the atlas of one arm into the package."""
    arm = get_arm("SOXS", name)
    wavelength, ion, strength = read_lines(path, name)
    known = np.array([i.startswith(ELEMENTS[name]) for i in ion])
    keep = alone(wavelength, strength, arm) & known
    table = Table([np.round(wavelength[keep], 5), ion[keep], strength[keep].astype("f4")])
    table.rename_columns(table.colnames, ["wavelength", "ion", "strength"])
    table["wavelength"].unit = "nm"
    table["wavelength"].format, table["strength"].format = ".5f", ".0f"
    table.meta["comments"] = [
        f"Atlas of lines of the SOXS {name} arm that stand alone, wavelengths in air.",
        f"{reference}, as distributed with PypeIt (BSD-3-Clause, (c) 2018-2023 PypeIt Developers)",
        f"strength: relative intensity; selection: python -m benchmarks.{Path(__file__).stem}",
    ]
    folder = Path(__file__).parents[1] / "src/soxspipe/instrument/data/soxs"
    target = folder / f"{name.lower()}_line_atlas.ecsv"
    table.write(target, format="ascii.ecsv", overwrite=True)
    print(f"{len(table)} lines in {target.name}")


def main() -> None:
    """Write both atlases."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("thar", type=Path)
    parser.add_argument("penray", type=Path)
    args = parser.parse_args()
    write("VIS", args.thar, "NIST ASD, merged with Murphy et al. 2007, MNRAS 378, 221")
    write("NIR", args.penray, "NIST ASD")


if __name__ == "__main__":
    main()
