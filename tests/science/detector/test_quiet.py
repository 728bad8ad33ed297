"""Masters without noise of their own."""

import numpy as np
import pytest

from soxspipe.datamodel.frame import Frame, PixelFlag
from soxspipe.science.detector.quiet import quieter

SHAPE = (512, 400)
NOISE = 1.7


def master(seed, *, columns=0.0, pixels=0.0, hot=0):
    """A master with its noise, and the truth below it."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    truth = 300.0 + 0.01 * y - 4.0 * (x / SHAPE[1]) ** 2
    truth = truth + rng.normal(0.0, columns, SHAPE[1])
    truth = truth + rng.normal(0.0, pixels, SHAPE)
    at = rng.choice(truth.size, hot, replace=False)
    truth.ravel()[at] += rng.uniform(8.0, 200.0, hot) * NOISE
    data = truth + rng.normal(0.0, NOISE, SHAPE)
    frame = Frame(data, np.full(SHAPE, NOISE**2), np.zeros(SHAPE, dtype="u2"))
    return frame, truth


@pytest.mark.parametrize(
    ("columns", "pixels", "left"),
    [(0.0, 0.0, 0.1), (1.0, 0.0, 0.15), (0.0, 1.7, 0.75), (0.0, 17.0, 1.0)],
)
def test_what_is_noise_goes_and_what_is_pattern_stays(columns, pixels, left):
    frame, truth = master(1, columns=columns, pixels=pixels)
    quiet = quieter(frame)
    assert np.std(quiet.data - truth) < left * NOISE + 0.02
    assert abs(np.mean(quiet.data - truth)) < 0.03


@pytest.mark.parametrize("pixels", [1.0, 3.0])
def test_the_variance_that_is_told_is_true(pixels):
    frame, truth = master(2, pixels=pixels)
    quiet = quieter(frame)
    pull = (quiet.data - truth) / np.sqrt(quiet.variance)
    assert np.std(pull) == pytest.approx(1.0, abs=0.05)


def test_pixels_that_stand_out_keep_their_value():
    frame, truth = master(3, hot=300)
    quiet = quieter(frame)
    out = np.abs(frame.data - np.median(frame.data, axis=0)) > 8.0 * NOISE
    assert out.sum() > 250
    assert np.abs(quiet.data - frame.data)[out].max() < 0.1 * NOISE
    assert np.std((quiet.data - truth)[~out]) < 0.2 * NOISE


def test_flagged_pixels_are_left_alone():
    frame, _ = master(4)
    flagged = frame.flagged(np.arange(SHAPE[0])[:, None] < 20, PixelFlag.HOT)
    quiet = quieter(flagged)
    assert np.array_equal(quiet.data[:20], frame.data[:20])
    assert np.array_equal(quiet.flags, flagged.flags)
    dead = frame.flagged(np.ones(SHAPE, dtype=bool), PixelFlag.BAD)
    assert np.array_equal(quieter(dead).data, frame.data)
