"""Extracted spectra."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits

from soxspipe.cli.accuracy.figure import Figure, figure
from soxspipe.cli.accuracy.truth import Truth, table
from soxspipe.io.products import read_product
from soxspipe.maths.robust import mad_sigma

#: Bins with less true signal to noise than this say little about a ratio.
LEAST_SNR = 1.0


def spectra_figures(root: Path, truth: Truth) -> Iterator[Figure]:
    """Figures of the standard and science spectra of one arm."""
    name = truth.arm.name
    for folder in ("soxs-stare-std", "soxs-stare"):
        for path in sorted(root.glob(f"reduced/*/{folder}/*_{name}_*_EXTRACTED_ORDERS.fits")):
            raw = fits.getheader(path).get("ESO PRO REC1 RAW1 NAME", "")
            spectrum = truth.folder / f"{raw.removesuffix('.fits')}_spectrum.fits"
            if spectrum.is_file():
                label = "standard" if folder.endswith("std") else "science"
                yield from spectrum_figures(name, label, compare_spectrum(path, table(spectrum)))


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
    values = {
        "extracted / true, median": np.median(compared.flux[seen] / compared.true[seen]),
        "S/N over ideal, median": np.median(achieved / compared.ideal_snr[seen]),
        "pull width": width,
    }
    return [figure(arm, name, quantity, float(value)) for quantity, value in values.items()]
