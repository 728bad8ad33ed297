"""From raw counts to flat-fielded electrons, with noise that stays true."""

import numpy as np
import pytest

from soxspipe.datamodel.frame import Frame, PixelFlag
from soxspipe.errors import InputError
from soxspipe.science.detector.darks import scaled
from soxspipe.science.detector.detrend import (
    add_photon_noise,
    divide_flat,
    subtract_bias,
    to_electrons,
)
from soxspipe.science.detector.noise import NoiseModel
from tests.maths.truth import assert_pulls

SHAPE = (60, 70)


def frame(level, variance=9.0, shape=SHAPE, flags=None, unit="electron"):
    zero = np.zeros(shape)
    return Frame(zero + level, zero + variance, zero if flags is None else flags, unit=unit)


def at(flag, *pixels):
    flags = np.zeros(SHAPE, dtype="u2")
    for pixel in pixels:
        flags[pixel] = flag
    return flags


def test_counts_become_electrons():
    adu = np.full(SHAPE, 1000.0)
    result = to_electrons(adu, gain=1.7, read_noise=4.2, saturation=60000)
    assert result.unit == "electron"
    assert result.data == pytest.approx(1700)
    assert result.variance == pytest.approx(4.2**2)
    assert result.good.all()


def test_saturated_and_missing_pixels_are_flagged():
    adu = np.full(SHAPE, 59999.0)
    adu[3, 4], adu[5, 6] = 60000, 65535
    adu[7, 8], adu[9, 10] = np.nan, np.inf
    result = to_electrons(adu, gain=2.0, read_noise=4.0, saturation=60000)
    wanted = at(PixelFlag.SATURATED, (3, 4), (5, 6)) | at(PixelFlag.BAD, (7, 8), (9, 10))
    assert np.array_equal(result.flags, wanted)
    assert result.data[7, 8] == result.data[9, 10] == 0
    assert result.data[3, 4] == 120000
    unlimited = to_electrons(adu, gain=2.0, read_noise=4.0, saturation=None)
    assert not (unlimited.flags & PixelFlag.SATURATED).any()


@pytest.mark.parametrize(("gain", "noise"), [(0, 3), (-1, 3), (1, 0), (np.nan, 3), (1, np.nan)])
def test_gain_and_noise_must_be_positive(gain, noise):
    with pytest.raises(InputError, match="must be positive"):
        to_electrons(np.ones(SHAPE), gain=gain, read_noise=noise, saturation=None)


def test_a_frame_of_nothing_is_refused():
    with pytest.raises(InputError, match="no finite pixel"):
        to_electrons(np.full(SHAPE, np.nan), gain=1, read_noise=3, saturation=None)


def test_photon_noise_is_that_of_the_electrons():
    result = add_photon_noise(frame(np.array([[400.0, 100.0], [900.0, 30.0]]), 9.0, (2, 2)))
    assert result.variance == pytest.approx(np.array([[409, 109], [909, 39]]))
    assert add_photon_noise(frame(-50.0)).variance == pytest.approx(9)


@pytest.mark.parametrize("level", [8, 15])
def test_photon_noise_of_little_light_does_not_follow_the_noise(level):
    rng = np.random.default_rng(1)
    shape, read = (300, 300), 1.5
    data = rng.poisson(level, shape) + rng.normal(0, read, shape)
    result = add_photon_noise(frame(data, read**2, shape))
    assert result.variance.mean() == pytest.approx(level + read**2, rel=0.02)
    # a weighted mean is not pulled down by low pixels that seem precise
    weight = 1.0 / result.variance
    assert (weight * data).sum() / weight.sum() == pytest.approx(level, rel=0.04)
    naive = 1.0 / (np.maximum(data, 0) + read**2)
    assert (naive * data).sum() / naive.sum() < 0.93 * level


def test_noise_after_bias_and_dark():
    rng = np.random.default_rng(2)
    read, dark, light = 4.0, 60.0, 300.0
    raw = 1000 + rng.poisson(dark + light, SHAPE) + rng.normal(0, read, SHAPE)
    bias = frame(1000 + rng.normal(0, read / 3, SHAPE), read**2 / 9)
    master = frame(2 * dark + rng.normal(0, 3, SHAPE), 9.0)
    result = subtract_bias(frame(raw, read**2), bias) - scaled(master, 0.5)
    expected = read**2 * 10 / 9 + dark + light + 9 / 4
    assert result.variance.mean() == pytest.approx(expected, rel=0.01)
    assert_pulls((result.data - light) / np.sqrt(expected))


def test_flags_of_the_masters_stay():
    flagged = subtract_bias(frame(5.0), frame(1.0, flags=at(PixelFlag.BAD, (1, 2))))
    flagged = flagged - frame(1.0, flags=at(PixelFlag.HOT, (1, 2), (3, 4)))
    flagged = divide_flat(flagged, frame(1.0, flags=at(PixelFlag.NO_FLAT, (5, 6)), unit=""))
    wanted = at(PixelFlag.BAD, (1, 2)) | at(PixelFlag.HOT, (1, 2), (3, 4))
    assert np.array_equal(flagged.flags, wanted | at(PixelFlag.NO_FLAT, (5, 6)))


def test_units_must_agree():
    with pytest.raises(InputError, match="cannot subtract adu from electron"):
        subtract_bias(frame(5.0), frame(1.0, unit="adu"))


def test_flat_takes_the_response_out():
    rng = np.random.default_rng(3)
    response = rng.uniform(0.7, 1.2, SHAPE)
    flat = response + rng.normal(0, 0.01, SHAPE)
    light, read = 2000.0, 5.0
    data = rng.poisson(light * response) + rng.normal(0, read, SHAPE)
    result = divide_flat(frame(data, read**2 + light * response), frame(flat, 1e-4, unit=""))
    assert_pulls((result.data - light) / np.sqrt(result.variance))
    assert result.data.mean() == pytest.approx(light, rel=1e-3)


def test_a_dead_flat_pixel_divides_nothing():
    flat = np.ones(SHAPE)
    flat[2, 3], flat[4, 5] = 0, -0.1
    result = divide_flat(frame(50.0), frame(flat, 0.0, unit=""))
    assert result.data == pytest.approx(50)


def test_flat_of_another_binning_is_refused():
    with pytest.raises(InputError, match=r"flat has shape \(30, 35\)"):
        divide_flat(frame(1.0), frame(1.0, shape=(30, 35)))


@pytest.mark.parametrize("exposures", [1, 4])
def test_noise_model_knows_the_scatter_of_the_data(exposures):
    rng = np.random.default_rng(4)
    light, read, flat_error = 900.0, 6.0, 0.02
    response = rng.uniform(0.6, 1.3, SHAPE)
    light_seen = rng.poisson(exposures * light * response) / exposures
    data = light_seen + rng.normal(0, read / np.sqrt(exposures), SHAPE)
    data /= response + rng.normal(0, flat_error, SHAPE)
    zero = np.zeros(SHAPE, dtype="f4")
    model = NoiseModel(zero + read**2 / exposures, response, zero + flat_error**2, exposures)
    index = rng.permutation(data.size)
    variance = model.variance(np.full(data.size, light), index)
    assert_pulls((data.ravel()[index] - light) / np.sqrt(variance))


def test_noise_model_takes_negative_light_for_none():
    zero = np.zeros(SHAPE)
    model = NoiseModel(zero + 25, zero + 0.5, zero + 0.1)
    index = np.arange(3)
    assert model.variance(np.array([-100.0, 0.0, -1.0]), index) == pytest.approx(100)
