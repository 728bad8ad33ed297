"""Trace the order centres through a single-pinhole flat."""

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev
from scipy.interpolate import CubicSpline

from soxspipe.datamodel.geometry import DispersionSolution, OrderTrace, unit
from soxspipe.maths.polynomials import chebyshev_nodes, robust_fit
from soxspipe.maths.profiles import fit_profiles
from soxspipe.science.orders.slices import cut

#: What a centroid can be off beside its photon noise: pixels.
CENTROID_FLOOR = 0.005
#: Prior widths of the correction to the predicted centre, by degree: pixels. Flexure between arc and
#: flat may shift and tilt the trace; its shape is that of the arc's solution.
_PRIOR = np.array([3.0, 0.5, 0.1, 0.05, 0.03, 0.02, 0.02, 0.02, 0.02, 0.02])


@dataclass(frozen=True, eq=False)
class TraceSamples:
    """Slices of one order: where, found or not, kept or not; arrays (n,), pixels."""

    pixel: np.ndarray
    position: np.ndarray
    sigma: np.ndarray
    residual: np.ndarray
    detected: np.ndarray
    used: np.ndarray


def predicted_centre(
    solution: DispersionSolution,
    order: int,
    wavelengths: tuple[float, float],
    *,
    dispersion_axis: str,
    size: tuple[int, int],
) -> tuple[tuple[float, float], CubicSpline]:
    """Centre row as a function of the pixel along dispersion, from the first solution.

    size : (pixels along dispersion, pixels across). Returns the pixel range on the detector and the
    function.
    """
    wavelength = np.linspace(*wavelengths, 400)
    x, y = solution.predict(order, wavelength, 0.0)
    along, across = (x, y) if dispersion_axis == "x" else (y, x)
    sort = np.argsort(along)
    along, across = along[sort], across[sort]
    rising = np.concatenate([[True], np.diff(np.maximum.accumulate(along)) > 0])
    on = rising & (across > -0.5) & (across < size[1] - 0.5)
    spline = CubicSpline(along[on], across[on])
    low = max(float(np.ceil(along[on][0])), 0.0)
    high = min(float(np.floor(along[on][-1])), size[0] - 1.0)
    return (low, high), spline


def trace_order(
    data: np.ndarray,
    variance: np.ndarray,
    good: np.ndarray,
    *,
    domain: tuple[float, float],
    predicted: CubicSpline,
    samples: int,
    length: int,
    width: int,
    peak_sigma: float,
    degree: int,
    clip_sigma: float,
    clip_rounds: int,
) -> tuple[OrderTrace, TraceSamples]:
    """Centre of one order from its slices; correction to the predicted centre by a Chebyshev series.

    data, variance, good : (rows, columns) with dispersion along columns. Where too few slices show
    light, the prediction stands (the correction's prior is small).
    """
    pixel = np.unique(np.rint(np.linspace(*domain, samples)))
    slices = cut(
        data,
        variance,
        good,
        pixel=pixel,
        centre=predicted(pixel),
        length=length,
        width=width,
    )
    expected = predicted(slices.pixel) - slices.first
    p, error = fit_profiles(slices.values, slices.variance, centre=expected, sigma=0.9)
    height = p[:, 0] / (np.sqrt(2 * np.pi) * p[:, 2])
    noise = np.sqrt(np.median(slices.variance, axis=1))
    detected = (
        (height > peak_sigma * noise) & (np.abs(p[:, 1] - expected) < 5.0) & (error[:, 1] < 0.5)
    )
    off = np.where(detected, p[:, 1] - expected, 0.0)
    t = unit(slices.pixel, domain)
    n_terms = degree + 1
    prior = _PRIOR[:n_terms]
    used = detected.copy()
    correction, width_series = np.zeros(n_terms), np.array([0.9])
    if detected.sum() > n_terms:
        matrix = chebyshev.chebvander(t, degree)
        correction, kept = robust_fit(
            matrix[detected],
            off[detected],
            error[detected, 1],
            prior,
            sigma=clip_sigma,
            rounds=clip_rounds,
            floor=CENTROID_FLOOR,
        )
        used[np.flatnonzero(detected)[~kept]] = False
        width_series, _ = robust_fit(
            chebyshev.chebvander(t[used], 2),
            p[used, 2],
            error[used, 2],
            np.full(3, np.inf),
            sigma=clip_sigma,
            rounds=clip_rounds,
            floor=0.02,
        )
    trace = OrderTrace(domain, _series_of(predicted, domain, correction), width_series)
    position = p[:, 1] + slices.first
    residual = position - trace.at("centre", slices.pixel)
    return trace, TraceSamples(slices.pixel, position, p[:, 2], residual, detected, used)


def _series_of(
    predicted: CubicSpline, domain: tuple[float, float], correction: np.ndarray, degree: int = 12
) -> np.ndarray:
    """Chebyshev coefficients of prediction plus correction."""
    t = chebyshev_nodes(max(degree, len(correction)))
    pixel = 0.5 * (domain[0] + domain[1] + (domain[1] - domain[0]) * t)
    values = predicted(pixel) + chebyshev.chebval(t, correction)
    return chebyshev.chebfit(t, values, len(t) - 1)
