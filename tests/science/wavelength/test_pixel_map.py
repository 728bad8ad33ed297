"""The map is the solution turned around, pixel by pixel."""

from dataclasses import replace

import numpy as np
import pytest

from soxspipe.datamodel.geometry import DispersionSolution, MapFlag
from soxspipe.science.wavelength.pixel_map import invert, make
from tests.science.wavelength.made_arcs import RANGES, SHAPE, grid, order_table, truth


@pytest.fixture(scope="module")
def made():
    return make(truth(), order_table(), SHAPE, ranges=RANGES, tolerance=0.01)


@pytest.mark.parametrize("number", [5, 6])
def test_there_and_back(number):
    w, s = grid(number, 0.0)
    x, y = truth().predict(number, w, s)
    back_w, back_s = invert(truth().orders[number], x, y)
    u, v = truth().predict(number, back_w, back_s)
    assert np.hypot(u - x, v - y).max() < 1e-3
    assert back_w == pytest.approx(w, abs=1e-4)
    assert back_s == pytest.approx(s, abs=3e-4)


def test_in_any_order_of_pixels():
    w, s = np.random.default_rng(1).permutation(np.transpose(grid(5, 0.0))).T
    back_w, back_s = invert(truth().orders[5], *truth().predict(5, w, s))
    assert back_w == pytest.approx(w, abs=1e-4)
    assert back_s == pytest.approx(s, abs=3e-4)


def test_out_of_reach_is_unknown():
    order = truth().orders[5]
    x, y = np.array([200.0, 200.0, 210.0]), np.array([38.0, 5000.0, 38.0])
    w, s = invert(order, x, y)
    assert np.isfinite(w).tolist() == np.isfinite(s).tolist() == [True, False, True]
    assert [len(part) for part in invert(order, np.empty(0), np.empty(0))] == [0, 0]


def test_every_pixel_between_the_edges_knows_its_light(made):
    pixel_map, share = made
    assert share == 1.0
    assert pixel_map.order_numbers == (5, 6)
    for number, (low, high) in RANGES.items():
        y, x = np.nonzero(pixel_map.order == number)
        w, s = pixel_map.wavelength[y, x], pixel_map.slit[y, x]
        at_x, at_y = truth().predict(number, w, s)
        assert np.hypot(at_x - x, at_y - y).max() < 1e-3
        assert low <= w.min() < w.max() <= high
        assert np.abs(s).max() < 6.0 + 0.6 / 3.4  # half a pixel beyond the edge
        # as many as there are between the edges, at 380 columns and some 42 rows
        length = np.ptp(truth().predict(number, np.array([low, high]))[0])
        area = length * 2 * {5: 21.2, 6: 22.2}[number]
        assert len(x) == pytest.approx(area, rel=0.04)
        assert pixel_map.reliable[number] == truth().orders[number].lines


def test_between_the_orders_there_is_nothing(made):
    pixel_map, _ = made
    dark = pixel_map.order == 0
    assert dark[70, :].all()
    assert (pixel_map.wavelength[dark] == 0).all()
    assert (pixel_map.slit[dark] == 0).all()


def test_wavelengths_out_of_range_are_left_out():
    ranges = {5: (510.0, 520.0), 6: RANGES[6]}
    pixel_map, share = make(truth(), order_table(), SHAPE, ranges=ranges, tolerance=0.01)
    w = pixel_map.wavelength[pixel_map.order == 5]
    assert 510 <= w.min() < 510.2
    assert 519.8 < w.max() <= 520
    assert share == 1.0


def test_an_order_without_edges_is_left_out():
    table = order_table()
    table = replace(table, orders={5: table.orders[5]})
    pixel_map, _ = make(truth(), table, SHAPE, ranges=RANGES, tolerance=0.01)
    assert pixel_map.order_numbers == (5,)


def test_share_tells_what_the_solution_does_not_reach():
    table = order_table()
    trace = table.orders[5]
    lift = np.zeros(len(trace.centre))
    lift[0] = 87.5
    # 25 arcsec above the slit centre: out of reach beyond three half slits, 18 arcsec
    table = replace(table, orders={5: replace(trace, upper=trace.centre + lift)})
    only = DispersionSolution({5: truth().orders[5]})
    _, share = make(only, table, SHAPE, ranges=RANGES, tolerance=0.01)
    assert share == pytest.approx((6 + 18) / (6 + 25), abs=0.05)


def with_errors(error_x, error_y, lines=None):
    """The true solution, x and y off by so much in all, and known to be."""
    orders = {}
    for number, order in truth().orders.items():
        x, y = (np.full((1, 1, 1, 1), e**2) for e in (error_x, error_y))
        orders[number] = replace(
            order, x_covariance=x, y_covariance=y, lines=(lines or {}).get(number, order.lines)
        )
    return DispersionSolution(orders)


@pytest.mark.parametrize("errors", [(0.1, 0.0), (0.0, 0.1), (0.03, 0.08)])
def test_error_of_a_wavelength_is_what_errors_of_the_solution_make_of_it(errors):
    table = order_table()
    known = with_errors(*errors)
    pixel_map, _ = make(known, table, SHAPE, ranges=RANGES, tolerance=1e-4)
    expected = np.zeros(SHAPE)
    for axis, error in zip("xy", errors, strict=True):
        off = {}
        for number, order in truth().orders.items():
            series = getattr(order, axis).copy()
            series[0, 0] += error
            off[number] = replace(order, **{axis: series})
        moved, _ = make(DispersionSolution(off), table, SHAPE, ranges=RANGES, tolerance=1e-4)
        expected += np.where(moved.order > 0, moved.wavelength - pixel_map.wavelength, 0.0) ** 2
    both = (pixel_map.order > 0) & (expected > 0) & (expected < 1)
    ratio = pixel_map.error[both] / np.sqrt(expected[both])
    assert np.median(ratio) == pytest.approx(1.0, abs=0.01)
    assert np.quantile(np.abs(ratio - 1), 0.9) < 0.05
    assert not pixel_map.error[pixel_map.order == 0].any()


def test_without_a_covariance_the_error_is_not_known(made):
    pixel_map, _ = made
    assert np.isnan(pixel_map.error[pixel_map.order > 0]).all()


def test_pixels_beyond_the_lines_and_beyond_the_order_are_marked():
    lines = {5: (510.0, 530.0), 6: (455.0, 490.0)}
    ranges = {5: (505.0, 540.0), 6: RANGES[6]}
    table = order_table()
    pixel_map, _ = make(with_errors(0.1, 0.1, lines), table, SHAPE, ranges=ranges, tolerance=0.01)
    for number, (low, high) in lines.items():
        own = pixel_map.order == number
        w = pixel_map.wavelength[own]
        beyond = (pixel_map.quality[own] & MapFlag.BEYOND_LINES) != 0
        assert np.array_equal(beyond, (w < low) | (w > high))
        assert beyond.any()
    out = (pixel_map.quality & MapFlag.BEYOND_ORDER) != 0
    assert out.sum() > 1000  # five nm of order 5
    assert not pixel_map.order[out].any()
    assert not pixel_map.wavelength[out].any()
    between = (pixel_map.order == 0) & ~out
    assert not pixel_map.quality[between].any()


def test_the_map_stays_bounded_where_the_edges_are_wrong():
    table = order_table()
    trace = table.orders[5]
    lift = np.zeros(len(trace.centre))
    lift[0] = 87.5
    table = replace(table, orders={5: replace(trace, upper=trace.centre + lift)})
    only = DispersionSolution({5: truth().orders[5]})
    pixel_map, _ = make(only, table, SHAPE, ranges=RANGES, tolerance=0.01)
    assert np.abs(pixel_map.slit).max() < 9.0
    assert ((pixel_map.quality & MapFlag.NOT_SOLVED) != 0).sum() > 1000
