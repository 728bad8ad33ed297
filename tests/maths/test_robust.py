"""Location and scale that a few wild values do not move."""

import numpy as np
import pytest

from soxspipe.maths.robust import clipped, mad_sigma, median_around, running_median


def test_scale_of_normal_values():
    values = np.random.default_rng(1).normal(7, 3, 20000)
    assert mad_sigma(values) == pytest.approx(3, rel=4 * 1.17 / np.sqrt(20000))


def test_scale_hardly_sees_wild_or_missing_values():
    rng = np.random.default_rng(2)
    values = rng.normal(0, 1, 10000)
    values[:1000] = rng.choice([-1e4, 1e4], 1000)
    values[1000:2000] = np.nan
    assert mad_sigma(values) == pytest.approx(1, abs=0.2)


def test_scale_of_nothing_is_unknown():
    assert np.isnan(mad_sigma(np.array([np.nan, np.inf])))
    assert np.isnan(mad_sigma(np.array([])))


def test_clipping_drops_the_wild_and_keeps_the_rest():
    rng = np.random.default_rng(3)
    values = rng.normal(100, 2, 5000)
    values[:300] = 160
    values[300:310] = np.nan
    keep = clipped(values, sigma=5, rounds=10)
    assert not keep[:310].any()
    assert keep[310:].mean() > 0.999


def test_without_rounds_only_what_is_no_number_goes():
    assert clipped(np.array([0, 1, 1e9, np.nan]), sigma=3, rounds=0).tolist() == [1, 1, 1, 0]


@pytest.mark.parametrize("window", [1, 5, 8])
def test_running_median_takes_what_is_there(window):
    values = np.random.default_rng(4).normal(size=60)
    values[[3, 30, 31]] = np.nan
    values[40:52] = np.nan
    half = window // 2
    truth = []
    for k in range(60):
        around = values[max(k - half, 0) : k + half + 1]
        around = around[np.isfinite(around)]
        truth.append(np.median(around) if around.size else np.nan)
    assert running_median(values, window) == pytest.approx(np.array(truth), nan_ok=True)


def test_median_around_leaves_the_pixel_itself_and_the_unused_out():
    image = np.random.default_rng(5).normal(size=(20, 30))
    use = np.random.default_rng(6).random((20, 30)) > 0.3
    use[8:13, 3:10] = False
    rows, columns = np.array([0, 10, 19, 7, 10]), np.array([0, 15, 29, 3, 6])
    truth = []
    for row, column in zip(rows, columns, strict=True):
        near = np.zeros(image.shape, dtype=bool)
        near[max(row - 2, 0) : row + 3, max(column - 3, 0) : column + 4] = True
        near[row, column] = False
        values = image[near & use]
        truth.append(np.median(values) if values.size else np.nan)
    found = median_around(image, use, rows, columns, (2, 3))
    assert found == pytest.approx(np.array(truth), nan_ok=True)
    assert np.isnan(found[4])
