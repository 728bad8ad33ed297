"""Compare the products of a simulated night with its truth."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits

from soxspipe.datamodel.geometry import DispersionSolution, OrderTable, PixelMap
from soxspipe.instrument.arms import Arm, get_arm
from soxspipe.io.products import read_product
from soxspipe.maths.robust import mad_sigma

HEADINGS = ("arm", "frame", "quantity", "value", "goal")

#: Bins with less true signal to noise than this say little about a ratio.
LEAST_SNR = 1.0


@dataclass(frozen=True)
class Figure:
    """One measured figure: `value` of `quantity`, and whether it reaches its `goal` (text for people,
    `reached` for programs).
    """

    arm: str
    frame: str
    quantity: str
    value: float
    goal: str
    reached: bool


def _below(limit: float) -> tuple[str, Callable[[float], bool]]:
    return f"< {limit:g}", lambda v: v <= limit


def _between(low: float, high: float) -> tuple[str, Callable[[float], bool]]:
    return f"{low:g} to {high:g}", lambda v: low <= v <= high


GOALS = {
    "map along dispersion, rms [px]": _below(0.15),
    "map along slit, rms [px]": _below(0.15),
    "order centres, rms [px]": _below(0.05),
    "extracted / true, median": _between(0.99, 1.01),
    "S/N over ideal, median": (">= 0.9", lambda v: v >= 0.9),
    "pull width": _between(0.9, 1.1),
}


def _figure(arm: str, frame: str, quantity: str, value: float) -> Figure:
    goal, reached = GOALS.get(quantity, ("", np.isfinite))
    return Figure(arm, frame, quantity, value, goal, bool(reached(value)))


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2))) if values.size else float("nan")


def _products(root: Path, folder: str, arm: str, ending: str) -> Iterator[Path]:
    yield from sorted(root.glob(f"reduced/*/{folder}/*_{arm}_*{ending}"))


def _table(path: Path) -> fits.FITS_rec:
    with fits.open(path) as hdus:
        return hdus[1].data.copy()


def map_errors(
    pixel_map: PixelMap, truth: fits.FITS_rec, solution: DispersionSolution, arm: Arm
) -> tuple[np.ndarray, np.ndarray]:
    """Errors of the map along dispersion and along the slit (n,), pixels, inside the line span.

    The map is interpolated between pixel centres at the true positions of known light; the difference
    in wavelength and slit position is turned into pixels by the solution's own scale.
    """
    inside = truth["in_lines"] & (np.abs(truth["slit"]) <= 0.45 * arm.slit_length)
    dispersion, slit = [], []
    for number in np.unique(truth["order"]):
        part = truth[inside & (truth["order"] == number)]
        found = _interpolated(pixel_map, part["x"], part["y"], int(number))
        ok = np.isfinite(found[0])
        at = [
            solution.predict(int(number), w[ok], s[ok])
            for w, s in (found, (part["wavelength"], part["slit"]))
        ]
        dx, dy = at[0][0] - at[1][0], at[0][1] - at[1][1]
        along, across = arm.dispersion_and_slit(dx, dy)
        dispersion.append(along)
        slit.append(across)
    return np.concatenate(dispersion), np.concatenate(slit)


def _interpolated(
    pixel_map: PixelMap, x: np.ndarray, y: np.ndarray, order: int
) -> tuple[np.ndarray, np.ndarray]:
    """Wavelength and slit position of the map at (x, y); NaN where a neighbour is of no order."""
    ny, nx = pixel_map.order.shape
    i, j = np.floor(x).astype(int), np.floor(y).astype(int)
    ok = (i >= 0) & (j >= 0) & (i < nx - 1) & (j < ny - 1)
    i, j = np.clip(i, 0, nx - 2), np.clip(j, 0, ny - 2)
    u, v = x - i, y - j
    wavelength, slit = np.zeros(len(x)), np.zeros(len(x))
    for di, dj, weight in (
        (0, 0, (1 - u) * (1 - v)),
        (1, 0, u * (1 - v)),
        (0, 1, (1 - u) * v),
        (1, 1, u * v),
    ):
        at = j + dj, i + di
        ok &= pixel_map.order[at] == order
        wavelength += weight * pixel_map.wavelength[at]
        slit += weight * pixel_map.slit[at]
    return np.where(ok, wavelength, np.nan), np.where(ok, slit, np.nan)


def centre_errors(table: OrderTable, truth: fits.FITS_rec, which: str) -> np.ndarray:
    """Measured minus true `which` ("centre", "lower", "upper"), pixels, where the table holds."""
    errors = []
    for number, trace in table.orders.items():
        part = truth[truth["order"] == number]
        low, high = trace.domain
        part = part[(part["pixel"] >= low) & (part["pixel"] <= high)]
        errors.append(trace.at(which, part["pixel"].astype("f8")) - part[which])
    return np.concatenate(errors)


@dataclass(frozen=True, eq=False)
class Compared:
    """Native bins of a spectrum beside the truth; arrays (n,)."""

    order: np.ndarray
    wavelength: np.ndarray
    flux: np.ndarray
    error: np.ndarray
    true: np.ndarray
    ideal_snr: np.ndarray

    @property
    def pull(self) -> np.ndarray:
        """(extracted - true) / error."""
        return np.asarray((self.flux - self.true) / self.error)


def compare_spectrum(spectra_path: Path, truth: fits.FITS_rec) -> Compared:
    """Match the extracted orders with the true spectrum at their effective wavelengths."""
    parts: dict[str, list[np.ndarray]] = {k: [] for k in Compared.__dataclass_fields__}
    for number, order in read_product(spectra_path).orders.items():
        part = truth[truth["order"] == number]
        part = part[np.argsort(part["wavelength"])]
        if len(part) < 2:
            continue
        density = part["flux"] / part["bin_width"]
        ok = (order.flags == 0) & np.isfinite(order.flux) & (order.variance > 0)
        ok &= (order.wavelength > part["wavelength"][0]) & (
            order.wavelength < part["wavelength"][-1]
        )
        wavelength = order.wavelength[ok]
        true = np.interp(wavelength, part["wavelength"], density) * order.bin_width[ok]
        ideal = np.interp(wavelength, part["wavelength"], part["ideal_snr"])
        for key, value in zip(
            parts,
            (
                np.full(len(wavelength), number),
                wavelength,
                order.flux[ok],
                np.sqrt(order.variance[ok]),
                true,
                ideal,
            ),
            strict=True,
        ):
            parts[key].append(value)
    return Compared(**{k: np.concatenate(v) for k, v in parts.items()})


def spectrum_figures(arm: str, name: str, compared: Compared) -> list[Figure]:
    """Median ratio to truth, S/N over ideal, and width of the pulls of one spectrum."""
    seen = compared.ideal_snr > LEAST_SNR
    width = mad_sigma(compared.pull[seen])
    achieved = compared.true[seen] / (compared.error[seen] * width)
    return [
        _figure(
            arm,
            name,
            "extracted / true, median",
            float(np.median(compared.flux[seen] / compared.true[seen])),
        ),
        _figure(
            arm,
            name,
            "S/N over ideal, median",
            float(np.median(achieved / compared.ideal_snr[seen])),
        ),
        _figure(arm, name, "pull width", float(width)),
    ]


def figures(root: Path) -> list[Figure]:
    """All figures of the workspace `root`, whose truth stands in `root/truth`."""
    found: list[Figure] = []
    for name in ("VIS", "NIR"):
        if (root / "truth" / f"{name}_geometry.fits").is_file():
            found += _geometry_figures(root, name)
            found += _spectra_figures(root, name)
    return found


def _geometry_figures(root: Path, name: str) -> list[Figure]:
    arm = get_arm("SOXS", name)
    geometry = _table(root / "truth" / f"{name}_geometry.fits")
    edges = _table(root / "truth" / f"{name}_edges.fits")
    found = []
    for path in _products(root, "soxs-spat-solution", name, "_IMAGE.fits"):
        solution = read_product(path.with_name(path.name.replace("_IMAGE.fits", ".fits")))
        along, across = map_errors(read_product(path), geometry, solution, arm)
        found += [
            _figure(name, "", "map along dispersion, rms [px]", _rms(along)),
            _figure(name, "", "map along slit, rms [px]", _rms(across)),
        ]
    for path in _products(root, "soxs-order-centres", name, ".fits"):
        errors = centre_errors(read_product(path), edges, "centre")
        found.append(_figure(name, "", "order centres, rms [px]", _rms(errors)))
    for path in _products(root, "soxs-mflat", name, ".fits"):
        if "_OLOC_" in path.name:
            table = read_product(path)
            both = [centre_errors(table, edges, which) for which in ("lower", "upper")]
            found.append(_figure(name, "", "order edges, rms [px]", _rms(np.concatenate(both))))
    return found


def _spectra_figures(root: Path, name: str) -> list[Figure]:
    found = []
    for folder in ("soxs-stare-std", "soxs-stare"):
        for path in _products(root, folder, name, "_EXTRACTED_ORDERS.fits"):
            raw = fits.getheader(path).get("ESO PRO REC1 RAW1 NAME", "")
            truth = root / "truth" / f"{raw.removesuffix('.fits')}_spectrum.fits"
            if truth.is_file():
                label = "standard" if folder.endswith("std") else "science"
                found += spectrum_figures(name, label, compare_spectrum(path, _table(truth)))
    return found


def report(root: Path) -> list[tuple[str, ...]]:
    """The figures as rows of text, one per HEADINGS."""
    return [(f.arm, f.frame, f.quantity, f"{f.value:.4f}", f.goal) for f in figures(root)]
