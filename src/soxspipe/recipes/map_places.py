"""The geometry of a map: its positions along and across the slit, its sky, the rows of a cube.

Pure: facts of the exposures in, places out.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from soxspipe.instrument.headers import ObservationInfo
from soxspipe.recipes.places import SAME_ON_SKY, Position, Shot, is_map, positions, shots

log = logging.getLogger(__name__)

#: Exposures farther from all of the map than this are of the sky, arcsec: more than the slit is long.
FAR = 15.0


@dataclass(frozen=True)
class Place:
    """One position of a map.

    number       from 1, in order of time
    ra, dec      offsets on the sky, arcsec
    along        offset of the pointing along the slit, arcsec
    across       the same across the slit
    moved        arcsec by which the target stands higher on the slit than at zero offset
    members      indices of the exposures
    """

    number: int
    ra: float
    dec: float
    along: float
    across: float
    moved: float
    members: tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """A map.

    sky     indices of exposures far from the map
    lost    indices of exposures whose header does not tell an offset
    angle   position angle of the slit, degrees from north to east
    source  where the angle is from: "header", "slit offsets" or "pattern"
    sense   1 if slit positions rise towards the position angle, -1 if they fall
    """

    places: tuple[Place, ...]
    sky: tuple[int, ...]
    lost: tuple[int, ...]
    angle: float
    source: str
    sense: int = 1

    def turned(self) -> "Layout":
        """The same, with slit positions that rise the other way."""
        places = tuple(replace(p, moved=-p.moved + 0.0) for p in self.places)
        return replace(self, places=places, sense=-self.sense)


@dataclass(frozen=True)
class Rows:
    """Rows of a cube. index: of each place; first, step: offset across of row 0, and between rows,
    arcsec; number of rows; worst: largest distance of a place from its row, arcsec.
    """

    index: tuple[int, ...]
    first: float
    step: float
    number: int
    worst: float

    @property
    def empty(self) -> tuple[int, ...]:
        """Rows without a place."""
        return tuple(sorted(set(range(self.number)) - set(self.index)))


def map_shots(infos: Sequence[ObservationInfo]) -> tuple[Shot, ...]:
    """Facts of the exposures; where no header tells an offset on the sky, RA and DEC are those across and
    along the slit.
    """
    told = shots(infos)
    if any(shot.is_placed for shot in told):
        return told
    return tuple(
        replace(shot, ra=info.offset_across_slit, dec=info.offset_along_slit)
        for shot, info in zip(told, infos, strict=True)
    )


def is_wanted(infos: Sequence[ObservationInfo], exposures: Sequence[Shot]) -> bool:
    """True if the exposures are to be reduced as a map. What calls itself a map and is none is told."""
    first = infos[0]
    named = first.dpr_tech.endswith("MAPPING") or "map" in first.template.lower()
    if is_map("map" if named else "", exposures):
        return True
    if named:
        what = (
            "no exposure tells its offset"
            if not any(shot.is_placed for shot in exposures)
            else "all exposures are at one position"
        )
        log.warning(
            "%s is called a map, but %s: reduced as offset exposures, those without a partner as stare",
            first.file,
            what,
        )
    return False


def layout(
    infos: Sequence[ObservationInfo], exposures: Sequence[Shot], *, width: float = math.nan
) -> Layout:
    """Positions, sky and position angle of a map. width : of the slit, arcsec; positions closer than a
    third of it, and than 0.5 arcsec, are one.
    """
    same = min(SAME_ON_SKY, width / 3.0) if math.isfinite(width) and width > 0 else SAME_ON_SKY
    found, sky = _parted(positions(exposures, same=same))
    angle, source = _angle(infos, exposures, found)
    sine, cosine = math.sin(math.radians(angle)), math.cos(math.radians(angle))
    told = [p.members[0] for p in found]
    slit = [exposures[i].along for i in told]
    # the offset along the slit is that of the target on it, as in nodding
    use_slit = all(map(math.isfinite, slit)) and float(np.ptp(slit or [0.0])) > 0.1
    places = []
    for number, (p, own) in enumerate(zip(found, slit, strict=True), start=1):
        along = p.ra * sine + p.dec * cosine
        across = p.ra * cosine - p.dec * sine
        moved = own if use_slit else -along
        places.append(Place(number, p.ra, p.dec, along, across, moved + 0.0, p.members))
    lost = tuple(i for i, shot in enumerate(exposures) if not shot.is_placed)
    sense = 1
    if use_slit:  # the offset along the slit tells both
        product = sum(p.along * p.moved for p in places)
        sense = -1 if product > 0 else 1
    return Layout(tuple(places), sky, lost, angle, source, sense)


def _parted(found: Sequence[Position]) -> tuple[tuple[Position, ...], tuple[int, ...]]:
    """The places of the map, and the exposures that are far from it.

    The map is what most places belong to of what hangs together by steps of at most FAR, or four usual
    steps if the map is a sparse one; of equals, what comes nearer to zero offset.
    """
    if len(found) < 3:
        return tuple(found), ()
    at = np.array([(p.ra, p.dec) for p in found])
    apart = np.hypot(*(at[:, None] - at[None]).transpose(2, 0, 1))
    nearest = np.where(np.eye(len(at), dtype=bool), np.inf, apart).min(axis=1)
    reach = max(FAR, 4.0 * float(np.median(nearest)))
    left, clumps = set(range(len(at))), []
    while left:
        clump, todo = set(), {min(left)}
        while todo:
            here = todo.pop()
            clump.add(here)
            todo |= {n for n in left if apart[here, n] <= reach} - clump
        left -= clump
        clumps.append(clump)
    best = max(clumps, key=lambda c: (len(c), -min(np.hypot(*at[n]) for n in c)))
    sky = sorted(i for n, p in enumerate(found) if n not in best for i in p.members)
    return tuple(p for n, p in enumerate(found) if n in best), tuple(sky)


def _angle(
    infos: Sequence[ObservationInfo], exposures: Sequence[Shot], found: Sequence[Position]
) -> tuple[float, str]:
    """Position angle of the slit in degrees, and where it is from."""
    known = [i.position_angle for i in infos if math.isfinite(i.position_angle)]
    if known:
        return known[0], "header"
    if exposures == map_shots(infos) and exposures != shots(infos):
        return 0.0, "slit offsets"
    at = np.array([(p.ra, p.dec) for p in found])
    # the slit is stepped across its length: the pattern is longest at right angles to it
    axes = np.linalg.svd(at - at.mean(axis=0))[2]
    ra, dec = axes[0] if axes[0][0] >= 0 else -axes[0]
    return math.degrees(math.atan2(-dec, ra)) + 0.0, "pattern"


def rows(places: Sequence[Place], *, width: float, overlap: float = 1.05) -> Rows | None:
    """The rows of a cube: None if the places are on one row, or the usual step across the slit is more
    than `overlap` slit widths (`width`, arcsec), so that they do not tile the sky.
    """
    across = np.array([p.across for p in places])
    levels = np.sort(across)
    usual = np.diff(levels)
    usual = usual[usual > 0.3 * width]
    if not usual.size or not math.isfinite(width):
        return None
    # a missing position leaves a step of several: the usual one is near the shortest
    unit = float(np.median(usual[usual < 1.5 * usual.min()]))
    if unit > overlap * width:
        return None
    number = np.rint((across - levels[0]) / unit)
    if number.max() > 0:  # all places together know the step better than two
        unit = float(np.polyfit(number, across, 1)[0])
    first = float(np.mean(across - number * unit))
    index = np.rint((across - first) / unit).astype(int)
    worst = float(np.max(np.abs(across - first - index * unit)))
    first, unit = round(first, 6), round(unit, 6)
    return Rows(tuple(int(i) for i in index), first, unit, int(index.max()) + 1, worst)
