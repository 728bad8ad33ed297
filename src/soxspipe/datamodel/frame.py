"""Detector images that carry their own noise and pixel flags."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import IntFlag

import numpy as np
from astropy.io.fits import Header

from soxspipe.errors import InputError


class PixelFlag(IntFlag):
    """Why a pixel is not to be trusted. Zero is good. A bit, once given, keeps its meaning."""

    BAD = 1  # detector defect, from the bad-pixel map, or not a number
    SATURATED = 2
    COSMIC_RAY = 4
    NOTHING_LEFT = 8  # rejected in every exposure of a stack
    HOT = 16  # dark current far above the rest
    COLD = 32  # dead, or of low sensitivity
    NO_FLAT = 64  # the lamp gave too little light to know the response
    OUTLIER = 128  # rejected against a model (sky, profile)


#: Flags that make a pixel of a master useless to everyone who takes it.
UNUSABLE = ~np.uint16(PixelFlag.NO_FLAT)


@dataclass(frozen=True, eq=False)
class Frame:
    """A detector image, its variance and its flags.

    data      (ny, nx) float32, in `unit`
    variance  (ny, nx) float32, in `unit` squared
    flags     (ny, nx) uint16, bits of PixelFlag
    """

    data: np.ndarray
    variance: np.ndarray
    flags: np.ndarray
    unit: str = "electron"
    header: Header = field(default_factory=Header)

    def __post_init__(self) -> None:
        for name, dtype in (("data", "f4"), ("variance", "f4"), ("flags", "u2")):
            array = np.asarray(getattr(self, name), dtype=dtype).view()
            if array.shape != np.shape(self.data):
                raise InputError(
                    f"{name} has shape {array.shape}, data has {np.shape(self.data)}",
                    hint="the frames are of different arms, binnings or windows",
                )
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    @property
    def shape(self) -> tuple[int, int]:
        """(ny, nx)."""
        ny, nx = self.data.shape
        return ny, nx

    @property
    def good(self) -> np.ndarray:
        """(ny, nx) bool, True where the pixel can be used."""
        return self.flags == 0

    def viewed(self, view: Callable[[np.ndarray], np.ndarray]) -> "Frame":
        """The same frame seen through `view` (a transposition, a cut) of all three images."""
        return replace(
            self, data=view(self.data), variance=view(self.variance), flags=view(self.flags)
        )

    def flagged(self, where: np.ndarray, flag: PixelFlag) -> "Frame":
        """The same frame with `flag` added `where` (ny, nx) is True."""
        return replace(self, flags=self.flags | np.where(where, np.uint16(flag), np.uint16(0)))

    def __sub__(self, other: "Frame") -> "Frame":
        """Difference; variances add, flags unite. InputError if the units differ."""
        if self.unit != other.unit:
            raise InputError(
                f"cannot subtract {other.unit} from {self.unit}",
                hint="convert both to electrons first",
            )
        return replace(
            self,
            data=self.data - other.data,
            variance=self.variance + other.variance,
            flags=self.flags | other.flags,
        )
