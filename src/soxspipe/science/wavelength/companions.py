"""Light that no listed line explains: other lines close by, and hits by cosmic rays."""

import numpy as np
from scipy import ndimage
from scipy.special import erf

from soxspipe.maths.blend_loops import WIDER
from soxspipe.maths.blends import Together

#: A point source fills several pixels: the most that its brightest holds of the light in 3 x 3, unless
#: it is narrower than a pixel.
_LARGEST_SHARE = 0.55


def noise_without_light(data: np.ndarray, variance: np.ndarray, good: np.ndarray) -> np.ndarray:
    """Variance (ny, nx) without the photon noise of what a pixel holds; infinite where not `good`.

    The photon noise in `variance` follows from the pixel's own, noisy electrons; fits put that of their
    model in its place.
    """
    base = np.asarray(variance, dtype="f8") - np.maximum(data, 0.0)
    return np.where(good, np.maximum(base, 0.05 * np.maximum(variance, 1e-3)), np.inf)


def weight_of(fit: Together, data: np.ndarray, base: np.ndarray, misfit: float) -> np.ndarray:
    """Inverse variance (ny, nx) with the photon noise of all models, and their misfit (a fraction)."""
    light = np.maximum(data - fit.residual, 0.0)
    if misfit == 0.0:
        return np.asarray(1.0 / (base + light))
    # the shape may be wrong in the wings, too
    typical = float(np.nanmedian(fit.spots[:, 3:5])) if len(fit.spots) else 1.0
    broad = ndimage.gaussian_filter(
        light.astype("f4"), typical * np.sqrt(WIDER**2 - 1.0), truncate=3.0
    )
    return np.asarray(1.0 / (base + light + (WIDER * misfit * broad) ** 2))


def shape_misfit(misfit: np.ndarray, counts: np.ndarray, good: np.ndarray) -> float:
    """Error of the shape as a fraction of the light in a pixel, from the bright half of the good spots.

    misfit : (n,) mean square residual beyond the noise, over that of the model. A median: blends, which
    fit badly for another reason, do not count.
    """
    bright = good & np.isfinite(misfit)
    if not bright.any():
        return 0.0
    bright &= counts >= np.median(counts[bright])
    return float(np.sqrt(max(float(np.median(misfit[bright])), 0.0)))


def around(
    fit: Together, weight: np.ndarray, reach: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """What the models leave, and its weight, within `reach` (x, y) pixels of a spot; 0 elsewhere."""
    ny, nx = weight.shape
    left, near = np.zeros((ny, nx)), np.zeros((ny, nx))
    known = np.isfinite(fit.spots[:, 0])
    dy, dx = np.mgrid[-reach[1] : reach[1] + 1, -reach[0] : reach[0] + 1]
    row = np.rint(fit.spots[known, 2]).astype("i8")[:, None, None] + dy
    column = np.rint(fit.spots[known, 1]).astype("i8")[:, None, None] + dx
    inside = (row >= 0) & (row < ny) & (column >= 0) & (column < nx)
    at = row[inside], column[inside]
    level = np.broadcast_to(fit.level[known, None, None], row.shape)[inside]
    left[at], near[at] = fit.residual[at] - level, weight[at]
    return left, near


def unexplained(
    left: np.ndarray, weight: np.ndarray, *, sigma: tuple[float, float], limit: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Point sources in what the models leave.

    left, weight : (ny, nx), backgrounds taken off, and inverse variance. sigma : width (x, y) of a spot,
    pixels. limit : least significance.

    Returns x, y to the nearest pixel, and counts, (m,). Single bright pixels are not among them.
    """
    width = (sigma[1], sigma[0])
    weighted = ndimage.gaussian_filter((left * weight).astype("f4"), width, truncate=3.0)
    # the square of a Gaussian is a narrower one
    norm = 1.0 / (4.0 * np.pi * sigma[0] * sigma[1])
    narrow = (width[0] / np.sqrt(2.0), width[1] / np.sqrt(2.0))
    square = norm * ndimage.gaussian_filter(weight.astype("f4"), narrow, truncate=4.0)
    square = np.maximum(square, 1e-12)
    as_spot = weighted / np.sqrt(square)
    y, x = np.nonzero(as_spot > limit)
    peak = as_spot[y, x] >= ndimage.maximum_filter(as_spot, 3)[y, x]
    y, x = y[peak], x[peak]
    ny, nx = left.shape
    inner = (y > 0) & (y < ny - 1) & (x > 0) & (x < nx - 1)
    y, x = y[inner], x[inner]
    near = np.mgrid[-1:2, -1:2]
    stamps = np.maximum(left[y[:, None, None] + near[0], x[:, None, None] + near[1]], 0.0)
    # what a spot in the middle of a pixel has there
    centred = float(np.prod(erf(0.5 / (np.sqrt(2.0) * np.array(sigma)))))
    share = max(_LARGEST_SHARE, 1.15 * centred)
    sharp = stamps.max(axis=(1, 2)) > share * stamps.sum(axis=(1, 2))
    y, x = y[~sharp], x[~sharp]
    return x.astype("f8"), y.astype("f8"), (weighted / square)[y, x].astype("f8")
