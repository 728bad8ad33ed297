"""Order centres: found to hundredths of a pixel, or left where they were predicted."""

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from soxspipe.datamodel.geometry import DispersionSolution, OrderSolution
from soxspipe.science.orders.trace import predicted_centre, trace_order
from tests.maths.truth import pixel_gaussian
from tests.science.orders.made_orders import COLUMNS, DOMAIN, SHAPE, noisy
from tests.science.orders.made_orders import trace as made_trace

PREDICTED = made_trace()
#: How the night differs from the prediction, along the order.
T = COLUMNS / 299.5 - 1
CENTRE = PREDICTED.at("centre", COLUMNS) + 1.3 - 0.6 * T + 0.4 * T**2 - 0.15 * T**3


def pinhole_flat(counts, rng, sigma=0.85):
    light = np.stack([pixel_gaussian(SHAPE[0], c, sigma) for c in CENTRE], axis=1) * counts
    return noisy(light, rng, read=4.0)


def follow(data, variance, good=None, **options):
    chosen = {
        "samples": 100, "length": 19, "width": 5, "peak_sigma": 5.0, "degree": 4,
        "clip_sigma": 4.0, "clip_rounds": 5,
    } | options  # fmt: skip
    return trace_order(
        data, variance, np.ones(SHAPE, dtype=bool) if good is None else good,
        domain=DOMAIN, predicted=CubicSpline(COLUMNS, PREDICTED.at("centre", COLUMNS)), **chosen,
    )  # fmt: skip


@pytest.mark.parametrize("seed", [1, 2])
def test_centre_and_width_are_found(seed):
    data, variance = pinhole_flat(3000.0, np.random.default_rng(seed))
    trace, samples = follow(data, variance)
    off = trace.at("centre", COLUMNS) - CENTRE
    assert np.sqrt(np.mean(off**2)) < 0.01
    assert np.abs(off).max() < 0.03
    assert trace.at("width", COLUMNS) == pytest.approx(0.85, abs=0.02)
    assert samples.detected.mean() == 1.0
    assert samples.used.mean() > 0.97
    truth = np.interp(samples.pixel, COLUMNS, CENTRE)
    assert np.std(samples.position - truth) < 0.03
    assert samples.residual == pytest.approx(samples.position - trace.at("centre", samples.pixel))
    assert trace.domain == DOMAIN
    assert trace.lower is None


def test_a_few_spoilt_slices_do_not_matter():
    rng = np.random.default_rng(3)
    data, variance = pinhole_flat(3000.0, rng)
    for column in rng.choice(np.arange(20, 580), 12, replace=False):  # a bright blob beside it
        row = int(CENTRE[column]) + 3
        data[row - 1 : row + 2, column - 3 : column + 4] += 3000
    trace, samples = follow(data, variance)
    assert np.abs(trace.at("centre", COLUMNS) - CENTRE).max() < 0.03
    assert samples.used.sum() < samples.detected.sum()


def test_bad_pixels_do_not_matter():
    rng = np.random.default_rng(4)
    data, variance = pinhole_flat(3000.0, rng)
    bad = rng.random(SHAPE) < 0.03
    trace, _ = follow(np.where(bad, 1e5, data), variance, ~bad)
    assert np.abs(trace.at("centre", COLUMNS) - CENTRE).max() < 0.04


def test_a_dark_end_stays_near_the_prediction():
    data, variance = pinhole_flat(3000.0 * (COLUMNS > 200), np.random.default_rng(5))
    trace, samples = follow(data, variance)
    assert not samples.detected[samples.pixel < 195].any()
    off = trace.at("centre", COLUMNS) - CENTRE
    assert np.abs(off[COLUMNS > 210]).max() < 0.03
    assert np.abs(off).max() < 1.5


def test_without_light_the_prediction_stands():
    data, variance = pinhole_flat(0.0, np.random.default_rng(6))
    trace, samples = follow(data, variance)
    assert samples.detected.mean() < 0.05
    assert trace.at("centre", COLUMNS) == pytest.approx(PREDICTED.at("centre", COLUMNS), abs=1e-3)


def test_prediction_from_a_solution():
    # x = 300 + 350 t leaves the 600 columns at both ends; y = 40 + 5 x / 600
    x, y = np.zeros((3, 2)), np.zeros((3, 2))
    x[:2, 0], y[:2, 0], y[0, 1] = (300, 350), (42.5, 5 * 350 / 600), 20
    solution = DispersionSolution({3: OrderSolution(x, y, (500, 600), (-6, 6), (500, 600))})
    domain, centre = predicted_centre(solution, 3, (500, 600), dispersion_axis="x", size=(600, 130))
    assert domain == (0, 599)
    assert centre(COLUMNS) == pytest.approx(40 + 5 * COLUMNS / 600)
    domain, _ = predicted_centre(solution, 3, (550, 560), dispersion_axis="x", size=(600, 130))
    assert domain == (300, 370)


def test_prediction_when_wavelength_falls_along_y():
    x, y = np.zeros((3, 2)), np.zeros((3, 2))
    y[:2, 0], x[:2, 0] = (300, -250), (42.5, 2.5)
    solution = DispersionSolution({3: OrderSolution(x, y, (500, 600), (-6, 6), (500, 600))})
    domain, centre = predicted_centre(solution, 3, (500, 600), dispersion_axis="y", size=(600, 130))
    assert domain == (50, 550)
    pixel = np.arange(50, 551)
    assert centre(pixel) == pytest.approx(42.5 - 2.5 * (pixel - 300) / 250)
