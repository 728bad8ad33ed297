"""Gaussians integrated over pixels, fitted to thousands of small stamps at once.

A spot 1.7 pixels wide is undersampled: a Gaussian evaluated at pixel centres is biased by some
hundredths of a pixel, the integral over each pixel is not.
"""

import math

import numpy as np
from numba import njit

#: Columns of the parameter array: amplitude [counts in the spot], x, y, sigma x, sigma y, background.
N_SPOT = 6
_SQRT2 = math.sqrt(2.0)
_NORM = 1.0 / math.sqrt(2.0 * math.pi)
#: Least width of a spot, pixels: binned ones can be narrow.
NARROWEST = 0.15
#: A wing is followed this far, in pixels.
_WING = 7
#: Keeps normal matrices of stamps without light invertible; far below any real weight.
_RIDGE = 1e-10


@njit(cache=True)
def profile(centre, sigma, start, n, value, d_centre, d_sigma):  # type: ignore[no-untyped-def]
    """Integral of a unit Gaussian over n pixels from `start`, and its derivatives."""
    inverse = 1.0 / sigma
    low = (start - 0.5 - centre) * inverse
    cdf_low = 0.5 * (1.0 + math.erf(low / _SQRT2))
    pdf_low = _NORM * math.exp(-0.5 * low * low)
    for i in range(n):
        high = (start + i + 0.5 - centre) * inverse
        cdf_high = 0.5 * (1.0 + math.erf(high / _SQRT2))
        pdf_high = _NORM * math.exp(-0.5 * high * high)
        value[i] = cdf_high - cdf_low
        d_centre[i] = -(pdf_high - pdf_low) * inverse
        d_sigma[i] = -(high * pdf_high - low * pdf_low) * inverse
        low, cdf_low, pdf_low = high, cdf_high, pdf_high


@njit(cache=True)
def _normal_equations(  # type: ignore[no-untyped-def]
    data, weight, x0, y0, nx, ny, p, shape_fixed, matrix, vector, work
):
    """chi2 at `p`, filling J^T W J and J^T W r. Pixels of zero weight do not count."""
    ix, dx, sx = work[0], work[1], work[2]
    iy, dy, sy = work[3], work[4], work[5]
    profile(p[1], p[3], x0, nx, ix, dx, sx)
    profile(p[2], p[4], y0, ny, iy, dy, sy)
    matrix[:] = 0.0
    vector[:] = 0.0
    jacobian = work[6]
    chi2 = 0.0
    for j in range(ny):
        for i in range(nx):
            w = weight[y0 + j, x0 + i]
            if w <= 0.0:
                continue
            model = p[0] * ix[i] * iy[j] + p[5]
            r = data[y0 + j, x0 + i] - model
            chi2 += w * r * r
            jacobian[0] = ix[i] * iy[j]
            jacobian[1] = p[0] * dx[i] * iy[j]
            jacobian[2] = p[0] * ix[i] * dy[j]
            jacobian[3] = 0.0 if shape_fixed else p[0] * sx[i] * iy[j]
            jacobian[4] = 0.0 if shape_fixed else p[0] * ix[i] * sy[j]
            jacobian[5] = 1.0
            for a in range(6):
                vector[a] += w * r * jacobian[a]
                for b in range(a + 1):
                    matrix[a, b] += w * jacobian[a] * jacobian[b]
    for a in range(6):
        for b in range(a):
            matrix[b, a] = matrix[a, b]
        if matrix[a, a] == 0.0:
            matrix[a, a] = 1.0
    return chi2


@njit(cache=True)
def _fit_one(data, weight, x0, y0, nx, ny, p, shape_fixed, max_rounds):  # type: ignore[no-untyped-def]
    """Levenberg-Marquardt on one stamp, `p` updated in place. Returns chi2 and the covariance."""
    work = np.zeros((7, max(nx, ny, 6)))
    matrix, vector = np.zeros((6, 6)), np.zeros(6)
    trial_matrix, trial_vector = np.zeros((6, 6)), np.zeros(6)
    chi2 = _normal_equations(data, weight, x0, y0, nx, ny, p, shape_fixed, matrix, vector, work)
    damping = 1e-2
    for _ in range(max_rounds):
        damped = matrix.copy()
        for a in range(6):
            damped[a, a] = damped[a, a] * (1.0 + damping) + _RIDGE
        step = np.linalg.solve(damped, vector)
        trial = p + step
        if not (NARROWEST < trial[3] < 6.0 and NARROWEST < trial[4] < 6.0):
            damping *= 10.0
            if damping > 1e8:
                break
            continue
        trial_chi2 = _normal_equations(
            data, weight, x0, y0, nx, ny, trial, shape_fixed, trial_matrix, trial_vector, work
        )
        if trial_chi2 <= chi2:
            p[:] = trial
            done = chi2 - trial_chi2 < 1e-4 * chi2 + 1e-12 and abs(step[1]) + abs(step[2]) < 1e-4
            chi2 = trial_chi2
            matrix[:], vector[:] = trial_matrix, trial_vector
            damping = max(damping * 0.2, 1e-9)
            if done:
                break
        else:
            damping *= 10.0
            if damping > 1e8:
                break
    for a in range(6):
        matrix[a, a] += _RIDGE
    return chi2, np.linalg.inv(matrix)


@njit(cache=True)
def _fit_all(  # type: ignore[no-untyped-def]
    data, weight, corner, nx, ny, parameters, shape_fixed, max_rounds, errors, chi2
):
    for k in range(corner.shape[0]):
        if not math.isfinite(parameters[k, 0]):
            continue
        value, covariance = _fit_one(
            data,
            weight,
            corner[k, 0],
            corner[k, 1],
            nx,
            ny,
            parameters[k],
            shape_fixed,
            max_rounds,
        )
        chi2[k] = value
        for a in range(6):
            errors[k, a] = math.sqrt(max(covariance[a, a], 0.0))


def fit_spots(
    data: np.ndarray,
    weight: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    *,
    half_width: tuple[int, int],
    sigma: float,
    fixed_shape: bool = False,
    max_rounds: int = 30,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fit a pixel-integrated Gaussian plus constant to a stamp around each starting point.

    Parameters
    ----------
    data, weight : (ny, nx) image and its inverse variance; zero weight excludes a pixel.
    x, y : (n,) starting positions, pixels. Stamps that do not fit on the image give NaN.
    half_width : stamp is (2 * half_width + 1) pixels, (x, y).
    sigma : starting width, pixels; held if `fixed_shape`.

    Returns
    -------
    parameters (n, 6): counts, x, y, sigma_x, sigma_y, background; errors (n, 6); chi2 (n,) per
    degree of freedom. Rows of NaN where no fit was possible.
    """
    hx, hy = half_width
    ny, nx = data.shape
    n = len(x)
    corner = np.stack([np.rint(x) - hx, np.rint(y) - hy], axis=1)
    size = np.array([2 * hx + 1, 2 * hy + 1])
    inside = (corner >= 0).all(axis=1) & (corner + size <= [nx, ny]).all(axis=1)
    corner = np.where(inside[:, None], corner, 0).astype("i8")
    rows = corner[:, 1, None, None] + np.arange(size[1])[None, :, None]
    columns = corner[:, 0, None, None] + np.arange(size[0])[None, None, :]
    stamps, used = data[rows, columns], weight[rows, columns] > 0
    stamps = np.where(used, stamps, np.nan)
    inside &= used.reshape(n, -1).sum(axis=1) > max(N_SPOT + 2, 0.6 * size.prod())
    parameters = np.full((n, N_SPOT), np.nan)
    errors, chi2 = np.full((n, N_SPOT), np.nan), np.full(n, np.nan)
    if inside.any():
        good = stamps[inside].reshape(inside.sum(), -1)
        background = _low_value(good)
        counts = np.nansum(good - background[:, None], axis=1)
        parameters[inside] = np.column_stack(
            [counts, x[inside], y[inside], np.full((inside.sum(), 2), sigma), background]
        )
        _fit_all(
            np.ascontiguousarray(data, dtype="f8"),
            np.ascontiguousarray(weight, dtype="f8"),
            corner,
            int(size[0]),
            int(size[1]),
            parameters,
            fixed_shape,
            max_rounds,
            errors,
            chi2,
        )
        chi2 /= np.maximum(used.reshape(n, -1).sum(axis=1) - N_SPOT, 1)
    return parameters, errors, chi2


def _low_value(stamps: np.ndarray) -> np.ndarray:
    """A fifth of the finite pixels of each row (n, m) are below this; (n,)."""
    ordered = np.sort(stamps, axis=1)  # NaN come last
    rank = 0.2 * (np.isfinite(stamps).sum(axis=1) - 1)
    return np.asarray(ordered[np.arange(len(stamps)), np.maximum(rank, 0.0).astype("i8")])


@njit(cache=True)
def integrals(spot, x0, y0, nx, ny, q):  # type: ignore[no-untyped-def]
    """Integrals over columns, q[0:3], and rows, q[3:6], of a stamp: value, d/dcentre, d/dsigma."""
    profile(spot[1], spot[3], x0, nx, q[0], q[1], q[2])
    profile(spot[2], spot[4], y0, ny, q[3], q[4], q[5])


@njit(cache=True)
def shape_at(q, covariance, j, i):  # type: ignore[no-untyped-def]
    """Share of a spot's light in one pixel of the stamp."""
    return q[0, i] * q[3, j] + covariance * q[1, i] * q[4, j]


@njit(cache=True)
def paint(image, spot, sign):  # type: ignore[no-untyped-def]
    """Add (sign +1) or take away (-1) one spot (6,), without its background."""
    ny, nx = image.shape
    n = 2 * _WING + 1
    x0, y0 = round(spot[1]) - _WING, round(spot[2]) - _WING
    q = np.zeros((6, n))
    integrals(spot, x0, y0, n, n, q)
    for j in range(max(0, -y0), min(n, ny - y0)):
        for i in range(max(0, -x0), min(n, nx - x0)):
            image[y0 + j, x0 + i] += sign * spot[0] * shape_at(q, spot[5], j, i)
