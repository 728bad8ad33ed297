"""Figures of flats: errors of pixels, cold pixels and scattered light put in come out."""

import numpy as np
import pytest

from soxspipe.cli.accuracy.flat import (
    Light,
    about_smooth,
    cold_pixels,
    pixel_response,
    scattered_light,
)
from soxspipe.datamodel.frame import Frame, PixelFlag

SHAPE = (60, 900)
DEEP = np.full(SHAPE, 9.0)
ORDERS = np.where(np.arange(SHAPE[0]) < 30, 1, 2)[:, None] + np.zeros(SHAPE, dtype="i2")
RECALL, PRECISION = "cold pixels, recall", "cold pixels, precision"
ERROR, LARGEST = "response error over photon limit", "largest unflagged error [sigma]"


def made(*, noise=1.0, seed=1):
    """A flat of two orders whose light falls off towards the ends, and the light behind it.

    What the flat holds is the true response times a smooth factor of its own.
    """
    rng = np.random.default_rng(seed)
    x = np.linspace(-1, 1, SHAPE[1])
    direct = np.where(ORDERS == 1, 4e4, 2e3) * np.exp(-3 * x**2)
    response = 1 + 0.006 * rng.standard_normal(SHAPE)
    relative = 1 / np.sqrt(5 * direct)
    light = Light(direct, relative, relative, response, np.ones(SHAPE))
    slit = np.linspace(0.8, 1.2, SHAPE[0])[:, None]
    left = slit * np.exp(3 * x**2) * (1 + 0.1 * x) / np.where(ORDERS == 1, 4e4, 2e3)
    data = direct * response * left * (1 + noise * relative * rng.standard_normal(SHAPE))
    return Frame(data, (data * relative) ** 2, np.zeros(SHAPE, "u2")), light


@pytest.mark.parametrize("noise", [1.0, 1.3])
def test_error_of_pixels_is_that_put_in_whatever_the_lamp(noise):
    found = pixel_response(*made(noise=noise), ORDERS)
    assert found[ERROR] == pytest.approx(noise, rel=0.015)
    assert found[LARGEST] < 6 * noise
    assert found["response pull width"] == pytest.approx(noise, rel=0.03)


def test_claimed_errors_too_large_make_narrow_pulls():
    frame, light = made()
    found = pixel_response(Frame(frame.data, 4 * frame.variance, frame.flags), light, ORDERS)
    assert found["response pull width"] == pytest.approx(0.5, rel=0.03)
    assert found[ERROR] == pytest.approx(1, rel=0.015)


def test_one_wrong_pixel_is_found_and_a_flagged_one_forgiven():
    frame, light = made()
    data, flags = np.array(frame.data), np.array(frame.flags)
    data[10, 450] *= 1 + 20 * light.noise[10, 450]
    found = pixel_response(Frame(data, frame.variance, flags), light, ORDERS)
    assert found[LARGEST] == pytest.approx(20, abs=3)
    assert found[ERROR] == pytest.approx(1, rel=0.03)  # and spoils none of its neighbours
    flags[10, 450] = PixelFlag.COLD
    assert pixel_response(Frame(data, frame.variance, flags), light, ORDERS)[LARGEST] < 6


def test_a_true_response_is_no_error_however_low():
    frame, light = made()
    data, variance = np.array(frame.data), np.array(frame.variance)
    response, noise = np.array(light.response), np.array(light.noise)
    data[40, 300] *= 0.3
    response[40, 300] *= 0.3
    right = Light(light.direct, noise, noise, response, light.usual)
    assert pixel_response(Frame(data, variance, frame.flags), right, ORDERS)[LARGEST] < 6
    assert pixel_response(Frame(data, variance, frame.flags), light, ORDERS)[LARGEST] > 20


def test_pixels_of_no_order_and_of_no_light_do_not_count():
    frame, light = made()
    data, variance = np.array(frame.data), np.array(frame.variance)
    orders = ORDERS.copy()
    orders[::7] = 0
    data[::7] = 1e6
    data[5] = 1e6
    variance[5] = 0.0
    found = pixel_response(Frame(data, variance, frame.flags), light, orders)
    assert found[ERROR] == pytest.approx(1, rel=0.02)


def test_a_flat_without_pixels_has_no_error():
    frame, light = made()
    nothing = Frame(frame.data, np.zeros(SHAPE), frame.flags)
    assert all(np.isnan(value) for value in pixel_response(nothing, light, ORDERS).values())


def test_a_parabola_is_taken_out_and_few_pixels_tell_nothing():
    x = np.arange(200.0)
    values = np.vstack([3 + 0.01 * x + 1e-4 * x**2] * 2)
    use = np.ones((2, 200), dtype=bool)
    use[1, 5:] = False
    pull = about_smooth(values, np.full((2, 200), 0.01), use)
    assert len(pull) == 205
    assert np.abs(pull[:200]).max() < 1e-6
    assert np.isnan(pull[200:]).all()


def test_a_wild_value_does_not_draw_the_parabola():
    noise = np.full((1, 200), 0.01)
    values = 1 + noise * np.random.default_rng(1).standard_normal((1, 200))
    values[0, 100] = 3.0
    pull = about_smooth(values, noise, np.ones((1, 200), dtype=bool))
    assert pull[100] == pytest.approx(200, rel=0.05)
    assert np.abs(np.delete(pull, 100)).max() < 5


def made_cold(found, *, also=()):
    """Eight cold pixels of which `found` are flagged, and other pixels flagged too."""
    frame, light = made()
    response, flags = np.array(light.response), np.zeros(SHAPE, "u2")
    cold = np.zeros(SHAPE, dtype=bool)
    places = [(3 + 7 * k, 100 + 90 * k) for k in range(8)]
    for k, place in enumerate(places):
        cold[place], response[place] = True, 0.2
        flags[place] = PixelFlag.COLD if k in found else 0
    for place in also:
        flags[place] = PixelFlag.COLD
    dim = Light(light.direct, light.noise, light.usual_noise, response, light.usual)
    return Frame(frame.data, frame.variance, flags), dim, cold


def test_recall_and_precision_of_cold_pixels():
    found = cold_pixels(*made_cold(range(6), also=[(1, 1)]), DEEP)
    assert found[RECALL] == pytest.approx(6 / 8)
    assert found[PRECISION] == pytest.approx(6 / 7)


def test_at_the_end_of_the_slit_and_in_the_dark_no_pixel_has_to_be_found():
    flat, light, cold = made_cold(range(4))
    at_the_end = np.where(np.arange(SHAPE[0])[:, None] > 30, 1.4, 9.0) + np.zeros(SHAPE)
    assert cold_pixels(flat, light, cold, at_the_end)[RECALL] == 1.0
    dark = Light(light.direct, light.noise, np.full(SHAPE, 0.5), light.response, light.usual)
    assert np.isnan(cold_pixels(flat, dark, cold, DEEP)[RECALL])


@pytest.mark.parametrize(("glow", "left", "over"), [(20.0, 0.25, 0.5), (200.0, 3.0, 1.5)])
def test_scattered_light_left_is_told_in_units_of_what_may_be_left(glow, left, over):
    direct = np.where(np.arange(SHAPE[0])[:, None] % 20 < 10, 1e4, 0.0) + np.zeros(SHAPE)
    true = np.full(SHAPE, glow)
    wrong = np.where(direct > 0, true + 7.0, true - left)
    found = scattered_light(wrong, true, direct)
    assert found["scattered light left over limit"] == pytest.approx(over)
    assert found["scattered light left, between orders [e-]"] == pytest.approx(left)
    assert found["scattered light left, in orders [e-]"] == pytest.approx(7.0)
