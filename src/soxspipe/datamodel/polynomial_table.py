"""Global polynomials in the form of the documented tables, for those who read the products."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class PolynomialTable:
    """x or y = sum of c[i, j, k] * order**i * wavelength**j * slit**k.

    axis          "x" or "y"
    coefficients  (order_deg + 1, wavelength_deg + 1, slit_deg + 1) float64; nm, arcsec, pixels
    """

    axis: str
    coefficients: np.ndarray

    @property
    def order_deg(self) -> int:
        """Degree in order number."""
        return self.coefficients.shape[0] - 1

    @property
    def wavelength_deg(self) -> int:
        """Degree in wavelength."""
        return self.coefficients.shape[1] - 1

    @property
    def slit_deg(self) -> int:
        """Degree in slit position."""
        return self.coefficients.shape[2] - 1

    def evaluate(
        self, order: np.ndarray | float, wavelength: np.ndarray | float, slit: np.ndarray | float
    ) -> np.ndarray:
        """Detector pixel along `axis`; arguments broadcast."""
        n, w, s = np.broadcast_arrays(order, wavelength, slit)
        return np.polynomial.polynomial.polyval3d(
            n.astype("f8"), w.astype("f8"), s.astype("f8"), self.coefficients
        )


@dataclass(frozen=True, eq=False)
class TracePolynomial:
    """Pixel across dispersion = sum of c[i, j] * order**i * pixel_along**j.

    coefficients  (order_deg + 1, axis_deg + 1) float64
    """

    coefficients: np.ndarray

    def evaluate(self, order: np.ndarray | float, pixel: np.ndarray | float) -> np.ndarray:
        """Pixel across dispersion; arguments broadcast."""
        n, p = np.broadcast_arrays(order, pixel)
        return np.polynomial.polynomial.polyval2d(n.astype("f8"), p.astype("f8"), self.coefficients)
