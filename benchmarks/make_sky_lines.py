"""Make the list of isolated sky lines: `python -m benchmarks.make_sky_lines OH.csv UVES.csv`.

OH.csv     wavelength (vacuum, angstrom), intensity: Rousselot et al. 2000, A&A 354, 1134
UVES.csv   wavelength (air, angstrom), intensity, width: Hanuschik 2003, A&A 407, 1157

Lines that the spectrograph cannot tell apart, such as the Lambda doublets of OH, become one entry at
their mean wavelength weighted by intensity. An entry with a noticeable neighbour is left out.
"""

import argparse
from pathlib import Path

import numpy as np
from astropy.table import Table

#: Resolving power assumed, that of the widest slit used for science.
RESOLUTION = 4000.0
#: Lines within this many resolution elements are one; beyond the second number they do no harm.
BLENDED, APART = 0.5, 1.8
#: A blend wider than this (rms, resolution elements) has no clear centre.
WIDEST = 0.15
#: Largest intensity of all neighbours over that of the entry.
NEIGHBOURS = 0.05
#: nm; above, OH from the model; below, the atlas.
CHANGE = 855.0
#: nm; molecular oxygen shines here, and is in neither list.
OXYGEN = ((857.0, 872.0), (1253.0, 1292.0))
#: Entries kept in each bin of this many nm: the brightest.
BIN, KEPT = 10.0, 6


def air(vacuum: np.ndarray) -> np.ndarray:
    """Wavelength in air (nm) of `vacuum` (nm), Ciddor 1996, Appl. Opt. 35, 1566."""
    s = (1e3 / vacuum) ** 2
    return vacuum / (1 + 0.05792105 / (238.0185 - s) + 0.00167917 / (57.362 - s))


def read_lists(oh: Path, uves: Path) -> tuple[np.ndarray, np.ndarray]:
    """Wavelength (nm, air) and intensity of all lines, in order of wavelength."""
    model = np.loadtxt(oh, delimiter=",", skiprows=1)
    atlas = np.loadtxt(uves, delimiter=",", skiprows=1)
    above, below = air(model[:, 0] / 10) > CHANGE, atlas[:, 0] / 10 <= CHANGE
    wavelength = np.concatenate([atlas[below, 0] / 10, air(model[above, 0] / 10)])
    intensity = np.concatenate([atlas[below, 1], model[above, 1]])
    order = np.argsort(wavelength)
    return wavelength[order], intensity[order]


def isolated(wavelength: np.ndarray, intensity: np.ndarray) -> list[tuple[float, float, int]]:
    """Entries (wavelength in nm, intensity, number of lines) that stand alone."""
    entries = []
    for centre in np.flatnonzero(intensity > 0):
        away = np.abs(wavelength - wavelength[centre]) * RESOLUTION / wavelength[centre]
        near, around = away <= BLENDED, (away > BLENDED) & (away <= APART)
        weight = intensity[near]
        if weight.max() > intensity[centre] or intensity[around].sum() > NEIGHBOURS * weight.sum():
            continue
        mean = float(np.average(wavelength[near], weights=weight))
        spread = np.sqrt(np.average((wavelength[near] - mean) ** 2, weights=weight))
        if spread < WIDEST * mean / RESOLUTION and not any(a < mean < b for a, b in OXYGEN):
            entries.append((round(mean, 4), float(f"{weight.sum():.3g}"), int(near.sum())))
    return _once(entries)


def _once(entries: list[tuple[float, float, int]]) -> list[tuple[float, float, int]]:
    """Of entries that share lines, the brightest."""
    kept: list[tuple[float, float, int]] = []
    for entry in sorted(entries, key=lambda e: -e[1]):
        if all(abs(entry[0] - other[0]) > BLENDED * entry[0] / RESOLUTION for other in kept):
            kept.append(entry)
    return kept


def brightest(entries: list[tuple[float, float, int]]) -> list[tuple[float, float, int]]:
    """The brightest few of each stretch of the spectrum."""
    bins: dict[int, list[tuple[float, float, int]]] = {}
    for entry in entries:
        bins.setdefault(int(entry[0] // BIN), []).append(entry)
    return sorted(e for some in bins.values() for e in sorted(some, key=lambda e: -e[1])[:KEPT])


def main() -> None:
    """Write data/sky_lines.ecsv beside this file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("oh", type=Path)
    parser.add_argument("uves", type=Path)
    args = parser.parse_args()
    wavelength, intensity = read_lists(args.oh, args.uves)
    inside = (wavelength > 350) & (wavelength < 2050)
    entries = brightest(isolated(wavelength[inside], intensity[inside]))
    table = Table(rows=entries, names=("wavelength", "intensity", "lines"))
    table["wavelength"].unit = "nm"
    table["wavelength"].description = "in air; mean of the blended lines, weighted by intensity"
    table["intensity"].description = "relative, within one source"
    table["lines"].description = "number of listed lines that are seen as this one"
    table.meta["sources"] = [
        f"to {CHANGE:g} nm Hanuschik 2003, A&A 407, 1157, as distributed with XIDL "
        "(BSD-3-Clause, (c) 2015 J. X. Prochaska)",
        f"above {CHANGE:g} nm OH of Rousselot et al. 2000, A&A 354, 1134, as distributed with "
        "PypeIt (BSD-3-Clause, (c) 2018-2023 PypeIt Developers), put into air by Ciddor 1996",
    ]
    table.meta["selection"] = f"python -m benchmarks.make_sky_lines, at resolution {RESOLUTION:g}"
    target = Path(__file__).parent / "data" / "sky_lines.ecsv"
    target.parent.mkdir(exist_ok=True)
    table.write(target, format="ascii.ecsv", overwrite=True)
    print(f"{len(table)} lines in {target}")


if __name__ == "__main__":
    main()
