"""L.A.Cosmic on what a model leaves."""

import numpy as np
import pytest
from scipy import ndimage

from soxspipe.datamodel.frame import Frame, PixelFlag
from soxspipe.science.detector.cosmic_rays import lacosmic
from tests.maths.truth import pixel_gaussian

SHAPE = (300, 320)


def noise_frame(rng, light=0.0, read=4.0):
    zero = np.zeros(SHAPE)
    variance = zero + read**2 + np.maximum(light, 0.0)
    return Frame(light + rng.normal(0, np.sqrt(variance)), variance, zero)


def flagged(frame, flag):
    return (frame.flags & np.uint16(flag)) != 0


def plus(frame, extra):
    return Frame(frame.data + extra, frame.variance, frame.flags)


@pytest.fixture(scope="module")
def observed():
    """A frame with sky lines and a sharp trace, its model, and cosmic rays in it."""
    rng = np.random.default_rng(5)
    model = np.full(SHAPE, 20.0)
    for column in range(10, 320, 30):
        model += 2000 * pixel_gaussian(320, column + 0.3, 0.8)
    model += 8000 * pixel_gaussian(300, 150.2, 0.9)[:, None]
    hits = np.zeros(SHAPE)
    for _ in range(60):
        y, x = rng.integers(5, 295), rng.integers(5, 315)
        for step in range(rng.integers(1, 5)):
            hits[y + step // 2, x + step] = rng.uniform(800, 5000)
    return plus(noise_frame(rng, model), hits), model, hits > 0


def find(frame, model):
    found = lacosmic(frame, model, frame.variance, sigma=6.0, rounds=3)
    return flagged(found, PixelFlag.COSMIC_RAY)


def test_cosmic_rays_are_found_and_trace_and_lines_are_not(observed):
    frame, model, hits = observed
    clear = hits & (model < 1000)  # elsewhere photon noise may hide them
    found = find(frame, model)
    assert found[clear].mean() > 0.98
    near = ndimage.binary_dilation(hits, np.ones((3, 3)))
    assert not (found & ~near).any()
    assert (found & near & ~hits).sum() < 0.2 * hits.sum()


def test_without_a_hit_nothing_is_found(observed):
    _, model, _ = observed
    for seed in range(3):
        clean = noise_frame(np.random.default_rng(seed), model)
        assert find(clean, model).sum() <= 1


def test_it_is_the_model_that_lets_hits_on_lines_and_trace_be_seen(observed):
    _, model, _ = observed
    rng = np.random.default_rng(7)
    hits = (rng.random(SHAPE) < 0.01) & (model > 300)
    frame = plus(noise_frame(rng, model), hits * 12 * np.sqrt(model + 16))
    seen, blind = find(frame, model)[hits].mean(), find(frame, np.zeros(SHAPE))[hits].mean()
    assert seen > 0.9
    assert blind < 0.5


def test_bad_pixels_are_no_cosmic_rays():
    rng = np.random.default_rng(6)
    flags = np.zeros(SHAPE)
    flags[100, 100], flags[50, 60] = PixelFlag.HOT, PixelFlag.NO_FLAT
    data = noise_frame(rng).data.copy()
    data[100, 100], data[50, 60] = 5000, 5000
    frame = Frame(data, np.full(SHAPE, 16.0), flags)
    found = lacosmic(frame, np.zeros(SHAPE), frame.variance, sigma=6.0)
    assert found.flags[100, 100] == PixelFlag.HOT
    assert found.flags[50, 60] == PixelFlag.NO_FLAT | PixelFlag.COSMIC_RAY
