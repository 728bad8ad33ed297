"""What stands on the slit: objects, found on all orders together or given, each with its trace."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from soxspipe.recipes.slit_collapsed import CHUNKS, END, CollapsedSlit, collapsed_slit
from soxspipe.recipes.slit_orders import Orders
from soxspipe.science.extraction import collapse, line_objects, objects
from soxspipe.science.extraction import trace as traces
from soxspipe.science.extraction.collapse import Cells
from soxspipe.science.extraction.objects import Found

__all__ = ["CHUNKS", "Search", "Source", "Sources", "look"]

log = logging.getLogger(__name__)

#: How much more significant than elsewhere an object in the last rows of the slit must be.
_AT_END = 2.0
#: An object further from where the target is expected than this, arcsec, is not it.
_NEAR = 2.0
#: A source this much wider than the seeing is extended; its aperture in units of its FWHM.
_EXTENDED, _APERTURE = 2.2, 2.5


@dataclass(frozen=True)
class Search:
    """How objects are looked for.

    significance  of an object on the collapsed slit of all orders
    fwhm          expected width, arcsec
    degree, clip_sigma, clip_rounds   of the fit of a trace
    edge          share of the slit left out at each end
    expected      slit position (arcsec) where the target should be; None: the brightest is the target
    twin          for difference frames: slit position of the negative image minus that of the positive
                  one, arcsec; None: there are no negative images
    twin_noise    variance that an electron of the negative image leaves, over that of the positive one
    given         slit positions (arcsec) named by the user: nothing is searched then
    apertures     full widths (arcsec) for these, one for all or one each; empty: automatic
    """

    significance: float
    fwhm: float
    degree: int
    clip_sigma: float
    clip_rounds: int
    edge: float
    expected: float | None = None
    twin: float | None = None
    twin_noise: float = 1.0
    given: tuple[float, ...] = ()
    apertures: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class Source:
    """One image of an object on the slit.

    number  1 is the target; both images of an object in a difference frame have the same
    found   None if nothing stands out at this place
    sign    -1 for the image that was subtracted
    share   per order (n,): part of a native bin's light in each pixel; empty before it is modelled
    light   per order (n,): electrons in each pixel, of a positive image; noise may make them negative
    bright  per order (n,): the same, smooth and positive: what photon noise follows
    noise   variance that one of its electrons leaves, over that of a positive image
    fwhm    arcsec, of the profile
    aperture  full width (arcsec) given by the user or asked for by an extended source, None: automatic
    """

    number: int
    found: Found | None
    trace: traces.Trace
    sign: float = 1.0
    share: Mapping[int, np.ndarray] = field(default_factory=dict)
    light: Mapping[int, np.ndarray] = field(default_factory=dict)
    fwhm: float = float("nan")
    aperture: float | None = None
    bright: Mapping[int, np.ndarray] = field(default_factory=dict)
    noise: float = 1.0

    def brightness(self, order: int) -> np.ndarray:
        """Electrons (n,) that photon noise follows."""
        seen = self.bright[order] if order in self.bright else np.maximum(self.light[order], 0.0)
        return self.noise * seen


@dataclass(frozen=True, eq=False)
class Sources:
    """All images on the slit, the target first, and the collapsed slit they were found on (cells,)."""

    each: tuple[Source, ...]
    slit: np.ndarray
    collapsed: np.ndarray
    error: np.ndarray

    @property
    def target(self) -> Source:
        """The object of the observation."""
        return self.each[0]

    @property
    def is_found(self) -> bool:
        """False if nothing stands out on the slit."""
        return self.target.found is not None

    def room(self, source: Source) -> float:
        """From where an image stands to the nearer end of the slit that is searched, in its FWHM; NaN if
        nothing was found.
        """
        if source.found is None:
            return float("nan")
        at = source.found.position
        return float(min(at - self.slit[0], self.slit[-1] - at) / source.fwhm)

    def light(self, order: int, but: Source | None = None) -> np.ndarray | float:
        """Electrons of all images (n,), subtracted ones negative, `but` one left out."""
        parts = [s.sign * s.light[order] for s in self.each if s is not but and order in s.light]
        return sum(parts) if parts else 0.0

    def brightness(self, order: int) -> np.ndarray | float:
        """Electrons of all images (n,), all positive: what photon noise follows."""
        parts = [s.brightness(order) for s in self.each if order in s.light]
        return sum(parts) if parts else 0.0


@dataclass(frozen=True, eq=False)
class _Seen:
    """An object, and the cells that its trace is to be fitted to."""

    found: Found
    cells: Mapping[int, Cells]


def look(orders: Orders, how: Search) -> Sources:
    """Find the objects on the collapsed slit of all orders and trace each of them.

    With a twin, each object has a negative image beside it. Whether the slit runs with the offsets of the
    telescope or against them is found out: of both signs of the twin the one that shows more is right.
    """
    plain = collapsed_slit(orders, edge=how.edge)
    slit, collapsed, error = collapse.collapse_all(plain.cells)
    whole = plain if how.twin is None else _right_way(plain, how, how.twin)
    seen = _given(whole, how) if how.given else _target_first(_found(whole, how), slit, how)
    if not seen:
        return Sources(_nowhere(how, slit), slit, collapsed, error)
    each: list[Source] = []
    for number, one in enumerate(seen, start=1):
        twins = (0.0,) if whole.twin is None else (0.0, whole.twin, -whole.twin)
        others = [s.found.position + t for s in seen for t in twins if s is not one]
        apart = [abs(one.found.position - place) for place in others]
        room = max(0.5 * min(apart, default=np.inf), 0.8 * how.fwhm)
        each += _images(number, one, plain, whole.twin, how, room)
    return Sources(tuple(each), slit, collapsed, error)


def _found(whole: CollapsedSlit, how: Search) -> list[_Seen]:
    """Objects of continuum or lines, the brightest first."""
    level = None if whole.twin is None else 0.0  # a level that both images share has gone
    found = objects.find_all(whole.cells, significance=how.significance, fwhm=how.fwhm, level=level)
    slit = next(iter(whole.cells.values())).slit
    zone = (how.edge - END) * float(np.ptp(slit))
    kept = [
        f
        for f in found
        if min(f.position - slit[0], slit[-1] - f.position) > zone
        or f.significance > _AT_END * how.significance
    ]
    seen = [_Seen(f, whole.cells) for f in kept]
    for one, lines in line_objects.find_lines(whole.boxes, fwhm=how.fwhm):
        if objects.is_new(one, [s.found for s in seen], how.fwhm):
            seen.append(_Seen(one, lines))
    return seen


def _right_way(plain: CollapsedSlit, how: Search, twin: float) -> CollapsedSlit:
    """Images paired with the sign of `twin` that shows the more significant object."""
    ways = [plain.paired(twin), plain.paired(-twin)]
    strength = [_strongest(way, how) for way in ways]
    turned = strength[1] > max(strength[0], how.significance)
    log.debug(
        "negative images at %+.2f arcsec: %.1f sigma, at %+.2f arcsec: %.1f sigma",
        twin,
        strength[0],
        -twin,
        strength[1],
    )
    return ways[1] if turned else ways[0]


def _strongest(way: CollapsedSlit, how: Search) -> float:
    """Significance of the strongest object, of those given if there are any."""
    profile = collapse.collapse_all(way.cells)
    if how.given:
        return max(objects.significance_at(*profile, place, how.fwhm) for place in how.given)
    seen = _found(way, how)
    return max((s.found.significance for s in seen), default=0.0)


def _given(whole: CollapsedSlit, how: Search) -> list[_Seen]:
    """Objects where the user says they are, as wide as the seeing unless their light says more."""
    profile = collapse.collapse_all(whole.cells)
    seen = []
    for place in how.given:
        strength = objects.significance_at(*profile, place, how.fwhm)
        seen.append(_Seen(Found(place, how.fwhm, strength), whole.cells))
    return seen


def _on_slit(position: float, slit: np.ndarray) -> bool:
    """Whether a position lies in one of the cells of the `slit`."""
    half = 0.5 * collapse.CELL
    return bool(slit[0] - half <= position <= slit[-1] + half)


def _target_first(seen: list[_Seen], slit: np.ndarray, how: Search) -> list[_Seen]:
    """The target before the others: the brightest, or that which stands where it is expected.

    An object whose positive image lies beyond the slit cannot be the target.
    """
    inside = [s for s in seen if _on_slit(s.found.position, slit)]
    if not inside:
        return []
    target = inside[0]
    if how.expected is not None:
        nearest = min(inside, key=lambda s: abs(s.found.position - float(how.expected or 0.0)))
        if abs(nearest.found.position - how.expected) < _NEAR:
            target = nearest
    return [target, *(s for s in seen if s is not target)]


def _images(
    number: int, one: _Seen, plain: CollapsedSlit, twin: float | None, how: Search, room: float
) -> list[Source]:
    """The image of an object, in difference frames also the negative one, if on the slit."""
    found = one.found
    slit = next(iter(plain.cells.values())).slit
    path = _trace(one, how, room)
    if how.given:  # the user knows the place; the object tells how it bends
        path = traces.shifted_to(path, found.position)
    aperture = _aperture(number, found, how)
    bright = found.significance > how.significance and not found.lines
    if twin is not None and bright and not how.given:
        # pairs stand as far apart as the header says: each has its place
        path = traces.moved(path, plain.cells, found, 0.0)
    positive = Source(number, found, path, fwhm=found.fwhm, aperture=aperture)
    images = [positive] if _on_slit(found.position, slit) else []
    if twin is not None and _on_slit(found.position + twin, slit):
        negated = {n: replace(c, value=-c.value) for n, c in plain.cells.items()}
        there = replace(found, position=found.position + twin)
        path = traces.moved(path, negated, found, twin) if bright else traces.shifted(path, twin)
        negative = replace(positive, found=there, trace=path, sign=-1.0, noise=how.twin_noise)
        images.append(negative)
    return images


def _trace(one: _Seen, how: Search, room: float) -> traces.Trace:
    """The trace of an object, straight if it is too faint to show any."""
    found = one.found
    if found.significance < how.significance:
        return traces.straight(found.position)
    return traces.trace(
        one.cells,
        found,
        degree=how.degree,
        clip_sigma=how.clip_sigma,
        clip_rounds=how.clip_rounds,
        room=room,
    )


def _aperture(number: int, found: Found, how: Search) -> float | None:
    """The aperture given, or one that holds an extended object; None: that of the settings."""
    if how.given:
        return how.apertures[min(number, len(how.apertures)) - 1] if how.apertures else None
    return _APERTURE * found.fwhm if found.fwhm > _EXTENDED * how.fwhm else None


def _nowhere(how: Search, slit: np.ndarray) -> tuple[Source, ...]:
    """Where the target should be, for upper limits."""
    place = 0.0 if how.expected is None else how.expected
    images = [Source(1, None, traces.straight(place), fwhm=how.fwhm)]
    if how.twin is not None and _on_slit(place + how.twin, slit):
        there = traces.straight(place + how.twin)
        images.append(Source(1, None, there, -1.0, fwhm=how.fwhm, noise=how.twin_noise))
    return tuple(images)
