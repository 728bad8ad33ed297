"""One flat from two lamps: better than either, and no line of the second in it."""

import numpy as np
import pytest

from soxspipe.datamodel.frame import Frame, PixelFlag
from soxspipe.science.orders.flat_field import FlatOptions, separate
from soxspipe.science.orders.two_lamps import join
from tests.science.orders.made_orders import COLUMNS, ROWS, SHAPE, slit_light, table, trace

BLUE, RED = trace(35.0), trace(95.0)
ORDERS = table(BLUE, RED)
TILT = {n: np.full(SHAPE[1], 0.1) for n in (1, 2)}
#: Halogen has no light at the blue end of the blue order; deuterium little in the red, and a line.
HALOGEN = {1: 1500 * np.clip((COLUMNS - 200) / 400, 0, 1), 2: np.full(SHAPE[1], 9000.0)}
DEUTERIUM = {
    1: 3000 - 3.0 * COLUMNS,
    2: 3000 + 9000 * np.exp(-(((COLUMNS - 300) / 1.5) ** 2)),
}


def flat(lamps, response, rng):
    light = np.zeros(SHAPE)
    for number, order in ORDERS.orders.items():
        at = COLUMNS - TILT[number][0] * (ROWS - order.at("centre", COLUMNS))
        light += np.interp(at, COLUMNS, lamps[number]) * slit_light(order) * response
    variance = (light + 25) / 5
    frame = Frame(rng.normal(light, np.sqrt(variance)), variance, np.zeros(SHAPE))
    return separate(frame, ORDERS, TILT, FlatOptions(30.0, 6.0)).flat


@pytest.fixture(scope="module")
def made():
    rng = np.random.default_rng(1)
    response = 1 + rng.normal(0, 0.01, SHAPE)
    main, other = (flat(lamps, response, rng) for lamps in (HALOGEN, DEUTERIUM))
    return response, main, other, join(main, other, ORDERS, TILT, scale=True)


def lit(number, margin=10):
    inside = slit_light(ORDERS.orders[number]) > 0.999
    inside[:, :margin] = inside[:, -margin:] = False
    return inside


def test_the_response_is_that_of_both_lamps_within_its_errors(made):
    response, main, _, joined = made
    frame = joined.flat.frame
    for number in (1, 2):
        known = lit(number) & (frame.variance > 0) & frame.good
        assert known.sum() > 0.97 * lit(number).sum()
        pulls = (frame.data - response)[known] / np.sqrt(frame.variance[known])
        assert 0.95 < pulls.std() < 1.1
        assert np.abs(pulls).max() < 7
    both = lit(1) & (main.frame.variance > 0)
    assert np.median(frame.variance[both] / main.frame.variance[both]) < 0.6


def test_each_order_tells_how_much_the_second_lamp_counts(made):
    share = made[3].share
    assert share[1] > 0.5
    assert share[2] < 0.3
    assert made[3].second[lit(1)].mean() > 0.5


def test_lines_of_the_second_lamp_leave_the_first_one_alone(made):
    _, main, other, joined = made
    near = lit(2) & (np.abs(COLUMNS - 300) < 3)
    assert ((other.frame.flags[near] & np.uint16(PixelFlag.NO_FLAT)) > 0).all()
    assert joined.flat.frame.data[near] == pytest.approx(main.frame.data[near])
    assert joined.flat.frame.good[near].all()


def test_the_spectrum_kept_is_the_first_lamps_and_goes_on_without_a_step(made):
    _, main, other, joined = made
    lamp = joined.flat.lamp[1]
    known = np.isfinite(main.lamp[1])
    assert np.array_equal(lamp[known], main.lamp[1][known])
    dark = np.flatnonzero(~known & np.isfinite(other.lamp[1]))
    assert len(dark) > 150
    ratio = lamp[dark] / other.lamp[1][dark]
    assert ratio == pytest.approx(ratio[0])


def test_the_second_spectrum_may_keep_its_own_scale(made):
    _, main, other, _ = made
    joined = join(main, other, ORDERS, TILT, scale=False)
    dark = ~np.isfinite(main.lamp[1]) & np.isfinite(other.lamp[1])
    assert joined.flat.lamp[1][dark] == pytest.approx(other.lamp[1][dark])


def test_where_neither_gives_light_there_is_no_flat():
    rng = np.random.default_rng(2)
    dark = {1: np.where(COLUMNS < 200, 2.0, 3000.0), 2: np.full(SHAPE[1], 9000.0)}
    main, other = (flat(dark, np.ones(SHAPE), rng) for _ in range(2))
    joined = join(main, other, ORDERS, TILT, scale=True)
    unlit = lit(1)
    unlit[:, 180:] = False
    assert ((joined.flat.frame.flags[unlit] & np.uint16(PixelFlag.NO_FLAT)) > 0).all()
    assert (joined.flat.frame.data[unlit] == 1).all()
