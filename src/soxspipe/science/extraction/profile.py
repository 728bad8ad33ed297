"""The spatial profile of an object: which share of its light falls at which distance from the trace.

A Moffat function carries the shape, a B-spline over all orders corrects it, and each order may depart
from that where its own light is enough to show it. Departures have priors: at low signal to noise the
profile stays smooth and common, at high it follows the data.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from soxspipe.datamodel.geometry import unit
from soxspipe.datamodel.order_pixels import OrderPixels
from soxspipe.maths import bspline

_DEGREE = 3
_BETA = 3.0
#: Beyond this many FWHM the wings are the Moffat's: there is too little light to correct it.
_REACH = 4.0


@dataclass(frozen=True, eq=False)
class Profile:
    """Profile of one order, per arcsec, integral 1 over all slit positions.

    fwhm, beta      of the Moffat at `reference` nm; its width goes as wavelength to the -0.2
    breaks          knots of the correction in scaled distance, arcsec
    correction      (m, degree + 1) spline coefficients times Chebyshev series along the order
    domain          wavelength range of those series, nm
    """

    fwhm: float
    beta: float
    reference: float
    breaks: np.ndarray
    correction: np.ndarray
    domain: tuple[float, float]

    def at(self, distance: np.ndarray, wavelength: np.ndarray) -> np.ndarray:
        """Share of the light per arcsec at `distance` (arcsec) from the trace, never negative."""
        stretch = (wavelength / self.reference) ** 0.2
        scaled = distance * stretch
        basis = bspline.basis_matrix(scaled, self.breaks, degree=_DEGREE)
        t = np.clip(unit(wavelength, self.domain), -1, 1)
        series = np.polynomial.chebyshev.chebvander(t, self.correction.shape[1] - 1)
        inside = (scaled > self.breaks[0]) & (scaled < self.breaks[-1])
        extra = np.einsum("nm,ml,nl->n", basis, self.correction, series, optimize=True)
        value = moffat(scaled, self.fwhm, self.beta) + np.where(inside, extra, 0.0)
        area = 1.0 + series @ (bspline.integrals(self.breaks, degree=_DEGREE) @ self.correction)
        return np.maximum(value, 0.0) * stretch / np.maximum(area, 0.2)


def moffat(distance: np.ndarray, fwhm: float, beta: float) -> np.ndarray:
    """Moffat (1969, A&A 3, 455) line profile, integral 1 over distance."""
    from scipy.special import gammaln

    alpha = fwhm / (2.0 * np.sqrt(2.0 ** (1.0 / beta) - 1.0))
    norm = np.exp(gammaln(beta) - gammaln(beta - 0.5)) / (np.sqrt(np.pi) * alpha)
    return norm * (1.0 + (distance / alpha) ** 2) ** (-beta)


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


def _smoothed(bins: np.ndarray, values: np.ndarray, n: int, window: int) -> np.ndarray:
    kernel = np.ones(window)
    return np.convolve(np.bincount(bins, values, n), kernel, mode="same")


def spectrum_guess(
    pixels: OrderPixels,
    data: np.ndarray,
    variance: np.ndarray,
    good: np.ndarray,
    shape: np.ndarray,
    *,
    window: int,
) -> np.ndarray:
    """Flux per native bin (m,), smoothed over `window` bins, for profile `shape` (n,) times area."""
    w = np.where(good, 1.0 / variance, 0.0)
    n = len(pixels.grid)
    top = _smoothed(pixels.nearest, w * shape * data, n, window)
    bottom = _smoothed(pixels.nearest, w * shape**2, n, window)
    return np.where(bottom > 0, top / np.where(bottom > 0, bottom, 1.0), 0.0)


def fit_moffat(light: Mapping[int, Light], *, fwhm: float, reference: float) -> tuple[float, float]:
    """FWHM (arcsec, at `reference` nm) and beta of one Moffat for all orders."""
    cells = np.arange(-8.0, 8.01, 0.15)
    top, bottom = np.zeros(len(cells)), np.zeros(len(cells))
    for part in light.values():
        scaled = part.distance * (part.wavelength / reference) ** 0.2
        use = part.good & (part.scale > 0) & (np.abs(scaled) < 8.0)
        at = np.clip(np.rint((scaled[use] + 8.0) / 0.15).astype("i8"), 0, len(cells) - 1)
        weight = part.scale[use] / part.variance[use]
        stretch = (part.wavelength[use] / reference) ** 0.2
        top += np.bincount(at, weight * part.data[use], len(cells))
        bottom += np.bincount(at, weight * part.scale[use] * stretch, len(cells))
    seen = bottom > 0
    if seen.sum() < 6:
        return fwhm, _BETA
    value, error = top[seen] / bottom[seen], 1.0 / np.sqrt(bottom[seen])

    def residual(p: np.ndarray) -> np.ndarray:
        model = p[0] * moffat(cells[seen], float(np.exp(p[1])), float(np.exp(p[2])) + 1.0) + p[3]
        prior = [(p[1] - np.log(fwhm)) / 0.5, (p[2] - np.log(_BETA - 1.0)) / 0.5, p[3] / 0.02]
        return np.concatenate([(value - model) / np.hypot(error, 0.005 * value.max()), prior])

    start = np.array([1.0, np.log(fwhm), np.log(_BETA - 1.0), 0.0])
    solution = least_squares(residual, start, method="lm", max_nfev=200).x
    return float(np.exp(solution[1])), float(np.exp(solution[2])) + 1.0


def _knots(fwhm: float, low: float, high: float) -> np.ndarray:
    """Breaks of the correction: dense in the core, wide in the wings, from `low` to `high` arcsec."""
    core = np.arange(-2.0, 2.01, 0.4) * fwhm
    wings = np.array([-5.0, -3.5, -2.7, 2.7, 3.5, 5.0]) * fwhm
    inner = np.sort(np.concatenate([core, wings]))
    inner = inner[(inner > low + 0.3 * fwhm) & (inner < high - 0.3 * fwhm)]
    return np.concatenate([[low], inner, [high]])


def _prior(breaks: np.ndarray, fwhm: float, beta: float) -> np.ndarray:
    """Prior widths (m,) of the correction: a share of the Moffat where each B-spline stands.

    A correction free in the wings would take up errors of the sky, and with them the normalisation.
    """
    knots = bspline.full_knots(breaks, _DEGREE)
    m = len(breaks) + _DEGREE - 1
    place = np.array([knots[k + 1 : k + 1 + _DEGREE].mean() for k in range(m)])
    local = moffat(place, fwhm, beta)
    return np.asarray(0.12 * local + 2e-4 * local.max())


def _solve(
    part: Light, base: Profile, prior: np.ndarray, degree: int
) -> tuple[np.ndarray, np.ndarray]:
    """Normal matrix and vector for a departure from `base`, prior widths (m, degree + 1) included."""
    use = part.good & (part.scale > 0) & (np.abs(part.distance) < _REACH * base.fwhm)
    distance, wavelength = part.distance[use], part.wavelength[use]
    stretch = (wavelength / base.reference) ** 0.2
    basis = bspline.basis_matrix(distance * stretch, base.breaks, degree=_DEGREE)
    series = np.polynomial.chebyshev.chebvander(
        np.clip(unit(wavelength, base.domain), -1, 1), degree
    )
    scale = part.scale[use] * stretch
    residual = part.data[use] - part.scale[use] * base.at(distance, wavelength)
    # a share of the model's own error keeps bright stars from dictating more than the model can be
    weight = 1.0 / (part.variance[use] + (0.01 * part.data[use]) ** 2)
    columns = basis.shape[1] * series.shape[1]  # spelled out: there may be no usable pixel
    matrix = (basis[:, :, None] * series[:, None, :]).reshape(len(scale), columns) * scale[:, None]
    normal = (matrix * weight[:, None]).T @ matrix
    vector = (matrix * weight[:, None]).T @ residual
    return normal + np.diag(1.0 / prior.ravel() ** 2), vector


def fit(light: Mapping[int, Light], *, fwhm: float, degree: int) -> dict[int, Profile]:
    """Profiles of all orders.

    Parameters
    ----------
    light : per order. fwhm : first guess, arcsec. degree : highest degree along the order of its own
    departure from the common shape.
    """
    reference = float(np.median(np.concatenate([p.wavelength for p in light.values()])))
    width, beta = fit_moffat(light, fwhm=fwhm, reference=reference)
    low = float(min(p.distance.min() for p in light.values()))
    high = float(max(p.distance.max() for p in light.values()))
    breaks = _knots(width, low * 1.05, high * 1.05)
    m = len(breaks) + _DEGREE - 1
    common = Profile(width, beta, reference, breaks, np.zeros((m, 1)), (0.0, 1.0))
    prior = _prior(breaks, width, beta)[:, None]
    systems = [_solve(part, common, prior, 0) for part in light.values()]
    extra = len(systems) - 1
    normal = sum(s[0] for s in systems) - extra * np.diag(1.0 / prior.ravel() ** 2)
    shape = np.linalg.solve(normal, sum(s[1] for s in systems))[:, None]
    profiles = {}
    for number, part in light.items():
        domain = (float(part.wavelength.min()), float(part.wavelength.max()))
        base = Profile(width, beta, reference, breaks, shape, domain)
        own_prior = 0.5 * prior / 2.0 ** np.arange(degree + 1)
        own_normal, own_vector = _solve(part, base, own_prior, degree)
        own = np.linalg.solve(own_normal, own_vector).reshape(m, degree + 1)
        own[:, 0] += shape[:, 0]
        profiles[number] = Profile(width, beta, reference, breaks, own, domain)
    return profiles
