"""Find how far a night's pinhole pattern stands from the prediction: shift, rotation, scale.

All pairs (predicted spot, detected peak) vote for their displacement. The true one collects a vote
from nearly every spot that shines; chance pairs spread out. Groups of orders that move on their own have
their own shift, but turn and stretch together: rotation and scale are those for which the best
displacements of all groups together collect most. Faint peaks, of which there are many in a rich
lamp, count less. A match that chance could have made is refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from soxspipe.errors import DataError

#: A match must stand out of the votes for other displacements by so many of their standard deviations.
LEAST_SIGNIFICANCE = 5.0
#: The next best displacement may collect this share of the votes of the best.
MOST_RIVAL = 0.7
#: Peaks count fully up to this rank in brightness, in numbers of predicted spots.
_BRIGHT = 1.5


@dataclass(frozen=True, eq=False)
class Peaks:
    """Local maxima of an image: positions in pixels and significance in sigma, shape (n,)."""

    x: np.ndarray
    y: np.ndarray
    significance: np.ndarray


@dataclass(frozen=True, eq=False)
class Pattern:
    """Predicted spots (n,) of orders that move together, in pixels; `name` is for messages."""

    x: np.ndarray
    y: np.ndarray
    name: str


@dataclass(frozen=True)
class Registration:
    """x' = x + dx + stretch, with rotation (rad) and scale about the centre of the pattern."""

    dx: float
    dy: float
    rotation: float
    scale: float
    centre: tuple[float, float]
    matched: float  # share of the predicted spots that found a peak
    rival: float  # votes for the next best displacement over those for the best
    significance: float  # of the votes, against those for other displacements

    def apply(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Predicted positions moved to where the frame shows them."""
        u, v = x - self.centre[0], y - self.centre[1]
        return (
            x + self.dx + self.scale * u - self.rotation * v,
            y + self.dy + self.scale * v + self.rotation * u,
        )


@dataclass(frozen=True, eq=False)
class _Pairs:
    """All pairs of a spot and a peak that a displacement within reach could explain."""

    pattern: Pattern
    centre: tuple[float, float]
    spot: np.ndarray
    dx: np.ndarray
    dy: np.ndarray
    weight: np.ndarray

    def displacements(self, rotation: float, scale: float) -> tuple[np.ndarray, np.ndarray]:
        """What is left of each pair's displacement when the pattern is turned and stretched."""
        u = self.pattern.x[self.spot] - self.centre[0]
        v = self.pattern.y[self.spot] - self.centre[1]
        return self.dx - scale * u + rotation * v, self.dy - scale * v - rotation * u


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


def _paired(pattern: Pattern, peaks: Peaks, reach: int, turn: float) -> _Pairs:
    """Pairs within reach; `turn` is the largest rotation or stretch, relative."""
    x, y = pattern.x, pattern.y
    centre = (float(np.mean(x)), float(np.mean(y)))
    play = np.hypot(x - centre[0], y - centre[1]).max() * turn
    tree = cKDTree(np.column_stack([peaks.x, peaks.y]))
    near = tree.query_ball_point(np.column_stack([x, y]), 1.5 * reach + play)
    spot = np.repeat(np.arange(len(x)), [len(n) for n in near])
    peak = np.concatenate([np.asarray(n, dtype="i8") for n in near] or [np.empty(0, "i8")])
    seen, which = np.unique(peak, return_inverse=True)
    rank = np.empty(len(seen))
    rank[np.argsort(-peaks.significance[seen], kind="stable")] = np.arange(1, len(seen) + 1)
    weight = np.minimum(_BRIGHT * len(x) / rank, 1.0)[which]
    return _Pairs(pattern, centre, spot, peaks.x[peak] - x[spot], peaks.y[peak] - y[spot], weight)


def _votes(dx: np.ndarray, dy: np.ndarray, weight: np.ndarray, reach: int) -> np.ndarray:
    """Smoothed histogram of displacements on a 1-pixel grid, (2 reach + 1) squared."""
    size = 2 * reach + 1
    i, j = np.rint(dx).astype("i8") + reach, np.rint(dy).astype("i8") + reach
    inside = (i >= 0) & (i < size) & (j >= 0) & (j < size)
    flat = np.bincount(i[inside] * size + j[inside], weight[inside], minlength=size * size)
    return np.asarray(ndimage.uniform_filter(flat.reshape(size, size), 3) * 9.0)


def register(
    patterns: Sequence[Pattern],
    peaks: Peaks,
    *,
    reach: int = 22,
    rotations: Sequence[float] | np.ndarray = (0.0,),
    scales: Sequence[float] | np.ndarray = (0.0,),
    least: float = 0.3,
) -> list[Registration]:
    """Displacements of the patterns, and their common rotation and scale, that explain the peaks best.

    Parameters
    ----------
    reach : largest shift looked for, pixels. rotations (rad) and scales (relative) are stepped over.
    least : share of the spots of each pattern that must be explained.

    Raises
    ------
    DataError : too few spots of a pattern explained, or not many more than other displacements do.
    """
    turn = float(np.hypot(np.abs(rotations).max(), np.abs(scales).max()))
    pairs = [_paired(pattern, peaks, reach, turn) for pattern in patterns]
    best, best_value = (0.0, 0.0), -1.0
    for rotation in rotations:
        for scale in scales:
            value = sum(
                _votes(*p.displacements(rotation, scale), p.weight, reach).max() for p in pairs
            )
            if value > best_value:
                best, best_value = (float(rotation), float(scale)), float(value)
    return [_located(p, *best, reach, least) for p in pairs]


def _located(
    pairs: _Pairs, rotation: float, scale: float, reach: int, least: float
) -> Registration:
    """Where the votes of one pattern gather; DataError if it could be chance."""
    dx, dy = pairs.displacements(rotation, scale)
    votes = _votes(dx, dy, pairs.weight, reach)
    i, j = np.unravel_index(int(votes.argmax()), votes.shape)
    elsewhere = np.ones(votes.shape, dtype=bool)
    elsewhere[max(i - 4, 0) : i + 5, max(j - 4, 0) : j + 5] = False
    # displacements across the orders meet no peaks at all: chance is what meets them
    common = votes[elsewhere & (np.abs(np.arange(len(votes)) - i)[:, None] < 3)]
    other = votes[elsewhere & (np.abs(np.arange(len(votes)) - j)[None, :] < 3)]
    chance = max((common, other), key=lambda part: float(part.mean()))
    significance = (votes.max() - chance.mean()) / max(float(chance.std()), 1.0)
    rival = float(votes[elsewhere].max() / max(votes.max(), 1e-9))
    left_x, left_y = dx - (i - reach), dy - (j - reach)
    close = (np.abs(left_x) < 2) & (np.abs(left_y) < 2)
    matched = len(np.unique(pairs.spot[close])) / len(pairs.pattern.x)
    if matched < least or significance < LEAST_SIGNIFICANCE or rival > MOST_RIVAL:
        raise DataError(
            f"{pairs.pattern.name}: the arc lines were not recognised ({matched:.0%} of "
            f"{len(pairs.pattern.x)} explained, {significance:.1f} sigma above chance; the next best "
            f"match has {rival:.0%} of its votes)",
            hint="look at the raw frame: are the lamps on, is the pinhole mask in, is it this arm?",
        )
    return Registration(
        dx=float(i - reach + np.median(left_x[close])),
        dy=float(j - reach + np.median(left_y[close])),
        rotation=rotation,
        scale=scale,
        centre=pairs.centre,
        matched=matched,
        rival=rival,
        significance=float(significance),
    )
