"""Scattered light: a smooth surface comes back, from what is seen between the orders."""

import numpy as np
import pytest

from soxspipe.datamodel.frame import Frame
from soxspipe.datamodel.geometry import OrderTable
from soxspipe.science.orders.scattered_light import between_orders, fit
from tests.science.orders.made_orders import COLUMNS, ROWS, SHAPE, slit_light, trace

SIZE = (512, 640)


def glow(shape=SIZE):
    y, x = np.indices(shape)
    return 60 + 0.05 * x + 50 * np.exp(-((x - 400) ** 2 + (y - 200) ** 2) / 2 / 220**2)


def free_stripes(shape=SIZE):
    y = np.arange(shape[0])[:, None] + np.zeros(shape[1])
    return (y % 80) > 45  # orders 46 pixels high, gaps of 34


def test_free_pixels_keep_clear_of_the_edges():
    orders = OrderTable({1: trace(40.0), 2: trace(95.0)}, "x")
    free = between_orders(orders, SHAPE, clearance=4.0)
    clear = np.full(SHAPE, np.inf)
    for order in orders.orders.values():
        lower, upper = order.at("lower", COLUMNS), order.at("upper", COLUMNS)
        clear = np.minimum(clear, np.maximum(lower - ROWS, ROWS - upper))
    assert np.array_equal(free, clear >= 4.0)
    turned = between_orders(OrderTable(orders.orders, "y"), SHAPE[::-1], clearance=4.0)
    assert np.array_equal(turned, free.T)


def test_edges_may_come_in_either_order():
    order = trace(60.0)
    flipped = type(order)(order.domain, order.centre, order.width, order.upper, order.lower)
    one, other = (
        between_orders(OrderTable({1: o}, "x"), SHAPE, clearance=3.0) for o in (order, flipped)
    )
    assert np.array_equal(one, other)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_smooth_surface_comes_back(seed):
    rng = np.random.default_rng(seed)
    truth, free = glow(), free_stripes()
    light = truth + np.where(free, 0, 5000)
    frame = Frame(rng.normal(light, np.sqrt(light + 25)), light + 25, np.zeros(SIZE))
    surface = fit(frame, free, smoothing=50.0)
    assert surface.shape == SIZE
    off = surface - truth
    inner = np.s_[40:-40, 40:-40]
    assert np.abs(off.mean()) < 0.5
    assert off[inner].std() < 2.0
    assert np.abs(off[inner]).max() < 6.0


def test_flagged_pixels_do_not_count():
    rng = np.random.default_rng(3)
    data = rng.normal(50, 5, SIZE)
    bad = rng.random(SIZE) < 0.7
    frame = Frame(np.where(bad, 1e5, data), np.full(SIZE, 25.0), bad.astype("u2"))
    surface = fit(frame, free_stripes(), smoothing=50.0)
    assert surface == pytest.approx(50, abs=1.5)


def test_a_corner_without_free_pixels_is_bridged():
    free = free_stripes()
    free[:200, :300] = False
    frame = Frame(np.where(free, 30.0, 9000.0), np.full(SIZE, 25.0), np.zeros(SIZE))
    assert fit(frame, free, smoothing=20.0) == pytest.approx(30, abs=0.01)


def test_without_free_pixels_there_is_no_scattered_light():
    frame = Frame(np.full(SIZE, 30.0), np.full(SIZE, 25.0), np.zeros(SIZE))
    assert (fit(frame, np.zeros(SIZE, dtype=bool), smoothing=20.0) == 0).all()


def test_orders_of_our_making_leave_no_light_between_them():
    orders = [trace(40.0), trace(95.0)]
    light = 20 + sum(1e4 * slit_light(order) for order in orders)
    frame = Frame(light, light + 25, np.zeros(SHAPE))
    free = between_orders(OrderTable(dict(enumerate(orders)), "x"), SHAPE, clearance=4.0)
    assert fit(frame, free, smoothing=40.0) == pytest.approx(20, abs=0.1)
