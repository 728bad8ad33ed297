"""Fit the spatial profile of an object to the pixels of all orders."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import least_squares

from soxspipe.datamodel.geometry import unit
from soxspipe.maths import bspline
from soxspipe.science.extraction.binned_profile import binned
from soxspipe.science.extraction.profile import DEGREE, Light, Profile, moffat

#: Of a star of Moffat 3 seen through a slit that is neither wide nor narrow.
BETA = 2.8
#: Prior widths: of ln (beta - 1); of ln FWHM of an order against that of the arm.
_SHAPE, _OWN_WIDTH = 0.5, 0.05
#: Prior width of the share of the light, per arcsec, that the sky holds of an object of 1 arcsec (it goes
#: as the square of the width); of an order's own against that of the arm, absolute and relative: the same
#: rows were sky in all orders.
_MISSING, _OWN_MISSING, _OWN_MISSING_SHARE = 2e-3, 5e-5, 0.1
#: The sky may be off, whatever the object, by this share of a pixel's noise.
_SKY_ERROR = 0.02
#: How far the correction may go, as a share of the Moffat.
_CORRECTION = 0.12
#: Cells of the correction's fit: arcsec, and number along an order.
_FINE, _ALONG = 0.08, 24
#: Share of the profile by which a Moffat may be off, and a fitted profile.
_MISMATCH, _MODEL = 0.02, 0.01


#: How well a level that cannot be there is known, per arcsec.
_NOTHING = 1e-9


@dataclass(frozen=True)
class Width:
    """A Moffat: fwhm (arcsec at the reference) and beta; error of ln fwhm; amplitude over the flux that
    was assumed; share of the light per arcsec that the sky holds.
    """

    fwhm: float
    beta: float
    error: float
    amplitude: float
    missing: float


def missing_prior(light: Mapping[int, Light], fwhm: float, absorbed: bool = True) -> float:
    """How far the level beside an object may be off, as a share of its light per arcsec."""
    return float(np.hypot(_MISSING * fwhm**2 * absorbed, _level_error(light)))


def _level_error(light: Mapping[int, Light]) -> float:
    """The same for the error of the sky that has nothing to do with the object."""
    parts = [p for p in light.values() if p.good.any()]
    power = sum(float((p.scale[p.good] ** 2 / p.variance[p.good]).sum()) for p in parts)
    number = sum(int(p.good.sum()) for p in parts)
    return _SKY_ERROR / float(np.sqrt(max(power / max(number, 1), 1e-8)))


def fit_width(
    light: Mapping[int, Light],
    *,
    fwhm: float,
    reference: float,
    prior: float = 0.5,
    beta: float = BETA,
    beta_prior: float = _SHAPE,
    missing: tuple[float, float] | None = None,
) -> Width:
    """One Moffat for all the light, with what the sky holds of it.

    fwhm, prior : expected, arcsec, and how well that is known (of its logarithm). missing : the share,
    per arcsec, that the sky is expected to hold, and how well that is known; None: what is usual.
    """
    missing = (0.0, missing_prior(light, fwhm)) if missing is None else missing
    cells = binned(list(light.values()), reference)
    if len(cells.value) < 6:
        return Width(fwhm, beta, prior, 1.0, 0.0)
    expected = np.array([np.log(fwhm), np.log(beta - 1.0), missing[0]])
    width = np.array([prior, beta_prior, missing[1]])
    scale = np.full(len(cells.value), float(cells.value.max(initial=0.0)))
    solution = np.array([1.0, *expected])
    error = prior
    for _ in range(2):  # the allowed mismatch follows the first fit, not the noisy light
        total = np.hypot(cells.error, _MISMATCH * np.maximum(scale, 0.0))

        def residual(p: np.ndarray, total: np.ndarray = total) -> np.ndarray:
            shape = moffat(cells.distance, float(np.exp(p[1])), 1.0 + float(np.exp(p[2])))
            model = p[0] * (shape - p[3])
            return np.concatenate([(cells.value - model) / total, (p[1:] - expected) / width])

        fit = least_squares(
            residual, solution, method="trf", max_nfev=100, bounds=_bounds(expected, prior)
        )
        solution = fit.x
        error = float(np.sqrt(np.linalg.pinv(fit.jac.T @ fit.jac)[1, 1]))
        shape = moffat(cells.distance, float(np.exp(solution[1])), 1.0 + float(np.exp(solution[2])))
        scale = solution[0] * shape
    return Width(
        float(np.exp(solution[1])),
        1.0 + float(np.exp(solution[2])),
        error,
        float(solution[0]),
        float(solution[3]),
    )


def _bounds(expected: np.ndarray, prior: float) -> tuple[list[float], list[float]]:
    """Limits of amplitude, ln FWHM, ln (beta - 1) and what is missing."""
    reach = 4.0 * prior
    low = [0.02, expected[0] - reach, np.log(0.7), -1.0]
    return low, [50.0, expected[0] + reach, np.log(30.0), 1.0]


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
    knots = bspline.full_knots(breaks, DEGREE)
    m = len(breaks) + DEGREE - 1
    place = np.array([knots[k + 1 : k + 1 + DEGREE].mean() for k in range(m)])
    local = moffat(place, fwhm, beta)
    return np.asarray(_CORRECTION * local + 1e-7 * local.max())


def _solve(
    part: Light, base: Profile, prior: np.ndarray, degree: int, missing: float
) -> tuple[np.ndarray, np.ndarray]:
    """Normal matrix and vector for a departure from `base`, prior widths (m, degree + 1) included, and,
    last, for the share that the sky holds, prior width `missing`.
    """
    cells = _residual(part, base)
    stretch = (cells.wavelength / base.reference) ** 0.2
    series = np.polynomial.chebyshev.chebvander(
        np.clip(unit(cells.wavelength, base.domain), -1, 1), degree
    )
    normal, vector = bspline.surface_equations(
        cells.distance * stretch,
        series * stretch[:, None],
        base.breaks,
        -1.0,
        cells.value,
        cells.weight,
        degree=DEGREE,
    )
    widths = np.append(prior.ravel(), missing)
    return normal + np.diag(1.0 / widths**2), vector


@dataclass(frozen=True, eq=False)
class _Residual:
    """Light over flux less a profile, in cells: mean distance, wavelength, value, inverse variance."""

    distance: np.ndarray
    wavelength: np.ndarray
    value: np.ndarray
    weight: np.ndarray


def _residual(part: Light, base: Profile) -> _Residual:
    """What a profile leaves, in cells much smaller than what the correction resolves."""
    use = part.good
    distance, wavelength, scale = part.distance[use], part.wavelength[use], part.scale[use]
    model = scale * base.at(distance, wavelength)
    residual = part.data[use] - model + scale * base.missing
    # a share of the model's own error keeps bright stars from dictating more than the model can be
    inverse = 1.0 / (part.variance[use] + (_MODEL * model) ** 2)
    column = np.clip((unit(wavelength, base.domain) + 1.0) * 0.5 * _ALONG, 0, _ALONG - 1)
    row = np.floor(distance / _FINE).astype("i8")
    row -= row.min(initial=0)
    cell = row * _ALONG + column.astype("i8")
    weight = scale**2 * inverse
    total = np.bincount(cell, weight)
    seen = total > 0

    def mean(values: np.ndarray) -> np.ndarray:
        return np.bincount(cell, values)[seen] / total[seen]

    return _Residual(
        mean(weight * distance),
        mean(weight * wavelength),
        mean(scale * inverse * residual),
        total[seen],
    )


def fit(
    light: Mapping[int, Light],
    *,
    fwhm: float,
    degree: int,
    prior: float = 0.5,
    absorbed: bool = True,
    balanced: bool = False,
) -> dict[int, Profile]:
    """Profiles of all orders.

    Parameters
    ----------
    light : per order. fwhm, prior : first guess, arcsec, and how well it is known (of its logarithm).
    degree : highest degree along the order of its own departure from the common shape. absorbed : whether
    the sky may hold some of the light: of several objects one at most can tell. balanced : the light is
    that of a positive and a negative image, beside which errors of the sky cancel: there is no level.
    """
    reference = float(np.median(np.concatenate([p.wavelength for p in light.values()])))
    expected = (0.0, _NOTHING if balanced else missing_prior(light, fwhm, absorbed))
    whole = fit_width(light, fwhm=fwhm, reference=reference, prior=prior, missing=expected)
    low = 1.05 * float(min(p.distance.min() for p in light.values()))
    high = 1.05 * float(max(p.distance.max() for p in light.values()))
    breaks = _knots(whole.fwhm, low, high)
    allowed = _prior(breaks, whole.fwhm, whole.beta)[:, None]
    parts, bases = _moffats(light, whole, breaks, reference)
    systems = [_solve(parts[n], bases[n], allowed, 0, _own_missing(whole)) for n in light]
    extra = len(systems) - 1
    widths = np.append(allowed.ravel(), _own_missing(whole))
    normal = sum(s[0] for s in systems) - extra * np.diag(1.0 / widths**2)
    shape = np.linalg.solve(normal, sum(s[1] for s in systems))[:-1, None]
    missing = _own_missing(whole)
    profiles = {
        n: _own(parts[n], replace(bases[n], correction=shape), allowed, degree, missing)
        for n in light
    }
    # of a faint object the level beside it is the sky's error, and no part of its light
    share = absorbed * (_MISSING * whole.fwhm**2 / missing_prior(light, whole.fwhm)) ** 2
    return {n: replace(p, missing=share * p.missing) for n, p in profiles.items()}


def _own_missing(whole: Width) -> float:
    """How much what the sky holds of an order may differ from what it holds of all."""
    return _OWN_MISSING + _OWN_MISSING_SHARE * abs(whole.missing)


def _moffats(
    light: Mapping[int, Light], whole: Width, breaks: np.ndarray, reference: float
) -> tuple[dict[int, Light], dict[int, Profile]]:
    """Each order's own Moffat, and its light with the flux that goes with it."""
    parts, bases = {}, {}
    none = np.zeros((len(breaks) + DEGREE - 1, 1))
    for n, part in light.items():
        own = fit_width(
            {n: part},
            fwhm=whole.fwhm,
            reference=reference,
            prior=_OWN_WIDTH,
            beta=whole.beta,
            beta_prior=0.02,
            missing=(whole.missing, _own_missing(whole)),
        )
        domain = (float(part.wavelength.min()), float(part.wavelength.max()))
        bases[n] = Profile(own.fwhm, own.beta, reference, breaks, none, domain, own.missing)
        parts[n] = replace(part, scale=part.scale * own.amplitude)
    return parts, bases


def _own(part: Light, base: Profile, prior: np.ndarray, degree: int, missing: float) -> Profile:
    """The profile of an order: its departure from `base`."""
    m = len(prior)
    own_prior = 0.5 * prior / 2.0 ** np.arange(degree + 1)
    normal, vector = _solve(part, base, own_prior, degree, missing)
    solution = np.linalg.solve(normal, vector)
    correction = solution[:-1].reshape(m, degree + 1)
    correction[:, 0] += base.correction[:, 0]
    changed = replace(base, correction=correction)
    # `at` brings the integral back to 1: what the sky holds is a share of the same light
    area = 1.0 + float(bspline.integrals(base.breaks, degree=DEGREE) @ correction[:, 0])
    return replace(changed, missing=(base.missing + float(solution[-1])) / max(area, 0.2))
