"""An exposure that does not belong to its set is found and named; good ones are not."""

import re

import numpy as np
import pytest

from soxspipe.datamodel.frame import Frame
from soxspipe.science.detector.exposures import misfits

SHAPE = (512, 640)
NOISE = 4.0


def frames(n, seed=1, levels=None, noise=NOISE):
    rng = np.random.default_rng(seed)
    pattern = 1000 + rng.normal(0, 3.0, SHAPE)
    levels = np.zeros(n) if levels is None else levels
    return [pattern + level + rng.normal(0, noise, SHAPE) for level in levels]


def found(images):
    return misfits([Frame(z, np.full(SHAPE, NOISE**2), np.zeros(SHAPE)) for z in images])


@pytest.mark.parametrize("n", [3, 5, 20])
def test_alike_exposures_are_all_good(n):
    assert found(frames(n)) == {}


def test_drifts_of_the_level_are_usual():
    assert found(frames(5, levels=[-3.0, 2.0, 0.0, 4.0, -2.0])) == {}


def test_another_level_is_told():
    (index, reason), *others = found(frames(5, levels=[0, 0, 300.0, 0, 0])).items()
    assert (index, others) == (2, [])
    assert re.search(r"its level is \+(299|300) e- off", reason)


def test_light_in_a_corner_is_told():
    images = frames(5)
    images[4][:100, :100] += 50.0
    (index, reason), *others = found(images).items()
    assert (index, others) == (4, [])
    assert re.search(r"a part of it is (4[5-9]|5[0-5]) e- off", reason)


def test_more_noise_is_told():
    images = frames(5)
    images[0] = images[0] + np.random.default_rng(2).normal(0, 3 * NOISE, SHAPE)
    (index, reason), *others = found(images).items()
    assert (index, others) == (0, [])
    assert "times as much" in reason


def test_a_shower_of_cosmic_rays_is_no_reason():
    images = frames(5)
    hits = np.random.default_rng(3).random(SHAPE) < 0.03
    images[1][hits] += 2000.0
    assert found(images) == {}


def test_where_half_deviate_none_is_wrong():
    assert found(frames(4, levels=[0, 0, 80.0, 80.0])) == {}
    assert found(frames(2, levels=[0, 80.0])) == {}
