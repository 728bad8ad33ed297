"""L.A.Cosmic (van Dokkum 2001, PASP 113, 1420; astroscrappy), only where there is anything to judge.

The Laplacian, which takes no time, is high almost nowhere. Medians are left to tiles in which it is.
"""

import numpy as np
from numba import njit

#: Side of a tile, and how far around it anything may matter in one round; pixels.
_TILE, _REACH = 128, 12
#: Share of the detection limit from which a tile is judged.
_SAFE = 0.5


def hits(image: np.ndarray, bad: np.ndarray, *, sigma: float, rounds: int) -> np.ndarray:
    """(ny, nx) bool: pixels that are sharper than their surroundings.

    Parameters
    ----------
    image : (ny, nx) in units of the noise, 0 where `bad`. sigma : Laplacian significance of a hit.
    """
    found = np.zeros(image.shape, dtype=bool)
    sharp = np.zeros(image.shape, dtype=bool)
    _sharp(image, _SAFE * sigma, sharp)
    reach = _REACH * rounds
    for y in range(0, image.shape[0], _TILE):
        for x in range(0, image.shape[1], _TILE):
            if not sharp[
                max(y - reach, 0) : y + _TILE + reach, max(x - reach, 0) : x + _TILE + reach
            ].any():
                continue
            low, left = max(y - 2 * reach, 0), max(x - 2 * reach, 0)
            part = np.s_[low : y + _TILE + 2 * reach, left : x + _TILE + 2 * reach]
            mask = _judged(image[part], bad[part], sigma, rounds)
            found[y : y + _TILE, x : x + _TILE] = mask[y - low :, x - left :][:_TILE, :_TILE]
    return found


def _judged(image: np.ndarray, bad: np.ndarray, sigma: float, rounds: int) -> np.ndarray:
    from astroscrappy import detect_cosmics  # compiled, slow to import, needed by few recipes

    mask, _ = detect_cosmics(
        np.ascontiguousarray(image),
        inmask=np.ascontiguousarray(bad),
        invar=np.ones(image.shape, dtype="f4"),
        sigclip=sigma,
        sigfrac=0.3,
        objlim=2.0,
        gain=1.0,
        readnoise=1.0,
        satlevel=np.inf,
        niter=rounds,
        sepmed=True,
        cleantype="medmask",
    )
    return np.asarray(mask)


@njit(cache=True)
def _sharp(image, limit, out):  # type: ignore[no-untyped-def]
    """Where the positive part of the Laplacian of the image sampled twice as finely exceeds `limit`."""
    ny, nx = image.shape
    for y in range(ny):
        for x in range(nx):
            here = 2.0 * image[y, x]
            up = image[y - 1, x] if y > 0 else 0.0
            down = image[y + 1, x] if y < ny - 1 else 0.0
            left = image[y, x - 1] if x > 0 else 0.0
            right = image[y, x + 1] if x < nx - 1 else 0.0
            total = max(here - up - left, 0.0) + max(here - up - right, 0.0)
            total += max(here - down - left, 0.0) + max(here - down - right, 0.0)
            out[y, x] = 0.125 * total > limit
