"""Where light lands: dispersion solution, order table and pixel map.

Everything is kept per order as Chebyshev series. Any global model (a polynomial in order, wavelength
and slit, or a correction to the optical design) collapses to this form exactly, so the nominal format,
the first solution and the full spatial solution are one and the same noun, evaluated one way.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntFlag

import numpy as np
from numpy.polynomial import chebyshev

from soxspipe.errors import InputError

Domain = tuple[float, float]


def unit(value: np.ndarray | float, domain: Domain) -> np.ndarray:
    """Map `domain` linearly onto [-1, 1]."""
    low, high = domain
    return (2.0 * np.asarray(value, dtype="f8") - low - high) / (high - low)


@dataclass(frozen=True, eq=False)
class OrderSolution:
    """(wavelength, slit) -> (x, y) for one order.

    x, y            (n_wavelength, n_slit) float64 Chebyshev coefficients, detector pixels
    wavelength      domain of the series, nm; `slit` likewise, arcsec
    lines           wavelength range that arc lines support, nm; beyond it the solution extrapolates
    x_covariance, y_covariance   (w, s, w, s) float64 covariance of the coefficients of x and of y,
                    pixels squared; w, s may differ from the shape of x and y; None if not known
    """

    x: np.ndarray
    y: np.ndarray
    wavelength: Domain
    slit: Domain
    lines: Domain
    x_covariance: np.ndarray | None = None
    y_covariance: np.ndarray | None = None

    def predict(self, wavelength: np.ndarray, slit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Detector position (x, y) of each wavelength [nm] and slit position [arcsec]."""
        t, s = np.broadcast_arrays(unit(wavelength, self.wavelength), unit(slit, self.slit))
        return chebyshev.chebval2d(t, s, self.x), chebyshev.chebval2d(t, s, self.y)

    def error(self, wavelength: np.ndarray, slit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """1-sigma errors (x, y) in pixels of what `predict` gives; NaN where they are not known."""
        t, s = np.broadcast_arrays(unit(wavelength, self.wavelength), unit(slit, self.slit))
        return _sigma(self.x_covariance, t, s), _sigma(self.y_covariance, t, s)


def _sigma(covariance: np.ndarray | None, t: np.ndarray, s: np.ndarray) -> np.ndarray:
    if covariance is None:
        return np.full(t.shape, np.nan)
    n, m = covariance.shape[:2]
    in_t, in_s = chebyshev.chebvander(t, n - 1), chebyshev.chebvander(s, m - 1)
    basis = (in_t[..., :, None] * in_s[..., None, :]).reshape(*t.shape, n * m)
    variance = ((basis @ covariance.reshape(n * m, n * m)) * basis).sum(axis=-1)
    return np.asarray(np.sqrt(np.maximum(variance, 0.0)))


@dataclass(frozen=True, eq=False)
class DispersionSolution:
    """The dispersion solution of an arm: one OrderSolution per order number."""

    orders: Mapping[int, OrderSolution]

    def predict(
        self, order: int, wavelength: np.ndarray | float, slit: np.ndarray | float = 0.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Detector position (x, y) in pixels, 0-based, pixel centres at integers.

        Raises InputError if the solution has no such order.
        """
        if order not in self.orders:
            raise InputError(
                f"the dispersion solution has no order {order}",
                hint=f"it holds {', '.join(map(str, sorted(self.orders)))}",
            )
        return self.orders[order].predict(np.asarray(wavelength), np.asarray(slit))


@dataclass(frozen=True, eq=False)
class OrderTrace:
    """Centre and edges of one order as functions of the pixel along dispersion.

    All coefficients are one-dimensional Chebyshev series over `domain` (pixels along dispersion);
    values are pixels across dispersion. `lower` and `upper` are None until a flat has shown the edges;
    `error`, the 1-sigma error of the centre, is None if it is not known.
    """

    domain: Domain
    centre: np.ndarray
    width: np.ndarray
    lower: np.ndarray | None = None
    upper: np.ndarray | None = None
    error: np.ndarray | None = None

    def at(self, which: str, pixel: np.ndarray) -> np.ndarray:
        """`which` is "centre", "width", "lower", "upper" or "error"; NaN outside the domain never occurs:
        the argument is held at the ends of the domain, where the series is still supported by data.
        """
        coefficients = getattr(self, which)
        if coefficients is None:
            raise InputError(
                "the order table has no edges",
                hint="give the order table made by mflat, not the one made by order_centres",
            )
        return chebyshev.chebval(np.clip(unit(pixel, self.domain), -1.0, 1.0), coefficients)


@dataclass(frozen=True, eq=False)
class OrderTable:
    """Traces of all orders of an arm; `dispersion_axis` is "x" or "y"."""

    orders: Mapping[int, OrderTrace]
    dispersion_axis: str


class MapFlag(IntFlag):
    """Why the map of a pixel is to be taken with care."""

    BEYOND_LINES = 1  # in an order, but the wavelength is extrapolated
    BEYOND_ORDER = (
        2  # between the edges of an order, but out of its wavelength range: not in the map
    )
    NOT_SOLVED = 4  # between the edges, but the solution does not reach it: not in the map


@dataclass(frozen=True, eq=False)
class PixelMap:
    """Wavelength, slit position and order of each detector pixel.

    wavelength  (ny, nx) float64, nm in air; 0 outside orders
    slit        (ny, nx) float32, arcsec; 0 outside orders
    order       (ny, nx) int16; 0 outside orders
    reliable    per order, the wavelength range supported by arc lines, nm
    error       (ny, nx) float32, 1-sigma error of the wavelength, nm; 0 outside orders, NaN where not
                known; None in maps of older versions
    quality     (ny, nx) uint8, bits of MapFlag; None in maps of older versions
    """

    wavelength: np.ndarray
    slit: np.ndarray
    order: np.ndarray
    reliable: Mapping[int, Domain] = field(default_factory=dict)
    error: np.ndarray | None = None
    quality: np.ndarray | None = None

    @property
    def order_numbers(self) -> tuple[int, ...]:
        """The orders present, ascending."""
        found = np.unique(self.order)
        return tuple(int(o) for o in found if o != 0)
