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
    at = samples.pixel.astype(int)
    assert samples.light == pytest.approx(lamp[at] + 30, rel=0.03)
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
    found, samples = find(light, light + 25)
    assert not samples.used.any()
    assert np.abs(off(found)[0]).max() < 0.1


def test_faint_slices_are_left_out():
    light = 8000 * slit_light(TRUE) * (COLUMNS > 300)
    data, variance = noisy(light, np.random.default_rng(5))
    _, samples = find(data, variance)
    assert not samples.used[samples.pixel < 295].any()
    assert samples.used[samples.pixel > 310].mean() > 0.95


@pytest.mark.parametrize("rows", [(-19,), (-18,), (20,), (-19, 19)])
def test_a_cold_row_at_the_edge_does_not_move_it(rows):
    light = 8000 * slit_light(TRUE) + 50
    for row in rows:
        light[int(TRUE.at("centre", COLUMNS).mean()) + row] *= 0.2
    data, variance = noisy(light, np.random.default_rng(6))
    found, _ = find(data, variance)
    assert np.sqrt(np.mean(off(found) ** 2)) < 0.06


def test_a_dead_row_and_missing_pixels_inside_do_not_matter():
    rng = np.random.default_rng(7)
    data, variance = noisy(8000 * slit_light(TRUE) + 50, rng)
    data[43] = 0.0
    good = rng.random(SHAPE) > 0.05
    data[~good] = np.nan
    found, samples = find(data, variance, good)
    assert np.abs(off(found)).max() < 0.06
    assert samples.used.mean() > 0.9


def test_light_between_the_orders_and_a_neighbour_do_not_matter():
    neighbour = slit_light(trace(level=90.0))
    light = 6000 * slit_light(TRUE) + 9000 * neighbour + 800 + 6.0 * ROWS
    data, variance = noisy(light, np.random.default_rng(8))
    found, _ = find(data, variance)
    assert np.abs(off(found)).max() < 0.06


def test_a_faint_flat_is_enough():
    data, variance = noisy(160 * slit_light(TRUE), np.random.default_rng(9), read=4.0)
    found, samples = find(data, variance)
    assert np.sqrt(np.mean(off(found) ** 2)) < 0.08
    assert samples.degree == 3


def test_edges_of_binned_frames():
    small = trace(level=40.0, lower=-9.6, upper=10.2)
    data, variance = noisy(20000 * slit_light(small, 0.4) + 50, np.random.default_rng(10))
    expected = np.array([np.full(SHAPE[1], 10.4), np.full(SHAPE[1], 9.3)])
    found, samples = find(data, variance, order=replace(small, lower=None, upper=None),
                          half_length=expected)  # fmt: skip
    for which in ("lower", "upper"):
        assert np.abs(found.at(which, COLUMNS) - small.at(which, COLUMNS)).max() < 0.03
    assert samples.blur == pytest.approx(0.4, abs=0.06)


def test_errors_of_slices_are_no_smaller_than_their_scatter():
    data, variance = noisy(500 * slit_light(TRUE), np.random.default_rng(11))
    _, samples = find(data, variance)
    for side in ("lower", "upper"):
        residual = getattr(samples, f"residual_{side}")[samples.used]
        error = getattr(samples, f"error_{side}")[samples.used]
        assert 0.4 < np.std(residual / error) < 1.1


@pytest.mark.parametrize(("most", "outwards"), [(0.3, 0.52), (0.7, -0.52)])
def test_another_level_gives_other_edges(most, outwards):
    light = 20000 * slit_light(TRUE, 0.95) + 100
    found, _ = find(light, light + 25, levels=(0.2, most))
    lower, upper = off(found)
    assert upper.mean() == pytest.approx(outwards, abs=0.03)
    assert lower.mean() == pytest.approx(-outwards, abs=0.03)


def test_a_vignetted_end_is_found_at_a_lower_level():
    inside = np.clip((TRUE.at("upper", COLUMNS) - ROWS) / 5.0, 0.0, 1.0)
    light = (
        20000 * slit_light(TRUE) * (0.35 + 0.65 * inside) + 100
    )  # falls to 35 % at the upper end
    found, samples = find(light, light + 25, levels=(0.2, 0.5))
    assert samples.used.mean() > 0.9
    assert np.abs(off(found)[0]).max() < 0.1


def test_a_short_slice_shows_no_edge():
    light = 20000 * slit_light(TRUE) + 100
    found, samples = find(light, light + 25, length=31)
    assert not samples.used.any()
    assert samples.degree == -1
    assert found.at("upper", COLUMNS) == pytest.approx(CENTRES.at("centre", COLUMNS) + 18.5)


def test_saturated_light_is_no_plateau():
    light = 20000 * slit_light(TRUE) + 100
    found, samples = find(light, light + 25, light < 15000)
    assert not samples.used.any()
    assert found.at("lower", COLUMNS) == pytest.approx(CENTRES.at("centre", COLUMNS) - 21.0)


@pytest.mark.parametrize(("depth", "length"), [(0.3, 6.0), (0.2, 10.0)])
def test_vignetting_does_not_move_an_edge(depth, length):
    """The light falls by `depth` over the last `length` pixels of the slit, at the upper end."""
    inside = TRUE.at("upper", COLUMNS) - ROWS
    vignetting = 1.0 - depth * np.clip(1.0 - inside / length, 0.0, 1.0)
    light = 20000 * slit_light(TRUE) * vignetting + 50
    data, variance = noisy(light, np.random.default_rng(4))
    found, samples = find(data, variance)
    assert np.abs(off(found)).max() < 0.05
    assert samples.used.mean() > 0.9
