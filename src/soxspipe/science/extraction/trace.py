"""Follow an object through all orders: one smooth function of wavelength for the whole arm."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.polynomial import chebyshev

from soxspipe.datamodel.geometry import unit
from soxspipe.maths.profiles import fit_profiles
from soxspipe.science.extraction.chunk_profiles import (
    FLOOR,
    FWHM,
    ChunkProfiles,
    fitted,
    fitted_shift,
)
from soxspipe.science.extraction.collapse import Cells
from soxspipe.science.extraction.objects import Found

#: Prior widths, arcsec, of the constant (about where it was found) and of Chebyshev terms 1, 2, ...
_PRIOR = (0.5, 0.5, 0.3, 0.15, 0.1, 0.1, 0.1)
#: Prior width, arcsec, of what the air refracts at a zenith distance of 45 degrees: there may be a
#: corrector, and the slit may stand across.
_REFRACTED = 0.7
#: Prior widths, arcsec, of an order's own shift and tilt: errors of the pixel map.
_DEPARTURE = 0.02


@dataclass(frozen=True, eq=False)
class Trace:
    """Slit position (arcsec) of an object as a function of wavelength.

    domain, coefficients  a Chebyshev series over wavelength, nm
    samples     per order wavelength, position, error of what was measured chunk by chunk
    clipped     how many of them the fit left out
    refracted   arcsec: differential refraction between the ends of the domain
    departures  per order: its wavelength range, shift and tilt (arcsec) against the common trace
    """

    domain: tuple[float, float]
    coefficients: np.ndarray
    samples: Mapping[int, tuple[np.ndarray, np.ndarray, np.ndarray]]
    clipped: int = 0
    refracted: float = 0.0
    departures: Mapping[int, tuple[tuple[float, float], np.ndarray]] = field(default_factory=dict)

    def at(self, wavelength: np.ndarray, order: int | None = None) -> np.ndarray:
        """Slit position at each wavelength, of an order or common to all; held beyond the domain."""
        t = np.clip(unit(wavelength, self.domain), -1.0, 1.0)
        place = chebyshev.chebval(t, self.coefficients)
        if self.refracted:
            place = place + self.refracted * refraction(wavelength, self.domain)
        if order is not None and order in self.departures:
            domain, own = self.departures[order]
            place = place + chebyshev.chebval(np.clip(unit(wavelength, domain), -1.0, 1.0), own)
        return np.asarray(place)


def refraction(wavelength: np.ndarray, domain: tuple[float, float]) -> np.ndarray:
    """Shape of differential refraction: 1 between the ends of `domain` (nm), mean about 0; held beyond.

    Refractivity of air after Edlen (1953) as in Filippenko (1982, PASP 94, 715).
    """

    def index(at: np.ndarray) -> np.ndarray:
        inverse = (1e3 / np.maximum(at, 250.0)) ** 2
        return np.asarray(29498.1 / (146.0 - inverse) + 255.4 / (41.0 - inverse))

    ends = index(np.array(domain))
    held = index(np.clip(wavelength, min(domain), max(domain)))
    span = ends[0] - ends[1]
    return np.asarray((held - ends.mean()) / (span if span else 1.0))


def refracted_arcsec(domain: tuple[float, float]) -> float:
    """Refraction (arcsec) between the ends of `domain` at 45 degrees, for 600 mmHg and 7 C."""
    inverse = (1e3 / np.maximum(np.array(domain), 250.0)) ** 2
    index = 1e-6 * (29498.1 / (146.0 - inverse) + 255.4 / (41.0 - inverse))
    return float(206265.0 * abs(index[0] - index[1]) * 0.81)


def trace(
    cells: Mapping[int, Cells],
    found: Found,
    *,
    degree: int,
    clip_sigma: float,
    clip_rounds: int,
    room: float = np.inf,
) -> Trace:
    """The trace of an object, from the light of all chunks of all orders together.

    Refraction and a polynomial of `degree`, with priors, are fitted to the profiles themselves: a chunk
    too faint to show the object still counts for what it is worth. Chunks that show it elsewhere, by
    `clip_sigma`, are left out. Where the object is bright each order may be off a little. Light further
    than `room` (arcsec) from where it was found belongs to others.
    """
    everywhere = np.concatenate([c.wavelength for c in cells.values()])
    domain = (float(everywhere.min()), float(everywhere.max()))
    if domain[1] <= domain[0]:
        domain = (domain[0] - 1.0, domain[0] + 1.0)
    matrix, prior = _basis(everywhere, domain, degree)
    samples = {n: _measured(c, found, room) for n, c in cells.items()}
    profiles = ChunkProfiles.of(cells, found, room)
    parameters = np.zeros(matrix.shape[1])
    parameters[1] = found.position
    usable = np.ones(len(everywhere), dtype=bool)
    for _ in range(max(min(clip_rounds, 4), 1)):
        parameters = fitted(profiles, matrix, parameters, prior, usable, found)
        kept = _agree(samples, cells, matrix, parameters, clip_sigma)
        if np.array_equal(kept, usable):
            break
        usable = kept
    refracted, series = float(parameters[0]), parameters[1:]
    common = Trace(domain, series, {}, 0, refracted)
    return Trace(
        domain,
        series,
        {n: (s[0][s[3]], s[1][s[3]], s[2][s[3]]) for n, s in samples.items()},
        int((~usable).sum()),
        refracted,
        _departures(common, samples, cells, usable),
    )


def _basis(
    wavelength: np.ndarray, domain: tuple[float, float], degree: int
) -> tuple[np.ndarray, np.ndarray]:
    """Columns of refraction and polynomial (n, degree + 2), and their prior widths, arcsec."""
    polynomial = chebyshev.chebvander(unit(wavelength, domain), degree)
    matrix = np.column_stack([refraction(wavelength, domain), polynomial])
    widths = [*_PRIOR, *([_PRIOR[-1]] * degree)][: degree + 1]
    return matrix, np.array([_REFRACTED * refracted_arcsec(domain) + 1e-3, *widths])


def _measured(
    cells: Cells, found: Found, room: float = np.inf
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Wavelength, position and error of the object in every chunk, and which of them show it."""
    size = float(cells.slit[1] - cells.slit[0])
    centre = (found.position - cells.slit[0]) / size
    sigma = found.fwhm / FWHM / size
    near = np.abs(np.arange(len(cells.slit)) - centre) < min(
        max(4 * sigma, 1.6 / size), room / size
    )
    variance = np.where(near & np.isfinite(cells.error), cells.error**2, np.inf)
    start = float(np.clip(centre, 0, len(cells.slit) - 1))
    parameters, error = fit_profiles(
        cells.value, variance, centre=np.full(len(cells.value), start), sigma=sigma
    )
    shown = (
        (parameters[:, 0] > 5 * error[:, 0])
        & (np.abs(parameters[:, 1] - centre) < 2 * sigma + 2)
        & (error[:, 1] < 1.0)
        & (parameters[:, 2] < 3 * sigma)
        & (parameters[:, 2] > sigma / 3)
    )
    place = cells.slit[0] + parameters[:, 1] * size
    return cells.wavelength, place + _aside(cells, place, found), error[:, 1] * size, shown


def _aside(cells: Cells, place: np.ndarray, found: Found) -> np.ndarray:
    """By how much (chunks,) arcsec a profile at `place` is displaced: its cells may be filled off their
    middle, and those on its flanks tell where it is.
    """
    z = (cells.slit - place[:, None]) / (found.fwhm / FWHM)
    flank = np.where(np.isfinite(cells.error), z**2 * np.exp(-np.minimum(z**2, 50.0)), 0.0)
    total = flank.sum(axis=1)
    moved = (flank * (cells.places - cells.slit)).sum(axis=1)
    return np.asarray(np.where(total > 0, moved / np.where(total > 0, total, 1.0), 0.0))


_Samples = Mapping[int, tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]


def _agree(
    samples: _Samples,
    cells: Mapping[int, Cells],
    matrix: np.ndarray,
    parameters: np.ndarray,
    clip_sigma: float,
) -> np.ndarray:
    """(chunks,) bool: False where the object is seen off the trace."""
    position, error, shown = (np.concatenate([samples[n][k] for n in cells]) for k in (1, 2, 3))
    off = np.where(shown, position - matrix @ parameters, 0.0)
    if shown.sum() < 4:
        return np.ones(len(off), dtype=bool)
    scatter = max(1.4826 * float(np.median(np.abs(off[shown]))), FLOOR)
    allowed = clip_sigma * np.maximum(np.hypot(np.where(shown, error, 0.0), FLOOR), scatter)
    return np.asarray(np.abs(off) <= allowed)


def _departures(
    common: Trace, samples: _Samples, cells: Mapping[int, Cells], usable: np.ndarray
) -> dict[int, tuple[tuple[float, float], np.ndarray]]:
    """Shift and tilt of each order against the common trace, with priors."""
    result, first = {}, 0
    for n, part in cells.items():
        wavelength, position, error, shown = samples[n]
        use = shown & usable[first : first + len(wavelength)]
        first += len(wavelength)
        domain = (float(part.wavelength.min()), float(part.wavelength.max()))
        if use.sum() < 4 or domain[1] <= domain[0]:
            continue
        off = position[use] - common.at(wavelength[use])
        weight = 1.0 / (error[use] ** 2 + FLOOR**2)
        matrix = chebyshev.chebvander(unit(wavelength[use], domain), 1)
        normal = (matrix * weight[:, None]).T @ matrix + np.eye(2) / _DEPARTURE**2
        result[n] = (domain, np.linalg.solve(normal, (matrix * weight[:, None]).T @ off))
    return result


def straight(position: float) -> Trace:
    """A trace that stays at one slit position, arcsec."""
    return Trace((1.0, 2.0), np.array([position]), {})


def shifted(common: Trace, offset: float) -> Trace:
    """The same trace `offset` arcsec along the slit; nothing was measured there."""
    coefficients = np.array(common.coefficients, dtype="f8")
    coefficients[0] += offset
    return replace(common, coefficients=coefficients, samples={}, clipped=0)


def shifted_to(common: Trace, position: float) -> Trace:
    """The same trace, its mean over the domain at `position` (arcsec); measured places stay."""
    everywhere = np.linspace(*common.domain, 64)
    coefficients = np.array(common.coefficients, dtype="f8")
    coefficients[0] += position - float(common.at(everywhere).mean())
    return replace(common, coefficients=coefficients, departures={})


def moved(common: Trace, cells: Mapping[int, Cells], found: Found, offset: float) -> Trace:
    """The same trace shifted by about `offset` (arcsec), as the light at the new place asks for.

    For the negative image of a difference frame; `cells` with the sign that makes it positive.
    """
    there = replace(found, position=found.position + offset)
    start = shifted(common, offset)
    everywhere = np.concatenate([c.wavelength for c in cells.values()])
    own = fitted_shift(ChunkProfiles.of(cells, there), start.at(everywhere), there)
    samples = {n: _measured(c, there) for n, c in cells.items()}
    shown = {n: (s[0][s[3]], s[1][s[3]], s[2][s[3]]) for n, s in samples.items()}
    return replace(shifted(start, own), samples=shown)
