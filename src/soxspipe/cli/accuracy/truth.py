"""The truth that the simulator wrote beside the raw frames of one arm. Formats: docs/simulator.md."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.polynomial import chebyshev

from soxspipe.instrument.arms import Arm, get_arm

#: Bits of the truth's FLAGS image.
HOT, COLD = 16, 32
#: Endings of products made with one of the two lamps of a flat; the one made of both is judged.
ONE_OF_TWO = ("_QLAMP", "_DLAMP")
#: Degrees along wavelength and slit that carry the tabulated positions to better than 1e-6 px.
_DEGREES = [12, 5]


def table(path: Path) -> fits.FITS_rec:
    """The first table of a file."""
    with fits.open(path) as hdus:
        return hdus[1].data.copy()


def raw_names(header: fits.Header) -> list[str]:
    """Names of the raw frames that a product was made of."""
    return [header[key] for key in header if key.startswith("ESO PRO REC1 RAW") and "NAME" in key]


@dataclass(frozen=True, eq=False)
class Lamp:
    """Electrons expected in each exposure of a series of slit flats, (ny, nx), pixel response 1.

    frames  names of the raw files; seconds of one exposure
    """

    direct: np.ndarray
    scattered: np.ndarray
    seconds: float
    frames: frozenset[str]


@dataclass(frozen=True, eq=False)
class Truth:
    """One arm of a simulated night; the files stand in `folder`."""

    folder: Path
    arm: Arm

    @classmethod
    def of(cls, root: Path, name: str) -> "Truth | None":
        """The truth of the arm `name` of the workspace `root`, None if there is none."""
        folder = root / "truth"
        known = (folder / f"{name}_geometry.fits").is_file()
        return cls(folder, get_arm("SOXS", name)) if known else None

    @cached_property
    def geometry(self) -> fits.FITS_rec:
        """Where light lands: order, wavelength, slit, x, y, in_lines."""
        return table(self.folder / f"{self.arm.name}_geometry.fits")

    @cached_property
    def edges(self) -> fits.FITS_rec:
        """Where the slit ends: order, pixel, centre, lower, upper."""
        return table(self.folder / f"{self.arm.name}_edges.fits")

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """Gain, noise and what else follows from the seed."""
        text = (self.folder / f"{self.arm.name}_truth.json").read_text(encoding="utf-8")
        return dict(json.loads(text))

    @cached_property
    def _detector(self) -> dict[str, np.ndarray]:
        with fits.open(self.folder / f"{self.arm.name}_detector.fits") as hdus:
            return {hdu.name: np.array(hdu.data) for hdu in hdus[1:]}

    @property
    def response(self) -> np.ndarray:
        """(ny, nx) response of each pixel."""
        return self._detector["RESPONSE"]

    @property
    def dark(self) -> np.ndarray:
        """(ny, nx) dark current, e-/s."""
        return self._detector["DARK"]

    @property
    def flags(self) -> np.ndarray:
        """(ny, nx) HOT and COLD pixels."""
        return self._detector["FLAGS"]

    @property
    def large_scale(self) -> np.ndarray:
        """(ny, nx) the part of the response that varies over hundreds of pixels."""
        return self._detector["LARGESCALE"]

    def exposure_time(self, stem: str) -> float:
        """Seconds of an exposure on sky."""
        with fits.open(self.folder / f"{stem}_sky.fits") as hdus:
            return float(hdus[0].header["EXPTIME"])

    def unlit(self, seconds: float) -> np.ndarray:
        """(ny, nx) e- of a noiseless frame without light: pedestal, bias pattern, dark current."""
        pedestal = float(self.parameters.get("pedestal_e", 0.0))
        return np.asarray(self._detector["BIAS"] + self.dark.astype("f8") * seconds + pedestal)

    def variance(self, electrons: np.ndarray) -> np.ndarray:
        """Variance (e-2) of one reading of `electrons` expected: photons, read-out, whole counts."""
        noise, gain = self.parameters["read_noise_e"], self.parameters["gain_e_per_adu"]
        return np.asarray(np.maximum(electrons, 0.0) + noise**2 + gain**2 / 12.0)

    def lamps(self, frames: Sequence[str]) -> list[Lamp]:
        """The series of slit flats that have a share in `frames` (names of raw files)."""
        found = []
        for name in frames:
            path = self.folder / f"{name.removesuffix('.fits')}_light.fits"
            if path.is_file():
                with fits.open(path) as hdus:
                    cards = hdus[0].header
                    series = frozenset(cards[key] for key in cards if key.startswith("FRAME"))
                    direct, scattered = (
                        np.asarray(hdus[k].data, dtype="f8") for k in ("DIRECT", "SCATTERED")
                    )
                    found.append(Lamp(direct, scattered, float(cards["EXPTIME"]), series))
        return found

    def positions(
        self, order: int, wavelength: np.ndarray, slit: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """True (x, y) of light of any wavelength (nm) and slit position (arcsec) in an order."""
        part = self.geometry[self.geometry["order"] == order]
        low, high = part["wavelength"].min(), part["wavelength"].max()

        def basis(w: np.ndarray, s: np.ndarray) -> np.ndarray:
            return chebyshev.chebvander2d((2 * w - low - high) / (high - low), s / 6.0, _DEGREES)

        known = basis(part["wavelength"], part["slit"])
        wanted = basis(np.asarray(wavelength, dtype="f8"), np.asarray(slit, dtype="f8"))
        x, y = (wanted @ np.linalg.lstsq(known, part[axis])[0] for axis in ("x", "y"))
        return x, y

    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """(orders, inside), with dispersion along columns: the order of each pixel between the ends of
        the slit and within the order's documented range of wavelengths, 0 elsewhere; and how many
        pixels across dispersion it is inside the nearer end (one pixel outside still has its order).
        """
        shape = self.arm.along_rows(self.response).shape
        orders, inside = np.zeros(shape, dtype="i2"), np.full(shape, -np.inf, dtype="f4")
        rows = np.arange(shape[0])[:, None]
        for number in self.arm.orders:
            part = self.edges[self.edges["order"] == number]
            lower, upper = (np.full(shape[1], np.nan) for _ in range(2))
            lower[part["pixel"]], upper[part["pixel"]] = part["lower"], part["upper"]
            within = self._in_range(number, shape[1])
            depth = np.minimum(rows - lower, upper - rows)
            taken = (depth > -1.0) & within
            orders[taken], inside[taken] = number, depth[taken]
        return orders, inside

    def _in_range(self, order: int, n: int) -> np.ndarray:
        """(n,) True for columns along dispersion within the order's documented wavelengths."""
        part = self.geometry[(self.geometry["order"] == order) & (self.geometry["slit"] == 0.0)]
        along, _ = self.arm.dispersion_and_slit(part["x"], part["y"])
        rising = np.argsort(along)
        wavelength = np.interp(np.arange(n), along[rising], part["wavelength"][rising])
        low, high = self.arm.orders[order].full
        return np.asarray((wavelength >= low) & (wavelength <= high))
