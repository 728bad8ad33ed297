"""Sky of a made-up order whose spectrum is known at every pixel."""

from dataclasses import replace

import numpy as np
import pytest

from soxspipe.errors import DataError
from soxspipe.science.sky import sky_model
from soxspipe.science.sky.sky_model import SkyOptions
from tests.maths.truth import assert_pulls
from tests.science.extraction.one_order import lines, noisy, order_pixels

PIXELS = order_pixels()
CENTRES = np.array([60.0, 140.3, 145.9, 220.5, 300.0, 352.2])
HEIGHTS = np.array([300.0, 2000.0, 150.0, 8000.0, 60.0, 25000.0])
SKY = 80.0 + 0.05 * PIXELS.bin + lines(PIXELS.bin, CENTRES, HEIGHTS)
NEAR_LINE = np.abs(PIXELS.bin[:, None] - CENTRES).min(axis=1) < 4
AWAY_FROM_OBJECT = np.abs(PIXELS.slit) > 1.5
FLAT = SkyOptions(illumination=0)


def fitted(data, variance, usable=AWAY_FROM_OBJECT, options=FLAT):
    sky = sky_model.fit(PIXELS, data, variance, usable, options)
    return sky, sky.at(PIXELS.bin, PIXELS.slit)


@pytest.fixture(scope="module")
def trials():
    """(model - truth) over the noise of a pixel, and the claimed variance of that; 16 exposures."""
    rng = np.random.default_rng(2)
    errors, claimed = [], []
    for _ in range(16):
        data, variance = noisy(rng, SKY)
        sky, model = fitted(data, variance)
        errors.append((model - SKY) / np.sqrt(variance))
        claimed.append(sky.variance(PIXELS.bin, PIXELS.slit) / variance)
    return np.array(errors), np.array(claimed)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_sky_and_its_lines_leave_nothing_but_noise(seed):
    data, variance = noisy(np.random.default_rng(seed), SKY)
    sky, model = fitted(data, variance)
    assert sky.converged
    pull = (data - model) / np.sqrt(variance)
    unseen = ~AWAY_FROM_OBJECT  # rows that took no part: the model's own error is small there
    assert_pulls(pull[unseen & ~NEAR_LINE], limit=5)
    in_lines = pull[unseen & NEAR_LINE]
    assert abs(in_lines.mean()) < 5 / np.sqrt(in_lines.size)
    assert in_lines.std() == pytest.approx(1, abs=0.08)  # few pixels, of the brightest lines


def test_no_line_is_over_or_under_subtracted(trials):
    errors, _ = trials
    bias = errors.mean(axis=0)
    per_bin = np.bincount(PIXELS.nearest, bias) / np.bincount(PIXELS.nearest)
    # what is below 3 to 4 sigma of all rows together is left: 0.3 sigma of a pixel
    assert np.abs(per_bin).max() < 0.3
    assert np.sqrt(np.mean(per_bin**2)) < 0.08
    electrons = bias * np.sqrt(SKY + 16)
    for centre, height in zip(CENTRES, HEIGHTS, strict=True):
        near = np.abs(PIXELS.bin - centre) < 5
        light = height * np.exp(-0.5 * ((PIXELS.bin[near] - centre) / 1.2) ** 2)
        assert abs(electrons[near].sum() / light.sum()) < 0.015


def test_the_claimed_variance_is_that_of_repeated_exposures(trials):
    errors, claimed = trials
    pull = errors / np.sqrt(claimed)
    assert np.median(np.abs(pull[:, ~NEAR_LINE])) * 1.4826 == pytest.approx(1, abs=0.25)
    assert np.median(np.abs(pull[:, NEAR_LINE])) * 1.4826 == pytest.approx(1, abs=0.25)
    ratio = errors.var(axis=0).mean() / claimed.mean()
    assert ratio == pytest.approx(1, abs=0.6)  # few lines teach the line spread


def test_a_line_costs_three_numbers_and_no_knots():
    level = np.full(len(PIXELS.bin), 100.0) + lines(PIXELS.bin, [200.0], [3000.0])
    data, variance = noisy(np.random.default_rng(4), level)
    sky, _ = fitted(data, variance)
    assert len(sky.model.lines.centre) <= 2
    assert sky.model.lines.centre[sky.model.lines.height > 1000] == pytest.approx([200], abs=0.02)
    assert np.diff(sky.model.breaks).min() > 5


def test_a_featureless_sky_gets_no_knots_from_noise():
    rng = np.random.default_rng(5)
    numbers = []
    for _ in range(5):
        data, variance = noisy(rng, np.full(len(PIXELS.bin), 50.0))
        model = fitted(data, variance)[0].model
        numbers.append(len(model.breaks) + len(model.lines.centre))
    assert np.mean(numbers) < 17  # 14 to begin with


def test_cosmic_rays_leave_no_trace():
    rng = np.random.default_rng(6)
    data, variance = noisy(rng, SKY)
    _, clean = fitted(data, variance)
    hit = rng.choice(np.flatnonzero(AWAY_FROM_OBJECT), 150, replace=False)
    data[hit] += rng.uniform(500, 20000, len(hit))
    sky, model = fitted(data, variance)
    assert not sky.used[hit].any()
    assert np.abs((model - clean) / np.sqrt(variance)).mean() < 0.05
    per_bin = np.bincount(PIXELS.nearest, (model - SKY) / np.sqrt(variance))
    per_bin /= np.bincount(PIXELS.nearest)
    assert np.abs(per_bin).max() < 0.6
    assert per_bin.mean() == pytest.approx(0, abs=0.03)


def test_light_varying_along_the_slit_is_followed():
    slope = 0.02
    true = SKY * (1 + slope * PIXELS.slit)
    data, variance = noisy(np.random.default_rng(7), true)
    sky, model = fitted(data, variance, options=replace(FLAT, illumination=1))
    assert sky.illumination[0] == 1
    assert sky.illumination[1] == pytest.approx(slope, abs=0.001)
    pull = (data - model) / np.sqrt(variance)
    assert pull[~NEAR_LINE].std() == pytest.approx(1, abs=0.03)
    ends = np.abs(PIXELS.slit) > 4
    trend = np.mean(pull[ends] * np.sign(PIXELS.slit[ends]))
    assert abs(trend) < 5 / np.sqrt(ends.sum())


def test_a_faint_sky_says_nothing_about_the_slit():
    data, variance = noisy(np.random.default_rng(8), np.full(len(PIXELS.bin), 0.5))
    sky, _ = fitted(data, variance, options=replace(FLAT, illumination=1))
    assert abs(sky.illumination[1]) < 0.01


def test_pixels_that_may_not_be_used_have_no_say():
    data, variance = noisy(np.random.default_rng(9), SKY)
    _, model = fitted(data, variance)
    data[~AWAY_FROM_OBJECT] += 1e5
    sky, again = fitted(data, variance)
    assert np.array_equal(model, again)
    assert not sky.used[~AWAY_FROM_OBJECT].any()


def test_no_usable_pixel_is_an_error_with_advice():
    data, variance = noisy(np.random.default_rng(10), SKY)
    with pytest.raises(DataError, match="no data left"):
        fitted(data, variance, usable=np.zeros(len(data), dtype=bool))


def test_the_first_level_is_the_median_along_the_slit():
    rng = np.random.default_rng(11)
    data, variance = noisy(rng, SKY)
    level = sky_model.initial_level(PIXELS, data, np.ones(len(data), dtype=bool))
    flat = ~NEAR_LINE
    pull = (level - SKY)[flat] / np.sqrt(variance[flat])
    assert abs(np.mean(pull)) < 0.05
    assert np.std(pull) < 0.4  # sqrt(pi / 2 / 45 rows) and a little of the lines' tilt
    hit = rng.choice(len(data), 600, replace=False)
    data[hit] = 6e4
    good = np.ones(len(data), dtype=bool)
    good[hit] = False
    assert np.abs(sky_model.initial_level(PIXELS, data, good)[flat]).max() < 400


def test_the_first_level_bridges_bins_without_good_pixels():
    data = np.full(len(PIXELS.bin), 70.0)
    good = np.abs(PIXELS.bin - 100) > 5
    data[~good] = np.nan
    assert sky_model.initial_level(PIXELS, data, good) == pytest.approx(np.full(len(data), 70.0))
    nothing = sky_model.initial_level(PIXELS, data, np.zeros(len(data), dtype=bool))
    assert np.array_equal(nothing, np.zeros(len(data)))
