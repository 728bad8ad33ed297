"""The end of the slit in cuts across an order: a step, blurred by the optics and summed over pixels."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

#: Pixels that count, inwards and outwards of the edge; half as many if binned.
_INWARDS, _OUTWARDS = 7.0, 5.0
_ROUNDS, _SOFT_ROUNDS = 10, 4
_PIXEL_SIGMA = 4.0
#: What the plateau may be off beside its noise: pixels differ, and illumination is no straight line.
_MODEL = 0.03
#: Plateau and floor may depart so much from where they start, in parts of the plateau; its slope by so
#: much per pixel, and the blur by so many pixels; the larger numbers while an order's own shape is
#: learnt: vignetting may take light from the end of the slit.
_PRIOR, _SLOPE_PRIOR, _BLUR_PRIOR = 0.2, 0.01, 0.3
_FREE_PRIOR, _FREE_SLOPE_PRIOR = 0.4, 0.1
_LEAST_BLUR, _MOST_BLUR = 0.2, 4.0


@dataclass(frozen=True, eq=False)
class StepFit:
    """Per cut (n,): position of the half-light point in columns, its error, the blur (sigma, px), and
    plateau and its slope against those the fit started from (a factor; per pixel, outwards).
    """

    position: np.ndarray
    error: np.ndarray
    blur: np.ndarray
    level: np.ndarray
    slope: np.ndarray


def lit_share(inside: np.ndarray, blur: np.ndarray) -> np.ndarray:
    """Share of a pixel's light, `inside` pixels from the edge (negative: outside), after a Gaussian
    blur.
    """
    return _ramp((inside + 0.5) / blur, blur) - _ramp((inside - 0.5) / blur, blur)


def _ramp(z: np.ndarray, blur: np.ndarray) -> np.ndarray:
    """Integral of the normal distribution function."""
    return np.asarray(blur * (z * ndtr(z) + _normal(z)))


def _normal(z: np.ndarray) -> np.ndarray:
    return np.asarray(np.exp(-0.5 * z**2) / np.sqrt(2.0 * np.pi))


def fit_steps(
    values: np.ndarray,
    variance: np.ndarray,
    *,
    start: np.ndarray,
    outwards: int,
    plateau: np.ndarray,
    slope: np.ndarray,
    floor: np.ndarray,
    blur: np.ndarray | float,
    scale: float,
    free_blur: bool = False,
    free_light: bool = False,
) -> StepFit:
    """Fit position, plateau, its slope, floor, and if `free_blur` the blur, of a slit end in each cut.

    Parameters
    ----------
    values, variance : (n, m); variance inf excludes a pixel.
    start : (n,) columns to start from; NaN where no edge was seen, and then in the result.
    outwards : +1 if the slit ends towards higher columns, else -1.
    plateau, floor : (n,) light inside at the edge, and outside.
    slope : (n,) relative change of the plateau per pixel outwards.
    blur : sigma of the blur, or where to start, pixels. scale : length unit, see
        `plateau.window_scale`. free_light : plateau and slope are little known beforehand.

    Pixels that do not fit count less from round to round, and not at all in the last rounds.
    """
    at = np.where(np.isfinite(start), start, 0.0)
    place, values, variance = _windows(values, variance, at, outwards, scale)
    good = np.isfinite(variance) & (variance > 0)
    noise = np.where(good, variance, 1.0) + (_MODEL * plateau[:, None]) ** 2
    p = np.column_stack([np.zeros_like(at), plateau, floor, slope, np.broadcast_to(blur, at.shape)])
    first = p.copy()
    prior = _weights_of_priors(plateau, scale, free_blur, free_light)
    for step in range(_ROUNDS):
        shape, jacobian = _model(place, p)
        off = values - shape
        pull = np.abs(off) / np.sqrt(noise)
        weight = good * _trust(pull, step) / noise
        normal = np.einsum("nm,nma,nmb->nab", weight, jacobian, jacobian)
        normal[:, np.arange(5), np.arange(5)] += prior
        gradient = np.einsum("nm,nma,nm->na", weight, jacobian, np.where(good, off, 0.0))
        gradient -= prior * (p - first)
        change = np.linalg.solve(normal, gradient[:, :, None])[:, :, 0]
        p[:, 0] += np.clip(change[:, 0], -0.7, 0.7)
        p[:, 1:] += change[:, 1:]
        p[:, 4] = np.clip(p[:, 4], _LEAST_BLUR, _MOST_BLUR)
    error = np.sqrt(np.linalg.inv(normal)[:, 0, 0])
    lost = ~np.isfinite(start) | (np.abs(p[:, 0]) > 3.0 * scale) | (p[:, 1] < 0.3 * plateau)
    return StepFit(
        np.where(lost, np.nan, at + outwards * p[:, 0]),
        error,
        p[:, 4],
        p[:, 1] / np.maximum(plateau, 1e-6),
        p[:, 3] - slope,
    )


def _trust(pull: np.ndarray, step: int) -> np.ndarray:
    """Weight of pixels by their distance from the model in sigmas: less, and later all or nothing."""
    return 1.0 / np.maximum(pull, 1.0) if step < _SOFT_ROUNDS else 1.0 * (pull < _PIXEL_SIGMA)


def _windows(
    values: np.ndarray, variance: np.ndarray, at: np.ndarray, outwards: int, scale: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels outwards of `at`, values and variances (inf beyond the cut) near the edge, (n, k)."""
    steps = np.arange(-int(_INWARDS * scale), int(_OUTWARDS * scale) + 1)
    column = np.rint(at).astype("i8")[:, None] + outwards * steps
    on = (column >= 0) & (column < values.shape[1])
    chosen = np.arange(len(at))[:, None], np.clip(column, 0, values.shape[1] - 1)
    place = outwards * (column - at[:, None])
    return place, values[chosen], np.where(on, variance[chosen], np.inf)


def _weights_of_priors(
    plateau: np.ndarray, scale: float, free_blur: bool, free_light: bool
) -> np.ndarray:
    """Inverse variances of the priors of the parameters, (n, 5)."""
    floor = np.maximum(_PRIOR * np.abs(plateau), 1e-6)
    light = np.maximum((_FREE_PRIOR if free_light else _PRIOR) * np.abs(plateau), 1e-6)
    tilt = np.full_like(light, (_FREE_SLOPE_PRIOR if free_light else _SLOPE_PRIOR) / scale)
    soft = np.full_like(light, _BLUR_PRIOR if free_blur else 1e-6)
    return np.asarray(np.column_stack([np.full_like(light, 100.0), light, floor, tilt, soft]) ** -2)


def _model(place: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Light (n, m) and its derivatives (n, m, 5); `place` in pixels outwards of where the fit began."""
    position, plateau, floor, slope, blur = (z[:, None] for z in p.T)
    inside = position - place
    share = lit_share(inside, blur)
    tilt = 1.0 - slope * inside
    high, low = (inside + 0.5) / blur, (inside - 0.5) / blur
    jacobian = np.stack(
        [
            plateau * tilt * (ndtr(high) - ndtr(low)) - plateau * slope * share,
            tilt * share,
            np.ones_like(share),
            -plateau * inside * share,
            plateau * tilt * (_normal(high) - _normal(low)),
        ],
        axis=2,
    )
    return plateau * tilt * share + floor, jacobian
