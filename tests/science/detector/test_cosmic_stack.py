"""Hits are found between exposures; what changes between them is not; the mean is right afterwards."""

import numpy as np
import pytest

from soxspipe.datamodel.frame import Frame, PixelFlag
from soxspipe.errors import InputError
from soxspipe.science.detector.cosmic_stack import between_exposures, mean_without_hits
from tests.maths.truth import assert_pulls, pixel_gaussian
from tests.science.detector.hits import shapes

SHAPE = (240, 260)
READ = 5.0
AXIS = "x"


def scene(star=2000.0, line=3000.0):
    """Sky lines, a sharp trace with a line of its own: electrons along x (dispersion)."""
    light = np.full(SHAPE, 30.0)
    for column in range(15, 250, 40):
        light += 1500 * pixel_gaussian(SHAPE[1], column + 0.3, 0.77)
    spectrum = star + line * pixel_gaussian(SHAPE[1], 130.4, 0.77)
    profile = pixel_gaussian(SHAPE[0], 120.2, 0.7)
    return light, profile[:, None] * spectrum


def exposure(light, rng, extra=0.0):
    seen = rng.poisson(np.maximum(light, 0.0)) + extra + rng.normal(0, READ, SHAPE)
    return Frame(seen, READ**2 + np.maximum(seen, 0.0), np.zeros(SHAPE))


@pytest.mark.parametrize("n", [2, 3, 5])
def test_hits_are_found_and_little_else(n):
    rng = np.random.default_rng(n)
    sky, star = scene()
    hit = shapes(SHAPE, rng, 60)
    frames = [exposure(sky + star, rng, hit if k == 1 else 0.0) for k in range(n)]
    found = between_exposures(frames, dispersion_axis=AXIS)
    due = hit > 10 * np.sqrt(sky + star + READ**2)
    assert due.sum() > 200
    assert found[1][due].mean() > 0.97
    assert (found[1] & (hit == 0)).sum() <= 5
    assert np.delete(found, 1, axis=0).sum() <= 5


@pytest.mark.parametrize("n", [2, 3])
def test_a_star_that_changes_is_no_hit(n):
    rng = np.random.default_rng(10 + n)
    sky, star = scene(star=40_000, line=60_000)
    frames = [exposure(sky + star * (1.0 - 0.3 * (k == 0)), rng) for k in range(n)]
    assert between_exposures(frames, dispersion_axis=AXIS).sum() <= 2


def test_unequal_exposures():
    rng = np.random.default_rng(20)
    sky, star = scene()
    scales = (1.0, 3.0)
    hit = shapes(SHAPE, rng, 60)
    frames = [exposure(c * (sky + star), rng, hit * (c == 1.0)) for c in scales]
    found = between_exposures(frames, dispersion_axis=AXIS, scales=scales)
    due = hit > 12 * np.sqrt(sky + star + READ**2)
    assert found[0][due].mean() > 0.95
    assert (found[0] & (hit == 0)).sum() + found[1].sum() <= 5
    result = mean_without_hits(frames, found, scales=scales)
    truth = 2.0 * (sky + star)
    clean = (hit == 0) | found[0]
    pulls = (result.data - truth) / np.sqrt(2.0 * (sky + star) / 2 + READ**2 / 2)
    assert_pulls(pulls[clean & ~found[0]])
    lost = found[0] & ~found[1]
    expected = (2.0 / 3.0) ** 2 * (3.0 * (sky + star) + READ**2)
    assert_pulls(((result.data - truth) / np.sqrt(expected))[lost])


def test_rejecting_high_values_moves_nothing():
    rng = np.random.default_rng(30)
    level = np.full(SHAPE, 50.0)
    frames = [exposure(level, rng) for _ in range(2)]
    found = between_exposures(frames, dispersion_axis=AXIS)
    assert found.mean() < 2e-5
    mean = mean_without_hits(frames, found)
    plain = 0.5 * (frames[0].data + frames[1].data)
    assert abs((mean.data - plain).mean()) < 1e-3 * np.sqrt(75 / 2)


def test_variance_and_flags_of_what_is_left():
    frames = [Frame(*(np.full((3, 3), v) for v in (d, 16.0, 0))) for d in (100.0, 104.0)]
    hits = np.zeros((2, 3, 3), dtype=bool)
    hits[1, 0, 0] = True
    hits[:, 2, 2] = True
    result = mean_without_hits(frames, hits)
    assert result.data[0, :2].tolist() == [100, 102]
    assert result.variance[0, :2].tolist() == [16, 8]
    assert not result.flags[0, :2].any()
    assert result.flags[2, 2] == PixelFlag.COSMIC_RAY | PixelFlag.NOTHING_LEFT
    assert result.data[2, 2] == 102


def test_what_cannot_be_compared_is_refused():
    frame = Frame(*(np.zeros((3, 3)) for _ in range(3)))
    with pytest.raises(InputError, match="one exposure"):
        between_exposures([frame], dispersion_axis=AXIS)
    with pytest.raises(InputError, match="positive scales"):
        between_exposures([frame, frame], dispersion_axis=AXIS, scales=[1.0, 0.0])
