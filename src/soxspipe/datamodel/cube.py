"""Spectra of an area of the sky: wavelength, slit position, and steps across the slit."""

from dataclasses import dataclass

import numpy as np

from soxspipe.datamodel.rectified import Grid
from soxspipe.errors import InputError


@dataclass(frozen=True)
class OnSky:
    """Where a cube lies on the sky: RA and DEC (degrees) of zero offset, position angle of the slit
    (degrees from north to east); sense 1 if slit positions rise towards it, else -1.
    """

    ra: float
    dec: float
    angle: float
    sense: int = 1


@dataclass(frozen=True, eq=False)
class Cube:
    """A stack of rectified images; arrays (k, m, n): steps across the slit, slit, wavelength.

    grid          wavelength and slit; slit positions are offsets on the sky along the slit, arcsec, 0
                  where the middle of the slit was at zero offset
    first, step   offset across the slit of the middle of row 0, and between rows, arcsec
    width         of the slit, arcsec: a row holds the light of so much sky
    flux          float32, electrons per bin of an exposure of `seconds`; NaN where nothing is known
    error         float32, 1 sigma of the bin by itself
    flags         uint16 bits of PixelFlag; NOTHING_LEFT where nothing is known
    noise_factor  true error of a sum over a large block of bins of a row, over the naive one
    on_sky        None if the position angle is not known

    Raises InputError if the arrays do not have the shape of the grid.
    """

    grid: Grid
    first: float
    step: float
    width: float
    flux: np.ndarray
    error: np.ndarray
    flags: np.ndarray
    noise_factor: float
    seconds: float
    on_sky: OnSky | None = None
    unit: str = "electron"

    def __post_init__(self) -> None:
        for name in ("flux", "error", "flags"):
            dtype = "u2" if name == "flags" else "f4"
            array = np.asarray(getattr(self, name), dtype=dtype).view()
            if array.ndim != 3 or array.shape[1:] != self.grid.shape:
                raise InputError(
                    f"{name} of a cube has shape {array.shape}, not (steps, *{self.grid.shape})",
                    hint="the rows are of different grids",
                )
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    @property
    def offsets(self) -> np.ndarray:
        """(k,) offsets of the rows across the slit, arcsec."""
        return self.first + self.step * np.arange(len(self.flux))

    @property
    def megabytes(self) -> float:
        """Size of the arrays."""
        return sum(a.nbytes for a in (self.flux, self.error, self.flags)) / 1e6

    @property
    def white(self) -> np.ndarray:
        """(k, m) float64, mean flux over all wavelengths that are known; NaN where there is none."""
        total = np.nansum(self.flux, axis=2, dtype="f8")
        count = np.isfinite(self.flux).sum(axis=2)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)
