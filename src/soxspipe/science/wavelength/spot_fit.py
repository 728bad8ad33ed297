"""Spots fitted together with the shape they share, and with the light and the hits beside them."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from soxspipe.maths.blends import Together, fit_together, leftovers
from soxspipe.science.wavelength import companions
from soxspipe.science.wavelength.spot_start import TELLING, Places, first_spots, guessed
from soxspipe.science.wavelength.spot_widths import Shared, shared

#: Light that no listed line explains counts as another spot from this significance on.
_COMPANION = 5.0
#: Pixels of a stamp that may be hits by cosmic rays.
_MOST_HITS = 4
#: Light this close to a listed place, in pixels, is that of the line.
_CLAIM = 1.5
#: Two centres closer than this, in sigma, are one spot to the eye.
CLOSE = 1.9
#: Light beside a spot is another one if it exceeds so many times what the misfit of the shape may leave.
_CREDIBLE = 2.0


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
    first = first_spots(data, base, places, half_width=half_width, sigma=sigma, gate=gate)
    if first is None:
        return None
    spots, same = first
    how = {"half_width": half_width, "rounds": 1}
    fit = _again(data, base, spots, same.level, same, **how)
    same, misfit = _look_back(data, base, places, fit, half_width)
    fit = _again(data, base, fit.spots, fit.level, same, misfit=misfit, **how)
    if not thorough:
        return Fitted(fit, same, misfit, np.zeros(len(spots), dtype=bool))
    return _with_all_light(data, base, places, fit, same, misfit, half_width)


def _with_all_light(
    data: np.ndarray,
    base: np.ndarray,
    places: Places,
    fit: Together,
    same: Shared,
    misfit: float,
    half_width: tuple[int, int],
) -> Fitted:
    """Fit once more, with unlisted light beside the spots and without hits by cosmic rays."""
    n = len(places.x)
    fit, same = _with_company(data, base, places, fit, same, misfit, half_width)
    # with company accounted for, what is left is the shape
    misfit = _misfit(data, base, fit, half_width)
    keep, split = _pruned(fit, same, misfit, n)
    same = same.of(keep)
    spots = fit.spots[keep]
    spots[:n] = _revived(data, places, spots[:n], same.of(np.arange(n)))
    how = {"half_width": half_width, "rounds": 1, "most_hits": _MOST_HITS}
    fit = _again(data, base, spots, same.level, same, misfit=misfit, **how)
    return Fitted(fit, same, misfit, split)


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
    return np.where(lost[:, None], guessed(data, places, same), spots)


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
    bright = good & (fit.spots[:, 0] > TELLING * fit.errors[:, 0])
    good = bright if bright.any() else good
    return np.asarray(good & (fit.chi2 <= 3.0 * np.median(fit.chi2[good])))


def _misfit(
    data: np.ndarray, base: np.ndarray, fit: Together, half_width: tuple[int, int]
) -> float:
    """Error of the shape as a fraction of the light."""
    weight = companions.weight_of(fit, data, base, 0.0)
    _, _, misfit = leftovers(fit, weight, half_width=half_width)
    return companions.shape_misfit(misfit, fit.spots[:, 0], _telling(fit))
