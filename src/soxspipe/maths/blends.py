"""Spots fitted together with their neighbours, in an image that holds thousands of them.

A spot is a Gaussian integrated over pixels, with a slight shear: its integral along each axis is exact,
the covariance of the axes enters to first order. Spots whose centres fall into each other's stamps share
one fit, so that the errors know of them; the wings of spots farther away are taken off first.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from scipy.spatial import cKDTree

from soxspipe.maths.blend_loops import Scene, fit_in_turn
from soxspipe.maths.gaussians import integrals, paint, shape_at


class Together(NamedTuple):
    """Spots fitted together.

    spots     (n, 6) counts, x, y, sigma x, sigma y, covariance; counts of NaN: there is no spot
    level     (n,) background below each
    errors    (n, 6) of counts, x, y, level, sigma x, sigma y
    chi2      (n,) per degree of freedom; `free` (n,) degrees of freedom
    hits      (n,) pixels left out of a stamp because they are dead or a cosmic ray hit them
    residual  (ny, nx) the image without the models of all spots
    """

    spots: np.ndarray
    level: np.ndarray
    errors: np.ndarray
    chi2: np.ndarray
    free: np.ndarray
    hits: np.ndarray
    residual: np.ndarray


def fit_together(
    data: np.ndarray,
    base: np.ndarray,
    spots: np.ndarray,
    level: np.ndarray,
    *,
    wanted: np.ndarray,
    half_width: tuple[int, int],
    misfit: float = 0.0,
    rounds: int = 2,
    most_hits: int = 0,
) -> Together:
    """Fit every spot, each jointly with those in its stamp.

    Parameters
    ----------
    data : (ny, nx) electrons.
    base : (ny, nx) variance without the photon noise of the spots and of `level`; infinite or NaN where
        a pixel is not to be used.
    spots : (n, 6) start: counts, x, y, sigma x, sigma y, covariance (held). Rows of NaN are passed over.
    level : (n,) background to start from.
    wanted : (n, 2, 3) level, sigma x and sigma y expected at each place, and how far they may be off.
    half_width : the stamp is (2 * half_width + 1) pixels, (x, y).
    misfit : error of the shape, as a fraction of the light in a pixel.
    most_hits : pixels of a stamp that may be taken for dead, or for hits by cosmic rays.
    """
    spots, level = np.array(spots, dtype="f8"), np.array(level, dtype="f8")
    image = np.ascontiguousarray(data, dtype="f8")
    scene = Scene(image, image.copy(), np.ascontiguousarray(base, dtype="f8"), float(misfit))
    known = np.flatnonzero(np.isfinite(spots[:, 0]))
    for k in known:
        paint(scene.residual, spots[k], -1.0)
    first, others = _near(spots[:, 1:3], known, float(max(half_width)) + 2.0)
    quality, errors = np.full((len(spots), 3), np.nan), np.full((len(spots), 6), np.nan)
    fit_in_turn(
        scene,
        spots,
        level,
        np.ascontiguousarray(wanted, dtype="f8"),
        first,
        others,
        half_width,
        rounds,
        most_hits,
        quality,
        errors,
    )
    chi2, free, hits = quality.T
    return Together(spots, level, errors, chi2 / free, free, hits, scene.residual)


def _near(places: np.ndarray, known: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Neighbours of each of the `known` places, nearest first: others[first[k] : first[k + 1]]."""
    pairs = cKDTree(places[known]).query_pairs(radius * np.sqrt(2.0), output_type="ndarray")
    one, other = known[np.concatenate([pairs, pairs[:, ::-1]]).T]
    distance = np.hypot(*(places[one] - places[other]).T)
    sort = np.lexsort([distance, one])
    first = np.searchsorted(one[sort], np.arange(len(places) + 1))
    return first.astype("i8"), other[sort].astype("i8")


@njit(cache=True)
def _compare(residual, weight, spots, level, half, shear, misfit):  # type: ignore[no-untyped-def]
    ny_image, nx_image = residual.shape
    nx, ny = 2 * half[0] + 1, 2 * half[1] + 1
    q = np.zeros((6, max(nx, ny)))
    for k in range(len(spots)):
        if not math.isfinite(spots[k, 0]):
            continue
        x0, y0 = round(spots[k, 1]) - half[0], round(spots[k, 2]) - half[1]
        if x0 < 0 or y0 < 0 or x0 + nx > nx_image or y0 + ny > ny_image:
            continue
        integrals(spots[k], x0, y0, nx, ny, q)
        overlap, norm, excess, light = 0.0, 0.0, 0.0, 0.0
        for j in range(ny):
            for i in range(nx):
                w = weight[y0 + j, x0 + i]
                r = residual[y0 + j, x0 + i] - level[k]
                slope = spots[k, 0] * q[1, i] * q[4, j]
                model = spots[k, 0] * shape_at(q, spots[k, 5], j, i)
                overlap += w * r * slope
                norm += w * slope * slope
                if w > 0.0:
                    excess += r * r - 1.0 / w
                    light += model * model
        shear[k, 0] = spots[k, 5] + overlap / max(norm, 1e-30)
        shear[k, 1] = 1.0 / math.sqrt(max(norm, 1e-30))
        misfit[k] = excess / max(light, 1e-30)


def leftovers(
    fit: Together, weight: np.ndarray, *, half_width: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the residual image says about the shape of each spot.

    weight : (ny, nx) inverse variance.

    Returns
    -------
    covariance (n,) of the axes, pixels squared, and its error (n,); misfit (n,): mean square of the
    residual beyond its noise, over that of the model.
    """
    shear, misfit = np.full((len(fit.spots), 2), np.nan), np.full(len(fit.spots), np.nan)
    _compare(fit.residual, weight, fit.spots, fit.level, half_width, shear, misfit)
    return shear[:, 0], shear[:, 1], misfit
