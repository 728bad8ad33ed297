"""Order edges on a slit flat: where the light falls to half of the local plateau.

Half of the light is where a sharp edge was before a symmetric blur, however wide. In each slice the
half-light point is found by walking in from outside, then refined by a fit of a blurred step with a
plateau and a floor of its own, so that light between the orders does not move it, and vignetting little.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.polynomial import chebyshev
from scipy.special import ndtri

from soxspipe.datamodel.geometry import OrderTrace, unit
from soxspipe.maths.polynomials import robust_fit
from soxspipe.science.orders.plateau import Plateau, crossings, plateau_of, window_scale
from soxspipe.science.orders.slices import Slices, cut
from soxspipe.science.orders.slit_end import StepFit, fit_steps
from soxspipe.science.orders.weak_rows import dips

#: Error of an edge in a slice beside its noise, pixels: pixels differ in response.
_FLOOR = 0.02
#: Edges further than this from the expected ones do not count, nor those of a larger error, pixels; nor
#: slices whose plateau is fainter, sigma per pixel.
_REACH, _MOST_ERROR, _LEAST_SNR = 6.0, 0.3, 5.0
#: Slices of a smaller error tell of the shape of an end, pixels.
_SURE = 0.4
#: Light that falls by more than this per pixel towards an end of the slit, relative, is vignetted.
_VIGNETTED = 0.01
#: Least share of the slices that must show an edge.
_LEAST = 0.1
#: Prior widths of the correction to the expected edge, by degree: pixels.
_PRIOR = np.array([10.0, 2.0, 0.7, 0.3, 0.2, 0.2])


@dataclass(frozen=True, eq=False)
class EdgeSamples:
    """Edges found in slices of one order, and their errors: pixels; arrays (n,).

    `degree` of the correction to the expected edges; -1 if too few slices showed them, and they stand
    as expected. `blur` : sigma of the image of the slit's ends, pixels. `light` : at the middle of the
    slit, electrons per pixel.
    """

    pixel: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    residual_lower: np.ndarray
    residual_upper: np.ndarray
    used: np.ndarray
    error_lower: np.ndarray | None = None
    error_upper: np.ndarray | None = None
    degree: int = -1
    blur: float = float("nan")
    light: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class _Cuts:
    """Cuts across an order: `middle` of the slit in columns of the cuts and `half` its length (n,),
    pixels; `expected` rows of the lower (-1) and upper (+1) edge (n,).
    """

    slices: Slices
    middle: np.ndarray
    half: np.ndarray
    expected: dict[int, np.ndarray]


@dataclass(frozen=True, eq=False)
class _EdgeFit:
    """Series of the distance from the centre, residuals (n,), slices used (n,), degree of the
    correction.
    """

    series: np.ndarray
    residual: np.ndarray
    used: np.ndarray
    degree: int


def find_edges(
    data: np.ndarray,
    variance: np.ndarray,
    good: np.ndarray,
    trace: OrderTrace,
    *,
    half_length: np.ndarray,
    samples: int,
    width: int,
    degree: int,
    clip_sigma: float,
    clip_rounds: int,
    length: int | None = None,
    levels: tuple[float, float] = (0.2, 0.5),
) -> tuple[OrderTrace, EdgeSamples]:
    """Edges of one order; the trace with `lower` and `upper` filled.

    Parameters
    ----------
    data, variance, good : (rows, columns), dispersion along columns.
    half_length : expected distance of each edge from the centre, (2, columns): lower, upper; pixels.
    length : of the slices, pixels; None: slit and surroundings.
    levels : (least, most) part of the central light at which an edge is looked for, most first; the
        edge given is where light is `most` of the plateau beside it.

    Slices whose plateau is fainter than 5 sigma per pixel are left out, and edges further than 6 pixels
    from the expected ones. The degree is lowered where few slices show the edge; where less than a tenth
    does, the expected edges stand.
    """
    cuts = _cuts(data, variance, good, trace, half_length, samples, width, length)
    plateau = plateau_of(cuts.slices, cuts.middle, cuts.half)
    pixel, first = cuts.slices.pixel, cuts.slices.first
    steps, blur = _steps(cuts, plateau, levels, float(np.median(trace.at("width", pixel))))
    inwards = 0.0 if levels[1] == 0.5 else ndtri(levels[1]) * np.hypot(blur, np.sqrt(1.0 / 12.0))
    t, centre = unit(pixel, trace.domain), trace.at("centre", pixel)
    place, fits = {}, {}
    for side, step in steps.items():
        place[side] = step.position + first - side * inwards
        seen = (plateau.snr > _LEAST_SNR) & (step.error < _MOST_ERROR)
        seen &= np.abs(place[side] - cuts.expected[side]) < _REACH
        distance, expected = place[side] - centre, cuts.expected[side] - centre
        fits[side] = _fit_edge(
            t, distance, step.error, expected, seen, degree, clip_sigma, clip_rounds
        )
    found = _samples(pixel, place, steps, fits, blur)
    return _finished(trace, fits), replace(found, light=plateau.level)


def _finished(trace: OrderTrace, fits: dict[int, _EdgeFit]) -> OrderTrace:
    """The trace with its edges."""
    lower, upper = (chebyshev.chebadd(trace.centre, fits[side].series) for side in (-1, 1))
    return replace(trace, lower=lower, upper=upper)


def _samples(
    pixel: np.ndarray,
    place: dict[int, np.ndarray],
    steps: dict[int, StepFit],
    fits: dict[int, _EdgeFit],
    blur: float,
) -> EdgeSamples:
    return EdgeSamples(
        pixel=pixel,
        lower=place[-1],
        upper=place[1],
        residual_lower=fits[-1].residual,
        residual_upper=fits[1].residual,
        used=fits[-1].used & fits[1].used,
        error_lower=steps[-1].error,
        error_upper=steps[1].error,
        degree=min(fit.degree for fit in fits.values()),
        blur=blur,
    )


def _cuts(
    data: np.ndarray,
    variance: np.ndarray,
    good: np.ndarray,
    trace: OrderTrace,
    half_length: np.ndarray,
    samples: int,
    width: int,
    length: int | None,
) -> _Cuts:
    """Cut the order where its edges are to be measured, dead rows left out."""
    pixel = np.unique(np.rint(np.linspace(*trace.domain, samples)))
    column = np.clip(pixel.astype("i8"), 0, data.shape[1] - 1)
    lower, upper = half_length[:, column]
    centre, half = trace.at("centre", pixel), 0.5 * (lower + upper)
    middle = centre + 0.5 * (upper - lower)
    length = length or int(2 * np.ceil(half.max() + 10) + 1)
    slices = cut(data, variance, good, pixel=pixel, centre=middle, length=length, width=width)
    kept = np.isin(pixel, slices.pixel)
    middle, half = middle[kept] - slices.first, half[kept]
    return _Cuts(
        _without_dead_rows(slices, middle, half),
        middle,
        half,
        {-1: (centre - lower)[kept], 1: (centre + upper)[kept]},
    )


def _without_dead_rows(slices: Slices, middle: np.ndarray, half: np.ndarray) -> Slices:
    """Leave out detector rows inside the slit that are dark along many slices."""
    offset = np.arange(slices.values.shape[1]) - middle[:, None]
    dead = dips(slices, stretch=9) & (np.abs(offset) < half[:, None] - 1.0)
    return replace(slices, variance=np.where(dead, np.inf, slices.variance))


def _steps(
    cuts: _Cuts, plateau: Plateau, levels: tuple[float, float], blur: float
) -> tuple[dict[int, StepFit], float]:
    """Edges by fits of blurred steps, below (-1) and above (+1), and the blur of the order, about the
    `blur` given.

    Blur, and how light falls towards each end, are measured first, and then the same for all slices.
    """
    ends = {side: _End() for side in (-1, 1)}
    for free_light in (False, True):
        fits = {
            side: _step(cuts, plateau, levels, side, end, blur, free_light, free_blur=True)
            for side, end in ends.items()
        }
        sure = {side: np.isfinite(f.position) & (f.error < _SURE) for side, f in fits.items()}
        joined = np.concatenate([f.blur[sure[side]] for side, f in fits.items()])
        blur = float(np.median(joined)) if joined.size else blur
    scale = window_scale(cuts.half)
    ends = {side: _end_of(fits[side], sure[side], scale) for side in ends}
    return {side: _step(cuts, plateau, levels, side, end, blur) for side, end in ends.items()}, blur


@dataclass(frozen=True)
class _End:
    """Light at the end of the slit over that of the plateau continued to it, and its relative fall per
    pixel outwards beyond that of the plateau.
    """

    level: float = 1.0
    fall: float = 0.0


def _end_of(fit: StepFit, sure: np.ndarray, scale: float) -> _End:
    """What the slices say of the end of the slit; nothing if each may say it for itself."""
    if not sure.any():
        return _End()
    found = _End(float(np.median(fit.level[sure])), float(np.median(fit.slope[sure])))
    return found if abs(found.fall) > _VIGNETTED / scale else _End()


def _step(
    cuts: _Cuts,
    plateau: Plateau,
    levels: tuple[float, float],
    side: int,
    end: _End,
    blur: float,
    free_light: bool = False,
    *,
    free_blur: bool = False,
) -> StepFit:
    light = np.maximum(plateau.at(side * cuts.half), 1e-6)
    expected = cuts.expected[side] - cuts.slices.first
    start = crossings(cuts.slices, plateau, cuts.middle, cuts.half, expected, side, _REACH, levels)
    return fit_steps(
        cuts.slices.values,
        cuts.slices.variance,
        start=start,
        outwards=side,
        plateau=end.level * (light - plateau.floor[side]),
        slope=side * plateau.slope / light + end.fall,
        floor=plateau.floor[side],
        blur=blur,
        scale=window_scale(cuts.half),
        free_blur=free_blur,
        free_light=free_light,
    )


def _fit_edge(
    t: np.ndarray,
    distance: np.ndarray,
    error: np.ndarray,
    expected: np.ndarray,
    usable: np.ndarray,
    degree: int,
    clip_sigma: float,
    clip_rounds: int,
) -> _EdgeFit:
    """Distance of an edge from the centre: a correction to the expected one."""
    base = chebyshev.chebfit(t, expected, 5)
    off = np.where(usable, distance, 0.0) - chebyshev.chebval(t, base)
    residual = np.full(len(t), np.nan)
    lowered = min(degree, int(usable.sum()) // 3 - 1, len(_PRIOR) - 1)
    if usable.sum() < max(_LEAST * len(t), 3):
        return _EdgeFit(base, residual, np.zeros_like(usable), -1)
    correction, kept = robust_fit(
        chebyshev.chebvander(t, lowered)[usable],
        off[usable],
        error[usable],
        _PRIOR[: lowered + 1],
        sigma=clip_sigma,
        rounds=clip_rounds + 1,
        floor=_FLOOR,
    )
    series = chebyshev.chebadd(base, correction)
    residual[usable] = distance[usable] - chebyshev.chebval(t, series)[usable]
    used = usable.copy()
    used[np.flatnonzero(usable)[~kept]] = False
    return _EdgeFit(series, residual, used, lowered)
