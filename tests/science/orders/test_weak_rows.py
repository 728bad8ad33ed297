"""Rows that see too little light are told from noise, and from the shape of the light."""

import numpy as np
import pytest

from soxspipe.science.orders.slices import cut
from soxspipe.science.orders.weak_rows import dips, weak_pixels
from tests.maths.truth import pixel_gaussian
from tests.science.orders.made_orders import COLUMNS, SHAPE, noisy

LIGHT = np.stack([pixel_gaussian(SHAPE[0], c, 1.0) for c in 40 + 1e-3 * COLUMNS], axis=1)


def strip_of(data, variance):
    good = np.ones(SHAPE, dtype=bool)
    return cut(
        data, variance, good, pixel=COLUMNS, centre=np.full(SHAPE[1], 40.0), length=19, width=1
    )


@pytest.mark.parametrize("counts", [60.0, 3000.0])
def test_a_row_that_is_dark_for_a_stretch(counts):
    light = counts * LIGHT
    dark = light.copy()
    dark[41, 200:400] *= 0.2
    data, variance = noisy(dark, np.random.default_rng(1), read=3.0)
    strip = strip_of(data, variance)
    model = light[31:50].T
    weak = weak_pixels(strip, model, np.zeros_like(model), model + 9.0)
    assert weak[230:370, 10].all()
    assert not weak[:60].any()
    assert not np.delete(weak, 10, axis=1)[230:370].any()


def test_noise_is_not_weak():
    data, variance = noisy(30.0 * LIGHT, np.random.default_rng(2), read=3.0)
    strip, model = strip_of(data, variance), 30.0 * LIGHT[31:50].T
    assert not weak_pixels(strip, model, np.zeros_like(model), model + 9.0).any()
    assert not dips(strip).any()


@pytest.mark.parametrize("rows", [[40], [41], [40, 41]])
def test_a_dip_in_a_peak(rows):
    light = 2000.0 * LIGHT
    light[rows] = 0.0
    strip = strip_of(*noisy(light, np.random.default_rng(3), read=3.0))
    found = dips(strip)
    assert found[:, np.array(rows) - 31].all()
    assert found.sum() == len(rows) * SHAPE[1]
