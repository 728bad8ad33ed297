"""The inner loops of `maths.blends`: a spot and its neighbours in one stamp, and all stamps in turn."""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from soxspipe.maths.gaussians import NARROWEST, integrals, paint, shape_at

#: Spots fitted at once: one and its nearest neighbours.
_MOST = 6
#: Neighbours stay about this near their place [pixel], which is found in a fit of their own.
_PLACE = 0.7
#: A spot that a fit moves farther than this, in pixels, was none: it is given up.
_FARTHEST = 1.5
#: The error of the shape reaches farther out than the shape, by this factor.
WIDER = 1.6
#: Least significance of a pixel that may be dead, or hit by a cosmic ray.
_HIT = 4.0
#: So many of the worst pixels are tried: a hit drags the model along, and others stand out, too.
_SUSPECTS = 4


class Scene(NamedTuple):
    """What the kernels work on: the image (ny, nx), what all spots' models leave of it, the variance
    without the light of spots, infinite where a pixel is not to be used; and the misfit of the shape,
    as a fraction of the light.
    """

    data: np.ndarray
    residual: np.ndarray
    base: np.ndarray
    misfit: float


@njit(cache=True)
def _slopes(spots, work, j, i, jacobian):  # type: ignore[no-untyped-def]
    """Fill the derivatives of the model in one pixel; returns the light of all spots."""
    light = 0.0
    for s in range(len(spots)):
        counts, shear, q = spots[s, 0], spots[s, 5], work[s]
        k, share = 3 + 3 * s, shape_at(q, shear, j, i)
        light += counts * share
        jacobian[k] = share
        # the second derivative by the centre is that by the width, over the width
        jacobian[k + 1] = counts * (q[1, i] * q[3, j] + shear * q[2, i] / spots[s, 3] * q[4, j])
        jacobian[k + 2] = counts * (q[0, i] * q[4, j] + shear * q[1, i] * q[5, j] / spots[s, 4])
    jacobian[1] = spots[0, 0] * work[0, 2, i] * work[0, 3, j]
    jacobian[2] = spots[0, 0] * work[0, 0, i] * work[0, 5, j]
    return light


@njit(cache=True)
def _prior(k, value, wanted, sigma, matrix, vector):  # type: ignore[no-untyped-def]
    """Add a Gaussian prior on parameter k; returns its cost."""
    off = (wanted - value) / sigma
    matrix[k, k] += 1.0 / sigma**2
    vector[k] += off / sigma
    return off * off


@njit(cache=True)
def _equations(stamp, weight, corner, spots, level, wanted, near, work):  # type: ignore[no-untyped-def]
    """Normal equations of the spots (m, 6) on a constant level: chi2, cost with priors, J^T W J, J^T W r.

    Parameters: level, widths (x, y) of the first spot, then counts, x, y of each. Level and widths are to
    be near wanted[0] (3,), within wanted[1]; neighbours near their places in near[1:] (m, 6).
    """
    m, n = len(spots), 3 + 3 * len(spots)
    ny, nx = stamp.shape
    matrix, vector = np.zeros((n, n)), np.zeros(n)
    jacobian = np.ones(n)
    for s in range(m):
        integrals(spots[s], corner[0], corner[1], nx, ny, work[s])
    chi2 = 0.0
    for j in range(ny):
        for i in range(nx):
            w = weight[j, i]
            if w > 0.0:
                r = stamp[j, i] - level - _slopes(spots, work, j, i, jacobian)
                chi2 += w * r * r
                for a in range(n):
                    vector[a] += w * r * jacobian[a]
                    for b in range(a + 1):
                        matrix[a, b] += w * jacobian[a] * jacobian[b]
    cost = chi2 + _prior(0, level, wanted[0, 0], wanted[1, 0], matrix, vector)
    for a in range(2):
        cost += _prior(1 + a, spots[0, 3 + a], wanted[0, 1 + a], wanted[1, 1 + a], matrix, vector)
        for s in range(1, m):
            k = 4 + 3 * s + a
            cost += _prior(k, spots[s, 1 + a], near[s, 1 + a], _PLACE, matrix, vector)
    for a in range(n):
        matrix[a, a] += 1e-10 * matrix[a, a] + 1e-12
        for b in range(a):
            matrix[b, a] = matrix[a, b]
    return chi2, cost, matrix, vector


@njit(cache=True)
def _solve(stamp, weight, corner, start, level, wanted, near, work):  # type: ignore[no-untyped-def]
    """Levenberg-Marquardt from `start` (m, 6). Returns spots, level, chi2 and the normal matrix."""
    spots = start.copy()
    chi2, cost, matrix, vector = _equations(stamp, weight, corner, spots, level, wanted, near, work)
    damping = 1e-3
    for _ in range(15):
        damped = matrix.copy()
        for a in range(len(vector)):
            damped[a, a] *= 1.0 + damping
        step = np.linalg.solve(damped, vector)
        trial = spots.copy()
        trial[0, 3:5] += step[1:3]
        farthest = 0.0
        for s in range(len(spots)):
            trial[s, :3] += step[3 + 3 * s : 6 + 3 * s]
            farthest = max(farthest, abs(step[4 + 3 * s]), abs(step[5 + 3 * s]))
        if farthest < 3.0 and NARROWEST < trial[0, 3] < 6.0 and NARROWEST < trial[0, 4] < 6.0:
            found = _equations(stamp, weight, corner, trial, level + step[0], wanted, near, work)
            if found[1] <= cost:
                done = cost - found[1] < 1e-4 * cost + 1e-12 and farthest < 1e-4
                spots, level = trial, level + step[0]
                chi2, cost, matrix, vector = found
                damping = max(damping * 0.1, 1e-9)
                if done:
                    break
                continue
        damping *= 10.0
        if damping > 1e8:
            break
    return spots, level, chi2, matrix


@njit(cache=True)
def _pulls(stamp, weight, corner, spots, level, work):  # type: ignore[no-untyped-def]
    """How far, in sigma, each pixel of the stamp is from the model."""
    ny, nx = stamp.shape
    for s in range(len(spots)):
        integrals(spots[s], corner[0], corner[1], nx, ny, work[s])
    pulls = np.zeros((ny, nx))
    for j in range(ny):
        for i in range(nx):
            off = stamp[j, i] - level
            for s in range(len(spots)):
                off -= spots[s, 0] * shape_at(work[s], spots[s, 5], j, i)
            pulls[j, i] = abs(off) * math.sqrt(weight[j, i])
    return pulls


@njit(cache=True)
def _neighbours(spots, k, candidates, half):  # type: ignore[no-untyped-def]
    """Spot k and those of the candidates in its stamp, or just outside, shape (m, 6)."""
    together = np.empty((_MOST, 6))
    together[0] = spots[k]
    m = 1
    for n in candidates:
        inside = (
            abs(spots[n, 1] - spots[k, 1]) < half[0] + 1.2
            and abs(spots[n, 2] - spots[k, 2]) < half[1] + 1.2
        )
        if inside and m < _MOST and math.isfinite(spots[n, 0]):
            together[m] = spots[n]
            m += 1
    return together[:m].copy()


@njit(cache=True)
def _add_misfit(misfit, spot, corner, fraction, q):  # type: ignore[no-untyped-def]
    """Add what the shape of a spot may be wrong by, per pixel: in its middle and in its wings."""
    broad = spot.copy()
    broad[3] *= WIDER
    broad[4] *= WIDER
    integrals(broad, corner[0], corner[1], misfit.shape[1], misfit.shape[0], q)
    for j in range(misfit.shape[0]):
        for i in range(misfit.shape[1]):
            misfit[j, i] += WIDER * fraction * broad[0] * q[0, i] * q[3, j]


@njit(cache=True)
def _cut(scene, corner, shape, spots, level, work):  # type: ignore[no-untyped-def]
    """Stamp with the light of `spots` put back, and weight of its pixels."""
    nx, ny = shape
    stamp, weight, misfit = np.zeros((ny, nx)), np.zeros((ny, nx)), np.zeros((ny, nx))
    for s in range(len(spots)):
        if scene.misfit > 0.0:
            _add_misfit(misfit, spots[s], corner, scene.misfit, work[s])
        integrals(spots[s], corner[0], corner[1], nx, ny, work[s])
    for j in range(ny):
        for i in range(nx):
            y, x = corner[1] + j, corner[0] + i
            if math.isfinite(scene.base[y, x]):
                light = scene.data[y, x] - scene.residual[y, x]
                photons = max(light + level, 0.0)
                weight[j, i] = 1.0 / (scene.base[y, x] + photons + misfit[j, i] ** 2)
                stamp[j, i] = scene.residual[y, x]
                for s in range(len(spots)):
                    stamp[j, i] += spots[s, 0] * shape_at(work[s], spots[s, 5], j, i)
    return stamp, weight


@njit(cache=True)
def _without_one(  # type: ignore[no-untyped-def]
    stamp, weight, corner, fit, level, start, wanted, near, work
):
    """The best fit without one suspect pixel, and that pixel's row (-1: none) and column.

    Suspects are the pixels farthest from `fit`, and the brightest: a fit may sit on the hit itself.
    """
    best = start, level, np.inf, np.zeros((3, 3))
    row = column = -1
    pulls = _pulls(stamp, weight, corner, fit, level, work)
    brightest = int(np.argmax(stamp * (weight > 0.0)))
    for n in range(_SUSPECTS):
        at = brightest if n == 0 else int(np.argmax(pulls))
        j, i = at // pulls.shape[1], at % pulls.shape[1]
        if n > 0 and pulls[j, i] < _HIT:
            break
        pulls[j, i] = 0.0
        kept = weight[j, i]
        weight[j, i] = 0.0
        found = _solve(stamp, weight, corner, start, level, wanted, near, work)
        weight[j, i] = kept
        if found[2] < best[2]:
            best, row, column = found, j, i
    return best, row, column


@njit(cache=True)
def _without_hits(  # type: ignore[no-untyped-def]
    stamp, weight, corner, fit, level, start, wanted, near, work, most, free
):
    """The fit without the few pixels that are dead or hit by a cosmic ray; -1 hits if that is not it."""
    weight = weight.copy()
    for n in range(1, most + 1):
        best, row, column = _without_one(
            stamp, weight, corner, fit, level, start, wanted, near, work
        )
        if row < 0:
            break
        weight[row, column] = 0.0
        fit, level = best[0], best[1]
        if best[2] <= _limit(free - n) * (free - n):
            return fit, level, best[2], best[3], n
    return start, level, np.inf, np.zeros((3, 3)), -1


@njit(cache=True)
def _limit(free):  # type: ignore[no-untyped-def]
    """Chi2 per degree of freedom that noise alone may make, 4 sigma."""
    return 1.0 + 4.0 * math.sqrt(2.0 / max(free, 1))


@njit(cache=True)
def _fit_one(scene, k, spots, level, wanted, candidates, half, most_hits, quality, errors):  # type: ignore[no-untyped-def]
    """Fit spot k with its neighbours; keep what was found of it. quality: chi2, free pixels, hits."""
    shape = (2 * half[0] + 1, 2 * half[1] + 1)
    corner = (round(spots[k, 1]) - half[0], round(spots[k, 2]) - half[1])
    ny, nx = scene.data.shape
    if min(corner) < 0 or corner[0] + shape[0] > nx or corner[1] + shape[1] > ny:
        return
    together = _neighbours(spots, k, candidates, half)
    work = np.zeros((len(together), 6, max(shape)))
    stamp, weight = _cut(scene, corner, shape, together, level[k], work)
    free = (weight > 0.0).sum() - 3 - 3 * len(together)
    if free < 1:
        return
    found, height, chi2, matrix = _solve(
        stamp, weight, corner, together, level[k], wanted, together, work
    )
    hits = 0
    if most_hits > 0 and chi2 > _limit(free) * free:
        other = _without_hits(
            stamp, weight, corner, found, height, together, wanted, together, work, most_hits, free
        )
        if other[4] > 0:
            found, height, chi2, matrix, hits = other
    moved = math.hypot(found[0, 1] - spots[k, 1], found[0, 2] - spots[k, 2])
    paint(scene.residual, spots[k], 1.0)
    if moved > _FARTHEST or not found[0, 0] > 0.0:
        spots[k, 0] = np.nan
        return
    spots[k], level[k] = found[0], height
    paint(scene.residual, spots[k], -1.0)
    covariance = np.linalg.inv(matrix)
    for a in range(3):
        errors[k, a] = math.sqrt(covariance[3 + a, 3 + a])
        errors[k, 3 + a] = math.sqrt(covariance[a, a])
    quality[k, 0], quality[k, 1], quality[k, 2] = chi2, free - hits, hits


@njit(cache=True)
def fit_in_turn(  # type: ignore[no-untyped-def]
    scene, spots, level, wanted, first, others, half, rounds, most_hits, quality, errors
):
    """Gauss-Seidel: every spot in turn, `rounds` times."""
    for _ in range(rounds):
        for k in range(len(spots)):
            if math.isfinite(spots[k, 0]):
                near = others[first[k] : first[k + 1]]
                _fit_one(scene, k, spots, level, wanted[k], near, half, most_hits, quality, errors)
