"""A solution is good, or it is told what is wrong with it."""

from dataclasses import replace

import numpy as np
import pytest

from soxspipe.datamodel.arc_lines import LineFit
from soxspipe.errors import DataError
from soxspipe.science.wavelength import adjustment, dispersion, judge
from tests.science.wavelength.made_arcs import line_list, measured, truth

OPTIONS = dispersion.FitOptions(wavelength_degree=5, slit_degree=0, sigma=5.0, rounds=5)


def arcs(seed=3, n=25, error=0.03):
    return measured(line_list(n), truth(), np.random.default_rng(seed), error, holes=np.zeros(1))


def problems(lines, orders_alone=True):
    fitted = adjustment.fit_orders(truth(), lines, OPTIONS)
    return judge.problems(fitted.solution, lines, fitted.fit, orders_alone=orders_alone)


def test_nothing_speaks_against_a_good_solution():
    assert problems(arcs()) == []
    judge.require_good([], name="arc")


def test_every_reason_is_named():
    with pytest.raises(DataError, match="arc 1: too dark; too bright"):
        judge.require_good(["too dark", "too bright"], name="arc 1")


@pytest.mark.parametrize(("used", "good"), [(40, True), (20, False), (0, False)])
def test_too_few_agreeing_lines(used, good):
    lines = arcs()
    fit = LineFit(lines.x, lines.y, np.arange(50) < used)
    found = judge.problems(truth(), lines, fit, orders_alone=False)
    said = f"only {2 * used}% of 50 detected lines agree with one solution"
    assert (said in found) is not good


def test_no_line_detected():
    lines = replace(arcs(), detected=np.zeros(50, dtype=bool))
    fit = LineFit(lines.x, lines.y, np.zeros(50, dtype=bool))
    found = judge.problems(truth(), lines, fit, orders_alone=True)
    assert found == ["only 0% of 0 detected lines agree with one solution"]


def test_few_of_the_listed_lines():
    lines = arcs()
    some = np.isin(np.arange(50), [0, 10, 24, 27, 40])
    lines = replace(lines, detected=some)
    fit = LineFit(lines.x, lines.y, some)
    found = judge.problems(truth(), lines, fit, orders_alone=False)
    assert "only 5 of 50 listed lines were recognised" in found


def test_an_order_with_few_lines_is_named():
    lines = arcs()
    few = np.unique(lines.wavelength[lines.order == 6])[:3]
    lines = replace(lines, detected=(lines.order == 5) | np.isin(lines.wavelength, few))
    assert "order 6 has only 0 arc lines that fit" in problems(lines)


def test_lines_that_scatter_are_no_solution():
    rng = np.random.default_rng(5)
    lines = arcs()
    chance = rng.uniform(-1.5, 1.5, (2, len(lines))) * (lines.order == 5)
    lines = replace(lines, x=lines.x + chance[0], y=lines.y + chance[1])
    found = problems(lines)
    assert any(said.startswith("the lines of order 5 scatter by") for said in found)
    assert not any("order 6" in said for said in found)


def test_an_order_carried_by_its_neighbours_must_show_a_line_and_be_certain():
    solution = truth()
    wide = 0.5 * np.eye(2).reshape(2, 1, 2, 1)
    middle = 470.0
    orders = {
        5: replace(solution.orders[5], x_covariance=wide, y_covariance=wide),
        6: replace(solution.orders[6], lines=(middle, middle)),
    }
    lines = arcs()
    fit = LineFit(lines.x, lines.y, lines.detected)
    found = judge.problems(replace(solution, orders=orders), lines, fit, orders_alone=False)
    assert found[0].startswith("its lines leave order 5 uncertain by 1")
    assert found[1] == "order 6 shows no arc line"
