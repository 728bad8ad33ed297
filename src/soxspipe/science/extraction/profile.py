"""The spatial profile of an object: which share of its light falls at which distance from the trace.

A Moffat function carries the shape, a B-spline over all orders corrects it, and each order may depart
from that where its own light is enough to show it. Departures have priors: at low signal to noise the
profile stays smooth and common, at high it follows the data.

The sky was fitted beside the object and holds some of its wings. Left alone, sky and profile would agree
on wings that are too faint, for ever: the two are known together only because the shape of wings is not
that of the sky. The share of the light that the sky holds is therefore fitted with the profile.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from soxspipe.datamodel.geometry import unit
from soxspipe.maths import bspline

#: Degree of the B-splines.
DEGREE = 3
#: Wavelengths and step (arcsec) at which the light within the slit is summed.
_NODES, _STEP = 9, 0.05


@dataclass(frozen=True, eq=False)
class Profile:
    """Profile of one order, per arcsec, integral 1 over all slit positions.

    Light beyond the slit's ends is never seen: `slit_shares` gives shares of what the slit lets pass.

    fwhm, beta      of the Moffat at `reference` nm; its width goes as wavelength to the -0.2
    breaks          knots of the correction in scaled distance, arcsec
    correction      (m, degree + 1) spline coefficients times Chebyshev series along the order
    domain          wavelength range of those series, nm
    missing         share of the light, per arcsec, that the sky holds
    """

    fwhm: float
    beta: float
    reference: float
    breaks: np.ndarray
    correction: np.ndarray
    domain: tuple[float, float]
    missing: float = 0.0

    def at(self, distance: np.ndarray, wavelength: np.ndarray) -> np.ndarray:
        """Share of the light per arcsec at `distance` (arcsec) from the trace, never negative."""
        stretch = (wavelength / self.reference) ** 0.2
        scaled = distance * stretch
        t = np.clip(unit(wavelength, self.domain), -1, 1)
        series = np.polynomial.chebyshev.chebvander(t, self.correction.shape[1] - 1)
        inside = (scaled > self.breaks[0]) & (scaled < self.breaks[-1])
        extra = bspline.surface(scaled, series, self.breaks, self.correction, degree=DEGREE)
        value = moffat(scaled, self.fwhm, self.beta) + np.where(inside, extra, 0.0)
        area = 1.0 + series @ (bspline.integrals(self.breaks, degree=DEGREE) @ self.correction)
        return np.maximum(value, 0.0) * stretch / np.maximum(area, 0.2)


def moffat(distance: np.ndarray, fwhm: float, beta: float) -> np.ndarray:
    """Moffat (1969, A&A 3, 455) line profile, integral 1 over distance."""
    alpha = fwhm / (2.0 * np.sqrt(2.0 ** (1.0 / beta) - 1.0))
    norm = np.exp(gammaln(beta) - gammaln(beta - 0.5)) / (np.sqrt(np.pi) * alpha)
    return norm * (1.0 + (distance / alpha) ** 2) ** (-beta)


def slit_shares(
    profile: Profile, distance: np.ndarray, slit: np.ndarray, wavelength: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Profile of each pixel per arcsec, integral 1 over the length of the slit, and the same less what
    the sky holds; arrays (n,).

    distance : from the trace; slit : position, arcsec.
    """
    nodes = np.linspace(wavelength.min(), wavelength.max(), _NODES)
    order = np.argsort(wavelength)
    place = np.interp(nodes, wavelength[order], (slit - distance)[order])
    ends = np.array([slit.min(), slit.max()])
    fine = np.linspace(float(ends[0]), float(ends[1]), int(np.ptp(ends) / _STEP) + 2)
    inside = [
        np.trapezoid(profile.at(fine - at, np.full(len(fine), w)), fine)
        for w, at in zip(nodes, place, strict=True)
    ]
    passed = np.maximum(np.interp(wavelength, nodes, inside), 0.05)
    shape = profile.at(distance, wavelength)
    return shape / passed, (shape - profile.missing) / passed


@dataclass(frozen=True, eq=False)
class Light:
    """What the profile of one order is fitted to; arrays (n,).

    distance from the trace (arcsec), wavelength (nm), data and variance (electrons), scale: electrons
    per unit of profile (flux of the pixel's bin times its area), good: usable.
    """

    distance: np.ndarray
    wavelength: np.ndarray
    data: np.ndarray
    variance: np.ndarray
    scale: np.ndarray
    good: np.ndarray
