"""Orders of our own along columns: centre, edges and light are known."""

import numpy as np
from scipy.special import ndtr

from soxspipe.datamodel.geometry import OrderTable, OrderTrace

SHAPE = (130, 600)
DOMAIN = (0.0, 599.0)
ROWS = np.arange(SHAPE[0])[:, None]
COLUMNS = np.arange(SHAPE[1], dtype=float)


def trace(level=40.0, lower=-19.3, upper=20.4, edges=True):
    """A curved order; edges at constant distances from its centre."""
    centre = np.array([level, 3.0, -2.0, 0.4])
    shift = np.array([1.0, 0, 0, 0])
    return OrderTrace(
        DOMAIN,
        centre,
        np.array([0.9]),
        lower=centre + lower * shift if edges else None,
        upper=centre + upper * shift if edges else None,
    )


def table(*traces):
    return OrderTable(dict(enumerate(traces, start=1)), "x")


def _ramp(z, sigma):
    """Integral of the normal distribution function."""
    z = z / sigma
    return sigma * (z * ndtr(z) + np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi))


def blurred_step(distance, sigma):
    """Share of a pixel at `distance` inside an edge that is lit, under a Gaussian blur."""
    return _ramp(distance + 0.5, sigma) - _ramp(distance - 0.5, sigma)


def slit_light(order, sigma=0.9):
    """(rows, columns) 1 within the slit, 0 outside, blurred and integrated over pixels."""
    lower, upper = order.at("lower", COLUMNS), order.at("upper", COLUMNS)
    return blurred_step(ROWS - lower, sigma) - blurred_step(ROWS - upper, sigma)


def noisy(light, rng, read=5.0):
    """Data and variance of that many electrons."""
    variance = light + read**2
    return light + rng.normal(0, np.sqrt(variance)), variance
