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
    result = stack(frames, strip, sigma=5.0, rounds=3)
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


def test_a_dark_flat_is_an_error():
    dark = Frame(np.full(SHAPE, -1.0), np.ones(SHAPE), np.zeros(SHAPE))
    _, _, strip = lit([1.0], np.random.default_rng(3))
    with pytest.raises(DataError, match="no light"):
        exposure_level(dark, strip)
    with pytest.raises(DataError, match="no light"):
        exposure_level(dark, np.zeros(SHAPE, dtype=bool))
