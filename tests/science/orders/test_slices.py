"""Cuts across an order."""

import numpy as np
import pytest

from soxspipe.science.orders.slices import cut
from tests.maths.truth import assert_pulls


def test_cuts_are_medians_centred_on_their_row():
    data = np.arange(60.0)[:, None] + np.zeros(100)
    data[30, 48:50] = 1e6  # two of five are no majority
    slices = cut(
        data, np.ones(data.shape), data < 1e5,
        pixel=np.array([20, 50.0]), centre=np.array([25.3, 30.6]), length=11, width=5,
    )  # fmt: skip
    assert slices.first.tolist() == [20, 26]
    assert slices.pixel.tolist() == [20, 50]
    assert slices.values == pytest.approx(slices.first[:, None] + np.arange(11))


def test_variance_is_that_of_the_median():
    rng = np.random.default_rng(1)
    data = rng.normal(0, 3, (60, 4000))
    slices = cut(
        data, np.full(data.shape, 9.0), np.ones(data.shape, dtype=bool),
        pixel=np.arange(20, 3980, 21.0), centre=np.full(189, 30.0), length=21, width=21,
    )  # fmt: skip
    pulls = slices.values / np.sqrt(slices.variance)
    assert abs(pulls.mean()) < 4 / np.sqrt(pulls.size)
    assert pulls.std() == pytest.approx(1, abs=0.06)  # the factor pi / 2 holds for many values
    single = cut(
        data, np.full(data.shape, 9.0), np.ones(data.shape, dtype=bool),
        pixel=np.arange(20, 3980, 21.0), centre=np.full(189, 30.0), length=21, width=1,
    )  # fmt: skip
    assert_pulls(single.values / np.sqrt(single.variance))


def test_what_is_not_on_the_image_is_excluded():
    data = np.ones((40, 100))
    good = np.ones(data.shape, dtype=bool)
    good[20, 45:56] = False
    slices = cut(
        data, data, good,
        pixel=np.array([1, 50, 60, 98, 70.0]), centre=np.array([20, 20, 2, 20, np.nan]),
        length=11, width=5,
    )  # fmt: skip
    assert slices.pixel.tolist() == [50, 60]  # others leave the image, or are nowhere
    assert np.flatnonzero(np.isinf(slices.variance[0])).tolist() == [5]
    assert np.flatnonzero(np.isinf(slices.variance[1])).tolist() == [0, 1, 2]
    assert np.isfinite(slices.values).all()
