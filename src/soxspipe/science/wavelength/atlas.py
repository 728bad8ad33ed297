"""Add the lines of a denser atlas to a line list, once a first solution says where they fall."""

from collections.abc import Mapping

import numpy as np

from soxspipe.datamodel.arc_lines import LineList
from soxspipe.datamodel.geometry import DispersionSolution, Domain

#: Lines closer than this to another one are no use, pixels along dispersion.
CLEARANCE = 5.0


def denser(
    listed: LineList,
    atlas: LineList,
    solution: DispersionSolution,
    *,
    ranges: Mapping[int, Domain],
    dispersion_axis: str,
    clearance: float = CLEARANCE,
) -> LineList:
    """The listed lines and those of the atlas that stand alone.

    Parameters
    ----------
    listed : lines kept as they are. atlas : more lines; their `order` is not looked at: a line is taken
        in every order whose range holds it.
    solution : tells where lines fall. ranges : nm, per order. clearance : least distance of an atlas
        line from all others of its order, pixels along dispersion.

    Returns
    -------
    The listed lines first, then the new ones by order and wavelength.
    """
    parts = [listed]
    for number in sorted(solution.orders):
        if number not in ranges:
            continue
        low, high = ranges[number]
        inside = np.flatnonzero((atlas.wavelength > low) & (atlas.wavelength < high))
        inside = inside[np.argsort(atlas.wavelength[inside], kind="stable")]
        known = listed.wavelength[listed.order == number]
        every = np.concatenate([known, atlas.wavelength[inside]])
        x, y = solution.predict(number, every, np.zeros(len(every)))
        alone = _alone(x if dispersion_axis == "x" else y, clearance)[len(known) :]
        parts.append(_taken(atlas, inside[alone], number))
    return LineList(
        order=np.concatenate([p.order for p in parts]),
        wavelength=np.concatenate([p.wavelength for p in parts]),
        suspect=np.concatenate([p.suspect for p in parts]),
        ion=np.concatenate([p.ion for p in parts]),
        strength=np.concatenate([p.strength for p in parts]),
    )


def _alone(place: np.ndarray, clearance: float) -> np.ndarray:
    """(n,) whether no other place is within `clearance`."""
    order = np.argsort(place, kind="stable")
    gaps = np.diff(place[order], prepend=-np.inf, append=np.inf)
    alone = np.empty(len(place), dtype=bool)
    alone[order] = np.minimum(gaps[:-1], gaps[1:]) > clearance
    return alone


def _taken(atlas: LineList, where: np.ndarray, number: int) -> LineList:
    return LineList(
        order=np.full(len(where), number, dtype=atlas.order.dtype),
        wavelength=atlas.wavelength[where],
        suspect=np.zeros(len(where), dtype=bool),
        ion=atlas.ion[where],
        strength=atlas.strength[where],
    )
