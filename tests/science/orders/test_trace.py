"""Order centres: found to hundredths of a pixel, or left where they were predicted."""

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from soxspipe.datamodel.geometry import DispersionSolution, OrderSolution
from soxspipe.science.orders.trace import predicted_centre, trace_order
from tests.maths.truth import assert_pulls, pixel_gaussian
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


def pinhole_light(counts, sigma, centre=CENTRE):
    return np.stack([pixel_gaussian(SHAPE[0], c, sigma) for c in centre], axis=1) * counts


@pytest.mark.parametrize("sigma", [0.33, 0.45])
def test_undersampled_traces_of_binned_frames_are_unbiased(sigma):
    data, variance = noisy(pinhole_light(3000.0, sigma), np.random.default_rng(7), read=4.0)
    trace, samples = follow(data, variance)
    assert np.sqrt(np.mean((trace.at("centre", COLUMNS) - CENTRE) ** 2)) < 0.005
    assert trace.at("width", COLUMNS) == pytest.approx(sigma, abs=0.02)
    assert samples.used.mean() > 0.97


def test_errors_of_the_centre_are_true():
    rng, columns, pulls = np.random.default_rng(15), np.arange(96.0), []
    for _ in range(52):
        true = 20 + rng.normal(0, 1) + rng.normal(0, 0.3) * (columns / 48 - 1)
        light = 500 * np.stack([pixel_gaussian(40, c, 0.85) for c in true], axis=1)
        data, variance = noisy(light, rng, read=4.0)
        trace, _ = trace_order(
            data, variance, np.ones(data.shape, dtype=bool), domain=(0.0, 95.0),
            predicted=CubicSpline(columns, np.full(96, 20.0)), samples=30, length=19, width=3,
            peak_sigma=5.0, degree=1, clip_sigma=5.0, clip_rounds=3,
        )  # fmt: skip
        middle = np.array([48.0])
        pulls.append((trace.at("centre", middle) - true[48]) / trace.at("error", middle))
    assert_pulls(pulls)


@pytest.mark.parametrize("shift", [-9.0, 11.0])
def test_the_flat_may_lie_pixels_beside_the_arc(shift):
    light = pinhole_light(3000.0, 0.85, CENTRE + shift)
    data, variance = noisy(light, np.random.default_rng(8), read=4.0)
    trace, samples = follow(data, variance, length=35)
    assert np.abs(trace.at("centre", COLUMNS) - CENTRE - shift).max() < 0.03
    assert samples.detected.all()


@pytest.mark.parametrize(
    ("response", "offset"), [(0.0, -1), (0.0, 0), (0.0, 1), (0.2, -1), (0.2, 0)]
)
def test_a_dead_or_blocked_row_along_the_order_does_not_pull_it(response, offset):
    flat = np.full(SHAPE[1], 41.3)  # the order lies on the row from end to end
    light = pinhole_light(3000.0, 0.85, flat)
    light[41 + offset] *= response
    data, variance = noisy(light, np.random.default_rng(9), read=4.0)
    trace, _ = trace_order(
        data, variance, np.ones(SHAPE, dtype=bool), domain=DOMAIN,
        predicted=CubicSpline(COLUMNS, flat - 0.4), samples=100, length=19, width=5,
        peak_sigma=5.0, degree=4, clip_sigma=4.0, clip_rounds=5,
    )  # fmt: skip
    assert np.abs(trace.at("centre", COLUMNS) - flat).max() < 0.05


def test_background_and_light_of_a_neighbour_do_not_matter():
    rng = np.random.default_rng(10)
    light = pinhole_light(1000.0, 0.85) + 300 + 4.0 * np.arange(SHAPE[0])[:, None]
    light += pinhole_light(4000.0, 0.85, CENTRE + 25)
    data, variance = noisy(light, rng, read=4.0)
    trace, _ = follow(data, variance)
    assert np.abs(trace.at("centre", COLUMNS) - CENTRE).max() < 0.03


def test_faint_light_of_all_columns_is_enough():
    data, variance = pinhole_flat(12.0, np.random.default_rng(11))  # 4 e- at the peak, as the noise
    trace, samples = follow(data, variance)
    assert samples.detected.mean() < 0.5
    off = trace.at("centre", COLUMNS) - CENTRE
    assert np.sqrt(np.mean(off**2)) < 0.25
    assert np.sqrt(np.mean(off**2)) < 3 * np.mean(trace.at("error", COLUMNS))


def test_the_degree_follows_the_light_unless_it_is_given():
    bend = 0.4 * np.polynomial.chebyshev.chebval(T, np.eye(8)[7])
    light = pinhole_light(3000.0, 0.85, CENTRE + bend)
    data, variance = noisy(light, np.random.default_rng(12), read=4.0)
    given, samples = follow(data, variance, degree=5)
    assert samples.degree == 5
    assert np.abs(given.at("centre", COLUMNS) - CENTRE - bend).max() > 0.2
    assert samples.excess > 0.1
    chosen, samples = follow(data, variance, degree=None)
    assert samples.degree >= 7
    assert samples.excess < 0.02
    assert np.abs(chosen.at("centre", COLUMNS) - CENTRE - bend).max() < 0.03


def test_the_degree_is_lowered_where_few_slices_show_light():
    data, variance = pinhole_flat(3000.0 * (np.abs(COLUMNS - 300) < 50), np.random.default_rng(13))
    trace, samples = follow(data, variance, samples=40)
    assert 1 <= samples.degree < 4
    assert abs(trace.at("centre", np.array([300.0]))[0] - CENTRE[300]) < 0.03


def test_an_order_without_light_says_so():
    data, variance = pinhole_flat(0.0, np.random.default_rng(14))
    trace, samples = follow(data, variance)
    assert samples.degree == -1
    assert trace.error is None
    assert not samples.used.any()
    assert samples.seen < 0.05


def test_no_good_pixel_at_all():
    data = np.full(SHAPE, np.nan)
    _, samples = follow(data, data, np.zeros(SHAPE, dtype=bool))
    assert samples.degree == -1
    assert not samples.detected.any()
