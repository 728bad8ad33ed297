"""Normal equations of a spectrum on a common grid, from the pixels of all orders and exposures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit


@dataclass(frozen=True, eq=False)
class Part:
    """Pixels of one order in one exposure, arrays (n,); their order does not matter.

    A pixel that sees a spectrum of F electrons per nm holds `response` * F electrons, where F is the
    mean over its footprint: a box `along` nm wide, blurred by one `across` nm wide.

    wavelength      nm, of the pixel's centre
    along, across   nm by which the wavelength changes over the pixel, along dispersion and slit
    response        nm: share of the light of a native bin, times its width, times the throughput of
                    the order relative to the scale of the merged spectrum
    data, variance  sky-subtracted electrons, and their variance from a model
    good            bool, False for what must not count
    sky             electrons per nm, sky in the aperture, on the scale of the merged spectrum
    common          variance, electrons squared, of the error that all pixels of a wavelength share
    reach           nm over which that error is the same
    """

    wavelength: np.ndarray
    along: np.ndarray
    across: np.ndarray
    response: np.ndarray
    data: np.ndarray
    variance: np.ndarray
    good: np.ndarray
    sky: np.ndarray
    common: np.ndarray
    reach: np.ndarray


@dataclass(frozen=True, eq=False)
class Equations:
    """M f = y for the flux density f (electrons per nm) of n bins.

    band      (b, n) lower band of M = sum of A^T V^-1 A: band[d, i] = M[i + d, i]
    data, sky (n,) A^T V^-1 of the data, and of what the sky would give if it were the object
    level     (n,) A^T V^-1 of 1 in every pixel
    common    (n,) variance of the shared error, per pixel, e-2; reach: (n,) nm over which it is the same
    possible  (n,) row sums that M would have if every pixel were good
    width     (n,) nm, extent of the pixels along dispersion
    pixels    (n,) number of good pixels that see the bin
    """

    band: np.ndarray
    data: np.ndarray
    sky: np.ndarray
    level: np.ndarray
    common: np.ndarray
    reach: np.ndarray
    possible: np.ndarray
    width: np.ndarray
    pixels: np.ndarray

    def times(self, vector: np.ndarray) -> np.ndarray:
        """M times a vector (n,)."""
        return times(self.band, vector)

    @property
    def weight(self) -> np.ndarray:
        """(n,) what is known of a smooth spectrum: row sums of M."""
        return self.times(np.ones(self.band.shape[1]))


def times(band: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """A symmetric matrix, given by its lower band (b, n), times a vector (n,)."""
    result = band[0] * vector
    for d in range(1, len(band)):
        result[d:] += band[d, :-d] * vector[:-d]
        result[:-d] += band[d, :-d] * vector[d:]
    return np.asarray(result)


def equations(parts: Sequence[Part], edges: np.ndarray) -> Equations:
    """Add up the pixels of all `parts` on bins with rising `edges` (n + 1,), nm.

    Pixels that reach beyond the first or last edge are left out: part of their light would have no bin.
    """
    n = len(edges) - 1
    spans = [_span(part, edges) for part in parts]
    most = max((int(span[1].max(initial=0)) for span in spans), default=0)
    band, sums = np.zeros((most + 1, n)), np.zeros((len(_SUMS), n))
    for part, (first, more) in zip(parts, spans, strict=True):
        _add(_columns(part), first, more, edges, band, sums)
    total = dict(zip(_SUMS, sums, strict=True))
    weight = np.maximum(total.pop("weight"), np.finfo("f8").tiny)
    for name in ("common", "reach", "width"):
        total[name] /= weight
    return Equations(band=band, **total)


#: What is summed per bin beside the matrix; `weight` is the weight of the means.
_SUMS = (
    "data",
    "sky",
    "level",
    "common",
    "reach",
    "width",
    "possible",
    "pixels",
    "weight",
)


def _columns(part: Part) -> np.ndarray:
    """(10, n) what the loop needs of each pixel."""
    good = part.good & np.isfinite(part.data)
    return np.array(
        [
            part.wavelength,
            part.along,
            part.across,
            part.response,
            np.where(good, part.data, 0.0),
            part.variance,
            good,
            part.sky,
            part.common,
            part.reach,
        ],
        dtype="f8",
    )


def _span(part: Part, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First bin of each pixel (n,), and how many more it touches; -1 more where it does not count."""
    half = 0.5 * (part.along + part.across)
    first = np.searchsorted(edges, part.wavelength - half, side="right") - 1
    last = np.searchsorted(edges, part.wavelength + half, side="left") - 1
    inside = (first >= 0) & (last < len(edges) - 1)
    known = inside & (part.response > 0) & (part.variance > 0) & np.isfinite(part.variance)
    return first, np.where(known, last - first, -1)


@njit(cache=True)
def _below(x, along, across):  # type: ignore[no-untyped-def]
    """Part of a pixel's footprint below x, nm from its centre: the integral of a trapezoid."""
    foot, top = 0.5 * (along + across), 0.5 * abs(along - across)
    z = abs(x)
    if z >= foot:
        part = 0.5
    else:
        height = 1.0 / (foot + top)
        part = height * min(z, top)
        if z > top:
            part += height * (z - top) * (1.0 - 0.5 * (z - top) / (foot - top))
    return 0.5 + part if x > 0 else 0.5 - part


@njit(cache=True)
def _add(columns, first, more, edges, band, sums):  # type: ignore[no-untyped-def]
    """Add the pixels of one part to the band of M and to the sums, one after the other."""
    seen = np.empty(len(band))
    for p in range(len(first)):
        if more[p] < 0:
            continue
        centre, along, across, response, data, variance = columns[:6, p]
        good, sky, common, reach = columns[6:, p]
        low = 0.0
        for m in range(more[p] + 1):
            high = _below(edges[first[p] + m + 1] - centre, along, across)
            seen[m] = response * (high - low) / np.sqrt(variance)
            low = high
        whole = response / np.sqrt(variance)
        for m in range(more[p] + 1):
            k = first[p] + m
            sums[6, k] += seen[m] * whole
            if good == 0.0:
                continue
            weight = seen[m] * whole
            sums[0, k] += seen[m] * data / np.sqrt(variance)
            sums[1, k] += weight * sky
            sums[2, k] += seen[m] / np.sqrt(variance)
            sums[3, k] += weight * common
            sums[4, k] += weight * reach
            sums[5, k] += weight * along
            sums[7, k] += 1.0
            sums[8, k] += weight
            for other in range(m, more[p] + 1):
                band[other - m, k] += seen[m] * seen[other]
