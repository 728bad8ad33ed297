"""Merged spectra: against the truth of the best order at each wavelength, and where orders join."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.interpolate import CubicSpline

from soxspipe.cli.accuracy.figure import Figure, figure
from soxspipe.cli.accuracy.on_sky import Observed, products
from soxspipe.cli.accuracy.spectra import FOLD, LEAST_SNR
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

#: Bins that are added to compare S/N: neighbours share pixels, sums of many hardly do.
_MANY = 20
#: Merged bins on either side of a join that are compared.
_BESIDE = 100
#: A step at a join is fine below this, relative, or below so many sigma.
STEP, STEP_SIGMA = 0.005, 2.0


@dataclass(frozen=True, eq=False)
class MergedTruth:
    """Electrons and ideal S/N in merged bins (n,), NaN beyond the orders; the best order of each, 0 if
    there is none.
    """

    flux: np.ndarray
    ideal_snr: np.ndarray
    best: np.ndarray


def merged_truth(truth: Observed, wavelength: np.ndarray, step: float) -> MergedTruth:
    """The true spectrum on a merged grid, on the scale of the order with the highest throughput.

    Light is integrated between the sides of a bin, through the running integral of the order's own bins.
    Noise of orders that overlap is independent: squares of their S/N add up.
    """
    sides = np.append(wavelength - 0.5 * step, wavelength[-1] + 0.5 * step)
    orders = np.unique(truth.order)
    flux = np.full((orders.size, wavelength.size), np.nan)
    power = np.zeros_like(flux)
    throughput = np.full_like(flux, -np.inf)
    for k, order in enumerate(orders):
        part = truth.part(int(order))
        own = np.append(part.wavelength - 0.5 * part.bin_width, 0.0)
        own[-1] = part.wavelength[-1] + 0.5 * part.bin_width[-1]
        total = np.append(0.0, np.cumsum(part.flux))
        inside = (sides[:-1] >= own[0]) & (sides[1:] <= own[-1])
        at = np.clip(sides, own[0], own[-1])
        flux[k] = np.where(inside, np.diff(CubicSpline(own, total)(at)), np.nan)
        known = np.append(0.0, np.cumsum(part.ideal_snr**2))
        power[k] = np.where(inside, np.diff(np.interp(at, own, known)), 0.0)
        here = np.interp(wavelength, part.wavelength, part.throughput)
        throughput[k] = np.where(inside, here, -np.inf)
    best = np.argmax(throughput, axis=0)
    any_order = np.isfinite(np.max(throughput, axis=0))
    return MergedTruth(
        np.where(any_order, flux[best, np.arange(wavelength.size)], np.nan),
        np.sqrt(power.sum(axis=0)),
        np.where(any_order, orders[best], 0),
    )


@dataclass(frozen=True, eq=False)
class ComparedMerged:
    """Good merged bins beside the truth; arrays (n,). `place` is the number of the bin on its grid."""

    place: np.ndarray
    flux: np.ndarray
    variance: np.ndarray
    true: np.ndarray
    ideal_snr: np.ndarray
    best: np.ndarray

    @property
    def pull(self) -> np.ndarray:
        """(extracted - true) / error."""
        return np.asarray((self.flux - self.true) / np.sqrt(self.variance))

    def sums(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Groups (m, number) of neighbours, and the pulls (m,) of their sums."""
        groups = runs(self.place, number)
        return groups, group_pulls(self.flux - self.true, self.variance, groups)


def compare_merged(path: Path, truth: Observed) -> ComparedMerged:
    """Match a merged product with the truth on its grid."""
    spectrum = read_product(path)
    known = merged_truth(truth, spectrum.wavelength, spectrum.step)
    ok = np.isfinite(spectrum.flux) & (spectrum.flags == 0) & (spectrum.variance > 0)
    ok &= np.isfinite(known.flux) & (known.ideal_snr > 0)
    return ComparedMerged(
        np.flatnonzero(ok),
        spectrum.flux[ok],
        spectrum.variance[ok],
        known.flux[ok],
        known.ideal_snr[ok],
        known.best[ok],
    )


def merged_figures(root: Path, truth: Truth) -> Iterator[Figure]:
    """Figures of the merged spectra of one arm."""
    for found in products(root, truth, "_EXTRACTED_MERGED.fits"):
        if not np.isfinite(found.truth.throughput).all():
            continue
        compared = compare_merged(found.path, found.truth)
        if compared.flux.size:
            yield from figures_of(truth.arm.name, found.name, compared)


def figures_of(arm: str, name: str, compared: ComparedMerged) -> Iterator[Figure]:
    """Ratio to truth, S/N over ideal, honesty of errors, and steps at joins of a merged spectrum."""
    seen = compared.ideal_snr > LEAST_SNR
    ratio = compared.flux[seen] / compared.true[seen]
    values = {
        "merged, extracted / true, median": np.median(ratio) if seen.any() else np.nan,
        "merged, S/N over ideal": snr_over_ideal(compared),
        "merged, reduced chi2": reduced_chi2(compared.pull),
        f"merged, reduced chi2, sums of {FOLD} bins": reduced_chi2(compared.sums(FOLD)[1]),
        "merged, share beyond 5 sigma": beyond(compared.pull),
    }
    for quantity, value in values.items():
        yield figure(arm, name, quantity, float(value))
    found = steps(compared)
    if found:
        size = [min(abs(s) / STEP, abs(s) / e / STEP_SIGMA) for s, e in found]
        yield figure(arm, name, "step at order joins, median [%]", 100 * _middle(found))
        yield figure(arm, name, "step at order joins over limit, worst", max(size))


def _middle(found: list[tuple[float, float]]) -> float:
    return float(np.median([abs(s) for s, _ in found]))


def snr_over_ideal(compared: ComparedMerged) -> float:
    """Median S/N of sums of bins, by the scatter that is there, over that of the same ideal sums."""
    groups, pull = compared.sums(_MANY)
    if not len(groups):
        return math.nan
    true = compared.true[groups]
    noise = np.sqrt(np.sum((true / compared.ideal_snr[groups]) ** 2, axis=1))
    ideal = true.sum(axis=1) / noise
    seen = ideal > LEAST_SNR * np.sqrt(_MANY)
    if not seen.any():
        return math.nan
    error = np.sqrt(compared.variance[groups].sum(axis=1))
    reached = true.sum(axis=1) / (error * pull_width(pull[seen]))
    return float(np.median((reached / ideal)[seen]))


def steps(compared: ComparedMerged, beside: int = _BESIDE) -> list[tuple[float, float]]:
    """For every join of two orders: ratio to truth on the far side less that on the near, and its error.

    `beside` merged bins on either side are compared, as far as they belong to the two orders.
    """
    found = []
    for cut in (np.flatnonzero(np.diff(compared.best) != 0) + 1).tolist():
        near = np.arange(max(cut - beside, 0), cut)
        far = np.arange(cut, min(cut + beside, compared.best.size))
        near = near[compared.best[near] == compared.best[cut - 1]]
        far = far[compared.best[far] == compared.best[cut]]
        if min(near.size, far.size) < beside // 4:
            continue
        (a, a_error), (b, b_error) = (
            weighted_ratio(compared.flux[i], compared.true[i], compared.variance[i])
            for i in (near, far)
        )
        if np.isfinite(a) and np.isfinite(b):
            found.append((b - a, float(np.hypot(a_error, b_error))))
    return found
