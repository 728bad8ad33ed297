"""Read noise, pattern and structure of a bias, measured on biases of our making."""

import numpy as np
import pytest

from soxspipe.science.detector.monitor import (
    neighbour_noise,
    noise_of_pair,
    pattern_ratio,
    slope,
)

SHAPE = (400, 300)


@pytest.fixture
def rng():
    return np.random.default_rng(1)


@pytest.mark.parametrize(("noise", "whole"), [(3.5, False), (1.3, True), (0.7, True)])
def test_read_noise_does_not_see_what_both_frames_share(rng, noise, whole):
    fixed = rng.normal(1000, 50, SHAPE).round()
    first, second = (fixed + rng.normal(0, noise, SHAPE) for _ in range(2))
    if whole:  # counts: rounding adds a variance of 1/12
        first, second, noise = first.round(), second.round(), np.hypot(noise, np.sqrt(1 / 12))
    first[::37, ::41] += 5000  # cosmic rays
    assert noise_of_pair(first, second) == pytest.approx(noise, rel=0.01)


def test_equal_frames_have_no_noise():
    assert noise_of_pair(np.full(SHAPE, 1000.0), np.full(SHAPE, 1003.0)) == 0


def test_neighbour_noise_does_not_see_large_structure(rng):
    y, x = np.indices(SHAPE)
    image = 1000 + 0.2 * x + 50 * np.sin(y / 60) + rng.normal(0, 4, SHAPE)
    assert neighbour_noise(image) == pytest.approx(4, rel=0.02)


def test_white_noise_has_no_pattern(rng):
    assert pattern_ratio(rng.normal(500, 4, SHAPE)) == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("axis", [0, 1])
def test_stripes_are_a_pattern(rng, axis):
    stripes = rng.normal(0, 2, SHAPE[axis])
    image = rng.normal(500, 4, SHAPE) + (stripes[:, None] if axis == 0 else stripes)
    # scatter of the collapsed stripes over that of collapsed noise
    n = SHAPE[1 - axis]
    assert pattern_ratio(image) == pytest.approx(np.sqrt(1 + n * 2**2 / 4**2), rel=0.35)


@pytest.mark.parametrize("axis", [0, 1])
def test_slope_is_per_thousand_pixels(rng, axis):
    image = rng.normal(500, 4, SHAPE) + 0.012 * np.indices(SHAPE)[axis]
    assert slope(image, axis) == pytest.approx(12, abs=1)
    assert slope(image, 1 - axis) == pytest.approx(0, abs=1)
