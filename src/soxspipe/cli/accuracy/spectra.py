"""Extracted spectra of the orders."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits

from soxspipe.cli.accuracy.figure import Figure, figure
from soxspipe.cli.accuracy.on_sky import Found, Observed, products
from soxspipe.cli.accuracy.statistics import (
    beyond,
    group_pulls,
    pull_width,
    reduced_chi2,
    runs,
    weighted_ratio,
)
from soxspipe.cli.accuracy.truth import Truth
from soxspipe.io.products import read_product

#: Bins with less true signal to noise than this say little about a ratio.
LEAST_SNR = 1.0
#: Neighbouring bins that are added to see whether the error of a sum is true.
FOLD = 10
#: Orders with fewer bins are not judged by themselves.
_ENOUGH = 100
#: Targets with a median S/N below this are judged by the mean of their flux.
_FAINT = 5.0


def spectra_figures(root: Path, truth: Truth) -> Iterator[Figure]:
    """Figures of the standard and science spectra of one arm, order by order."""
    name = truth.arm.name
    for found in products(root, truth, "_EXTRACTED_ORDERS.fits"):
        compared = compare_spectrum(found.path, found.truth)
        if compared.flux.size:
            yield from spectrum_figures(name, found.name, compared)
            yield from special_figures(name, found, compared)
    yield from number_figures(root, truth)


@dataclass(frozen=True, eq=False)
class Compared:
    """Native bins of a spectrum beside the truth; arrays (n,). `place` numbers the bins of an order."""

    order: np.ndarray
    place: np.ndarray
    wavelength: np.ndarray
    flux: np.ndarray
    error: np.ndarray
    true: np.ndarray
    ideal_snr: np.ndarray

    @property
    def pull(self) -> np.ndarray:
        """(extracted - true) / error."""
        return np.asarray((self.flux - self.true) / self.error)

    def of(self, order: int) -> "Compared":
        """One order."""
        rows = self.order == order
        return Compared(**{k: getattr(self, k)[rows] for k in Compared.__dataclass_fields__})

    def folded(self, number: int) -> np.ndarray:
        """Pulls of sums of `number` neighbouring bins."""
        parts = [self.of(order) for order in np.unique(self.order)]
        return np.concatenate(
            [group_pulls(p.flux - p.true, p.error**2, runs(p.place, number)) for p in parts]
        )


def compare_spectrum(spectra_path: Path, truth: Observed) -> Compared:
    """Match the extracted orders with the true spectrum at their effective wavelengths."""
    parts: dict[str, list[np.ndarray]] = {k: [] for k in Compared.__dataclass_fields__}
    for number, order in read_product(spectra_path).orders.items():
        part = truth.part(number)
        if len(part.flux) < 2:
            continue
        density = part.flux / part.bin_width
        ok = (order.flags == 0) & np.isfinite(order.flux) & (order.variance > 0)
        ok &= (order.wavelength > part.wavelength[0]) & (order.wavelength < part.wavelength[-1])
        wavelength = order.wavelength[ok]
        true = np.interp(wavelength, part.wavelength, density) * order.bin_width[ok]
        ideal = np.interp(wavelength, part.wavelength, part.ideal_snr)
        columns = (
            np.full(len(wavelength), number),
            np.flatnonzero(ok),
            wavelength,
            order.flux[ok],
            np.sqrt(order.variance[ok]),
            true,
            ideal,
        )
        for key, value in zip(parts, columns, strict=True):
            parts[key].append(value)
    return Compared(**{k: np.concatenate(v) if v else np.empty(0) for k, v in parts.items()})


def achieved_over_ideal(compared: Compared) -> float:
    """Median of the S/N reached, by the scatter that is there, over the ideal one."""
    seen = compared.ideal_snr > LEAST_SNR
    width = pull_width(compared.pull[seen])
    reached = compared.true[seen] / (compared.error[seen] * width)
    return float(np.median(reached / compared.ideal_snr[seen])) if seen.any() else np.nan


def spectrum_figures(arm: str, name: str, compared: Compared) -> list[Figure]:
    """Ratio to truth, S/N over ideal, and honesty of the errors of one spectrum."""
    seen = compared.ideal_snr > LEAST_SNR
    single = [compared.of(order) for order in np.unique(compared.order)]
    snr = [achieved_over_ideal(p) for p in single if np.sum(p.ideal_snr > LEAST_SNR) > _ENOUGH]
    chi2 = [reduced_chi2(p.pull) for p in single if len(p.pull) > _ENOUGH]
    values = {
        "extracted / true, median": np.median(compared.flux[seen] / compared.true[seen])
        if seen.any()
        else np.nan,
        "S/N over ideal, median": achieved_over_ideal(compared),
        "S/N over ideal, worst order": min(snr, default=np.nan),
        "pull width": pull_width(compared.pull[seen]),
        "reduced chi2": reduced_chi2(compared.pull),
        "reduced chi2, worst order": max(chi2, key=lambda v: abs(v - 1.0), default=np.nan),
        f"reduced chi2, sums of {FOLD} bins": reduced_chi2(compared.folded(FOLD)),
        "share beyond 5 sigma": beyond(compared.pull),
    }
    return [figure(arm, name, quantity, float(value)) for quantity, value in values.items()]


def special_figures(arm: str, found: Found, compared: Compared) -> Iterator[Figure]:
    """What is asked of faint and of extended objects."""
    ratio, _ = weighted_ratio(compared.flux, compared.true, compared.error**2)
    if found.truth.extent > 0.0:
        yield figure(arm, found.name, "flux lost, extended object", 1.0 - ratio)
    elif np.isfinite(ratio) and np.median(compared.ideal_snr) < _FAINT:
        yield figure(arm, found.name, "flux bias, faint object", ratio - 1.0)


def number_figures(root: Path, truth: Truth) -> Iterator[Figure]:
    """Where several objects are on the slit: how many of them have a spectrum."""
    for found in products(root, truth, "_EXTRACTED_MERGED.fits"):
        if found.number != 1:
            continue
        there = _count(truth, found)
        stem = found.path.name.removesuffix("_EXTRACTED_MERGED.fits")
        others = list(found.path.parent.glob(f"{stem}_OBJ*_EXTRACTED_MERGED.fits"))
        if there > 1 or others:
            share = (1 + len(others)) / there
            yield figure(truth.arm.name, found.label, "objects found over objects there", share)


def _count(truth: Truth, found: Found) -> int:
    stem = found.truth.frames[0].removesuffix(".fits")
    with fits.open(truth.folder / f"{stem}_spectrum.fits") as hdus:
        return len(hdus) - 1
