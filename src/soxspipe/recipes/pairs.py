"""Which exposures are subtracted from each other: A and B of nodding, target and sky of an offset.

Pure: small facts of the exposures in, indices out. An exposure without a partner is named.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from scipy.optimize import linear_sum_assignment

from soxspipe.recipes.places import (
    SAME_ALONG,
    SAME_ON_SKY,
    Position,
    Shot,
    adjoin,
    is_map,
    nod_places,
    positions,
    shots,
    sky_places,
)

__all__ = [
    "Group",
    "Pair",
    "Pairing",
    "Position",
    "Shot",
    "adjoin",
    "is_map",
    "nod_places",
    "nodding",
    "offset",
    "positions",
    "shots",
    "sky_places",
]


@dataclass(frozen=True)
class Pair:
    """Indices of two exposures whose difference holds no sky: A and B, or target and sky.

    `shared`: the second serves another pair as well, so that the noise of the two is not independent.
    """

    first: int
    second: int
    shared: bool = False


@dataclass(frozen=True)
class Group:
    """Pairs that can be stacked before they are subtracted: alike in offsets and exposure times."""

    pairs: tuple[Pair, ...]

    @property
    def first(self) -> tuple[int, ...]:
        """Exposures of A, or of the target, in order, each once."""
        return tuple(sorted({pair.first for pair in self.pairs}))

    @property
    def second(self) -> tuple[int, ...]:
        """Exposures of B, or of the sky, in order, each once."""
        return tuple(sorted({pair.second for pair in self.pairs}))


@dataclass(frozen=True)
class Pairing:
    """What became of a set of exposures; numbers are indices into it.

    places    of each exposure: "A", "B"; "on", "sky"; "" if its header does not tell
    pairs     in order of time
    groups    the same pairs, those that can be stacked together
    unpaired  exposures on the target without a partner: reduced as stare; for nodding of A or B or
              unknown place
    idle      sky exposures that no exposure of the target needs
    doubt     what is odd about the offsets, for the log, or ""
    """

    places: tuple[str, ...]
    pairs: tuple[Pair, ...] = ()
    groups: tuple[Group, ...] = ()
    unpaired: tuple[int, ...] = ()
    idle: tuple[int, ...] = ()
    doubt: str = ""


# ---------------------------------------------------------------------------------------- nodding


def nodding(
    exposures: Sequence[Shot], *, throw: float = math.nan, jitter: float = 0.0, least: float = 0.5
) -> Pairing:
    """A and B, and who goes with whom.

    throw   distance of A and B that the header announces, arcsec
    jitter  width of the box of random offsets that it announces, arcsec
    least   offsets closer than this are one position, arcsec
    """
    places, doubt = nod_places(
        [e.along for e in exposures], throw=throw, jitter=jitter, least=least
    )
    a, b = _with(places, "A"), _with(places, "B")
    pairs = _matched(exposures, a, b)
    paired = {i for pair in pairs for i in (pair.first, pair.second)}
    return Pairing(
        places,
        pairs,
        _grouped(exposures, pairs, _steps([e.along for e in exposures], SAME_ALONG)),
        tuple(i for i in range(len(exposures)) if i not in paired),
        doubt=doubt,
    )


# ----------------------------------------------------------------------------------------- offset


def offset(exposures: Sequence[Shot], *, jitter: float = 0.0, same: float = SAME_ON_SKY) -> Pairing:
    """Target and sky, and which sky goes with which exposure of the target.

    Each takes a sky of its own as long as there are enough, then the nearest in time. `jitter`: width of
    the box of random offsets, `same`: offsets closer than this are alike, arcsec.
    """
    # a jittered target is still on the slit; what is called jitter beyond that is a pattern
    reach = max(same, min(1.5 * jitter, 5.0) if math.isfinite(jitter) else 0.0)
    places, doubt = sky_places(exposures, reach=reach)
    on, sky = _with(places, "on"), _with(places, "sky")
    pairs = _shared(exposures, on, sky, _matched(exposures, on, sky))
    used = {pair.second for pair in pairs}
    paired = {pair.first for pair in pairs}
    where = {i: n for n, p in enumerate(positions(exposures, same=same)) for i in p.members}
    # the place of the sky does not matter for what can be stacked
    marks = [where.get(i, -1) if i in on else -1 for i in range(len(exposures))]
    return Pairing(
        places,
        pairs,
        _grouped(exposures, pairs, marks),
        tuple(i for i, place in enumerate(places) if place != "sky" and i not in paired),
        tuple(i for i in sky if i not in used),
        doubt,
    )


# ---------------------------------------------------------------------------------------- pairing


def _with(places: Sequence[str], name: str) -> list[int]:
    return [i for i, place in enumerate(places) if place == name]


def _steps(values: Sequence[float], same: float) -> list[int]:
    """Number of the level each value is at: levels are apart by more than `same`. -1 for NaN."""
    known = sorted(v for v in values if math.isfinite(v))
    edges = [h for low, h in pairwise(known) if h - low > same]
    return [sum(v >= e for e in edges) if math.isfinite(v) else -1 for v in values]


def _distance(one: Shot, other: Shot) -> tuple[float, float]:
    """How unlike in exposure time (logarithm of the ratio), how far in time (days)."""
    times = max(one.seconds, 1e-3), max(other.seconds, 1e-3)
    unlike = abs(math.log(times[0] / times[1])) if all(map(math.isfinite, times)) else 0.0
    return (unlike if unlike > 0.01 else 0.0), abs(one.middle - other.middle)


def _matched(
    exposures: Sequence[Shot], first: Sequence[int], second: Sequence[int]
) -> tuple[Pair, ...]:
    """As many pairs as there can be: of equal exposure times first, then nearest in time over all."""
    if not (first and second):
        return ()
    unlike, days = np.array(
        [[_distance(exposures[i], exposures[j]) for j in second] for i in first]
    ).transpose(2, 0, 1)
    # any difference in exposure time outweighs all of the time between exposures
    cost = days + unlike / 0.01 * (1.0 + days.sum())
    # of equally good choices that with no long gaps, then the earlier exposures
    cost += 1e-3 * days**2 / max(days.max(), 1e-9)
    cost += 1e-9 * np.add.outer(np.arange(len(first)), np.arange(len(second)))
    rows, columns = linear_sum_assignment(cost)
    return _in_time(
        exposures, (Pair(first[r], second[c]) for r, c in zip(rows, columns, strict=True))
    )


def _shared(
    exposures: Sequence[Shot], on: Sequence[int], sky: Sequence[int], pairs: Sequence[Pair]
) -> tuple[Pair, ...]:
    """The pairs, and for exposures left over the nearest sky, which they share."""
    found = list(pairs)
    for i in (i for i in on if sky and i not in {pair.first for pair in pairs}):
        nearest = min(sky, key=lambda j: (*_distance(exposures[i], exposures[j]), j))
        found = [replace(p, shared=p.shared or p.second == nearest) for p in found]
        found.append(Pair(i, nearest, shared=True))
    return _in_time(exposures, found)


def _in_time(exposures: Sequence[Shot], pairs: Iterable[Pair]) -> tuple[Pair, ...]:
    return tuple(
        sorted(
            pairs, key=lambda p: (min(exposures[p.first].start, exposures[p.second].start), p.first)
        )
    )


def _grouped(
    exposures: Sequence[Shot], pairs: Iterable[Pair], marks: Sequence[int]
) -> tuple[Group, ...]:
    """Pairs whose exposures have the same marks and exposure times, each group in order of time."""
    groups: dict[tuple, list[Pair]] = {}
    for pair in pairs:
        ends = (pair.first, pair.second)
        key = tuple((marks[i], f"{exposures[i].seconds:.2f}") for i in ends)
        groups.setdefault(key, []).append(pair)
    return tuple(Group(tuple(members)) for members in groups.values())
