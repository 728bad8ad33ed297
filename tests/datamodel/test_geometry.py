"""Series evaluate to what they stand for."""

from dataclasses import fields, replace

import numpy as np
import pytest
from numpy.polynomial.chebyshev import chebval2d

from soxspipe.datamodel.arc_lines import ArcLines
from soxspipe.datamodel.geometry import (
    DispersionSolution,
    OrderSolution,
    OrderTrace,
    PixelMap,
    unit,
)
from soxspipe.datamodel.order_pixels import OrderPixels
from soxspipe.datamodel.polynomial_table import PolynomialTable, TracePolynomial
from soxspipe.errors import InputError

# x = 100 + 50 t + 3 T2(t) s, y = 40 + 20 s + 2 t, with t and s running over the domains
SOLUTION = DispersionSolution(
    {
        7: OrderSolution(
            x=np.array([[100.0, 0], [50, 0], [0, 3]]),
            y=np.array([[40.0, 20], [2, 0]]),
            wavelength=(400.0, 600.0),
            slit=(-6.0, 6.0),
            lines=(410.0, 590.0),
        )
    }
)
TRACE = OrderTrace((10.0, 110.0), np.array([50.0, 5]), np.array([1.0]), lower=np.array([30.0, -5]))


def test_unit_interval():
    assert unit(np.array([10, 15, 20]), (10, 20)) == pytest.approx([-1, 0, 1])
    assert unit(12.5, (10, 20)) == pytest.approx(-0.5)


def test_solution_is_its_series():
    x, y = SOLUTION.predict(7, np.array([400, 500, 550.0]), np.array([6, 3, -6.0]))
    t, s = np.array([-1, 0, 0.5]), np.array([1, 0.5, -1])
    assert x == pytest.approx(100 + 50 * t + 3 * (2 * t**2 - 1) * s)
    assert y == pytest.approx(40 + 20 * s + 2 * t)


def test_error_of_a_solution_is_that_of_its_series():
    rng = np.random.default_rng(1)
    half = rng.normal(0, 0.1, (6, 6))
    order = replace(SOLUTION.orders[7], x_covariance=(half @ half.T).reshape(3, 2, 3, 2))
    draws = (half @ rng.normal(size=(6, 4000))).reshape(3, 2, 4000)
    w, s = np.array([400.0, 470.0, 600.0]), np.array([-6.0, 2.0, 5.0])
    t, u = unit(w, (400, 600)), unit(s, (-6, 6))
    found_x, found_y = order.error(w, s)
    assert found_x == pytest.approx(chebval2d(t, u, draws).std(axis=0), rel=0.05)
    assert np.isnan(found_y).all()


def test_slit_centre_unless_said_otherwise():
    assert np.array(SOLUTION.predict(7, 500.0)) == pytest.approx((100, 40))


def test_an_order_it_does_not_have():
    with pytest.raises(InputError, match="no order 8") as caught:
        SOLUTION.predict(8, 500.0)
    assert "it holds 7" in caught.value.hint


def test_trace_is_held_at_its_ends():
    pixel = np.array([-50, 10, 60, 110, 500.0])
    assert TRACE.at("centre", pixel) == pytest.approx([45, 45, 50, 55, 55])
    assert TRACE.at("lower", pixel) == pytest.approx([35, 35, 30, 25, 25])


def test_edges_nobody_has_seen():
    with pytest.raises(InputError, match="no edges"):
        TRACE.at("upper", np.array([50.0]))


def test_orders_of_a_map():
    order = np.array([[0, 3, 3], [5, 0, 3]])
    found = PixelMap(np.zeros((2, 3)), np.zeros((2, 3)), order)
    assert found.order_numbers == (3, 5)


def test_nearest_bin_stays_on_the_grid():
    position = np.array([9.6, 10.4, 11.6, 14.9])
    nothing = np.zeros(4)
    pixels = OrderPixels(1, nothing, nothing, nothing, position, nothing, 10, np.arange(4), nothing)
    assert pixels.nearest.tolist() == [0, 0, 2, 3]


def test_polynomials_are_sums_of_powers():
    coefficients = np.random.default_rng(1).normal(size=(2, 3, 4))
    table = PolynomialTable("x", coefficients)
    assert (table.order_deg, table.wavelength_deg, table.slit_deg) == (1, 2, 3)
    order, wavelength, slit = 3, np.array([0.5, 2.0]), 1.5
    truth = sum(
        coefficients[i, j, k] * order**i * wavelength**j * slit**k
        for i in range(2) for j in range(3) for k in range(4)
    )  # fmt: skip
    assert table.evaluate(order, wavelength, slit) == pytest.approx(truth)
    trace = TracePolynomial(coefficients[0])
    truth = sum(coefficients[0, i, j] * 3**i * 0.5**j for i in range(3) for j in range(4))
    assert trace.evaluate(3, 0.5) == pytest.approx(truth)


def test_selected_lines_keep_their_columns_together():
    lines = ArcLines(*(np.arange(4.0) + 10 * k for k in range(len(fields(ArcLines)))))
    some = lines.select(np.array([True, False, False, True]))
    assert len(some) == 2
    for k, field in enumerate(fields(ArcLines)):
        assert getattr(some, field.name).tolist() == [10 * k, 10 * k + 3]
