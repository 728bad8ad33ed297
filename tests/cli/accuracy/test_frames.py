"""Sky, cosmic rays and traces: errors put in come out."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from soxspipe.cli.accuracy.cosmics import compare_cosmics
from soxspipe.cli.accuracy.on_sky import Observed
from soxspipe.cli.accuracy.scene import Scene, line_masks, order_response
from soxspipe.cli.accuracy.sky import compare_sky
from soxspipe.cli.accuracy.trace import pixels_per_arcsec, trace_error
from soxspipe.datamodel.frame import Frame

SHAPE = (60, 800)


def made_up():
    """One order that fills the frame but for its rim: lines every 40 columns, an object in the middle."""
    y, x = np.indices(SHAPE)
    sky = 50.0 + 2000.0 * np.exp(-0.5 * ((x % 40 - 20.0) / 1.5) ** 2)
    light = 300.0 * np.exp(-0.5 * ((y - 30.0) / 2.0) ** 2)
    orders = np.where((y > 4) & (y < 55), 10, 0)
    noise = np.sqrt(sky + light + 50.0)
    return Scene(
        sky, light, np.full(SHAPE, 5.0), noise, orders, np.zeros(SHAPE), np.ones(SHAPE, dtype=bool)
    )


def truth_like(orders=(10,), **more):
    arm = SimpleNamespace(orders=dict.fromkeys(orders), along_rows=lambda a: a, slit_length=12.0)
    return SimpleNamespace(arm=arm, **more)


def test_lines_and_what_is_between_them_are_told_apart():
    light = made_up()
    lines, between = line_masks(truth_like(), light.sky, light.noise, light.orders)
    assert not (lines & between).any()
    assert not lines[light.orders == 0].any()
    inside = light.orders == 10
    centre = np.indices(SHAPE)[1] % 40 == 20
    assert lines[inside & centre].all()
    assert between[inside & (np.indices(SHAPE)[1] % 40 < 10)].all()


@pytest.mark.parametrize("scattered", [0.0, 5.0])
@pytest.mark.parametrize(("bias", "noise"), [(0.0, 1.0), (0.3, 1.0), (0.0, 1.4)])
def test_what_a_sky_model_does_wrong_is_measured(bias, noise, scattered):
    light = made_up()
    lines, between = line_masks(truth_like(), light.sky, light.noise, light.orders)
    draw = np.random.default_rng(3).normal(size=SHAPE)
    wrong = np.where(lines, bias, 0.0) * light.noise
    model = light.sky + scattered + wrong
    data = light.sky + scattered + light.light + noise * light.noise * draw
    frame = Frame(data - model, light.noise**2, np.zeros(SHAPE))
    found = compare_sky(frame, model, light, lines, between)
    assert found["sky model, median error in lines [sigma]"] == pytest.approx(bias, abs=0.01)
    assert found["sky model, median error between lines [sigma]"] == pytest.approx(0.0, abs=0.01)
    assert found["sky residual over noise, in lines"] == pytest.approx(noise, rel=0.04)
    assert found["sky residual over noise, between lines"] == pytest.approx(noise, rel=0.04)
    assert found["error over noise of the raw frame, in lines"] == pytest.approx(1.0)


def test_flagged_and_hit_pixels_say_nothing_about_the_sky():
    light = made_up()
    hits = np.zeros(SHAPE)
    hits[::3] = 1e5
    light = replace(light, hits=hits)
    flags = np.zeros(SHAPE, dtype="u2")
    flags[1::3] = 4
    lines, between = line_masks(truth_like(), light.sky, light.noise, light.orders)
    left = np.where((hits > 0) | (flags > 0), 1e5, light.light)
    found = compare_sky(Frame(left, np.ones(SHAPE), flags), light.sky, light, lines, between)
    assert found["sky residual over noise, between lines"] == pytest.approx(0.0, abs=1e-3)


def test_hits_found_and_missed_and_good_pixels_lost_are_counted():
    light = made_up()
    hits = np.zeros(SHAPE)
    hits[10, 100:150] = 1e4
    hits[12, 100:150] = 1.0  # far below the noise: counts for nothing
    light = replace(light, hits=hits)
    flags = np.zeros(SHAPE, dtype="u2")
    flags[10, 100:140] = 4
    flags[20, 200:225] = 4
    flags[21, 200:225] = 128  # not for a cosmic ray
    values = compare_cosmics(flags, light)
    assert values["cosmic rays above 10 sigma, recall"] == pytest.approx(0.8)
    clean = np.sum(light.orders > 0) - 100
    assert values["good pixels lost to cosmic rays"] == pytest.approx(25 / clean)


def test_the_light_of_emission_lines_that_is_lost_is_counted():
    light = made_up()
    lines = np.zeros(SHAPE, dtype=bool)
    lines[25:36, 300:310] = True
    flags = np.zeros(SHAPE, dtype="u2")
    flags[25:36, 300] = 4
    values = compare_cosmics(flags, light, lines)
    assert values["emission-line flux lost to cosmic rays"] == pytest.approx(0.1)


def test_the_response_left_in_a_flattened_frame_is_the_mean_over_the_slit():
    y, x = np.indices(SHAPE)
    wide = 1.0 + 1e-3 * (x / 800.0) + 1e-3 * (y - 29.5) / 60.0
    found = order_response(truth_like(large_scale=wide), made_up().orders)
    inside = made_up().orders == 10
    assert np.allclose(found[inside], (1.0 + 1e-3 * x / 800.0)[inside], atol=1e-6)
    assert np.all(found[~inside] == 1.0)


def test_a_trace_is_compared_in_pixels():
    n = 50
    wavelength = np.linspace(1000.0, 1010.0, n)
    slit = 0.4 + 0.01 * (wavelength - 1000.0)
    one = np.ones(n)
    truth = Observed(np.full(n, 10), wavelength, one, one, one, one, slit)
    trace = np.zeros(20, dtype=[("order", "i4"), ("wavelength", "f8"), ("slit_position", "f8")])
    trace["order"], trace["wavelength"] = 10, np.linspace(1001.0, 1009.0, 20)
    trace["slit_position"] = 0.4 + 0.01 * (trace["wavelength"] - 1000.0) + 0.05
    edges = np.zeros(3, dtype=[("order", "i4"), ("lower", "f8"), ("upper", "f8")])
    edges["order"], edges["lower"], edges["upper"] = 10, 3.0, 51.0
    scale = pixels_per_arcsec(truth_like(edges=edges))
    assert scale == {10: 4.0}
    assert trace_error(trace, truth, scale) == pytest.approx(np.full(20, 0.2))
