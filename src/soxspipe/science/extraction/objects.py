"""Find objects on the slit, with all orders together.

Detection goes as the square root of the number of pixels: one order alone is blind where the whole arm
sees a target of signal to noise 1 per pixel. But what shines in one order only drowns in the noise of the
others: each order is looked at by itself, too. `line_objects` finds what shines in a few lines.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from soxspipe.maths.peaks import peaks
from soxspipe.maths.profiles import fit_profiles
from soxspipe.maths.robust import mad_sigma
from soxspipe.science.extraction.collapse import Cells, collapse_all, densest, mean_profile

#: Widths looked for, in units of the expected one.
_WIDTHS = (1.0, 2.0, 4.0)
#: FWHM in sigma of a Gaussian.
FWHM = 2.3548
#: From this significance on, the light itself tells the width of an object.
_TELLS_WIDTH = 15.0
#: How much more significant than on all orders an object on a single one must be: there are many.
_SINGLE_ORDER = 0.7


@dataclass(frozen=True)
class Found:
    """An object on the slit: position and FWHM in arcsec, significance of the detection in sigma,
    electrons in the collapsed profile (times arcsec), and whether only emission lines show it.
    """

    position: float
    fwhm: float
    significance: float
    flux: float = float("nan")
    lines: bool = False


def find_all(
    cells: Mapping[int, Cells], *, significance: float, fwhm: float, level: float | None = None
) -> list[Found]:
    """Objects on the collapsed slit of all orders, or of any, brightest first.

    fwhm : expected, arcsec. level : as in `find`.
    """
    found = find(*collapse_all(cells), significance=significance, fwhm=fwhm, level=level)
    strict = significance + _SINGLE_ORDER
    share = 1.0 / max(len(cells), 1)
    for part in cells.values():
        alone = (part.slit, *mean_profile(part))
        for one in find(*alone, significance=strict, fwhm=fwhm, level=level):
            if is_new(one, found, fwhm):
                found.append(
                    Found(one.position, one.fwhm, one.significance, one.flux * share, one.lines)
                )
    return by_brightness(found)


def by_brightness(found: Sequence[Found]) -> list[Found]:
    """The brightest first; those that only lines show come last."""
    return sorted(found, key=lambda f: (f.lines, -f.flux))


def is_new(one: Found, found: Sequence[Found], fwhm: float) -> bool:
    """True unless it stands where another does, or may belong to its wings."""
    return all(
        abs(one.position - other.position)
        > 1.5 * max(fwhm, other.fwhm) * (2.0 if other.significance > 200.0 else 1.0)
        for other in found
    )


def find(
    slit: np.ndarray,
    profile: np.ndarray,
    error: np.ndarray,
    *,
    significance: float,
    fwhm: float,
    contrast: float = 1e-3,
    level: float | None = None,
) -> list[Found]:
    """Objects on a collapsed profile, brightest first.

    Matched filters of several widths on the profile above a straight line. Peaks of at least
    `significance` sigma, wide ones of more, where the noise is the larger of the expected and the seen
    one. Beside a brighter object there must be a dip: wings are not objects, nor is what stands out by
    less than `contrast` of the brightest. level : of the profile between objects, None: it is looked for.
    """
    known = np.isfinite(error)
    if known.sum() < 8:
        return []
    size = float(slit[1] - slit[0])
    below = _baseline(slit, profile, error, known) if level is None else level
    excess = np.where(known, profile - below, 0.0)
    rougher = _roughness(excess, error)
    candidates = []
    for factor in _WIDTHS:
        width = factor * fwhm
        if factor > 1.0 and width > 0.4 * (slit[-1] - slit[0]):
            continue
        smooth, noise = filtered(excess, np.where(known, error, 0.0), width / FWHM / size)
        noise = noise * rougher
        for at, strength in _peaks(smooth, noise, known, contrast):
            if strength > significance * factor**0.3:
                candidates.append((strength, at, width))
    found: list[Found] = []
    taken: list[tuple[float, float]] = []
    for strength, at, width in sorted(candidates, reverse=True):
        if all(abs(slit[at] - s) > 0.75 * max(width, w) for s, w in taken):
            # the fit must not reach a brighter neighbour
            room = min([0.5 * abs(slit[at] - s) for s, _ in taken], default=2.0 * width)
            taken.append((float(slit[at]), width))
            found.append(_refined(slit, excess, error, at, width, strength, room))
    return by_brightness(found)


def _baseline(
    slit: np.ndarray, profile: np.ndarray, error: np.ndarray, known: np.ndarray
) -> np.ndarray:
    """Level between objects (cells,): a straight line, as sky that slopes would leave it."""
    line = np.full(len(slit), densest(np.sort(profile[known])))
    weight = np.where(known, 1.0 / np.where(known, error, 1.0) ** 2, 0.0)
    for _ in range(5):
        kept = known & (np.abs(profile - line) < 2.5 * np.where(known, error, 1.0))
        if kept.sum() < 5:
            break
        spread = np.ptp(slit[kept]) > 0.6 * np.ptp(slit) and kept.sum() > 0.4 * known.sum()
        degree = 1 if spread else 0
        line = np.polyval(
            np.polyfit(slit[kept], profile[kept], degree, w=np.sqrt(weight[kept])), slit
        )
    return line


def filtered(excess: np.ndarray, error: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Profile smoothed by a Gaussian of `sigma` cells, and its noise; along the last axis."""
    kernel = np.exp(-0.5 * (np.arange(-np.ceil(4 * sigma), np.ceil(4 * sigma) + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    smooth = ndimage.correlate1d(excess, kernel, mode="constant")
    return smooth, np.sqrt(ndimage.correlate1d(error**2, kernel**2, mode="constant"))


def significance_at(
    slit: np.ndarray, profile: np.ndarray, error: np.ndarray, position: float, fwhm: float
) -> float:
    """Sigma by which what stands at a slit `position` (arcsec), `fwhm` wide, exceeds the rest."""
    known = np.isfinite(error)
    if known.sum() < 8:
        return 0.0
    excess = np.where(known, profile - _baseline(slit, profile, error, known), 0.0)
    sigma = fwhm / FWHM / float(slit[1] - slit[0])
    smooth, noise = filtered(excess, np.where(known, error, 0.0), sigma)
    at = int(np.argmin(np.abs(slit - position)))
    return float(smooth[at] / noise[at]) if noise[at] > 0 else 0.0


def _roughness(excess: np.ndarray, error: np.ndarray) -> float:
    """Scatter between neighbouring cells over the expected one, at least 1, in the quieter half of the
    slit: objects are smooth. At most 3: of very bright ones every cell shows the structure.
    """
    bend = excess[:-2] - 2.0 * excess[1:-1] + excess[2:]
    noise = np.sqrt(error[:-2] ** 2 + 4.0 * error[1:-1] ** 2 + error[2:] ** 2)
    known = np.isfinite(noise) & (noise > 0)
    if known.sum() < 9:
        return 1.0
    strength = np.abs(excess[1:-1][known]) / error[1:-1][known]
    quiet = strength <= np.median(strength)
    # of noise alone the quieter half has 0.65 of the scatter
    return float(np.clip(mad_sigma((bend[known] / noise[known])[quiet]) / 0.65, 1.0, 3.0))


def _peaks(
    smooth: np.ndarray, noise: np.ndarray, known: np.ndarray, contrast: float
) -> list[tuple[int, float]]:
    """Cell and strength (sigma) of every peak, also at the ends."""
    floor = float(smooth[known].min())
    padded = np.concatenate([[floor - 1.0], np.where(known, smooth, floor), [floor - 1.0]])
    at, stands_out = peaks(padded)
    at = at - 1
    sigma = np.maximum(noise[at], 1e-12)
    height = smooth[at]
    dip = height - np.maximum(stands_out, 0.0)
    beside = dip > sigma  # on the wings of a brighter one
    strength = np.where(beside, stands_out / (1.4 * sigma), height / sigma)
    enough = np.minimum(stands_out, height) > contrast * float(smooth.max())
    return [(int(a), float(s)) for a, s, e in zip(at, strength, enough, strict=True) if e]


def _refined(
    slit: np.ndarray,
    excess: np.ndarray,
    error: np.ndarray,
    at: int,
    width: float,
    strength: float,
    room: float,
) -> Found:
    """Position and width of the peak at cell `at`, from a Gaussian fit within `room` arcsec of it."""
    size = float(slit[1] - slit[0])
    if strength < _TELLS_WIDTH:
        smooth, _ = filtered(excess, error * 0.0, width / FWHM / size)
        at_peak = vertex(smooth, at)
        flux = float(smooth[at]) * width * 1.5
        return Found(float(slit[0] + at_peak * size), width, strength, flux)
    half = max(int(min(2.0 * width, room) / size), 4)
    low, high = max(at - half, 0), min(at + half + 1, len(slit))
    part = excess[None, low:high]
    doubt = 0.02 * float(np.abs(part).max())
    parameters, _ = fit_profiles(
        part,
        error[None, low:high] ** 2 + doubt**2,
        centre=np.array([float(at - low)]),
        sigma=width / FWHM / size,
    )
    counts, centre, sigma, _ = parameters[0]
    if not np.isfinite(centre) or abs(centre + low - at) * size > 0.5 * width or counts <= 0:
        return Found(float(slit[at]), width, strength, float(excess[at]) * width)
    fwhm = float(np.clip(FWHM * sigma * size, 0.3, 8.0))
    return Found(float(slit[low] + centre * size), fwhm, strength, float(counts) * size)


def vertex(values: np.ndarray, at: int) -> float:
    """Place of the maximum of the parabola through the values around cell `at`."""
    if at == 0 or at == len(values) - 1:
        return float(at)
    before, here, after = values[at - 1 : at + 2]
    bend = before - 2.0 * here + after
    return at + (float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5)) if bend < 0 else 0.0)
