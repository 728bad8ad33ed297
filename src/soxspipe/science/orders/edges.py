"""Order edges on a slit flat: where the light falls to half of the local plateau."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.polynomial import chebyshev

from soxspipe.datamodel.geometry import OrderTrace, unit
from soxspipe.maths.polynomials import robust_fit
from soxspipe.science.orders.slices import Slices, cut


@dataclass(frozen=True, eq=False)
class EdgeSamples:
    """Edges found in slices of one order: pixels; arrays (n,)."""

    pixel: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    residual_lower: np.ndarray
    residual_upper: np.ndarray
    used: np.ndarray


def _crossing(profile: np.ndarray, start: np.ndarray, level: np.ndarray, step: int) -> np.ndarray:
    """First place (n,) from `start`, walking in direction `step`, where each row rises to its level.

    The walk comes from outside the slit: a cold column inside it is not taken for its edge.
    Interpolates linearly between the pixels on both sides; NaN where the level is never reached.
    """
    n, length = profile.shape
    index = np.arange(length)
    ahead = index >= start[:, None] if step > 0 else index <= start[:, None]
    lit = ahead & (profile >= level[:, None])
    found = lit.any(axis=1)
    at = np.where(step > 0, lit.argmax(axis=1), length - 1 - lit[:, ::-1].argmax(axis=1))
    before = np.clip(at - step, 0, length - 1)
    rows = np.arange(n)
    high, low = profile[rows, at], profile[rows, before]
    part = (level - low) / np.where(high > low, high - low, np.inf)
    return np.where(found & (before != at), before + step * part, np.nan)


def _half_light(slices: Slices, centre: np.ndarray, half: np.ndarray) -> tuple[np.ndarray, ...]:
    """Lower and upper edge (n,) in columns of the cuts, and the plateau's signal to noise."""
    length = slices.values.shape[1]
    offset = np.arange(length) - centre[:, None]
    inner = np.abs(offset) < 0.7 * half[:, None]
    weight = inner & np.isfinite(slices.variance)
    # straight line through the plateau: light may rise or fall along the slit
    w = weight.astype("f8")
    total = np.maximum(w.sum(axis=1), 1)
    mean_x = (w * offset).sum(axis=1) / total
    mean_y = (w * slices.values).sum(axis=1) / total
    dx = offset - mean_x[:, None]
    gradient = (w * dx * slices.values).sum(axis=1) / np.maximum((w * dx**2).sum(axis=1), 1e-9)
    noise = np.sqrt(np.where(weight, slices.variance, 0.0).sum(axis=1) / total)
    outside = (np.abs(offset) > half[:, None] + 3) & (np.abs(offset) < half[:, None] + 8)
    edges = []
    for sign in (-1, 1):
        side = outside & (np.sign(offset) == sign) & np.isfinite(slices.variance)
        floor = np.nanmin(np.where(side, slices.values, np.nan), axis=1, initial=np.inf)
        floor = np.where(np.isfinite(floor), floor, 0.0)
        plateau = mean_y + gradient * (sign * half - mean_x)
        level = 0.5 * (plateau + floor)
        edges.append(_crossing(slices.values, centre + sign * (half + 7.0), level, -sign))
    return edges[0], edges[1], mean_y / np.maximum(noise, 1e-9)


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
    reach: float = 6.0,
    least_snr: float = 5.0,
) -> tuple[OrderTrace, EdgeSamples]:
    """Edges of one order; the trace with `lower` and `upper` filled.

    Parameters
    ----------
    data, variance, good : (rows, columns), dispersion along columns.
    half_length : expected distance of each edge from the centre, (2, columns): lower, upper; pixels.
    reach : an edge further than this from the expected one does not count, pixels.
    least_snr : slices whose plateau is fainter per pixel are left out.

    Where no slice can be used the expected edges stand.
    """
    pixel = np.unique(np.rint(np.linspace(*trace.domain, samples)))
    column = np.clip(pixel.astype("i8"), 0, data.shape[1] - 1)
    middle = trace.at("centre", pixel) + 0.5 * (half_length[1] - half_length[0])[column]
    half = 0.5 * (half_length[0] + half_length[1])[column]
    length = int(2 * np.ceil(half.max() + 10) + 1)
    slices = cut(data, variance, good, pixel=pixel, centre=middle, length=length, width=width)
    kept = np.isin(pixel, slices.pixel)
    middle, half = middle[kept], half[kept]
    lower, upper, snr = _half_light(slices, middle - slices.first, half)
    lower, upper = lower + slices.first, upper + slices.first
    centre = trace.at("centre", slices.pixel)
    t = unit(slices.pixel, trace.domain)
    column = slices.pixel.astype("i8")
    fitted, residuals = {}, {}
    ok = snr > least_snr
    for name, edge, expected in (
        ("lower", lower, centre - half_length[0][column]),
        ("upper", upper, centre + half_length[1][column]),
    ):
        usable = ok & np.isfinite(edge) & (np.abs(edge - expected) < reach)
        fitted[name], residuals[name], usable = _fit_edge(
            t, edge - centre, expected - centre, usable, degree, clip_sigma, clip_rounds
        )
        ok = ok & usable
    n = len(trace.centre)
    done = replace(
        trace,
        lower=trace.centre + np.pad(fitted["lower"], (0, n - len(fitted["lower"]))),
        upper=trace.centre + np.pad(fitted["upper"], (0, n - len(fitted["upper"]))),
    )
    samples_found = EdgeSamples(
        slices.pixel, lower, upper, residuals["lower"], residuals["upper"], ok
    )
    return done, samples_found


def _fit_edge(
    t: np.ndarray,
    distance: np.ndarray,
    expected: np.ndarray,
    usable: np.ndarray,
    degree: int,
    clip_sigma: float,
    clip_rounds: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Series of the distance of an edge from the centre, as a correction to the expected one."""
    base = chebyshev.chebfit(t, expected, min(degree, 5))
    matrix = chebyshev.chebvander(t, len(base) - 1)
    prior = np.array([10.0, 2.0, 0.7, 0.3, 0.2, 0.2])[: len(base)]
    residual = np.full(len(t), np.nan)
    if usable.sum() <= len(base):
        return base, residual, usable
    off = np.where(usable, distance, 0.0) - matrix @ base
    correction, kept = robust_fit(
        matrix[usable],
        off[usable],
        np.full(int(usable.sum()), 0.1),
        prior,
        sigma=clip_sigma,
        rounds=clip_rounds + 1,
        floor=0.02,
    )
    series = base + correction
    residual[usable] = distance[usable] - (matrix @ series)[usable]
    used = usable.copy()
    used[np.flatnonzero(usable)[~kept]] = False
    return series, residual, used
