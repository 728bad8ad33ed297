"""Where the telescope pointed: A or B of nodding, target or sky of an offset pattern, places of a map.

Pure: small facts of the exposures in, one place for each out. Nothing relies on the sign of an offset or
on a pattern being whole.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from soxspipe.instrument.headers import ObservationInfo

#: Offsets that differ by less are the same, arcsec along the slit and on the sky.
SAME_ALONG, SAME_ON_SKY = 0.1, 0.5

_DAY = 86400.0  # s


@dataclass(frozen=True)
class Shot:
    """One exposure. `start` in MJD, `seconds` its exposure time; `along` offset along the slit, `ra` and
    `dec` offsets on the sky, arcsec, NaN if the header does not tell.
    """

    start: float
    seconds: float
    along: float = math.nan
    ra: float = math.nan
    dec: float = math.nan

    @property
    def middle(self) -> float:
        """MJD of its middle."""
        return self.start + 0.5 * (self.seconds if math.isfinite(self.seconds) else 0.0) / _DAY

    @property
    def is_placed(self) -> bool:
        """True if its offsets on the sky are known."""
        return math.isfinite(self.ra) and math.isfinite(self.dec)


@dataclass(frozen=True)
class Position:
    """Exposures that point at one place: offsets from the target in arcsec, indices in order of time."""

    ra: float
    dec: float
    members: tuple[int, ...]


def shots(infos: Sequence[ObservationInfo]) -> tuple[Shot, ...]:
    """The facts of exposures from their headers, in the order given.

    Of the keywords for the offset on the sky those are taken that differ most from exposure to exposure:
    the cumulative offset, the fixed offset, or the sum of the telescope's moves in order of time.
    """
    order = sorted(range(len(infos)), key=lambda i: infos[i].mjd_obs)
    moves = np.array([(infos[i].step_ra, infos[i].step_dec) for i in order]).reshape(-1, 2)
    summed = np.full(moves.shape, np.nan)
    summed[order] = np.cumsum(moves, axis=0)
    choices = (
        np.array([(i.cumulative_ra, i.cumulative_dec) for i in infos]).reshape(-1, 2),
        np.array([(i.offset_ra, i.offset_dec) for i in infos]).reshape(-1, 2),
        summed,
    )
    best = max(choices, key=lambda c: (round(_spread(c) / SAME_ON_SKY), np.isfinite(c).sum()))
    return tuple(
        Shot(i.mjd_obs, i.exptime, i.offset_along_slit, float(ra), float(dec))
        for i, (ra, dec) in zip(infos, best, strict=True)
    )


def _spread(offsets: np.ndarray) -> float:
    known = offsets[np.isfinite(offsets).all(axis=1)]
    return float(np.ptp(known, axis=0).max()) if len(known) else 0.0


def nod_places(
    along: Sequence[float], *, throw: float = math.nan, jitter: float = 0.0, least: float = 0.5
) -> tuple[tuple[str, ...], str]:
    """Each exposure's place, "A" (the larger offset along the slit) or "B", "" where the offset is NaN;
    and what is odd.

    The widest gap between sorted offsets parts the two, wherever zero is and however many there are of
    each; a `jitter` box narrower than half the throw leaves that gap the widest. Unless it is wider than
    `least`, that box, and 0.4 throws, all are at one place: A if the mean offset is not negative.
    """
    known = sorted(value for value in along if math.isfinite(value))
    if not known:
        return ("",) * len(along), "no exposure tells its offset along the slit" if along else ""
    gaps = [high - low for low, high in pairwise(known)]
    widest = max(gaps, default=0.0)
    known_throw = abs(throw) if math.isfinite(throw) and throw else math.inf
    box = min(jitter, 0.5 * known_throw) if math.isfinite(jitter) else 0.0
    limit = max(least, box, 0.4 * known_throw if math.isfinite(known_throw) else 0.0)
    if widest > limit:
        at = gaps.index(widest)
        border, doubt = 0.5 * (known[at] + known[at + 1]), ""
    else:
        border = known[0] if sum(known) >= 0 else math.inf
        doubt = "all exposures are at one position of the slit"
    places = tuple("" if not math.isfinite(v) else "A" if v >= border else "B" for v in along)
    if "" in places:
        doubt = "; ".join([*([doubt] if doubt else []), "offsets along the slit are missing"])
    return places, doubt


def sky_places(
    exposures: Sequence[Shot], *, reach: float = SAME_ON_SKY
) -> tuple[tuple[str, ...], str]:
    """Each exposure's place, "on" or "sky", "" where the offset is NaN; and what is odd.

    On the target is what lies within `reach` arcsec of the smallest offset. Of offsets of equal size on
    both sides, that with RA + DEC below zero is on the target (the published rule), then the earlier one.
    """
    placed = [i for i, e in enumerate(exposures) if e.is_placed]
    if not placed:
        return ("",) * len(exposures), "no exposure tells its offset" if exposures else ""
    size = {i: math.hypot(exposures[i].ra, exposures[i].dec) for i in placed}
    smallest = min(size.values())
    rivals = [i for i in placed if size[i] <= smallest + SAME_ALONG]
    target = min(
        rivals,
        key=lambda i: (
            exposures[i].ra + exposures[i].dec >= 0 and smallest > reach,
            exposures[i].start,
        ),
    )
    centre = exposures[target]
    places = tuple(
        ""
        if not e.is_placed
        else "on"
        if math.hypot(e.ra - centre.ra, e.dec - centre.dec) <= max(reach, SAME_ALONG)
        else "sky"
        for e in exposures
    )
    doubts = []
    if smallest > reach:
        doubts.append(
            f"no exposure is at zero offset: that at {centre.ra:g}, {centre.dec:g} arcsec is taken"
            " for the target"
        )
    if "sky" not in places:
        doubts.append("no exposure is off the target")
    if "" in places:
        doubts.append("offsets are missing")
    return places, "; ".join(doubts)


def positions(exposures: Sequence[Shot], *, same: float = SAME_ON_SKY) -> tuple[Position, ...]:
    """The distinct places of a map in order of time, with the exposures of each; those whose header does
    not tell the offset are left out. `same`: offsets closer than this are one place, arcsec.
    """
    found: list[Position] = []
    for i in sorted(range(len(exposures)), key=lambda i: exposures[i].start):
        e = exposures[i]
        if not e.is_placed:
            continue
        for n, place in enumerate(found):
            if math.hypot(e.ra - place.ra, e.dec - place.dec) <= same:
                found[n] = replace(place, members=(*place.members, i))
                break
        else:
            found.append(Position(e.ra, e.dec, (i,)))
    return tuple(found)


def adjoin(places: Sequence[Position], *, reach: float) -> bool:
    """True if there are several places and all hang together by steps of at most `reach` arcsec: the slit
    was stepped over an area, and the positions can be put together to a cube.
    """
    if len(places) < 2:
        return False
    todo, left = [places[0]], list(places[1:])
    while todo:
        here = todo.pop()
        near = [p for p in left if math.hypot(p.ra - here.ra, p.dec - here.dec) <= reach]
        left = [p for p in left if p not in near]
        todo += near
    return not left


def is_map(template: str, exposures: Sequence[Shot], *, least: int = 4, reach: float = 5.0) -> bool:
    """True if the exposures map an area and none of them is of empty sky.

    Either the name of the template says so, or there are `least` positions or more, all hanging together
    by steps of at most `reach` arcsec, the width of the widest slit.
    """
    places = positions(exposures)
    named = "map" in template.lower()
    return (named and len(places) > 1) or (len(places) >= least and adjoin(places, reach=reach))
