"""The final fit: right, robust, honest about its errors, and small where nothing is known."""

from dataclasses import replace

import numpy as np
import pytest

from soxspipe.science.wavelength import adjustment, dispersion
from soxspipe.science.wavelength.corrections import Degrees
from tests.maths.truth import assert_pulls
from tests.science.wavelength.made_arcs import (
    RANGES,
    distances,
    line_list,
    measured,
    plus,
    truth,
)

OPTIONS = dispersion.FitOptions(wavelength_degree=5, slit_degree=2, sigma=5.0, rounds=5)
# some pixels of shift, some tenths of shape, a little tilt
NIGHT = (
    {(0, 0): 2.0, (1, 0): 0.8, (2, 0): -0.4, (3, 0): 0.2, (0, 1): 0.2},
    {(0, 0): -1.5, (1, 0): 0.5, (2, 0): 0.3, (0, 1): 0.15, (1, 1): 0.05},
)
START = plus(truth(), *NIGHT)


@pytest.mark.parametrize("seed", range(3))
def test_solution_follows_the_lines(seed):
    rng = np.random.default_rng(seed)
    lines = measured(line_list(seed=seed), truth(), rng)
    fitted = adjustment.fit_orders(START, lines, OPTIONS)
    solution, fit = fitted.solution, fitted.fit
    assert np.median(distances(START, truth())) > 1
    assert np.sqrt(np.mean(distances(solution, truth()) ** 2)) < 0.02
    assert fit.used.mean() > 0.99
    assert np.std(lines.x - fit.x) == pytest.approx(0.03, rel=0.15)
    assert np.std(lines.y - fit.y) == pytest.approx(0.03, rel=0.15)
    for number, (low, high) in RANGES.items():
        own = lines.wavelength[lines.order == number]
        assert solution.orders[number].lines == (own.min(), own.max())
        assert low < own.min() < own.max() < high


@pytest.mark.parametrize("axes", ["x", "xy"])
def test_outliers_do_not_matter(axes):
    rng = np.random.default_rng(4)
    lines = measured(line_list(), truth(), rng)
    wrong = rng.random(len(lines)) < 0.2
    off = rng.uniform(0.5, 4, len(lines)) * rng.choice([-1, 1], len(lines)) * wrong
    lines = replace(lines, **{axis: getattr(lines, axis) + off for axis in axes})
    fitted = adjustment.fit_orders(START, lines, OPTIONS)
    solution, fit = fitted.solution, fitted.fit
    assert np.sqrt(np.mean(distances(solution, truth()) ** 2)) < 0.02
    assert not fit.used[wrong].any()
    assert fit.used[~wrong].mean() > 0.98


def test_a_line_with_a_wrong_wavelength_is_left_out_whole():
    rng = np.random.default_rng(5)
    names = line_list()
    lines = measured(names, truth(), rng)
    bad = lines.wavelength == names.wavelength[10]
    lines = replace(lines, x=lines.x + 0.8 * bad)
    fitted = adjustment.fit_orders(START, lines, OPTIONS)
    solution, fit = fitted.solution, fitted.fit
    assert not fit.used[bad].any()
    assert fit.used[~bad].mean() > 0.99
    assert np.sqrt(np.mean(distances(solution, truth()) ** 2)) < 0.02


def test_correction_stays_small_beyond_the_lines():
    rng = np.random.default_rng(6)
    lines = measured(line_list(), truth(), rng)
    seen = np.abs(lines.wavelength - np.where(lines.order == 5, 520, 470)) < 10
    lines = replace(lines, detected=seen)  # only the middle half of each order
    start = plus(truth(), {(0, 0): 0.5, (1, 0): 0.3}, {(0, 0): 0.2})
    solution = adjustment.fit_orders(start, lines, OPTIONS).solution
    assert distances(solution, truth()).max() < 0.6
    inside = distances(solution, truth(), inside=11.0)
    assert np.sqrt(np.mean(inside**2)) < 0.02


def test_an_order_of_few_lines_keeps_its_solution():
    lines = measured(line_list(), truth(), np.random.default_rng(7))
    few = np.unique(lines.wavelength[lines.order == 6])[:3]
    lines = replace(lines, detected=(lines.order == 5) | np.isin(lines.wavelength, few))
    fitted = adjustment.fit_orders(START, lines, OPTIONS)
    solution, fit = fitted.solution, fitted.fit
    assert solution.orders[6] is START.orders[6]
    assert not fit.used[lines.order == 6].any()
    assert solution.orders[5] is not START.orders[5]
    solution = adjustment.fit_orders(START, lines, OPTIONS, least_lines=3).solution
    assert solution.orders[6] is not START.orders[6]


def test_undetected_lines_take_no_part():
    lines = measured(line_list(), truth(), np.random.default_rng(8))
    lost = np.arange(len(lines)) % 3 == 0
    lines = replace(
        lines, x=np.where(lost, np.nan, lines.x), y=np.where(lost, np.nan, lines.y), detected=~lost
    )
    fitted = adjustment.fit_orders(START, lines, OPTIONS)
    solution, fit = fitted.solution, fitted.fit
    assert distances(solution, truth()).max() < 0.1
    assert not fit.used[lost].any()
    assert np.isfinite(fit.x).all()  # it is told where they should be


def test_residuals_scatter_as_the_centroids():
    rng = np.random.default_rng(9)
    lines = measured(line_list(40, least=0.3), truth(), rng, error=0.1)
    fit = adjustment.fit_orders(truth(), lines, OPTIONS).fit
    pulls = np.concatenate([(lines.x - fit.x) / 0.1, (lines.y - fit.y) / 0.1])
    assert_pulls(pulls)


# three nights of one design: shapes as large as the first degrees, and beyond what is fitted
def bent(rng, amplitude=0.3):
    x, y = ({(i, 0): amplitude * 0.5**i * rng.normal() for i in range(7)} for _ in range(2))
    return plus(widened(truth()), x, y)


def widened(solution, shape=(7, 3)):
    """The same solution with room for more terms."""
    orders = {}
    for number, order in solution.orders.items():
        x, y = np.zeros(shape), np.zeros(shape)
        x[: order.x.shape[0], : order.x.shape[1]] = order.x
        y[: order.y.shape[0], : order.y.shape[1]] = order.y
        orders[number] = replace(order, x=x, y=y)
    return replace(solution, orders=orders)


def map_pulls(solution, true, inside):
    """(solution - truth) / error along x, at the slit centre; `inside` the lines or beyond them."""
    pulls = []
    for number, (low, high) in RANGES.items():
        w = np.linspace(low, high, 60)
        order = solution.orders[number]
        within = (w > order.lines[0]) & (w < order.lines[1])
        w = w[within if inside else ~within]
        off = solution.predict(number, w)[0] - true.predict(number, w)[0]
        pulls.append(off / order.error(w, np.zeros(len(w)))[0])
    return np.concatenate(pulls)


@pytest.mark.parametrize(("inside", "widest"), [(True, 1.2), (False, 1.5)])
def test_errors_of_the_solution_are_honest(inside, widest):
    pulls = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        true = bent(rng)
        lines = measured(line_list(seed=seed), true, rng, holes=np.zeros(1))
        middle = np.where(lines.order == 5, 520.0, 470.0)
        lines = replace(lines, detected=np.abs(lines.wavelength - middle) < 16)
        options = replace(OPTIONS, slit_degree=0, wavelength_degree=6)
        solution = adjustment.fit_orders(truth(), lines, options).solution
        pulls.append(map_pulls(solution, true, inside))
    width = np.sqrt(np.mean(np.concatenate(pulls) ** 2))
    assert 0.75 < width < widest


def test_an_offset_that_the_holes_of_a_line_share_is_found():
    rng = np.random.default_rng(3)
    names = line_list(40, least=0.3)
    lines = measured(names, truth(), rng, error=0.02)
    off = dict(zip(names.wavelength, rng.normal(0, 0.05, 80), strict=True))
    lines = replace(lines, x=lines.x + np.array([off[w] for w in lines.wavelength]))
    fitted = adjustment.fit_orders(truth(), lines, OPTIONS)
    along, across = fitted.scatter
    assert along.offset == pytest.approx(0.05, rel=0.2)
    assert along.jitter < 0.006
    assert across.offset < 0.006
    expected_x, _ = adjustment.expected_scatter(lines, fitted.scatter)
    pulls = ((lines.x - fitted.fit.x) / expected_x)[fitted.fit.used]
    assert pulls.std() == pytest.approx(1.0, abs=0.15)
    # the error of the solution knows that nine holes do not make it three times better
    error = fitted.solution.orders[5].error(np.linspace(505, 535, 20), np.zeros(20))[0]
    assert np.median(error) > 0.05 / np.sqrt(40)
    pulls = map_pulls(fitted.solution, truth(), True)
    assert np.sqrt(np.mean(pulls**2)) < 1.6


def test_a_jitter_of_spots_is_found():
    rng = np.random.default_rng(4)
    lines = measured(line_list(40, least=0.3), truth(), rng, error=0.05)
    lines = replace(lines, x_error=lines.x_error * 0.4, y_error=lines.y_error * 0.4)
    fitted = adjustment.fit_orders(truth(), lines, OPTIONS)
    for scatter in fitted.scatter:
        assert np.hypot(scatter.jitter, 0.02) == pytest.approx(0.05, rel=0.15)


def test_lines_far_off_count_little():
    rng = np.random.default_rng(5)
    names = line_list(40, least=0.3)
    lines = measured(names, truth(), rng, error=0.005)
    tails = dict(zip(names.wavelength, 0.01 * rng.standard_t(2, 80), strict=True))
    lines = replace(lines, x=lines.x + np.array([tails[w] for w in lines.wavelength]))
    fitted = adjustment.fit_orders(truth(), lines, OPTIONS)
    assert fitted.scatter[0].tail < 10
    inside = distances(fitted.solution, truth(), inside=2.0)
    assert np.sqrt(np.mean(inside**2)) < 0.008


@pytest.mark.parametrize("degrees", [(1, 2, 1), (1, 4, 2), (0, 1, 0)])
def test_documented_degrees_are_taken_as_they_are(degrees):
    order, wavelength, slit = ((d, d) for d in degrees)
    options = replace(OPTIONS, fixed=Degrees(order, wavelength, slit))
    design = START
    fitted = adjustment.fit_orders(
        design, measured(line_list(), truth(), np.random.default_rng(1)), options
    )
    assert fitted.degree == wavelength
    for number, found in fitted.solution.orders.items():
        assert found.x_covariance.shape == (degrees[1] + 1, degrees[2] + 1) * 2
        change = found.x - widened(design, found.x.shape).orders[number].x
        assert not change[degrees[1] + 1 :].any()
        assert not change[:, degrees[2] + 1 :].any()
        assert change[: degrees[1] + 1, : degrees[2] + 1].all()


def test_documented_degrees_high_enough_are_exact():
    options = replace(OPTIONS, fixed=Degrees((1, 1), (3, 3), (2, 2)))
    rng = np.random.default_rng(2)
    fitted = adjustment.fit_orders(START, measured(line_list(), truth(), rng), options)
    assert np.sqrt(np.mean(distances(fitted.solution, truth()) ** 2)) < 0.02


def test_degrees_are_lowered_one_by_one():
    options = replace(OPTIONS, wavelength_degree=3, fixed=Degrees((2, 1), (3, 2), (1, 0)))
    lower = options.lowered()
    assert lower.wavelength_degree == 2
    assert lower.fixed == Degrees((1, 0), (2, 1), (0, 0))
    assert lower.lowered().lowered().fixed == Degrees((0, 0), (1, 1), (0, 0))


def test_orders_that_share_carry_one_without_lines():
    rng = np.random.default_rng(6)
    true = plus(truth(), {(0, 0): 0.6, (1, 0): 0.3, (2, 0): 0.2}, {(0, 0): -0.4})
    lines = measured(line_list(), true, rng)
    only = replace(lines, detected=lines.order == 5)
    options = replace(OPTIONS, order_degree=0)
    solution = adjustment.fit_orders(truth(), only, options).solution
    w = np.linspace(*RANGES[6], 30)
    off = solution.predict(6, w)[0] - true.predict(6, w)[0]
    assert np.abs(off).max() < 0.15
    assert solution.orders[6].lines[0] == solution.orders[6].lines[1]
    alone = adjustment.fit_orders(truth(), only, OPTIONS).solution
    assert np.abs(alone.predict(6, w)[0] - true.predict(6, w)[0]).max() > 0.5


def test_a_false_line_at_the_end_does_not_bend_the_order():
    rng = np.random.default_rng(7)
    true = plus(truth(), {(0, 0): 0.3, (1, 0): 0.2}, {})
    lines = measured(line_list(), true, rng, holes=np.zeros(1))
    last = lines.wavelength == lines.wavelength[lines.order == 5].max()
    gap = (lines.order == 5) & (lines.wavelength > 530) & ~last
    lines = replace(lines, x=lines.x + 1.4 * last, detected=lines.detected & ~gap)
    options = replace(OPTIONS, slit_degree=0)
    fitted = adjustment.fit_orders(truth(), lines, options)
    assert not fitted.fit.used[last].any()
    w = np.linspace(501, 539, 50)
    off = np.abs(fitted.solution.predict(5, w)[0] - true.predict(5, w)[0])
    assert off.max() < 0.6
    assert (off / fitted.solution.orders[5].error(w, np.zeros(50))[0]).max() < 4
