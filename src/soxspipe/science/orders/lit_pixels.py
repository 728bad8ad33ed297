"""The pixels of one order that see light of the slit, and where each lies in it."""

from dataclasses import dataclass

import numpy as np

from soxspipe.datamodel.geometry import OrderTrace


@dataclass(frozen=True, eq=False)
class LitPixels:
    """Pixels of one order, arrays (n,); dispersion along columns.

    rows, columns  place on the detector
    below, above   distance from the lower and the upper edge, pixels, positive inside the slit
    along          pixel along dispersion at which the order centre sees the same wavelength
    """

    rows: np.ndarray
    columns: np.ndarray
    below: np.ndarray
    above: np.ndarray
    along: np.ndarray

    @property
    def depth(self) -> np.ndarray:
        """(n,) distance from the nearer edge, pixels, positive inside the slit."""
        return np.minimum(self.below, self.above)

    @property
    def core(self) -> np.ndarray:
        """(n,) bool: the middle seven tenths of the slit."""
        length = self.below + self.above
        return np.asarray(np.abs(self.below - self.above) < 0.7 * length)


def lit_pixels(trace: OrderTrace, tilt: np.ndarray, shape: tuple[int, int]) -> LitPixels:
    """The pixels between the edges, half a pixel more on both sides, in the domain of the trace.

    tilt : (columns,) shift along dispersion per pixel across of light of one wavelength.
    """
    low, high = trace.domain
    pixel = np.arange(shape[1], dtype="f8")
    lower, upper = np.sort([trace.at("lower", pixel), trace.at("upper", pixel)], axis=0)
    first = max(int(np.floor(lower.min())) - 1, 0)
    last = min(int(np.ceil(upper.max())) + 1, shape[0] - 1)
    row = np.arange(first, last + 1)[:, None]
    inside = (row >= lower - 0.5) & (row <= upper + 0.5) & (pixel >= low) & (pixel <= high)
    rows, columns = np.nonzero(inside)
    rows = rows + first
    along = columns - tilt[columns] * (rows - trace.at("centre", pixel)[columns])
    return LitPixels(rows, columns, rows - lower[columns], upper[columns] - rows, along)
