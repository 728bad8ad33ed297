"""Chebyshev bases, fits with priors, and conversion to plain powers."""

from collections.abc import Sequence
from math import comb

import numpy as np
from numpy.polynomial import chebyshev


def basis_2d(t: np.ndarray, s: np.ndarray, degrees: Sequence[tuple[int, int]]) -> np.ndarray:
    """(n, n_terms) products T_i(t) T_k(s) for the listed (i, k); t and s in [-1, 1], shape (n,)."""
    top = np.max(np.asarray(degrees), axis=0)
    in_t, in_s = chebyshev.chebvander(t, top[0]), chebyshev.chebvander(s, top[1])
    return np.stack([in_t[:, i] * in_s[:, k] for i, k in degrees], axis=1)


def fit_with_prior(
    matrix: np.ndarray, values: np.ndarray, weight: np.ndarray, prior: np.ndarray
) -> np.ndarray:
    """Least squares with independent Gaussian priors of mean 0: maximum a posteriori coefficients.

    matrix (n, m); values, weight (inverse variance) (n,); prior (m,) 1-sigma widths, inf for none.
    """
    normal = (matrix * weight[:, None]).T @ matrix
    normal[np.diag_indices_from(normal)] += 1.0 / prior**2
    return np.linalg.solve(normal, (matrix * weight[:, None]).T @ values)


def robust_fit(
    matrix: np.ndarray,
    values: np.ndarray,
    error: np.ndarray,
    prior: np.ndarray,
    *,
    sigma: float,
    rounds: int,
    floor: float,
) -> tuple[np.ndarray, np.ndarray]:
    """fit_with_prior with rejection of outliers.

    A value further from the fit than `sigma` times its expected scatter is left out; the scatter is the
    larger of its own error and the MAD scale of all residuals, not below `floor`. The first rounds use
    absolute-value weights, so a third of wrong values does not pull the fit.

    Returns coefficients (m,) and the kept values (n,) bool.
    """
    total = np.hypot(error, floor)
    weight = 1.0 / total**2
    # wrong values may seem the most precise ones: here none counts more than a typical one
    even = 1.0 / np.maximum(total, np.median(total)) ** 2
    coefficients = fit_with_prior(matrix, values, even, prior)
    for _ in range(6):
        residual = np.abs(values - matrix @ coefficients)
        scale = max(1.4826 * float(np.median(residual)), floor)
        coefficients = fit_with_prior(
            matrix, values, even / np.maximum(residual / scale, 1.0), prior
        )
    keep = np.ones(len(values), dtype=bool)
    for _ in range(max(rounds, 1)):
        residual = np.abs(values - matrix @ coefficients)
        scale = max(1.4826 * float(np.median(residual[keep])), floor)
        selected = residual <= sigma * np.maximum(total, scale)
        coefficients = fit_with_prior(matrix, values, weight * selected, prior)
        if np.array_equal(selected, keep):
            break
        keep = selected
    return coefficients, keep


def chebyshev_nodes(degree: int) -> np.ndarray:
    """The degree + 1 Chebyshev points of the first kind in [-1, 1]."""
    return np.cos(np.pi * (np.arange(degree + 1) + 0.5) / (degree + 1))


def chebyshev_on_grid(values: np.ndarray) -> np.ndarray:
    """Coefficients of the series through `values` (n, m), given at chebyshev_nodes of each axis."""
    n, m = values.shape
    left = chebyshev.chebvander(chebyshev_nodes(n - 1), n - 1)
    right = chebyshev.chebvander(chebyshev_nodes(m - 1), m - 1)
    return np.linalg.solve(left, np.linalg.solve(right, values.T).T)


def powers_of(coefficients: np.ndarray, centre: float, half: float) -> np.ndarray:
    """Power series in z of a power series in (z - centre) / half, along the first axis."""
    n = coefficients.shape[0]
    shift = np.zeros((n, n))
    for j in range(n):
        for i in range(j + 1):
            shift[i, j] = comb(j, i) * (-centre) ** (j - i) / half**j
    return np.tensordot(shift, coefficients, axes=(1, 0))
