"""Pixels far off all others of their wavelength, such as cosmic rays."""

import numpy as np

from soxspipe.maths.grouped import row_medians

MAD = 1.4826


def far_off(
    data: np.ndarray,
    variance: np.ndarray,
    usable: np.ndarray,
    *,
    sigma: float,
    rounds: int,
    window: int,
) -> np.ndarray:
    """(n,) bool: usable pixels more than `sigma` off the median of the `window` pixels around.

    Parameters
    ----------
    data, variance, usable : (n,), rising in wavelength. rounds : most rounds; what is found does not
    count in the next.

    Sigma is the scatter seen there, or the noise if that is more: on the flank of a line pixels differ,
    too. Left in, hits would bend the first coarse model.
    """
    far = np.zeros(len(data), dtype=bool)
    window = max(window, 6)
    for _ in range(max(rounds, 1)):
        left = np.flatnonzero(usable & ~far)
        n = len(left) // window
        if n == 0:
            break
        # the last window overlaps the one before
        at = np.concatenate([left[: n * window], left[-window:]]).reshape(n + 1, window)
        middle = row_medians(data[at])[:, None]
        off = np.abs(data[at] - middle)
        scatter = MAD * row_medians(off)[:, None]
        new = off > sigma * np.maximum(scatter, np.sqrt(variance[at]))
        if not new.any():
            break
        far[at[new]] = True
    return far
