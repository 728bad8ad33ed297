"""Scattered light: a smooth surface comes back, from what is seen between the orders."""

from dataclasses import replace

import numpy as np
import pytest

from soxspipe.datamodel.frame import Frame
from soxspipe.datamodel.geometry import OrderTable
from soxspipe.science.orders.scattered_light import between_orders, fit, left_over
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


def order_light(shape=SIZE):
    """Two orders, the light that bright ones scatter beside them, and free pixels."""
    y = np.arange(shape[0])[:, None] + np.zeros(shape[1])
    halo = sum(h * np.exp(-(((y - c) / 60) ** 2) / 2) for c, h in ((150, 80.0), (360, 330.0)))
    free = (np.abs(y - 150) > 28) & (np.abs(y - 360) > 28)
    return halo + 10, free


def test_a_hump_beside_a_bright_order_is_kept_and_bridged():
    rng = np.random.default_rng(6)
    truth, free = order_light()
    light = truth + np.where(free, 0, 30000)
    frame = Frame(rng.normal(light, np.sqrt(light / 5)), light / 5, np.zeros(SIZE))
    off = fit(frame, free, smoothing=65.0) - truth
    assert np.median(np.abs(off[free])) < 0.5
    assert np.abs(off[free]).max() < 3
    assert np.abs(off[~free]).max() < 0.02 * truth.max()
    assert left_over(frame, free, truth + off) < 0.8


@pytest.mark.parametrize("along_x", [True, False])
def test_few_photons_make_a_smooth_model(along_x):
    rng = np.random.default_rng(7)
    free = free_stripes()
    frame = Frame(rng.normal(3.0, 5.0, SIZE), np.full(SIZE, 25.0), np.zeros(SIZE))
    if not along_x:
        frame, free = frame.viewed(np.transpose), free.T
    off = fit(frame, free, smoothing=65.0, along_x=along_x) - 3.0
    assert np.abs(off.mean()) < 0.1
    assert off.std() < 0.25


def test_the_longest_smoothing_and_the_degree_can_be_set():
    rng = np.random.default_rng(8)
    truth, free = order_light()
    even = Frame(rng.normal(9.0, 8.0, SIZE), np.full(SIZE, 64.0), np.zeros(SIZE))
    spread = {s: fit(even, free, smoothing=s)[free].std() for s in (5.0, 65.0)}
    assert spread[65.0] < 0.7 * spread[5.0]
    frame = replace(even, data=even.data + truth)
    truth = truth + 9.0
    one, three = (fit(frame, free, smoothing=65.0, degree=d) for d in (1, 3))
    assert np.abs(one - three).max() > 0.05
    assert np.median(np.abs(one - truth)[free]) < 1.0


def test_light_beyond_the_end_of_a_trace_is_not_free():
    order = trace(60.0)
    short = replace(order, domain=(0.0, 399.0))
    orders = OrderTable({1: short}, "x")
    free = between_orders(orders, SHAPE, clearance=4.0)
    edges = [short.at(w, COLUMNS[:400]) for w in ("lower", "upper")]
    along = np.polynomial.Polynomial.fit(COLUMNS[267:400], 0.5 * (edges[0] + edges[1])[267:], 2)
    middle = np.rint(along(COLUMNS)).astype(int).clip(0, SHAPE[0] - 1)
    assert not free[middle, COLUMNS.astype(int)].any()


def test_a_narrow_gap_keeps_its_middle():
    orders = OrderTable({1: trace(40.0), 2: trace(40.0 + 39.7 + 10.0)}, "x")  # a gap of 10 pixels
    free = between_orders(orders, SHAPE, clearance=8.0)
    gap = ROWS - orders.orders[1].at("upper", COLUMNS)
    inside = (gap > 0) & (gap < 10)
    assert free[inside & (gap > 4) & (gap < 6)].all()
    assert not free[inside & ((gap < 2.9) | (gap > 7.1))].any()


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
