"""Loops of the search for cosmic rays, compiled."""

import numpy as np
from numba import njit


@njit(cache=True)
def _noise(y, x, images, share, sky_share, step_share):  # type: ignore[no-untyped-def]
    """Variance of a pixel with shares of star, sky and step of the spectrum."""
    _, variance, star, step, sky = images
    a, b, c = share * star[y, x], sky_share * sky[y, x], step_share * step[y, x]
    return variance[y, x] + a * a + b * b + c * c


@njit(cache=True)
def _edge(y, x, row_wise, value, sky):  # type: ignore[no-untyped-def]
    """Light of the sky round a pixel within two of the end of what is known along the slit; else 0."""
    ny, nx = value.shape
    dy, dx = (1, 0) if row_wise else (0, 1)
    at_end = False
    for side in (-1, 1):
        unknown = 0
        for away in (1, 2, 3):
            j, i = y + side * away * dy, x + side * away * dx
            unknown += j < 0 or j >= ny or i < 0 or i >= nx or np.isnan(value[j, i])
        at_end |= unknown > 1  # one alone is a bad pixel
    if not at_end:
        return 0.0
    most = 0.0
    for j in range(max(y - 1, 0), min(y + 2, ny)):
        for i in range(max(x - 1, 0), min(x + 2, nx)):
            most = max(most, sky[j, i])
    return most


@njit(cache=True)
def _beside(j, i, dy, dx, images, shares, hit):  # type: ignore[no-untyped-def]
    """Light and variance of the pixel beside those asked for; variance -1: not known, -2: a hit.

    A bad pixel is taken to be as bright as the brighter of those next to it that lie as far away.
    """
    value = images[0]
    ny, nx = value.shape
    if 0 <= j < ny and 0 <= i < nx and not np.isnan(value[j, i]):
        if hit[j, i]:
            return 0.0, -2.0
        return value[j, i], _noise(j, i, images, shares[0], shares[1], shares[2])
    light, noise = -np.inf, -1.0
    for side in (-1, 1):
        q, p = j + side * dx, i + side * dy
        if 0 <= q < ny and 0 <= p < nx and value[q, p] > light:
            light, noise = value[q, p], _noise(q, p, images, shares[0], shares[1], shares[2])
    return light, noise


@njit(cache=True)
def _over(y, x, dy, dx, size, ratio, images, shares, hit):  # type: ignore[no-untyped-def]
    """Significance by which `size` pixels from (y, x) on exceed what both neighbours allow."""
    value = images[0]
    share, sky_share, step_share = shares
    ny, nx = value.shape
    inside, noise = 0.0, 0.0
    for k in range(size):
        j, i = y + k * dy, x + k * dx
        if j < 0 or j >= ny or i < 0 or i >= nx or np.isnan(value[j, i]):
            return -np.inf
        inside += value[j, i]
        noise += _noise(j, i, images, share, sky_share, step_share)
    support, weight, sides, hits_beside = 0.0, 0.0, 0, 0
    for side in range(2):
        step = size if side == 0 else -1
        j, i = y + step * dy, x + step * dx
        light, unsure = _beside(j, i, dy, dx, images, shares, hit)
        if unsure < 0.0:
            hits_beside += unsure < -1.5
            continue
        sides += 1
        support += max(light, 0.0)
        weight += unsure
    if sides == 0:
        return np.inf if hits_beside > 0 else -np.inf
    # beside a hit or the end of the slit, light is taken to be as on the other side
    factor = (1.0 if size == 1 else 2.0) / (sides * ratio)
    return (inside - factor * support) / np.sqrt(noise + factor * factor * weight)


@njit(cache=True)
def _sharpness(y, x, row_wise, ratios, images, numbers, hit):  # type: ignore[no-untyped-def]
    """Largest significance of a pixel, alone or with one neighbour, over what light could be."""
    best = -np.inf
    for axis in range(2):
        dy, dx = (0, 1) if row_wise == (axis == 0) else (1, 0)
        one, two = ratios[2 * axis], ratios[2 * axis + 1]
        if axis == 0:
            shares = (numbers[3], numbers[6], numbers[9])
        else:
            end = numbers[7] * _edge(y, x, row_wise, images[0], images[4])
            if images[0][y, x] ** 2 < numbers[0] ** 2 * (images[1][y, x] + end * end):
                continue
            shares = (numbers[5], numbers[4], numbers[9])
        best = max(best, _over(y, x, dy, dx, 1, one, images, shares, hit))
        best = max(best, _over(y, x, dy, dx, 2, two, images, shares, hit))
        best = max(best, _over(y - dy, x - dx, dy, dx, 2, two, images, shares, hit))
    return best


@njit(cache=True)
def _stands_out(y, x, images, numbers, limit):  # type: ignore[no-untyped-def]
    """A pixel is `limit` above the model."""
    value = images[0][y, x]
    if not value > 0.0 or value * value <= limit * limit * images[1][y, x]:
        return False
    return value * value > limit * limit * _noise(y, x, images, numbers[3], numbers[4], numbers[8])


@njit(cache=True)
def hits(value, variance, star, step, sky, row_wise, ratios, numbers):  # type: ignore[no-untyped-def]
    """See `cosmic_rays.find`; images (ny, nx) as in `Excess`.

    ratios : of `sharpest`, along dispersion and along the slit. numbers : of `Limits`, in their order.
    """
    ny, nx = value.shape
    images = (value, variance, star, step, sky)
    hit = np.zeros((ny, nx), dtype=np.bool_)
    none = np.zeros((ny, nx), dtype=np.bool_)
    queue = []
    for y in range(ny):
        for x in range(nx):
            if (
                _stands_out(y, x, images, numbers, numbers[0])
                and _sharpness(y, x, row_wise, ratios, images, numbers, none) > numbers[1]
            ):
                hit[y, x] = True
                queue.append((y, x))
    while len(queue) > 0:
        y0, x0 = queue.pop()
        for y in range(max(y0 - 1, 0), min(y0 + 2, ny)):
            for x in range(max(x0 - 1, 0), min(x0 + 2, nx)):
                if (
                    not hit[y, x]
                    and _stands_out(y, x, images, numbers, numbers[2])
                    and _sharpness(y, x, row_wise, ratios, images, numbers, hit) > 1.0
                ):
                    hit[y, x] = True
                    queue.append((y, x))
    return hit
