"""The noise model against repeated exposures."""

import numpy as np
import pytest

from soxspipe.science.detector.noise import NoiseModel

SHAPE = (4, 5)
EVERY = np.arange(20)
BASE, LIGHT = 20.0, np.linspace(0, 4000, 20)
RESPONSE = np.linspace(0.6, 1.3, 20).reshape(SHAPE)


def image(value):
    return np.full(SHAPE, value, dtype="f4")


@pytest.mark.parametrize("exposures", [1, 4])
def test_the_variance_is_that_of_repeated_flat_fielded_exposures(exposures):
    rng = np.random.default_rng(1)
    flat_error = 0.004
    trials = 20000
    counted = rng.poisson(RESPONSE.ravel() * LIGHT, (trials, exposures, 20)).mean(axis=1)
    read = rng.normal(0, np.sqrt(BASE / exposures), (trials, 20))
    flat = RESPONSE.ravel() + rng.normal(0, flat_error, (trials, 20))
    frames = (counted + read) / flat
    model = NoiseModel(image(BASE / exposures), RESPONSE, image(flat_error**2), exposures)
    claimed = model.variance(LIGHT, EVERY)
    # the variance of 20000 trials is known to 1 per cent
    assert frames.var(axis=0) / claimed == pytest.approx(np.ones(20), abs=0.05)


def test_negative_light_makes_no_negative_variance():
    model = NoiseModel(image(BASE), RESPONSE, image(1e-4))
    below = model.variance(np.full(20, -500.0), EVERY)
    assert np.array_equal(below, model.variance(np.zeros(20), EVERY))
    assert below == pytest.approx(BASE / RESPONSE.ravel() ** 2)


def test_pixels_are_found_by_their_index():
    model = NoiseModel(np.arange(20.0).reshape(SHAPE), image(1), image(0))
    assert model.variance(np.zeros(3), np.array([7, 0, 19])).tolist() == [7, 0, 19]
