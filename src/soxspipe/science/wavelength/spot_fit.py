"""From predicted places to fitted spots: alone, with a shared shape, together, and with companions."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from soxspipe.maths.blends import Together, fit_together, leftovers
from soxspipe.maths.gaussians import fit_spots
from soxspipe.science.wavelength import companions
from soxspipe.science.wavelength.spot_shape import nearest_pixel
from soxspipe.science.wavelength.spot_widths import Shared, shared

#: Light that no listed line explains counts as another spot from this significance on.
_COMPANION = 5.0
#: Fits that ended this close to each other, in pixels, have found the same spot.
_SAME = 0.5
#: Pixels of a stamp that may be hits by cosmic rays.
_MOST_HITS = 4
#: Light this close to a listed place, in pixels, is that of the line.
_CLAIM = 1.5
#: Two centres closer than this, in sigma, are one spot to the eye.
CLOSE = 1.9
#: Light beside a spot is another one if it exceeds so many times what the misfit of the shape may leave.
_CREDIBLE = 2.0
#: Spots of this significance tell of the shape that all share.
_TELLING = 20.0


@dataclass(frozen=True, eq=False)
class Places:
    """Where spots are looked for, (n,): x, y, order, slit position (arcsec), pixel along dispersion."""

    x: np.ndarray
    y: np.ndarray
    order: np.ndarray
    slit: np.ndarray
    along: np.ndarray


@dataclass(frozen=True, eq=False)
class Fitted:
    """All spots of a frame: rows 0 to n - 1 belong to the n places, further rows to unlisted light.

    same    what is expected at each row; misfit: error of that shape, as a fraction of the light
    split   (n,) True where a fit would rather have two spots than one
    """

    spots: Together
    same: Shared
    misfit: float
    split: np.ndarray


def fit_all(
    data: np.ndarray,
    base: np.ndarray,
    places: Places,
    *,
    half_width: tuple[int, int],
    sigma: float,
    gate: float,
    thorough: bool = True,
) -> Fitted | None:
    """Fit a spot at every place where there is one, and whatever else shines beside it.

    data, base : (ny, nx) electrons, and variance without photon noise of the spots (infinite: not to be
    used). sigma : width to start from, pixels. gate : how far a spot may be from its place.
    thorough : look for unlisted light and for hits by cosmic rays, too.

    None if there is no spot at all.
    """
    weight = 1.0 / (base + np.maximum(data, 0.0))
    alone, error, chi2 = fit_spots(
        data, weight, places.x, places.y, half_width=half_width, sigma=sigma
    )
    good = _plausible(alone, error, places, gate=gate, widest=2.5 * sigma)
    crowded = _crowded(places, half_width)
    good &= ~crowded & ~_doubles(alone, good)
    if not good.any():
        good = _plausible(alone, error, places, gate=gate, widest=2.5 * sigma)
    if not good.any():
        return None
    spots = np.column_stack([alone[:, :5], np.zeros(len(alone))])
    spots[~good] = np.nan
    telling = good & (alone[:, 0] > _TELLING * error[:, 0])
    telling = telling if telling.any() else good
    telling &= chi2 <= 3.0 * np.median(chi2[telling])
    same = shared(
        places.order,
        places.along,
        places.slit,
        np.column_stack([alone[:, [5, 3, 4]], np.zeros(len(alone))]),
        np.column_stack([error[:, [5, 3, 4]], np.ones(len(alone))]),
        telling,
    )
    spots[crowded] = _guessed(data, places, same)[crowded]
    how = {"half_width": half_width, "rounds": 1}
    fit = _again(data, base, spots, same.level, same, **how)
    same, misfit = _look_back(data, base, places, fit, half_width)
    fit = _again(data, base, fit.spots, fit.level, same, misfit=misfit, **how)
    if not thorough:
        return Fitted(fit, same, misfit, np.zeros(len(alone), dtype=bool))
    fit, same = _with_company(data, base, places, fit, same, misfit, half_width)
    # with company accounted for, what is left is the shape
    misfit = _misfit(data, base, fit, half_width)
    keep, split = _pruned(fit, same, misfit, len(alone))
    same = same.of(keep)
    spots = fit.spots[keep]
    spots[: len(alone)] = _revived(
        data, places, spots[: len(alone)], same.of(np.arange(len(alone)))
    )
    fit = _again(
        data,
        base,
        spots,
        same.level,
        same,
        misfit=misfit,
        most_hits=_MOST_HITS,
        **how,
    )
    return Fitted(fit, same, misfit, split)


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


def _guessed(data: np.ndarray, places: Places, same: Shared) -> np.ndarray:
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


def _again(  # type: ignore[no-untyped-def]
    data: np.ndarray, base: np.ndarray, spots: np.ndarray, level: np.ndarray, same: Shared, **how
) -> Together:
    """Fit together, all with the shared shape to start from."""
    start = spots.copy()
    start[:, 3:5], start[:, 5] = same.sigma, same.covariance
    start[~np.isfinite(spots[:, 0])] = np.nan
    return fit_together(data, base, start, level, wanted=same.wanted, **how)


def _look_back(
    data: np.ndarray,
    base: np.ndarray,
    places: Places,
    fit: Together,
    half_width: tuple[int, int],
) -> tuple[Shared, float]:
    """What the spots share, their lean included, and how far single spots are from it."""
    weight = companions.weight_of(fit, data, base, 0.0)
    lean, error, misfit = leftovers(fit, weight, half_width=half_width)
    telling = _telling(fit)
    same = shared(
        places.order,
        places.along,
        places.slit,
        np.column_stack([fit.level, fit.spots[:, 3:5], lean]),
        np.column_stack([fit.errors[:, 3:6], error]),
        telling,
    )
    return same, companions.shape_misfit(misfit, fit.spots[:, 0], telling)


def _with_company(
    data: np.ndarray,
    base: np.ndarray,
    places: Places,
    fit: Together,
    same: Shared,
    misfit: float,
    half_width: tuple[int, int],
) -> tuple[Together, Shared]:
    """Fit with the listed spots that were missed at first, and with light that nobody listed, which
    follows in further rows.
    """
    reach = (half_width[0] + 2, half_width[1] + 2)
    typical = np.median(same.sigma, axis=0)
    weight = companions.weight_of(fit, data, base, misfit)
    found = companions.unexplained(
        *companions.around(fit, weight, reach), sigma=(typical[0], typical[1]), limit=_COMPANION
    )
    spots, rest = _claimed(fit.spots, places, found)
    known = np.flatnonzero(np.isfinite(fit.spots[:, 0]))
    owner = known[cKDTree(fit.spots[known, 1:3]).query(rest[:, 1:3])[1]]
    every = np.concatenate([np.arange(len(places.x)), owner])
    same = same.of(every)
    spots = np.concatenate([spots, np.column_stack([rest, np.zeros((len(rest), 3))])])
    fit = _again(
        data, base, spots, same.level, same, half_width=half_width, misfit=misfit, rounds=2
    )
    return fit, same


def _revived(data: np.ndarray, places: Places, spots: np.ndarray, same: Shared) -> np.ndarray:
    """Spots (n, 6), with a guess where no fit has found one, but light shines: next to a cosmic ray a
    first fit goes astray.
    """
    lost = ~np.isfinite(spots[:, 0])
    return np.where(lost[:, None], _guessed(data, places, same), spots)


def _pruned(fit: Together, same: Shared, misfit: float, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows to keep, and (n,) True for listed spots that lose a companion by that.

    Unlisted light goes if it is faint, or so close to a listed spot that it may be a part of it.
    """
    spots = fit.spots
    listed = np.flatnonzero(np.isfinite(spots[:n, 0]))
    extra = np.arange(n, len(spots))
    extra = extra[np.isfinite(spots[extra, 0])]
    distance, which = cKDTree(spots[listed, 1:3]).query(spots[extra, 1:3])
    owner = listed[which] if len(extra) else np.empty(0, "i8")
    close = distance < CLOSE * same.sigma[owner].mean(axis=1)
    faint = spots[extra, 0] < _COMPANION * fit.errors[extra, 0]
    faint |= spots[extra, 0] < _CREDIBLE * misfit * spots[owner, 0]
    faint |= ~np.isfinite(fit.chi2[extra])
    split = np.zeros(n, dtype=bool)
    split[owner[close & ~faint]] = True
    return np.concatenate([np.arange(n), extra[~close & ~faint]]), split


def _claimed(
    spots: np.ndarray, places: Places, found: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Listed spots (n, 6) with those that no fit found at first, but that shine; the rest of the light
    `found`, (m, 3) counts, x, y.
    """
    spots = spots.copy()
    x, y, counts = found
    rest = np.column_stack([counts, x, y])
    lost = np.flatnonzero(~np.isfinite(spots[:, 0]))
    if not len(lost) or not len(rest):
        return spots, rest
    at = np.column_stack([places.x, places.y])[lost]
    distance, which = cKDTree(rest[:, 1:3]).query(at)
    near = np.flatnonzero(distance < _CLAIM)
    near = near[np.argsort(distance[near])]
    taken, first = np.unique(which[near], return_index=True)
    mine = lost[near[first]]
    spots[mine, :3] = rest[taken]
    return spots, np.delete(rest, taken, axis=0)


def _telling(fit: Together) -> np.ndarray:
    """(n,) True for bright spots that fit well."""
    good = np.isfinite(fit.chi2)
    bright = good & (fit.spots[:, 0] > _TELLING * fit.errors[:, 0])
    good = bright if bright.any() else good
    return np.asarray(good & (fit.chi2 <= 3.0 * np.median(fit.chi2[good])))


def _misfit(
    data: np.ndarray, base: np.ndarray, fit: Together, half_width: tuple[int, int]
) -> float:
    """Error of the shape as a fraction of the light."""
    weight = companions.weight_of(fit, data, base, 0.0)
    _, _, misfit = leftovers(fit, weight, half_width=half_width)
    return companions.shape_misfit(misfit, fit.spots[:, 0], _telling(fit))
