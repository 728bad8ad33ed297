"""Draw noisy responses towards what is usual: a pixel's sensitivity differs from that of others by
less than a faint lamp can tell.
"""

import numpy as np
from scipy import ndimage

from soxspipe.datamodel.frame import Frame
from soxspipe.maths.robust import mad_sigma
from soxspipe.science.orders.illumination import PARTS

#: Side of the square whose mean tells dust and other smooth features, pixels.
_BOX = 7
#: Variance of what is expected, over that of a mean over one row in one part of the order.
_DOUBT = 0.5
#: Where the slit's end leaves less light, what to expect is not known well enough.
_FULL_LIGHT = 0.8
#: Significance at which a mean over the square counts half.
_HALF_TRUSTED = 3.0


def shrunk(
    flat: Frame, usual: np.ndarray, at: tuple[np.ndarray, np.ndarray], *, least_scatter: float
) -> tuple[np.ndarray, np.ndarray]:
    """Response and variance (n,) of the pixels `at` (rows, columns) of one order.

    The weights of measurement and expectation are the inverse of the noise's variance and of that of
    the response from pixel to pixel (Wiener). The latter is what the noise leaves of the robust scatter
    of the order, `least_scatter` at least. What is expected is the illumination of the slit times a mean
    over the neighbours, as far as this is significant: dust stays.

    usual : (rows, columns) response that pixels of usual sensitivity have.
    """
    known = (flat.variance > 0) & (usual > _FULL_LIGHT)
    safe = np.where(known, usual, 1.0)
    off = np.where(known, flat.data / safe - 1.0, 0.0)
    noise = np.where(known, flat.variance / safe**2, 0.0)
    ours = known[at] & (flat.flags[at] == 0)
    if ours.sum() < 100:
        return flat.data[at], flat.variance[at]
    typical = float(np.median(noise[at][ours]))
    scatter = mad_sigma(off[at][ours]) ** 2 - typical
    scatter = max(scatter, least_scatter**2)
    base = _neighbours(off, noise, known & (flat.flags == 0))[at]
    weight = scatter / (scatter + noise[at])
    doubt = _DOUBT * typical / max(ours.sum() / np.ptp(at[0]) / PARTS, 1.0)
    better = base + weight * (off[at] - base)
    # pixels that are far off are no members of that distribution
    outlying = np.abs(off[at] - base) > 5.0 * np.sqrt(scatter + noise[at])
    kept = outlying | ~ours
    data = np.where(kept, flat.data[at], (1.0 + better) * safe[at])
    error = weight * noise[at] + (1.0 - weight) ** 2 * doubt
    variance = np.where(kept, flat.variance[at], error * safe[at] ** 2)
    return data, variance


def _neighbours(off: np.ndarray, noise: np.ndarray, use: np.ndarray) -> np.ndarray:
    """Mean deviation around each pixel, reduced where it is not significant."""
    share = ndimage.uniform_filter(use.astype("f4"), _BOX, mode="constant")
    total, spread = (
        ndimage.uniform_filter(np.where(use, z, 0.0), _BOX, mode="constant") for z in (off, noise)
    )
    count = np.maximum(share, 1.0 / _BOX**2)
    mean, error = total / count, spread / count**2 / _BOX**2
    strength = mean**2 / np.maximum(_HALF_TRUSTED**2 * error, 1e-20)
    return np.asarray(mean * strength / (1.0 + strength))
