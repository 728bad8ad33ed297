"""Centre and width of an order fitted to all of its light.

Each column along dispersion is a cut through the trace: light times a Gaussian integrated over pixels, on
a straight background. Light and background belong to the column and are eliminated from its equations
(variable projection, Golub & Pereyra 1973); centre and width are series along the order, found by
Gauss-Newton steps on all columns together. No column is interpolated, none is left out.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import erf

from soxspipe.science.orders.slices import Slices
from soxspipe.science.orders.weak_rows import weak_pixels

#: Narrowest Gaussian, pixels: a trace in frames binned by 2 has about 0.35.
LEAST_WIDTH = 0.2
#: What the model may be off, per peak of the column: real images of a pinhole are no Gaussians.
_MODEL = 0.05
_PIXEL_SIGMA = 4.0
#: A column's own centre counts as off only beyond this, pixels.
_COLUMN_FLOOR = 0.05
_CONVERGED = 1e-4


@dataclass(frozen=True, eq=False)
class LightFit:
    """`correction` (k,) and `width` (j,): series of the offset from the expected centre and of sigma,
    pixels; `covariance` (k, k) of the former; `used` the share of pixels kept.
    """

    correction: np.ndarray
    width: np.ndarray
    covariance: np.ndarray
    used: float


@dataclass(frozen=True, eq=False)
class _Columns:
    """The equations of all columns at one set of parameters: light (n,), unit profile (n, m),
    background (n, m), residuals (n, m), and normal matrices (n, 2, 2) and gradients (n, 2) for
    centre and width.
    """

    light: np.ndarray
    profile: np.ndarray
    background: np.ndarray
    residual: np.ndarray
    normal: np.ndarray
    gradient: np.ndarray


def fit_light(
    strip: Slices,
    expected: np.ndarray,
    centre_basis: np.ndarray,
    width_basis: np.ndarray,
    prior: np.ndarray,
    *,
    start: np.ndarray,
    width: float,
    clip_sigma: float,
    clip_rounds: int,
) -> LightFit:
    """Fit all columns of an order at once.

    Parameters
    ----------
    strip : one cut of one column's width for each column, (n, m).
    expected : (n,) expected centre in columns of the cuts.
    centre_basis, width_basis : (n, k), (n, j) basis functions along the order.
    prior : (k,) widths of the priors of the correction's coefficients, pixels.
    start, width : (k,) correction and width to start from, pixels.
    clip_sigma, clip_rounds : columns whose own centre is further off than this are left out.

    The first rounds keep to one width for the order, so that what is wrong in a part of it is seen before
    it is fitted: pixels off the model, and rows that are dark for a stretch.
    """
    k, j = centre_basis.shape[1], width_basis.shape[1]
    p = np.zeros(k + j)
    p[:k], p[k] = start, width
    good = np.isfinite(strip.variance) & (strip.variance > 0)
    variance = np.where(good, strip.variance, 1.0)
    weight, floor = good / variance, np.median(variance, axis=1)[:, None]
    for step in range(3 + max(clip_rounds, 1) + 4):
        at = expected + centre_basis @ p[:k], np.maximum(width_basis @ p[k:], LEAST_WIDTH)
        now = _columns(strip.values, weight, *at)
        noise = floor + np.maximum(now.light, 0.0)[:, None] * now.profile
        if step % 2 == 0:  # it changes little from round to round
            weak = weak_pixels(strip, now.light[:, None] * now.profile, now.background, noise)
        kept = good & ~weak & _fits(now, noise) & _agrees(now, clip_sigma)[:, None]
        weight = kept / noise
        now = _columns(strip.values, weight, *at)
        free = (k, 1) if step < 3 else (k, j)
        change, covariance = _step(now, (centre_basis, width_basis), prior, p, free)
        p = p + change
        if step > 4 and np.abs(change).max() < _CONVERGED:
            break
    share = float(kept.sum() / max(good.sum(), 1))
    freedom = max(kept.sum() - 3 * len(expected) - k - j, 1)
    chi2 = float((weight * now.residual**2).sum() / freedom)
    return LightFit(p[:k], p[k:], covariance[:k, :k] * max(chi2, 1.0), share)


def _columns(
    data: np.ndarray, weight: np.ndarray, centre: np.ndarray, sigma: np.ndarray
) -> _Columns:
    """Eliminate light and straight background from every column."""
    m = data.shape[1]
    z = (np.arange(m + 1) - 0.5 - centre[:, None]) / sigma[:, None]
    pdf = np.exp(-0.5 * z**2) / np.sqrt(2.0 * np.pi)
    profile = np.diff(0.5 * erf(z / np.sqrt(2.0)), axis=1)
    by_centre = -np.diff(pdf, axis=1) / sigma[:, None]
    by_width = -np.diff(z * pdf, axis=1) / sigma[:, None]
    away = np.arange(m) - centre[:, None]
    axes: list[np.ndarray] = []
    for vector in (np.ones_like(profile), away, profile):
        rest = _beyond(vector, axes, weight)
        length = np.sqrt((weight * rest**2).sum(axis=1))[:, None]
        axes.append(np.where(length > 0, rest / np.where(length > 0, length, 1.0), 0.0))
    along = (weight * axes[2] * data).sum(axis=1)
    scale = (weight * axes[2] * profile).sum(axis=1)
    light = np.where(scale > 0, along / np.where(scale > 0, scale, 1.0), 0.0)
    residual = _beyond(data, axes, weight)
    jacobian = light[:, None, None] * np.stack(
        [_beyond(by_centre, axes, weight), _beyond(by_width, axes, weight)], axis=2
    )
    weighted = weight[:, :, None] * jacobian
    return _Columns(
        light,
        profile,
        data - residual - light[:, None] * profile,
        residual,
        np.einsum("nma,nmb->nab", weighted, jacobian),
        np.einsum("nma,nm->na", weighted, residual),
    )


def _beyond(vector: np.ndarray, axes: list[np.ndarray], weight: np.ndarray) -> np.ndarray:
    """What of `vector` (n, m) the orthonormal `axes` do not span, row by row."""
    for axis in axes:
        vector = vector - axis * (weight * axis * vector).sum(axis=1)[:, None]
    return vector


def _fits(now: _Columns, noise: np.ndarray) -> np.ndarray:
    """(n, m) pixels as near to the model as noise and its own faults allow."""
    peak = np.maximum(now.light, 0.0) * now.profile.max(axis=1)
    allowed = _PIXEL_SIGMA * np.sqrt(noise + (_MODEL * peak[:, None]) ** 2)
    return np.asarray(np.abs(now.residual) < allowed)


def _agrees(now: _Columns, clip_sigma: float) -> np.ndarray:
    """(n,) columns whose own centre agrees with the series."""
    information = np.maximum(now.normal[:, 0, 0], 1e-30)
    own, error = now.gradient[:, 0] / information, 1.0 / np.sqrt(information)
    return np.asarray(np.abs(own) < clip_sigma * np.hypot(error, _COLUMN_FLOOR))


def _step(
    now: _Columns,
    basis: tuple[np.ndarray, np.ndarray],
    prior: np.ndarray,
    p: np.ndarray,
    free: tuple[int, int],
) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Newton change of the parameters (k + j,), of each series its first `free` ones, and the
    covariance (k + j, k + j).
    """
    k, j = basis[0].shape[1], basis[1].shape[1]
    normal = np.block(
        [[(basis[a] * now.normal[:, a, b, None]).T @ basis[b] for b in (0, 1)] for a in (0, 1)]
    )
    normal[np.diag_indices(k + j)] += np.concatenate([1.0 / prior**2, np.full(j, 1e-6)])
    gradient = np.concatenate([basis[a].T @ now.gradient[:, a] for a in (0, 1)])
    gradient[:k] -= p[:k] / prior**2
    moved = np.concatenate([np.arange(k) < free[0], np.arange(j) < free[1]])
    change = np.zeros(k + j)
    change[moved] = np.linalg.solve(normal[np.ix_(moved, moved)], gradient[moved])
    return np.clip(change, -1.0, 1.0), np.linalg.inv(normal)
