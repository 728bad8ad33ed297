"""What the exposures behind a product hold in truth, and the products they belong to."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits

from soxspipe.cli.accuracy.truth import Truth, raw_names

#: Folders of products, and what their figures are called.
LABELS = {
    "soxs-stare-std": "standard",
    "soxs-nod-std": "standard nod",
    "soxs-offset-std": "standard offset",
    "soxs-stare": "science",
    "soxs-nod": "science nod",
    "soxs-offset": "science offset",
}
_SECOND = "_OBJ"


@dataclass(frozen=True, eq=False)
class Observed:
    """One object in the exposures of a product; arrays (n,), one for each truth bin of each order.

    flux          electrons in the exposure time that the product tells
    ideal_snr     of all exposures together; of differences where the product is made of them
    throughput    electrons per photon; NaN if the truth does not tell
    slit          arcsec, in the first exposure
    extent        arcsec, FWHM of the object itself
    frames        raw files that show the object
    """

    order: np.ndarray
    wavelength: np.ndarray
    bin_width: np.ndarray
    flux: np.ndarray
    ideal_snr: np.ndarray
    throughput: np.ndarray
    slit: np.ndarray
    extent: float = 0.0
    frames: tuple[str, ...] = ()

    def part(self, order: int) -> "Observed":
        """One order, its wavelengths rising."""
        rows = np.flatnonzero(self.order == order)
        rows = rows[np.argsort(self.wavelength[rows])]
        arrays = {k: getattr(self, k)[rows] for k in _COLUMNS}
        return Observed(**arrays, extent=self.extent, frames=self.frames)


_COLUMNS = ("order", "wavelength", "bin_width", "flux", "ideal_snr", "throughput", "slit")


def observed(folder: Path, header: fits.Header, number: int = 1) -> Observed | None:
    """The truth of object `number` in the raw frames that a header names, None if there is none.

    Exposures count by their time: the flux is that of all exposures over their time, in the exposure
    time of the product. Of exposures that are subtracted from each other, those on the object count.
    """
    tables, seconds, extents, frames = [], [], [], []
    for name in dict.fromkeys(raw_names(header)):
        path = folder / f"{name.removesuffix('.fits')}_spectrum.fits"
        if not path.is_file():
            continue
        with fits.open(path) as hdus:
            if len(hdus) <= number:
                return None
            tables.append(np.array(hdus[number].data))
            cards = hdus[number].header
        seconds.append(float(cards.get("EXPTIME", 1.0)))
        extents.append(float(cards.get("EXTENT", 0.0)))
        frames.append(name)
    if not tables:
        return None
    told = float(header.get("EXPTIME", np.mean(seconds)))
    return _together(tables, told / sum(seconds), max(extents), tuple(frames))


def _together(
    tables: list[np.ndarray], scale: float, extent: float, frames: tuple[str, ...]
) -> Observed:
    first = tables[0]
    names = first.dtype.names or ()
    snr = [_snr(t) for t in tables]
    nothing = np.full(len(first), np.nan)
    return Observed(
        order=first["order"].astype(int),
        wavelength=first["wavelength"].astype("f8"),
        bin_width=first["bin_width"].astype("f8"),
        flux=scale * np.sum([t["flux"] for t in tables], axis=0, dtype="f8"),
        ideal_snr=np.sqrt(np.sum(np.square(snr), axis=0)),
        throughput=first["throughput"].astype("f8") if "throughput" in names else nothing,
        slit=first["slit"].astype("f8") if "slit" in names else nothing,
        extent=extent,
        frames=frames,
    )


def _snr(table: np.ndarray) -> np.ndarray:
    """Of the difference with a partner, if there is one."""
    if "ideal_snr_difference" in (table.dtype.names or ()):
        difference = table["ideal_snr_difference"].astype("f8")
        if np.isfinite(difference).any():
            return np.asarray(difference)
    return np.asarray(table["ideal_snr"].astype("f8"))


@dataclass(frozen=True)
class Found:
    """A product of an object: its file, header, what its figures are called, and the truth of it."""

    path: Path
    header: fits.Header
    label: str
    number: int
    truth: Observed

    @property
    def name(self) -> str:
        """What its figures are called, the number of a second object with it."""
        return self.label if self.number == 1 else f"{self.label}, object {self.number}"


def products(root: Path, truth: Truth, ending: str) -> Iterator[Found]:
    """Products of objects of one arm with that `ending` of their names, those with a truth only."""
    for folder, label in LABELS.items():
        for path in sorted(root.glob(f"reduced/*/{folder}/*_{truth.arm.name}_*{ending}")):
            number = object_number(path.name, ending)
            header = fits.getheader(path)
            if number is None:
                continue
            known = observed(truth.folder, header, number)
            if known is not None:
                yield Found(path, header, label, number, known)


def object_number(name: str, ending: str) -> int | None:
    """Number of the object of a product: `_OBJ2` before the ending; None for another kind of file."""
    stem = name.removesuffix(ending)
    last = stem.rpartition("_")[2]
    if stem == name:
        return None
    digits = f"_{last}".removeprefix(_SECOND)
    return int(digits) if digits.isdigit() and digits != f"_{last}" else 1
