"""Find how far a night's pinhole pattern stands from the prediction: shift, rotation, scale.

All pairs (predicted spot, detected peak) vote for their displacement. The true one collects a vote
from nearly every spot; chance pairs spread out. Rotation and scale are stepped over a small grid. A
match that chance could have made, or that has a rival elsewhere, is refused.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from soxspipe.errors import DataError


@dataclass(frozen=True, eq=False)
class Peaks:
    """Local maxima of an image: positions in pixels and significance in sigma, shape (n,)."""

    x: np.ndarray
    y: np.ndarray
    significance: np.ndarray


@dataclass(frozen=True)
class Registration:
    """x' = x + dx + stretch, with rotation (rad) and scale about the centre of the pattern."""

    dx: float
    dy: float
    rotation: float
    scale: float
    centre: tuple[float, float]
    matched: float  # share of the predicted spots that found a peak
    rival: float  # share that the next best displacement explains

    def apply(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Predicted positions moved to where the frame shows them."""
        u, v = x - self.centre[0], y - self.centre[1]
        return (
            x + self.dx + self.scale * u - self.rotation * v,
            y + self.dy + self.scale * v + self.rotation * u,
        )


def find_peaks(
    data: np.ndarray, variance: np.ndarray, good: np.ndarray, *, sigma: float, width: float = 0.9
) -> Peaks:
    """Point-like peaks of an image, by a Gaussian-matched filter.

    Parameters
    ----------
    data, variance, good : (ny, nx) image, its variance, and True where a pixel can be used.
    sigma : least significance. width : Gaussian sigma of the filter, pixels.
    """
    clean = np.where(good, data, 0.0).astype("f4")
    floor = ndimage.uniform_filter(clean, 15)
    filtered = ndimage.gaussian_filter(clean - floor, width, truncate=3.0)
    area = 1.0 / (4.0 * np.pi * width**2)  # sum of the squared filter
    noise = np.sqrt(ndimage.uniform_filter(np.where(good, variance, 0.0).astype("f4"), 5) * area)
    significance = filtered / np.maximum(noise, 1e-6)
    top = (ndimage.maximum_filter(filtered, 5) == filtered) & (significance > sigma) & good
    y, x = np.nonzero(top)
    return Peaks(x.astype("f8"), y.astype("f8"), significance[top])


def _votes(dx: np.ndarray, dy: np.ndarray, reach: int) -> np.ndarray:
    """Smoothed histogram of displacements on a 1-pixel grid, (2 reach + 1) squared."""
    size = 2 * reach + 1
    i, j = np.rint(dx).astype("i8") + reach, np.rint(dy).astype("i8") + reach
    inside = (i >= 0) & (i < size) & (j >= 0) & (j < size)
    flat = np.bincount(i[inside] * size + j[inside], minlength=size * size)
    return ndimage.uniform_filter(flat.reshape(size, size).astype("f8"), 3) * 9.0


def _pairs(
    x: np.ndarray, y: np.ndarray, peaks: Peaks, radius: float
) -> tuple[np.ndarray, np.ndarray]:
    """Indices (spot, peak) of all pairs closer than `radius`."""
    tree = cKDTree(np.column_stack([peaks.x, peaks.y]))
    near = tree.query_ball_point(np.column_stack([x, y]), radius)
    spot = np.repeat(np.arange(len(x)), [len(n) for n in near])
    return spot, np.concatenate([np.asarray(n, dtype="i8") for n in near] or [np.empty(0, "i8")])


def register(
    x: np.ndarray,
    y: np.ndarray,
    peaks: Peaks,
    *,
    name: str,
    reach: int = 22,
    rotations: np.ndarray | None = None,
    scales: np.ndarray | None = None,
    least: float = 0.35,
) -> Registration:
    """Displacement of predicted spots (x, y), shape (n,), that explains the peaks best.

    Parameters
    ----------
    reach : largest shift looked for, pixels. rotations (rad) and scales (relative) are stepped over.
    least : share of the spots that must be explained.
    name : of the group of spots, for messages.

    Raises
    ------
    DataError : too few spots explained, or two displacements explain them about equally well.
    """
    rotations = np.zeros(1) if rotations is None else rotations
    scales = np.zeros(1) if scales is None else scales
    centre = (float(np.mean(x)), float(np.mean(y)))
    u, v = x - centre[0], y - centre[1]
    play = np.hypot(u, v).max() * np.hypot(np.abs(rotations).max(), np.abs(scales).max())
    spot, peak = _pairs(x, y, peaks, 1.5 * reach + play)
    dx, dy = peaks.x[peak] - x[spot], peaks.y[peak] - y[spot]
    best, best_value, best_map = (0.0, 0.0), -1.0, np.zeros((1, 1))
    for rotation in rotations:
        for scale in scales:
            votes = _votes(
                dx - scale * u[spot] + rotation * v[spot],
                dy - scale * v[spot] - rotation * u[spot],
                reach,
            )
            if votes.max() > best_value:
                best, best_value, best_map = (float(rotation), float(scale)), votes.max(), votes
    i, j = np.unravel_index(int(best_map.argmax()), best_map.shape)
    rest = best_map.copy()
    rest[max(i - 3, 0) : i + 4, max(j - 3, 0) : j + 4] = 0.0
    rival = float(rest.max()) / len(x)
    rotation, scale = best
    left_x = dx - scale * u[spot] + rotation * v[spot] - (i - reach)
    left_y = dy - scale * v[spot] - rotation * u[spot] - (j - reach)
    close = (np.abs(left_x) < 2) & (np.abs(left_y) < 2)
    matched = len(np.unique(spot[close])) / len(x)
    if matched < least or matched < 1.5 * rival:
        raise DataError(
            f"{name}: the arc lines were not recognised ({matched:.0%} of {len(x)} explained, "
            f"the next best match explains {rival:.0%})",
            hint="look at the raw frame: are the lamps on, is the pinhole mask in, is it this arm?",
        )
    return Registration(
        dx=float(i - reach + np.median(left_x[close])),
        dy=float(j - reach + np.median(left_y[close])),
        rotation=rotation,
        scale=scale,
        centre=centre,
        matched=matched,
        rival=rival,
    )
