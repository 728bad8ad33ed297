"""Figures of masters: noise, claimed errors and hot pixels of known size are told as they are."""

import numpy as np
import pytest

from soxspipe.cli.accuracy.detector import hot_pixels, noise
from soxspipe.datamodel.frame import Frame, PixelFlag

SHAPE = (400, 500)
SIGMA = 3.0


def master(*, noise=1.0, claimed=1.0, seed=1):
    """A master about a pattern; `noise` and `claimed` in units of the ideal."""
    rng = np.random.default_rng(seed)
    pattern = np.linspace(0, 20, SHAPE[1]) + np.zeros(SHAPE)
    data = pattern + noise * SIGMA * rng.standard_normal(SHAPE)
    variance = np.full(SHAPE, (claimed * SIGMA) ** 2)
    return Frame(data, variance, np.zeros(SHAPE, "u2")), pattern


IDEAL = np.full(SHAPE, SIGMA**2)
GOOD = np.ones(SHAPE, dtype=bool)


@pytest.mark.parametrize(("real", "claimed"), [(1.0, 1.0), (1.1, 1.1), (1.1, 1.0), (1.0, 1.2)])
def test_noise_and_pull_are_those_put_in(real, claimed):
    found = noise(*master(noise=real, claimed=claimed), IDEAL, GOOD)
    assert found["error over ideal noise"] == pytest.approx(real, rel=0.01)
    assert found["pixel pull width"] == pytest.approx(real / claimed, rel=0.01)


def test_an_error_common_to_all_pixels_counts():
    frame, pattern = master()
    found = noise(frame, pattern + SIGMA, IDEAL, GOOD)
    assert found["error over ideal noise"] == pytest.approx(np.sqrt(2), rel=0.01)


def test_a_cosmic_ray_that_is_left_counts_and_a_flagged_one_only_for_all_pixels():
    frame, pattern = master()
    data = np.array(frame.data)
    data[7, 7] += 1e4
    hit = Frame(data, frame.variance, frame.flags)
    assert noise(hit, pattern, IDEAL, GOOD)["error over ideal noise"] > 5
    good = GOOD.copy()
    good[7, 7] = False
    found = noise(hit, pattern, IDEAL, good)
    assert found["error over ideal noise"] == pytest.approx(1, rel=0.01)
    assert found["error over ideal noise, all pixels"] > 5


def made_hot(flagged):
    """40 hot pixels, 20 of them 10 sigma of their own noise, 20 of them 2 sigma, on a slope."""
    dark = np.linspace(0, 50, SHAPE[0])[:, None] + np.zeros(SHAPE)
    ideal = IDEAL.copy()
    hot = np.zeros(SHAPE, dtype=bool)
    for k in range(40):
        y, x = 5 + 9 * k, 10 + 12 * k
        hot[y, x] = True
        dark[y, x] += 10 * 5.0 if k < 20 else 2 * 5.0
        ideal[y, x] = 5.0**2
    flags = np.zeros(SHAPE, "u2")
    for k in flagged:
        flags[5 + 9 * k, 10 + 12 * k] = PixelFlag.HOT
    return Frame(dark, ideal, flags), hot, dark, ideal


@pytest.mark.parametrize(
    ("flagged", "recall"), [(range(20), 1.0), (range(15), 0.75), (range(20, 40), 0.0)]
)
def test_only_hot_pixels_that_stand_out_have_to_be_found(flagged, recall):
    found = hot_pixels(*made_hot(flagged))
    assert found["hot pixels, recall"] == pytest.approx(recall)
    assert found["hot pixels, precision"] == 1.0


def test_flags_on_other_pixels_cost_precision():
    frame, *rest = made_hot(range(15))
    flags = np.array(frame.flags)
    flags[200, 3:8] = PixelFlag.HOT
    flags[201, 3:8] = PixelFlag.BAD  # is no claim of being hot
    found = hot_pixels(Frame(frame.data, frame.variance, flags), *rest)
    assert found["hot pixels, precision"] == pytest.approx(0.75)


def test_nothing_flagged_is_no_precision():
    assert np.isnan(hot_pixels(*made_hot(()))["hot pixels, precision"])
