"""One-dimensional Gaussians integrated over pixels, fitted to many profiles at once."""

import numpy as np
from scipy.special import erf

_SQRT2 = np.sqrt(2.0)
_NORM = 1.0 / np.sqrt(2.0 * np.pi)


def fit_profiles(
    profiles: np.ndarray,
    variance: np.ndarray,
    *,
    centre: np.ndarray,
    sigma: float,
    rounds: int = 25,
) -> tuple[np.ndarray, np.ndarray]:
    """Fit counts, centre, width and background to each row of `profiles` (n, m).

    Gauss-Newton with step control on all rows together.

    Parameters
    ----------
    variance : (n, m); inf or NaN excludes a pixel. centre : (n,) starting centres, in columns of
    `profiles`. sigma : starting width, pixels.

    Returns
    -------
    parameters (n, 4): counts, centre, sigma, background; errors (n, 4). Rows that cannot be fitted
    hold NaN.
    """
    n, m = profiles.shape
    weight = np.where(np.isfinite(variance) & (variance > 0), 1.0 / variance, 0.0)
    data = np.where(weight > 0, profiles, 0.0)
    edge = np.arange(m + 1) - 0.5
    floor = np.median(data, axis=1)
    near = np.abs(np.arange(m) - centre[:, None]) < 3.0 * sigma
    counts = np.maximum(((data - floor[:, None]) * near).sum(axis=1), 1e-3)
    p = np.column_stack([counts, centre, np.full(n, sigma), floor])
    damping = np.full(n, 1e-2)
    chi2, normal, gradient = _equations(p, edge, data, weight)
    for _ in range(rounds):
        unit, scale = _unit_diagonal(normal)
        damped = unit + damping[:, None, None] * np.eye(4)
        step = np.linalg.solve(damped, (gradient / scale)[:, :, None])[:, :, 0] / scale
        trial = p + step
        trial[:, 2] = np.clip(trial[:, 2], 0.3, m / 3)
        trial[:, 1] = np.clip(trial[:, 1], 0, m - 1)
        new_chi2, new_normal, new_gradient = _equations(trial, edge, data, weight)
        better = new_chi2 <= chi2
        p[better], chi2[better] = trial[better], new_chi2[better]
        normal[better], gradient[better] = new_normal[better], new_gradient[better]
        damping = np.where(better, damping * 0.2, damping * 10.0)
    unit, scale = _unit_diagonal(normal)
    covariance = np.linalg.inv(unit)
    errors = np.sqrt(np.maximum(np.diagonal(covariance, axis1=1, axis2=2), 0.0)) / scale
    bad = (weight > 0).sum(axis=1) < 6
    return np.where(bad[:, None], np.nan, p), np.where(bad[:, None], np.nan, errors)


def _unit_diagonal(normal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Normal matrices (n, 4, 4) with ones on the diagonal, and the scales (n, 4) of rows and columns that
    were divided out. A pull of 1e-10 of its weight keeps a parameter that no pixel tells where it is.
    """
    scale = np.sqrt(np.maximum(np.diagonal(normal, axis1=1, axis2=2), 1e-12))
    return normal / (scale[:, :, None] * scale[:, None, :]) + 1e-10 * np.eye(4), scale


def _equations(
    p: np.ndarray, edge: np.ndarray, data: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """chi2 (n,), normal matrices (n, 4, 4) and gradients (n, 4)."""
    z = (edge - p[:, 1, None]) / p[:, 2, None]
    cdf, pdf = 0.5 * (1.0 + erf(z / _SQRT2)), _NORM * np.exp(-0.5 * z**2)
    shape = np.diff(cdf, axis=1)
    jacobian = np.stack(
        [
            shape,
            -p[:, 0, None] * np.diff(pdf, axis=1) / p[:, 2, None],
            -p[:, 0, None] * np.diff(z * pdf, axis=1) / p[:, 2, None],
            np.ones_like(shape),
        ],
        axis=2,
    )
    residual = data - p[:, 0, None] * shape - p[:, 3, None]
    weighted = jacobian * weight[:, :, None]
    return (
        (weight * residual**2).sum(axis=1),
        np.einsum("nma,nmb->nab", weighted, jacobian),
        np.einsum("nma,nm->na", weighted, residual),
    )
