"""Order edges: where the light falls to half, whatever the blur and the slope of the plateau."""

from dataclasses import replace

import numpy as np
import pytest

from soxspipe.science.orders.edges import find_edges
from tests.science.orders.made_orders import COLUMNS, ROWS, SHAPE, noisy, slit_light, trace

TRUE = trace()
CENTRES = replace(TRUE, lower=None, upper=None)
#: What is expected beforehand is off by some pixels.
EXPECTED = np.array([np.full(SHAPE[1], 21.0), np.full(SHAPE[1], 18.5)])


def find(data, variance, good=None, order=CENTRES, **options):
    chosen = {
        "half_length": EXPECTED, "samples": 100, "width": 5, "degree": 3,
        "clip_sigma": 4.0, "clip_rounds": 5,
    } | options  # fmt: skip
    good = np.ones(SHAPE, dtype=bool) if good is None else good
    return find_edges(data, variance, good, order, **chosen)


def off(found):
    return np.array(
        [found.at(which, COLUMNS) - TRUE.at(which, COLUMNS) for which in ("lower", "upper")]
    )


@pytest.mark.parametrize("blur", [0.5, 0.9, 1.5])
def test_edges_are_unbiased_whatever_the_blur(blur):
    light = 20000 * slit_light(TRUE, blur) + 100
    found, samples = find(light, light + 25)
    assert np.abs(off(found).mean(axis=1)).max() < 0.02
    assert np.abs(off(found)).max() < (0.08 if blur < 0.8 else 0.05)  # straight lines join pixels
    assert samples.used.all()


@pytest.mark.parametrize("rise", [-0.4, -0.1, 0.1, 0.4])
def test_light_may_rise_along_the_slit(rise):
    close = np.array([np.full(SHAPE[1], 19.8), np.full(SHAPE[1], 19.9)])
    along_slit = (ROWS - TRUE.at("centre", COLUMNS)) / 20
    data, variance = noisy(
        8000 * slit_light(TRUE) * (1 + rise * along_slit) + 50, np.random.default_rng(1)
    )
    found, _ = find(data, variance, half_length=close)
    assert np.abs(off(found).mean(axis=1)).max() < 0.03
    assert np.abs(off(found)).max() < 0.08


def test_noise_and_spectrum_of_the_lamp_do_not_matter():
    rng = np.random.default_rng(2)
    lamp = 3000 * (1 + 0.8 * np.sin(COLUMNS / 50)) + 200
    data, variance = noisy(lamp * slit_light(TRUE) + 30, rng)
    found, samples = find(data, variance)
    assert np.abs(off(found)).max() < 0.06
    assert samples.used.mean() > 0.9
    for name in ("lower", "upper"):
        at, residual = getattr(samples, name), getattr(samples, f"residual_{name}")
        fitted = found.at(name, samples.pixel)
        assert residual[samples.used] == pytest.approx((at - fitted)[samples.used], abs=1e-6)


def test_a_cold_column_inside_the_slit_is_no_edge():
    light = 20000 * slit_light(TRUE) + 100
    along_slit = ROWS - TRUE.at("centre", COLUMNS)
    light[np.abs(along_slit - 15) < 1] *= 0.3  # a dark scratch along the order, near its edge
    found, _ = find(light, light + 25)
    assert np.abs(off(found)).max() < 0.06


def test_spoilt_slices_are_rejected():
    rng = np.random.default_rng(3)
    data, variance = noisy(8000 * slit_light(TRUE) + 50, rng)
    for column in rng.choice(600, 8, replace=False):
        data[:, max(column - 4, 0) : column + 5] = rng.uniform(0, 8000, (SHAPE[0], 1))
    found, samples = find(data, variance)
    assert np.abs(off(found)).max() < 0.08
    assert samples.used.mean() < 0.98


def test_where_the_lamp_is_dark_the_expected_edges_stand():
    data, variance = noisy(np.zeros(SHAPE), np.random.default_rng(4))
    found, samples = find(data, variance)
    centre = CENTRES.at("centre", COLUMNS)
    assert found.at("lower", COLUMNS) == pytest.approx(centre - 21.0, abs=1e-6)
    assert found.at("upper", COLUMNS) == pytest.approx(centre + 18.5, abs=1e-6)
    assert not samples.used.any()


def test_an_edge_far_from_the_expected_one_does_not_count():
    light = 20000 * slit_light(trace(lower=-19.3, upper=33.0)) + 100
    found, samples = find(light, light + 25, reach=6.0)
    assert not samples.used.any()
    assert np.abs(off(found)[0]).max() < 0.1


def test_faint_slices_are_left_out():
    light = 8000 * slit_light(TRUE) * (COLUMNS > 300)
    data, variance = noisy(light, np.random.default_rng(5))
    _, samples = find(data, variance, least_snr=5.0)
    assert not samples.used[samples.pixel < 295].any()
    assert samples.used[samples.pixel > 310].mean() > 0.95
