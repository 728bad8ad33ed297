"""The flat, taken apart: what went into it comes out again."""

from dataclasses import replace

import numpy as np
import pytest

from soxspipe.datamodel.frame import Frame, PixelFlag
from soxspipe.datamodel.geometry import OrderTrace
from soxspipe.errors import DataError
from soxspipe.science.orders.flat_field import (
    FlatOptions,
    centre_strip,
    quietened,
    separate,
    tilt_of,
)
from tests.maths.truth import assert_pulls
from tests.science.orders.made_orders import COLUMNS, ROWS, SHAPE, slit_light, table, trace

OPTIONS = FlatOptions(least_electrons=30.0, cold_sigma=6.0)
FIRST, SECOND = trace(35.0), trace(95.0)
TILT = {1: np.full(SHAPE[1], 0.2), 2: np.full(SHAPE[1], -0.1)}
LAMP = {
    1: 4000 * (1 + 0.5 * np.sin(COLUMNS / 90)),
    2: 9000 * np.exp(-(((COLUMNS - 350) / 220) ** 2)),
}
#: Well inside the slit, away from its blurred edges.
INSIDE = {n: slit_light(o) > 0.999 for n, o in ((1, FIRST), (2, SECOND))}


def lamp_light(number, order, lamp):
    """Light of a smooth spectrum whose lines of equal wavelength are tilted."""
    at = COLUMNS - TILT[number][0] * (ROWS - order.at("centre", COLUMNS))
    return np.interp(at, COLUMNS, lamp)


def flat(rng, response=1.0, lamps=LAMP, exposures=4):
    light = np.zeros(SHAPE)
    for number, order in ((1, FIRST), (2, SECOND)):
        light += lamp_light(number, order, lamps[number]) * slit_light(order) * response
    variance = (light + 25) / exposures
    return Frame(light + rng.normal(0, np.sqrt(variance)), variance, np.zeros(SHAPE))


def taken_apart(frame, options=OPTIONS):
    return separate(frame, table(FIRST, SECOND), TILT, options).flat


def has(master, flag):
    return (master.frame.flags & np.uint16(flag)) != 0


def test_response_comes_back_within_its_errors():
    rng = np.random.default_rng(1)
    response = 1 + rng.normal(0, 0.02, SHAPE)
    master = taken_apart(flat(rng, response))
    pulls = (master.frame.data - response) / np.sqrt(np.maximum(master.frame.variance, 1e-12))
    for number, inside in INSIDE.items():
        lit = inside & (master.frame.variance > 0) & master.frame.good
        lit[:, :8] = lit[:, -8:] = False  # some lines of equal wavelength are cut there
        assert lit.sum() > 0.9 * inside[:, 8:-8].sum(), number
        assert abs(pulls[lit].mean()) < 0.06
        # the lamp is a median over some hundred pixels whose response differs by 2 %
        assert 0.98 < pulls[lit].std() < 1.08


def test_lamp_spectra_are_relative_to_the_brightest():
    master = taken_apart(flat(np.random.default_rng(2)))
    middle = np.s_[10:-10]
    for number, lamp in LAMP.items():
        known = np.isfinite(master.lamp[number])
        assert np.array_equal(known[middle], (lamp > OPTIONS.least_electrons)[middle])
        truth = lamp / 9000
        off = (master.lamp[number] / truth)[middle][known[middle] & (truth[middle] > 0.02)]
        assert off == pytest.approx(1, abs=0.02)
    assert np.nanmax([np.nanmax(lamp) for lamp in master.lamp.values()]) == pytest.approx(1)


def test_illumination_of_the_slit_stays_in_the_flat():
    along_slit = (ROWS - FIRST.at("centre", COLUMNS)) / 20
    shape = np.where(ROWS < 65, 1 + 0.1 * along_slit, 1.0)
    master = taken_apart(flat(np.random.default_rng(3), shape, exposures=100))
    lit = INSIDE[1] & (master.frame.variance > 0)
    assert np.polyfit(along_slit[lit], master.frame.data[lit], 1)[0] == pytest.approx(0.1, abs=3e-3)


def test_a_steep_edge_of_the_lamp_is_followed():
    steep = 3000 * (1.5 + np.tanh((COLUMNS - 300) / 8))  # a dichroic: a fifth, then all
    master = taken_apart(flat(np.random.default_rng(9), lamps=LAMP | {1: steep}, exposures=400))
    near = INSIDE[1].copy()
    near[:, :280] = near[:, 320:] = False
    off = master.frame.data[near] - 1
    assert np.abs(np.median(off)) < 5e-3
    assert np.abs(off).max() < 0.05


def test_between_orders_nothing_is_known():
    master = taken_apart(flat(np.random.default_rng(4)))
    dark = slit_light(FIRST) + slit_light(SECOND) < 1e-6
    assert (master.frame.data[dark] == 1).all()
    assert (master.frame.variance[dark] == 0).all()
    assert master.frame.good[dark].all()


def test_where_the_lamp_is_dark_there_is_no_flat():
    lamps = LAMP | {1: np.where(COLUMNS < 250, 4.0, 4000.0 * np.minimum((COLUMNS - 249) / 60, 1))}
    master = taken_apart(flat(np.random.default_rng(5), lamps=lamps))
    unknown = has(master, PixelFlag.NO_FLAT) & INSIDE[1]
    assert unknown[:, 20:230][INSIDE[1][:, 20:230]].all()
    assert not unknown[:, 320:].any()
    assert (master.frame.data[unknown] == 1).all()
    assert (master.frame.variance[unknown] == 0).all()
    assert np.isnan(master.lamp[1][20:230]).all()


def test_cold_pixels_are_found_and_dust_is_not():
    rng = np.random.default_rng(6)
    cold = (rng.random(SHAPE) < 3e-3) & INSIDE[1]
    y, x = np.indices(SHAPE)
    dust = 1 - 0.1 * np.exp(-((y - 35) ** 2 + (x - 300) ** 2) / 2 / 8**2)
    response = dust * np.where(cold, 0.5, 1.0) * (1 + rng.normal(0, 0.01, SHAPE))
    master = taken_apart(flat(rng, response))
    found = has(master, PixelFlag.COLD)
    away = np.minimum(*(np.abs(ROWS - FIRST.at(w, COLUMNS)) for w in ("lower", "upper"))) > 3
    assert found[cold & away].mean() > 0.98
    assert (found & ~cold).sum() <= 2


def test_dead_pixels_are_found_up_to_the_slits_ends_and_in_any_number():
    rng = np.random.default_rng(16)
    depth = np.minimum(ROWS - FIRST.at("lower", COLUMNS), FIRST.at("upper", COLUMNS) - ROWS)
    dead = (rng.random(SHAPE) < 5e-3) & (depth > 0)
    dead[34, 100:300] = True  # a row along the slit's middle
    dead[:, 400:403] |= depth[:, 400:403] > 0  # three columns
    dead[20:30, 200:210] |= depth[20:30, 200:210] > 0  # a cluster
    response = np.where(dead, rng.uniform(0, 0.4, SHAPE), 1 + rng.normal(0, 0.01, SHAPE))
    master = taken_apart(flat(rng, response))
    found = has(master, PixelFlag.COLD)
    assert found[dead].mean() > 0.99
    assert (found & ~dead & (depth > -0.5)).sum() <= 5
    good = INSIDE[1] & ~dead & (master.frame.variance > 0)
    assert np.median(master.frame.data[good]) == pytest.approx(1, abs=2e-3)


def test_saturated_pixels_make_no_others_cold():
    rng = np.random.default_rng(21)
    frame = flat(rng, 1 + rng.normal(0, 0.02, SHAPE), lamps={n: np.full(600, 9e3) for n in (1, 2)})
    over = INSIDE[2]
    flags = np.where(over, np.uint16(PixelFlag.SATURATED), np.uint16(0))
    clipped = replace(frame, data=np.where(over, 8000.0, frame.data), flags=flags)
    master = taken_apart(clipped)
    assert has(master, PixelFlag.SATURATED)[over].all()
    assert has(master, PixelFlag.COLD)[INSIDE[1]].sum() <= 2


def test_how_low_a_cold_pixel_is_can_be_asked_for():
    rng = np.random.default_rng(17)
    weak = (rng.random(SHAPE) < 3e-3) & INSIDE[1]
    response = np.where(weak, 0.85, 1.0) * (1 + rng.normal(0, 0.005, SHAPE))
    frame = flat(rng, response)
    few, many = (
        has(taken_apart(frame, FlatOptions(30.0, sigma)), PixelFlag.COLD)[weak].mean()
        for sigma in (40.0, 2.0)
    )
    assert few < 0.05
    assert many > 0.95


def test_pixels_that_show_too_much_are_outliers():
    rng = np.random.default_rng(18)
    frame = flat(rng)
    hot = (rng.random(SHAPE) < 2e-3) & INSIDE[1]
    master = taken_apart(replace(frame, data=frame.data + np.where(hot, 900.0, 0.0)))
    found = has(master, PixelFlag.OUTLIER)
    assert found[hot].mean() > 0.95
    assert (found & ~hot).sum() <= 2


@pytest.mark.parametrize("edge", [15.4, 15.7, 16.0])
def test_at_the_slits_end_too_dead_and_hot_pixels_are_found(edge):
    level = OrderTrace((0.0, 599.0), np.array([35.0]), np.array([0.9]))
    straight = replace(level, lower=np.array([edge]), upper=np.array([edge + 39.7]))
    light = slit_light(straight)
    end = (light < 0.85) & (np.abs(ROWS - edge - 19.85) < 19.85 + 0.45)
    assert end.any()
    rng = np.random.default_rng(19)
    electrons = 4000.0 * light
    kind = np.where(end, rng.random(SHAPE), 0.5)
    hot, dead = kind < 0.02, kind > 0.98
    electrons = np.where(dead, 0.02 * electrons, electrons + np.where(hot, 900.0, 0.0))
    variance = (electrons + 25) / 4
    frame = Frame(rng.normal(electrons, np.sqrt(variance)), variance, np.zeros(SHAPE))
    flat = separate(frame, table(straight), TILT, OPTIONS).flat
    for flag, there in ((PixelFlag.OUTLIER, hot), (PixelFlag.COLD, dead)):
        found = has(flat, flag)
        assert found[there].all()
        assert (found & ~there).sum() <= 2


def test_emission_lines_of_the_lamp_are_no_response():
    line = 1 + 4 * np.exp(-(((COLUMNS - 250) / 1.5) ** 2))
    master = taken_apart(flat(np.random.default_rng(19), lamps=LAMP | {1: LAMP[1] * line}))
    unknown = has(master, PixelFlag.NO_FLAT) & INSIDE[1]
    at = COLUMNS - 0.2 * (ROWS - FIRST.at("centre", COLUMNS))
    assert unknown[INSIDE[1] & (np.abs(at - 250) < 2)].all()
    assert not unknown[(np.abs(at - 250) > 25) & (at > 10) & (at < 590)].any()
    known = INSIDE[1] & (master.frame.variance > 0)
    assert np.abs(master.frame.data[known] - 1).max() < 0.15


def test_noise_of_a_faint_lamp_is_drawn_to_what_is_usual_and_its_error_says_so():
    rng = np.random.default_rng(20)
    y, x = np.indices(SHAPE)
    dust = 1 - 0.15 * np.exp(-((y - 35) ** 2 + (x - 300) ** 2) / 2 / 5**2)
    response = dust * (1 + rng.normal(0, 0.006, SHAPE))
    faint = {1: np.full(SHAPE[1], 160.0), 2: np.full(SHAPE[1], 9000.0)}
    made = separate(flat(rng, response, faint), table(FIRST, SECOND), TILT, OPTIONS)
    quiet = quietened(made.flat, made.usual, table(FIRST, SECOND), TILT, least_scatter=0.006)
    good = quiet.frame.good & (made.flat.frame.variance > 0)
    good[:, :10] = good[:, -10:] = False
    away = INSIDE[1] & good & (dust > 0.999)
    for number, where, gain in ((1, away, 0.35), (2, INSIDE[2] & good, 0.95)):
        off = quiet.frame.data - response
        before = (made.flat.frame.data - response)[where].std()
        assert off[where].std() < gain * before, number
        pulls = off[where] / np.sqrt(quiet.frame.variance[where])
        assert 0.9 < pulls.std() < 1.1
    # dust is not smoothed away, though no pixel shows it: about 4 % of noise in each
    under = INSIDE[1] & (made.flat.frame.variance > 0) & (dust < 0.9)
    assert abs((quiet.frame.data - made.flat.frame.data)[under].mean()) < 0.025


def test_bad_pixels_keep_their_flags_and_spoil_no_lamp():
    rng = np.random.default_rng(7)
    frame = flat(rng)
    bad = (rng.random(SHAPE) < 0.2) & INSIDE[1]
    spoilt = Frame(np.where(bad, 5e4, frame.data), frame.variance, np.where(bad, 1, 0))
    master = taken_apart(spoilt)
    assert has(master, PixelFlag.BAD)[bad].all()
    good = INSIDE[1] & ~bad & (master.frame.variance > 0)
    assert np.median(master.frame.data[good]) == pytest.approx(1, abs=2e-3)


def test_a_flat_without_light_is_an_error():
    dark = Frame(np.zeros(SHAPE), np.full(SHAPE, 25.0), np.zeros(SHAPE))
    with pytest.raises(DataError, match="no order shows light"):
        taken_apart(dark)


def test_strip_around_the_centres():
    orders = table(FIRST, SECOND)
    inside = centre_strip(orders, SHAPE, 5.0)
    near = np.minimum(*(np.abs(ROWS - o.at("centre", COLUMNS)) for o in (FIRST, SECOND)))
    assert np.array_equal(inside, near <= 5.0)


@pytest.mark.parametrize("along_first", [True, False])
def test_tilt_from_a_solution(along_first):
    along = np.linspace(0, 599, 40)
    slope = 0.1 + 2e-4 * along
    first = np.column_stack([along - 20 * slope, along + 20 * slope])
    second = np.column_stack([np.full(40, 15.0), np.full(40, 55.0)])
    x, y = (first, second) if along_first else (second, first)
    tilt = tilt_of(x, y, along_first, 600)
    assert tilt == pytest.approx(0.1 + 2e-4 * COLUMNS, abs=1e-6)


def test_errors_of_the_response_mean_what_they_say():
    rng = np.random.default_rng(8)
    lamps = {1: np.full(SHAPE[1], 3000.0), 2: np.full(SHAPE[1], 3000.0)}
    master = taken_apart(flat(rng, lamps=lamps))
    rows = np.abs(ROWS - FIRST.at("centre", COLUMNS)) < 15
    rows[:, :10] = rows[:, -10:] = False
    pulls = ((master.frame.data - 1) / np.sqrt(np.maximum(master.frame.variance, 1e-12)))[rows]
    assert_pulls(pulls)
