"""Pixels gathered in narrow cells of wavelength: a tenth of the numbers, the same information."""

from dataclasses import dataclass

import numpy as np

#: Cells per native bin.
PER_BIN = 4


@dataclass(frozen=True, eq=False)
class Cells:
    """Weighted sums of pixels in cells, arrays (c,), rising in x; empty cells are left out.

    x       mean native bin coordinate; spread: its standard deviation within the cell. A model is
            averaged over x - spread and x + spread: exact to third order, so cells do not blur.
    y       mean electrons of the sky in the slit's middle; weight: 1 / variance of that mean
    count   pixels
    number  (c,) number of the cell, PER_BIN per bin from the first bin's lower side
    """

    x: np.ndarray
    spread: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    count: np.ndarray
    number: np.ndarray


def gather(
    place: np.ndarray, level: np.ndarray, weight: np.ndarray, low: float, high: float
) -> Cells:
    """Cells of pixels with native bin coordinate `place`, `level` (electrons) and `weight`, all (n,)."""
    n = int(np.ceil((high - low) * PER_BIN))
    cell = np.clip(((place - low) * PER_BIN).astype("i8"), 0, n - 1)
    total = np.bincount(cell, weight, n)
    number = np.flatnonzero(total > 0)
    safe = total[number]
    x = np.bincount(cell, weight * place, n)[number] / safe
    offset = place - np.interp(cell, number, x)
    spread = np.sqrt(np.maximum(np.bincount(cell, weight * offset**2, n)[number] / safe, 0.0))
    return Cells(
        x=x,
        spread=spread,
        y=np.bincount(cell, weight * level, n)[number] / safe,
        weight=safe,
        count=np.bincount(cell, weight > 0, n)[number],
        number=number,
    )
