"""What stands on the slit: objects, found on all orders together or given, each with its trace."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from soxspipe.recipes.slit_orders import Orders, slit_range
from soxspipe.science.extraction import objects

#: Chunks along an order in which objects are looked for.
CHUNKS = 16


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
    given: tuple[float, ...] = ()
    apertures: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class Source:
    """One image of an object on the slit.

    number  1 is the target; both images of an object in a difference frame have the same
    found   None if nothing stands out at this place
    sign    -1 for the image that was subtracted
    share   per order (n,): part of a native bin's light in each pixel; empty before it is modelled
    light   per order (n,): electrons in each pixel, whatever the sign
    fwhm    arcsec, of the profile
    aperture  full width (arcsec) given by the user, None: automatic
    """

    number: int
    found: objects.Found | None
    trace: objects.Trace
    sign: float = 1.0
    share: Mapping[int, np.ndarray] = field(default_factory=dict)
    light: Mapping[int, np.ndarray] = field(default_factory=dict)
    fwhm: float = float("nan")
    aperture: float | None = None


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

    def light(self, order: int, but: Source | None = None) -> np.ndarray | float:
        """Electrons of all images (n,), subtracted ones negative, `but` one left out."""
        parts = [s.sign * s.light[order] for s in self.each if s is not but and order in s.light]
        return sum(parts) if parts else 0.0

    def brightness(self, order: int) -> np.ndarray | float:
        """Electrons of all images (n,), all positive: what photon noise follows."""
        parts = [s.light[order] for s in self.each if order in s.light]
        return sum(parts) if parts else 0.0


def look(orders: Orders, how: Search) -> Sources:
    """Find the objects on the collapsed slit of all orders and trace each of them."""
    low, high = slit_range(orders)
    margin = how.edge * (high - low)
    cells = {
        n: objects.collapse(
            o.pixels,
            o.light,
            o.variance,
            o.good,
            slit_range=(low + margin, high - margin),
            chunks=CHUNKS,
        )
        for n, o in orders.items()
    }
    return sources_on(cells, how)


def sources_on(cells: Mapping[int, objects.Cells], how: Search) -> Sources:
    """The objects on profiles along the slit, chunk by chunk, by order."""
    slit, collapsed, error = objects.collapse_all(cells)
    if how.given:
        found = [objects.Found(position, how.fwhm, np.nan) for position in how.given]
    else:
        found = objects.find(slit, collapsed, error, significance=how.significance, fwhm=how.fwhm)
    if not found:
        place = 0.0 if how.expected is None else how.expected
        nowhere = objects.Trace((1.0, 2.0), np.array([place]), {})
        return Sources((Source(1, None, nowhere, fwhm=how.fwhm),), slit, collapsed, error)
    each = []
    for number, one in enumerate(found, start=1):
        trace = objects.trace(
            cells,
            one,
            degree=how.degree,
            clip_sigma=how.clip_sigma,
            clip_rounds=how.clip_rounds,
        )
        width = _aperture(how, number)
        each.append(Source(number, one, trace, fwhm=one.fwhm, aperture=width))
    return Sources(tuple(each), slit, collapsed, error)


def _aperture(how: Search, number: int) -> float | None:
    """Full width (arcsec) that the user wants for an object, None: automatic."""
    if not how.apertures:
        return None
    return how.apertures[min(number, len(how.apertures)) - 1]
