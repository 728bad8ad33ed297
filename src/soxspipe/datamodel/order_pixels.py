"""The pixels of one order as a list: what sky fit and extraction work on, without rectifying."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True, eq=False)
class OrderPixels:
    """Pixels of one order, sorted by `bin`; arrays (n,) unless said.

    index       flat index into the detector image
    wavelength  nm; slit: arcsec
    bin         native bin coordinate: the pixel along dispersion, at the slit centre, that sees the same
                wavelength; bin k covers k - 0.5 to k + 0.5
    area        |d(bin, slit) / d(x, y)|, arcsec: flux per bin and arcsec -> flux in the pixel
    stretch     what `area` must be multiplied by to be that of the detector: 1 unless the frame was
                divided by a flat, which holds the area, too
    first       number of the first native bin
    grid        (m,) wavelength at the centres of the bins first .. first + m - 1, nm
    width       (m,) nm per bin
    """

    order: int
    index: np.ndarray
    wavelength: np.ndarray
    slit: np.ndarray
    bin: np.ndarray
    area: np.ndarray
    first: int
    grid: np.ndarray
    width: np.ndarray
    stretch: np.ndarray | None = None

    @cached_property
    def nearest(self) -> np.ndarray:
        """(n,) number of the native bin each pixel centre falls into, counted from `first`."""
        return np.clip(np.rint(self.bin).astype("i8") - self.first, 0, len(self.grid) - 1)
