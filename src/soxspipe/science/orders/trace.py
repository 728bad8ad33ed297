"""Trace the order centres through a single-pinhole flat."""

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev
from scipy.interpolate import CubicSpline

from soxspipe.datamodel.geometry import DispersionSolution, Domain, OrderTrace, unit
from soxspipe.maths.polynomials import chebyshev_nodes, robust_fit
from soxspipe.maths.profiles import fit_profiles
from soxspipe.maths.robust import mad_sigma
from soxspipe.science.orders.order_light import LightFit, fit_light
from soxspipe.science.orders.slices import Slices, cut, find_shift
from soxspipe.science.orders.weak_rows import without_dips

#: What the centroid of a slice can be off beside its photon noise: pixels.
CENTROID_FLOOR = 0.005
#: Prior widths of the correction to the predicted centre, by degree: pixels. Flexure between arc and
#: flat may shift and tilt the trace; its shape is that of the arc's solution.
_PRIOR = np.array([3.0, 0.5, 0.1, 0.05, 0.03, 0.02, 0.02, 0.02, 0.02, 0.02])
_WIDTH_DEGREE = 2
#: Least degree of the correction if it is chosen here.
_USUAL_DEGREE = 5
#: A correction that departs further than this from a shift is no trace, pixels.
_BEND = 5.0
_LOWERED = 5
#: A peak counts if it is so near to where it is expected, pixels.
_NEAR = 5.0
#: Significance of the light of an order from which on it has a trace.
_SIGNIFICANT = 8.0


@dataclass(frozen=True, eq=False)
class _Seen:
    """What the slices of an order say: row, offset from the prediction, width, and error of the former
    (n,), pixels.
    """

    pixel: np.ndarray
    position: np.ndarray
    offset: np.ndarray
    sigma: np.ndarray
    error: np.ndarray
    detected: np.ndarray

    def typical_width(self) -> float:
        return float(np.median(self.sigma[self.detected])) if self.detected.any() else 0.9

    def degree(self, domain: Domain, shift: float, clip_sigma: float, clip_rounds: int) -> int:
        """Degree of the correction by the Bayesian information criterion (Schwarz 1978); outliers
        count five sigma.
        """
        t, n = unit(self.pixel[self.detected], domain), int(self.detected.sum())
        error = np.hypot(self.error, CENTROID_FLOOR)[self.detected]
        criterion = {}
        for degree in range(_USUAL_DEGREE, len(_PRIOR)):
            series = self.correction(domain, degree, shift, clip_sigma, clip_rounds)
            off = self.offset[self.detected] - chebyshev.chebval(t, series)
            chi2 = np.minimum((off / error) ** 2, 25.0).sum()
            criterion[degree] = chi2 + (degree + 1) * np.log(max(n, 1))
        return min(criterion, key=lambda d: criterion[d])

    def correction(
        self, domain: Domain, degree: int, shift: float, clip_sigma: float, clip_rounds: int
    ) -> np.ndarray:
        """(degree + 1,) first guess of the correction; a mere shift where few slices show light."""
        first = np.zeros(degree + 1)
        first[0] = shift
        if self.detected.sum() <= degree + 1:
            return first
        found, _ = robust_fit(
            chebyshev.chebvander(unit(self.pixel[self.detected], domain), degree),
            self.offset[self.detected] - shift,
            self.error[self.detected],
            _PRIOR[: degree + 1],
            sigma=clip_sigma,
            rounds=clip_rounds,
            floor=CENTROID_FLOOR,
        )
        return first + found


@dataclass(frozen=True, eq=False)
class TraceSamples:
    """Slices of one order: where, found or not, kept or not, error of the position; arrays (n,), pixels.

    `degree` of the correction to the predicted centre; -1 if the order shows no light, and its trace is
    the prediction.
    """

    pixel: np.ndarray
    position: np.ndarray
    sigma: np.ndarray
    residual: np.ndarray
    detected: np.ndarray
    used: np.ndarray
    error: np.ndarray
    degree: int = -1

    @property
    def seen(self) -> float:
        """Share of the slices with a detection."""
        return float(self.detected.mean()) if self.detected.size else 0.0

    @property
    def excess(self) -> float:
        """Scatter of the detected slices about the trace beyond their noise (MAD scale), pixels."""
        if not self.detected.any():
            return 0.0
        noise = float(np.median(self.error[self.detected]))
        return float(np.sqrt(max(mad_sigma(self.residual[self.detected]) ** 2 - noise**2, 0.0)))


def predicted_centre(
    solution: DispersionSolution,
    order: int,
    wavelengths: tuple[float, float],
    *,
    dispersion_axis: str,
    size: tuple[int, int],
) -> tuple[Domain, CubicSpline]:
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
    domain: Domain,
    predicted: CubicSpline,
    samples: int,
    length: int,
    width: int,
    peak_sigma: float,
    degree: int | None,
    clip_sigma: float,
    clip_rounds: int,
) -> tuple[OrderTrace, TraceSamples]:
    """Centre and width of one order; a Chebyshev series corrects the predicted centre.

    data, variance, good : (rows, columns) with dispersion along columns. The trace is fitted to the
    light of all columns; `samples` slices, `width` columns wide, show where it was seen and how far each
    is off. `degree` of the correction; None: 5, or as much more, up to 9, as the slices ask for. It is
    lowered, at most five times, if a fit fails or too few slices show light. An order without light keeps
    the prediction (`TraceSamples.degree` is -1).
    """
    strip, good, shift, significance = _strip(data, variance, good, predicted, domain, length)
    pixel = np.unique(np.rint(np.linspace(*domain, samples)))
    centre = predicted(pixel) + shift
    slices = cut(data, variance, good, pixel=pixel, centre=centre, length=length, width=width)
    seen = _seen(slices, predicted, shift, peak_sigma)
    fit, lowered = None, -1
    if significance > _SIGNIFICANT:
        if degree is None:
            degree = seen.degree(domain, shift, clip_sigma, clip_rounds)
        fit, lowered = _fitted(
            strip, domain, predicted, degree, shift, seen, clip_sigma, clip_rounds
        )
    trace = _trace(fit, predicted, domain)
    residual = seen.position - trace.at("centre", seen.pixel)
    used = seen.detected & np.full(len(seen.pixel), fit is not None)
    used &= _agrees(residual, seen.error, seen.detected, clip_sigma)
    return trace, TraceSamples(
        seen.pixel,
        seen.position,
        seen.sigma,
        residual,
        seen.detected,
        used,
        seen.error,
        lowered,
    )


def _strip(
    data: np.ndarray,
    variance: np.ndarray,
    good: np.ndarray,
    predicted: CubicSpline,
    domain: Domain,
    length: int,
) -> tuple[Slices, np.ndarray, float, float]:
    """All columns of an order, cut about its light; good pixels without dead rows; how far the light lies
    from the prediction, and its significance.
    """
    pixel = np.arange(domain[0], domain[1] + 1)
    centre = predicted(pixel)
    around = cut(data, variance, good, pixel=pixel, centre=centre, length=length, width=1)
    shift, significance = find_shift(around)
    around = cut(data, variance, good, pixel=pixel, centre=centre + shift, length=length, width=1)
    return *without_dips(around, good), shift, significance


def _seen(slices: Slices, predicted: CubicSpline, shift: float, peak_sigma: float) -> _Seen:
    """Fit a Gaussian to each slice; those whose peak stands out, near where it is expected, are found.

    Noise is the larger of what is expected and of the MAD scale of the slice.
    """
    expected = predicted(slices.pixel) + shift - slices.first
    p, error = fit_profiles(slices.values, slices.variance, centre=expected, sigma=0.9)
    height = p[:, 0] / (np.sqrt(2 * np.pi) * p[:, 2])
    known = np.where(np.isfinite(slices.variance), slices.variance, np.nan)
    empty = np.isnan(known).all(axis=1)
    scatter = np.array([mad_sigma(v) for v in np.where(np.isnan(known), np.nan, slices.values)])
    known[empty] = 0.0
    noise = np.sqrt(np.nanmedian(known, axis=1))
    detected = ~empty & (height > peak_sigma * np.fmax(noise, scatter))
    detected &= (np.abs(p[:, 1] - expected) < _NEAR) & (error[:, 1] < 0.5)
    position = p[:, 1] + slices.first
    offset = position - predicted(slices.pixel)
    return _Seen(slices.pixel, position, offset, p[:, 2], error[:, 1], detected)


def _fitted(
    strip: Slices,
    domain: Domain,
    predicted: CubicSpline,
    degree: int,
    shift: float,
    seen: _Seen,
    clip_sigma: float,
    clip_rounds: int,
) -> tuple[LightFit | None, int]:
    """The fit of the highest degree that succeeds, and that degree; (None, -1) if none does."""
    t = unit(strip.pixel, domain)
    highest = min(degree, max(int(seen.detected.sum()) // 2, 1))
    for lowered in range(highest, max(highest - _LOWERED, 0) - 1, -1):
        basis = chebyshev.chebvander(t, lowered)
        fit = fit_light(
            strip,
            predicted(strip.pixel) - strip.first,
            basis,
            chebyshev.chebvander(t, _WIDTH_DEGREE),
            _PRIOR[: lowered + 1],
            start=seen.correction(domain, lowered, shift, clip_sigma, clip_rounds),
            width=seen.typical_width(),
            clip_sigma=clip_sigma,
            clip_rounds=clip_rounds,
        )
        if np.abs(basis @ fit.correction - shift).max() < _BEND:  # False for NaN
            return fit, lowered
    return None, -1


def _agrees(
    residual: np.ndarray, error: np.ndarray, detected: np.ndarray, clip_sigma: float
) -> np.ndarray:
    """(n,) residuals within `clip_sigma` of their error, or of the scatter of all that are detected."""
    scale = max(mad_sigma(residual[detected]), CENTROID_FLOOR) if detected.any() else CENTROID_FLOOR
    return np.asarray(np.abs(residual) < clip_sigma * np.maximum(error, scale))


def _trace(fit: LightFit | None, predicted: CubicSpline, domain: Domain) -> OrderTrace:
    """The trace as Chebyshev series; without a fit that of the prediction."""
    if fit is None:
        return OrderTrace(domain, _series_of(predicted, domain, np.zeros(1)), np.array([0.9]))
    t = chebyshev_nodes(8)
    basis = chebyshev.chebvander(t, len(fit.correction) - 1)
    error = np.sqrt(np.einsum("ni,ij,nj->n", basis, fit.covariance, basis))
    return OrderTrace(
        domain,
        _series_of(predicted, domain, fit.correction),
        fit.width,
        error=chebyshev.chebfit(t, error, 8),
    )


def _series_of(
    predicted: CubicSpline, domain: Domain, correction: np.ndarray, degree: int = 12
) -> np.ndarray:
    """Chebyshev coefficients of prediction plus correction."""
    t = chebyshev_nodes(max(degree, len(correction)))
    pixel = 0.5 * (domain[0] + domain[1] + (domain[1] - domain[0]) * t)
    values = predicted(pixel) + chebyshev.chebval(t, correction)
    return chebyshev.chebfit(t, values, len(t) - 1)
