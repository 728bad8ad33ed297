"""First spots of a frame: each fitted alone, and what they share."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from soxspipe.maths.gaussians import fit_spots
from soxspipe.science.wavelength.spot_shape import nearest_pixel
from soxspipe.science.wavelength.spot_widths import Shared, shared

#: Fits that ended this close to each other, in pixels, have found the same spot.
_SAME = 0.5
#: Spots of this significance tell of the shape that all share.
TELLING = 20.0


@dataclass(frozen=True, eq=False)
class Places:
    """Where spots are looked for, (n,): x, y, order, slit position (arcsec), pixel along dispersion."""

    x: np.ndarray
    y: np.ndarray
    order: np.ndarray
    slit: np.ndarray
    along: np.ndarray


def first_spots(
    data: np.ndarray,
    base: np.ndarray,
    places: Places,
    *,
    half_width: tuple[int, int],
    sigma: float,
    gate: float,
) -> tuple[np.ndarray, Shared] | None:
    """Spots (n, 6) to start from, NaN where none is seen, and what is expected at each place.

    Arguments as `spot_fit.fit_all`. None if there is no spot at all.
    """
    weight = 1.0 / (base + np.maximum(data, 0.0))
    alone, error, chi2 = fit_spots(
        data, weight, places.x, places.y, half_width=half_width, sigma=sigma
    )
    seen = _plausible(alone, error, places, gate=gate, widest=2.5 * sigma)
    if not seen.any():
        return None
    crowded = _crowded(places, half_width)
    good = seen & ~crowded & ~_doubles(alone, seen)
    good = good if good.any() else seen
    spots = np.column_stack([alone[:, :5], np.zeros(len(alone))])
    spots[~good] = np.nan
    same = _shared_by(alone, error, chi2, places, good)
    spots[crowded] = guessed(data, places, same)[crowded]
    return spots, same


def _shared_by(
    alone: np.ndarray, error: np.ndarray, chi2: np.ndarray, places: Places, good: np.ndarray
) -> Shared:
    """Widths and background of the good ones among spots fitted alone; their lean is not known yet."""
    telling = good & (alone[:, 0] > TELLING * error[:, 0])
    telling = telling if telling.any() else good
    telling &= chi2 <= 3.0 * np.median(chi2[telling])
    return shared(
        places.order,
        places.along,
        places.slit,
        np.column_stack([alone[:, [5, 3, 4]], np.zeros(len(alone))]),
        np.column_stack([error[:, [5, 3, 4]], np.ones(len(alone))]),
        telling,
    )


def _plausible(
    p: np.ndarray, error: np.ndarray, places: Places, *, gate: float, widest: float
) -> np.ndarray:
    """(n,) True where a fit found a spot, and not too far away."""
    off = np.hypot(p[:, 1] - places.x, p[:, 2] - places.y)
    return np.asarray(
        (p[:, 0] > 3.0 * error[:, 0])
        & (off < max(gate, 1.0))
        & (p[:, 3:5] < widest).all(axis=1)
        & (error[:, 1:3] < 1.0).all(axis=1)
    )


def _crowded(places: Places, half_width: tuple[int, int]) -> np.ndarray:
    """(n,) True where another listed spot lies in the stamp: a fit alone would be led astray.

    The next pinhole, which in a binned frame can be 2 pixels away, does not count.
    """
    scale = np.where(np.array(half_width) > min(half_width), np.array(half_width) + 0.5, 2.0)
    at = np.column_stack([places.x, places.y]) / scale
    pairs = cKDTree(at).query_pairs(1.0, p=np.inf, output_type="ndarray")
    crowded = np.zeros(len(at), dtype=bool)
    crowded[pairs.ravel()] = True
    return crowded


def guessed(data: np.ndarray, places: Places, same: Shared) -> np.ndarray:
    """Spots (n, 6) at their places, as bright as the 3 x 3 pixels there; NaN where there is no light."""
    row, column = nearest_pixel(data.shape, places.x, places.y, margin=1)
    dy, dx = np.mgrid[-1:2, -1:2]
    light = data[row[:, None, None] + dy, column[:, None, None] + dx].sum(axis=(1, 2))
    counts = light - 9.0 * same.level
    return np.column_stack(
        [np.where(counts > 0, counts, np.nan), places.x, places.y, same.sigma, same.covariance]
    )


def _doubles(p: np.ndarray, good: np.ndarray) -> np.ndarray:
    """(n,) True for the fainter of two good fits that have found the same spot."""
    index = np.flatnonzero(good)
    double = np.zeros(len(p), dtype=bool)
    if len(index):
        pairs = cKDTree(p[index, 1:3]).query_pairs(_SAME, output_type="ndarray")
        one, other = index[pairs[:, 0]], index[pairs[:, 1]]
        double[np.where(p[one, 0] < p[other, 0], one, other)] = True
    return double
