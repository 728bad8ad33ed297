"""Arc lines: what the list promises, and what was measured."""

from dataclasses import dataclass, fields, replace
from enum import IntEnum

import numpy as np


class LineState(IntEnum):
    """What became of a listed pinhole image. Only `FOUND` ones have a measured place."""

    FOUND = 0
    NOT_SEEN = 1  # no light stands out
    SATURATED = 2
    BAD_PIXELS = 3  # its middle, or too much of its stamp, cannot be used
    BLENDED = 4  # not to be told from another line, listed or not
    MISSHAPEN = 5  # does not look like the other images
    DISPLACED = 6  # the light is too far from where it was expected
    OUTSIDE = 7  # too close to the edge of the detector

    @property
    def words(self) -> str:
        """For tables and messages."""
        return self.name.lower().replace("_", " ")


@dataclass(frozen=True, eq=False)
class LineList:
    """The arc lines expected in an arm; arrays of shape (n,).

    order       order number
    wavelength  nm, air
    suspect     does not fit the nominal format; for the record: the night's own frame decides
    ion         spectrum of the line, e.g. ArI; "" if not known
    strength    relative intensity of the catalogue; 0 if not listed
    """

    order: np.ndarray
    wavelength: np.ndarray
    suspect: np.ndarray
    ion: np.ndarray
    strength: np.ndarray

    def holds(self, lines: "ArcLines") -> np.ndarray:
        """(n,) True for the lines that are in this list, in that order."""
        mine = set(zip(self.order.tolist(), self.wavelength.tolist(), strict=True))
        theirs = zip(lines.order.tolist(), lines.wavelength.tolist(), strict=True)
        return np.array([line in mine for line in theirs], dtype=bool)


@dataclass(frozen=True, eq=False)
class ArcLines:
    """Images of pinholes in the light of arc lines; arrays of shape (n,), one entry per spot.

    order, wavelength, slit_index, slit   identity; nm and arcsec
    predicted_x, predicted_y   nominal position, pixels
    x, y, x_error, y_error     measured centre and its 1-sigma error, pixels; NaN if not detected
    counts, peak, background   electrons in the spot, in its brightest pixel, per pixel below it
    fwhm                       second-moment FWHM within 2 pixels of the peak, pixels
    width                      FWHM along dispersion of the fitted Gaussian, pixels
    chi2                       of the spot fit, per degree of freedom
    sharpness, roundness1, roundness2   shape, see science.wavelength.spot_shape
    npix                       pixels that stand out of the background
    detected                   the spot stands out and could be measured
    seen                       light stands out at its place, be it blended with a neighbour's
    state                      a LineState: `FOUND`, or why it was not measured
    """

    order: np.ndarray
    wavelength: np.ndarray
    slit_index: np.ndarray
    slit: np.ndarray
    predicted_x: np.ndarray
    predicted_y: np.ndarray
    x: np.ndarray
    y: np.ndarray
    x_error: np.ndarray
    y_error: np.ndarray
    counts: np.ndarray
    peak: np.ndarray
    background: np.ndarray
    fwhm: np.ndarray
    width: np.ndarray
    chi2: np.ndarray
    sharpness: np.ndarray
    roundness1: np.ndarray
    roundness2: np.ndarray
    npix: np.ndarray
    detected: np.ndarray
    seen: np.ndarray
    state: np.ndarray

    def __len__(self) -> int:
        return len(self.order)

    def select(self, where: np.ndarray) -> "ArcLines":
        """The entries `where` (bool or indices) points at."""
        return replace(self, **{f.name: getattr(self, f.name)[where] for f in fields(self)})


@dataclass(frozen=True, eq=False)
class LineFit:
    """How a dispersion solution fits its lines; arrays follow the ArcLines it was made from.

    x, y       position according to the solution, pixels
    used       kept by the fit
    """

    x: np.ndarray
    y: np.ndarray
    used: np.ndarray
