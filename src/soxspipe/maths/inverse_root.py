"""The inverse square root of a large banded matrix, applied to a few vectors."""

import numpy as np
from numba import njit
from scipy.linalg import solveh_banded
from scipy.special import ellipj, ellipkm1

from soxspipe.errors import DataError

#: Shifted systems to solve: the root is then right to 1e-5 over twelve decades of eigenvalues.
_TERMS = 20


def partial_fractions(ratio: float, terms: int = _TERMS) -> tuple[np.ndarray, np.ndarray]:
    """Weights c and shifts t (terms,) with sum of c / (x + t) = x**-0.5 for x from `ratio` to 1.

    Below `ratio` the sum stays finite: what has no information is not blown up (Hale, Higham &
    Trefethen 2008, SIAM J. Numer. Anal. 46, 2505, method 3).
    """
    quarter = ellipkm1(ratio)
    sn, cn, dn, _ = ellipj((np.arange(terms) + 0.5) * quarter / terms, 1.0 - ratio)
    shifts = ratio * (sn / cn) ** 2
    weights = 2.0 * quarter * np.sqrt(ratio) / (np.pi * terms) * dn / cn**2
    return weights, shifts


def inverse_root(band: np.ndarray, vectors: np.ndarray, *, ratio: float = 1e-12) -> np.ndarray:
    """M**-0.5 times each column of `vectors` (n, k), for a symmetric matrix M >= 0.

    Parameters
    ----------
    band : (b, n) lower band of M: band[d, i] = M[i + d, i]. ratio : eigenvalues below this part of the
    largest count as noise of the computation.

    Raises
    ------
    DataError : M is not positive semidefinite.
    """
    largest = _largest(band)
    weights, shifts = partial_fractions(ratio)
    result = np.zeros(vectors.shape)
    for weight, shift in zip(weights, shifts, strict=True):
        shifted = band / largest
        shifted[0] += shift
        try:
            solved = solveh_banded(
                shifted, vectors, overwrite_ab=True, lower=True, check_finite=False
            )
        except np.linalg.LinAlgError as error:
            raise DataError(
                "a matrix of weights is not positive",
                hint="look for variances that are zero, negative or not a number",
            ) from error
        result += weight * solved
    return np.asarray(result / np.sqrt(largest))


def _largest(band: np.ndarray) -> float:
    """Upper limit of the eigenvalues (Gershgorin)."""
    size = np.abs(band)
    sums = size[0].copy()
    for d in range(1, len(band)):
        sums[d:] += size[d, :-d]
        sums[:-d] += size[d, :-d]
    return float(max(sums.max(), np.finfo("f8").tiny))


def congruent(band: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Lower band (b + 2 r, n) of T M T^T, with M a symmetric matrix given by its lower band (b, n).

    rows : (2 r + 1, n) banded T: rows[r + o, i] belongs to row i and column i + o.
    """
    return np.asarray(_congruent(np.ascontiguousarray(band), np.ascontiguousarray(rows)))


@njit(cache=True)
def _congruent(band, rows):  # type: ignore[no-untyped-def]
    b, n = band.shape
    r = len(rows) // 2
    reach = b - 1 + r
    result = np.zeros((b + 2 * r, n))
    product = np.zeros(2 * reach + 1)
    for i in range(n):
        product[:] = 0.0  # row i of T M, from column i - reach
        for o in range(-r, r + 1):
            k = i + o
            if k < 0 or k >= n or rows[r + o, i] == 0.0:
                continue
            for d in range(b):
                if k + d < n:
                    product[o + d + reach] += rows[r + o, i] * band[d, k]
                if d > 0 and k >= d:
                    product[o - d + reach] += rows[r + o, i] * band[d, k - d]
        for d in range(len(result)):
            j = i + d
            if j >= n:
                break
            total = 0.0
            for o in range(-r, r + 1):
                at = d + o + reach
                if 0 <= at < len(product) and 0 <= j + o < n:
                    total += rows[r + o, j] * product[at]
            result[d, i] = total
    return result
