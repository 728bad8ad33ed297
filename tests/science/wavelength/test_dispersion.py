"""Corrections to the design: right, robust, and small where nothing is known."""

from dataclasses import replace

import numpy as np
import pytest

from soxspipe.datamodel.arc_lines import LineFit
from soxspipe.errors import DataError
from soxspipe.science.wavelength import dispersion
from tests.maths.truth import assert_pulls
from tests.science.wavelength.made_arcs import (
    RANGES,
    SHAPE,
    distances,
    grid,
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
    solution, fit = dispersion.fit_orders(START, lines, OPTIONS)
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
    solution, fit = dispersion.fit_orders(START, lines, OPTIONS)
    assert np.sqrt(np.mean(distances(solution, truth()) ** 2)) < 0.02
    assert not fit.used[wrong].any()
    assert fit.used[~wrong].mean() > 0.98


def test_a_line_with_a_wrong_wavelength_is_left_out_whole():
    rng = np.random.default_rng(5)
    names = line_list()
    lines = measured(names, truth(), rng)
    bad = lines.wavelength == names.wavelength[10]
    lines = replace(lines, x=lines.x + 0.8 * bad)
    solution, fit = dispersion.fit_orders(START, lines, OPTIONS)
    assert not fit.used[bad].any()
    assert fit.used[~bad].mean() > 0.99
    assert np.sqrt(np.mean(distances(solution, truth()) ** 2)) < 0.02


def test_correction_stays_small_beyond_the_lines():
    rng = np.random.default_rng(6)
    lines = measured(line_list(), truth(), rng)
    seen = np.abs(lines.wavelength - np.where(lines.order == 5, 520, 470)) < 10
    lines = replace(lines, detected=seen)  # only the middle half of each order
    start = plus(truth(), {(0, 0): 0.5, (1, 0): 0.3}, {(0, 0): 0.2})
    solution, _ = dispersion.fit_orders(start, lines, OPTIONS)
    assert distances(solution, truth()).max() < 0.6
    inside = distances(solution, truth(), inside=11.0)
    assert np.sqrt(np.mean(inside**2)) < 0.02


def test_an_order_of_few_lines_keeps_its_solution():
    lines = measured(line_list(), truth(), np.random.default_rng(7))
    few = np.unique(lines.wavelength[lines.order == 6])[:3]
    lines = replace(lines, detected=(lines.order == 5) | np.isin(lines.wavelength, few))
    solution, fit = dispersion.fit_orders(START, lines, OPTIONS)
    assert solution.orders[6] is START.orders[6]
    assert not fit.used[lines.order == 6].any()
    assert solution.orders[5] is not START.orders[5]
    solution, _ = dispersion.fit_orders(START, lines, OPTIONS, least_lines=3)
    assert solution.orders[6] is not START.orders[6]


def test_undetected_lines_take_no_part():
    lines = measured(line_list(), truth(), np.random.default_rng(8))
    lost = np.arange(len(lines)) % 3 == 0
    lines = replace(
        lines, x=np.where(lost, np.nan, lines.x), y=np.where(lost, np.nan, lines.y), detected=~lost
    )
    solution, fit = dispersion.fit_orders(START, lines, OPTIONS)
    assert distances(solution, truth()).max() < 0.1
    assert not fit.used[lost].any()
    assert np.isfinite(fit.x).all()  # it is told where they should be


def test_residuals_scatter_as_the_centroids():
    rng = np.random.default_rng(9)
    lines = measured(line_list(40, least=0.3), truth(), rng, error=0.1)
    _, fit = dispersion.fit_orders(truth(), lines, OPTIONS)
    pulls = np.concatenate([(lines.x - fit.x) / 0.1, (lines.y - fit.y) / 0.1])
    assert_pulls(pulls)


def test_evaluate_is_predict():
    lines = measured(line_list(), truth(), np.random.default_rng(1), error=0.0)
    fit = dispersion.evaluate(truth(), lines, lines.detected)
    assert isinstance(fit, LineFit)
    assert fit.x == pytest.approx(lines.x)
    assert fit.y == pytest.approx(lines.y)


def test_moving_by_a_linear_map_is_exact():
    def turned(x, y):
        return x + 7.3 - 0.005 * (y - 70) + 0.001 * x, y - 5.2 + 0.005 * (x - 210)

    moved = dispersion.move(truth(), turned)
    for number in RANGES:
        at = grid(number, 0.0)
        truth_there = turned(*truth().predict(number, *at))
        assert np.array(moved.predict(number, *at)) == pytest.approx(np.array(truth_there))


def test_a_distortion_of_the_plane_ties_orders_together():
    def bent(x, y):
        u, v = x / 210 - 1, y / 75 - 1
        return x + 0.6 + 0.4 * u**2 + 0.3 * u * v, y - 0.5 + 0.5 * u + 0.2 * v**3

    rng = np.random.default_rng(2)
    true = dispersion.move(truth(), bent)
    lines = measured(line_list(), true, rng, error=0.02)
    # order 6 shows three lines only, and every tenth spot is wrong
    few = np.unique(lines.wavelength[lines.order == 6])[[2, 12, 22]]
    wrong = rng.random(len(lines)) < 0.1
    lines = replace(
        lines,
        x=lines.x + 3.0 * wrong,
        detected=(lines.order == 5) | np.isin(lines.wavelength, few),
    )
    solution = dispersion.distort(truth(), lines, degree=3, shape=SHAPE)
    apart = distances(solution, true)
    assert np.median(distances(truth(), true)) > 0.5
    assert np.median(apart) < 0.03
    assert apart.max() < 0.2


@pytest.mark.parametrize(("used", "good"), [(8, True), (4, False), (0, False)])
def test_too_few_agreeing_lines_are_refused(used, good):
    lines = measured(line_list(5), truth(), np.random.default_rng(3), holes=np.zeros(1))
    fit = LineFit(lines.x, lines.y, np.arange(10) < used)
    if good:
        dispersion.require_good(fit, lines, least_share=0.5, name="arc")
    else:
        with pytest.raises(DataError, match=f"arc: only {10 * used}% of 10 detected lines"):
            dispersion.require_good(fit, lines, least_share=0.5, name="arc")


def test_no_line_detected_is_refused():
    lines = measured(line_list(5), truth(), np.random.default_rng(3), holes=np.zeros(1))
    lines = replace(lines, detected=np.zeros(10, dtype=bool))
    fit = LineFit(lines.x, lines.y, np.zeros(10, dtype=bool))
    with pytest.raises(DataError, match="of 0 detected"):
        dispersion.require_good(fit, lines, least_share=0.0, name="arc")


@pytest.mark.parametrize("axis", ["x", "y"])
def test_scale_is_the_slope_of_the_solution(axis):
    lines = measured(line_list(5), truth(), np.random.default_rng(3), holes=np.zeros(1))
    solution = truth()
    if axis == "y":
        turned = {n: replace(o, x=o.y, y=o.x) for n, o in solution.orders.items()}
        solution = replace(solution, orders=turned)
    scale = dispersion.scale_at(solution, lines, axis)
    for number in RANGES:
        w = np.linspace(*RANGES[number], 2001)
        slope = np.gradient(w, truth().predict(number, w)[0])
        own = lines.order == number
        assert scale[own] == pytest.approx(np.interp(lines.wavelength[own], w, slope), rel=1e-3)
