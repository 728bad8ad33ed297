"""Rebinning that conserves flux and carries variance."""

import numpy as np


def edges_of(centres: np.ndarray) -> np.ndarray:
    """Bin edges (n + 1,) half-way between rising `centres` (n,)."""
    middle = 0.5 * (centres[:-1] + centres[1:])
    return np.concatenate([[2 * centres[0] - middle[0]], middle, [2 * centres[-1] - middle[-1]]])


def overlaps(old: np.ndarray, new: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Overlap of old bins with new bins, both given by rising edges.

    Returns old bin numbers, new bin numbers and overlap lengths of all pairs that overlap.
    """
    cuts = np.union1d(old, new)
    cuts = cuts[(cuts >= max(old[0], new[0])) & (cuts <= min(old[-1], new[-1]))]
    if len(cuts) < 2:
        nothing = np.empty(0, dtype="i8")
        return nothing, nothing, np.empty(0)
    middle = 0.5 * (cuts[:-1] + cuts[1:])
    return (
        np.searchsorted(old, middle) - 1,
        np.searchsorted(new, middle) - 1,
        np.diff(cuts),
    )


def rebin(
    old_edges: np.ndarray,
    new_edges: np.ndarray,
    density: np.ndarray,
    variance: np.ndarray,
    good: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Integrate a piecewise-constant density over new bins.

    Parameters
    ----------
    density, variance : (n,) per unit of the axis, of the old bins. good : (n,) bool.

    Returns
    -------
    (m,) sums over the new bins, their variances (of each bin by itself: neighbours that share an old bin
    are correlated), and the covered share of each new bin. Partly covered bins are scaled to full ones.
    """
    i, j, length = overlaps(old_edges, new_edges)
    m = len(new_edges) - 1
    use = good[i]
    i, j, length = i[use], j[use], length[use]
    covered = np.bincount(j, length, m) / np.diff(new_edges)
    scale = 1.0 / np.where(covered > 0, covered, 1.0)
    total = np.bincount(j, length * density[i], m) * scale
    noise = np.bincount(j, length**2 * variance[i], m) * scale**2
    return total, noise, covered
