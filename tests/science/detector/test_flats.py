"""Flats of a drifting lamp."""

import numpy as np
import pytest

from soxspipe.datamodel.frame import Frame, PixelFlag
from soxspipe.errors import DataError
from soxspipe.science.detector.flats import exposure_level, stack
from tests.maths.truth import assert_pulls

SHAPE = (60, 200)
READ = 5.0


def lit(factors, rng, colour=0.0):
    """Exposures of an order with a lamp of the given brightness, which also turns redder."""
    y, x = np.indices(SHAPE)
    order = np.abs(y - 30) < 12
    frames, truth = [], np.zeros(SHAPE)
    for factor in factors:
        light = 3000 * factor * (1 + colour * (factor - 1) * (x / 100 - 1)) * order
        truth += light / len(factors)
        data = rng.poisson(light) + rng.normal(0, READ, SHAPE)
        frames.append(Frame(data, np.full(SHAPE, READ**2), np.zeros(SHAPE)))
    return frames, truth, np.abs(y - 30) < 4


def test_drift_is_taken_out_and_hits_with_it():
    rng = np.random.default_rng(1)
    frames, truth, strip = lit([1.0, 1.1, 0.9, 1.05, 0.95], rng)
    hit = rng.random(SHAPE) < 0.005
    frames[3] = Frame(frames[3].data + 2000 * hit, frames[3].variance, frames[3].flags)
    stacked = stack(frames, strip, sigma=5.0, rounds=3)
    assert stacked.levels == pytest.approx([1.0, 1.1, 0.9, 1.05, 0.95], abs=8e-3)
    result = stacked.frame
    inside = truth > 0
    assert result.good.all()
    scale = result.data[inside].sum() / truth[inside].sum()
    assert scale == pytest.approx(1, abs=2e-3)
    pulls = (result.data / scale - truth) / np.sqrt(result.variance)
    assert_pulls(pulls[inside])
    assert np.abs(pulls[hit & inside]).max() < 5
    # no good exposure is lost to the drift: five on average of what was not hit
    kept = truth / np.where(inside, result.variance, 1)
    assert np.median(kept[inside & ~hit]) == pytest.approx(5, rel=0.05)
    assert np.median(kept[inside & hit]) == pytest.approx(4, rel=0.05)


def test_level_is_that_of_good_pixels_in_the_strip():
    (frame,), _, strip = lit([1.0], np.random.default_rng(2))
    data = np.array(frame.data)
    data[30, :50] = 1e6
    bad = np.zeros(SHAPE, dtype=bool)
    bad[30, :50] = True
    frame = Frame(data, frame.variance, frame.flags).flagged(bad, PixelFlag.BAD)
    assert exposure_level(frame, strip) == pytest.approx(3000, rel=0.01)


def test_no_light_is_a_level_of_zero():
    dark = Frame(np.full(SHAPE, -1.0), np.ones(SHAPE), np.zeros(SHAPE))
    _, _, strip = lit([1.0], np.random.default_rng(3))
    assert exposure_level(dark, strip) == 0
    assert exposure_level(dark, np.zeros(SHAPE, dtype=bool)) == 0


def test_an_exposure_with_the_lamp_off_is_left_out():
    frames, truth, strip = lit([1.0, 1.0, 0.0, 1.0], np.random.default_rng(4))
    result = stack(frames, strip, sigma=5.0, rounds=3)
    assert result.left_out == (2,)
    assert np.isnan(result.levels[2])
    inside = truth > 0
    assert np.median(result.frame.data[inside]) == pytest.approx(3000, rel=2e-3)


def test_an_exposure_of_another_light_is_left_out():
    frames, _, strip = lit([1.0, 1.0, 1.0, 1.0], np.random.default_rng(5))
    slope = (1 + 0.6 * (np.arange(SHAPE[1]) / 100 - 1)).astype("f4")
    frames[1] = Frame(frames[1].data * slope, frames[1].variance, frames[1].flags)
    assert stack(frames, strip, sigma=5.0, rounds=3).left_out == (1,)


def test_flats_of_which_too_few_show_light_are_an_error():
    frames, _, strip = lit([1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0], np.random.default_rng(6))
    dark = [f for f in frames if f.data[strip].mean() < 100]
    with pytest.raises(DataError, match="no light"):
        stack(dark[:4], strip, sigma=5.0, rounds=3)
    with pytest.raises(DataError, match="only 2 of 3"):
        stack([frames[0], frames[3], dark[0]], strip, sigma=5.0, rounds=3)
