"""How a solution fits its lines, and its scale."""

from dataclasses import replace

import numpy as np
import pytest

from soxspipe.datamodel.arc_lines import LineFit
from soxspipe.science.wavelength import dispersion
from tests.science.wavelength.made_arcs import RANGES, line_list, measured, truth


def test_evaluate_is_predict():
    lines = measured(line_list(), truth(), np.random.default_rng(1), error=0.0)
    fit = dispersion.evaluate(truth(), lines, lines.detected)
    assert isinstance(fit, LineFit)
    assert fit.x == pytest.approx(lines.x)
    assert fit.y == pytest.approx(lines.y)


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
