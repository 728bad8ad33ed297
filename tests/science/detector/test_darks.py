"""Darks of another exposure time: what scales is scaled, with noise that stays true."""

import numpy as np
import pytest

from soxspipe.datamodel.frame import Frame, PixelFlag
from soxspipe.errors import InputError
from soxspipe.science.detector.darks import at_time, mix, scaled, without_bias
from tests.maths.truth import assert_pulls

SHAPE = (256, 320)
READ = 3.0


def world(seed=1, stripes=0.0):
    """Offset pattern (e-) and dark current (e-/s): stripes, glow at one edge, some hot pixels."""
    rng = np.random.default_rng(seed)
    offset = stripes * rng.normal(0, 1, (1, SHAPE[1])) + np.zeros(SHAPE)
    glow = 0.05 * np.exp(-np.arange(SHAPE[0]) / 80.0)[:, None]
    hot = rng.random(SHAPE) < 1e-3
    return offset, 0.02 + glow + 3.0 * hot, hot


def dark(offset, current, seconds, seed):
    rng = np.random.default_rng(seed)
    electrons = current * seconds
    variance = (READ**2 + electrons) / 5
    data = offset + electrons + rng.normal(0, np.sqrt(variance))
    flags = np.where(electrons > 100, np.uint16(PixelFlag.HOT), np.uint16(0))
    return Frame(data, variance, flags)


@pytest.mark.parametrize(
    ("times", "seconds", "weights", "how"),
    [
        ([20, 60, 300], 60.0, ((1, 1.0),), "equal"),
        ([20, 60.0004, 300], 60.0, ((1, 1.0),), "equal"),
        ([60.002], 60.0, ((0, 60 / 60.002),), "scaled"),
        ([300, 20], 60.0, ((1, 6 / 7), (0, 1 / 7)), "interpolated"),
        ([20, 60, 300, 600], 400.0, ((2, 2 / 3), (3, 1 / 3)), "interpolated"),
        ([300], 60.0, ((0, 0.2),), "scaled"),
        ([20, 30], 300.0, ((1, 10.0),), "scaled"),  # a line through these would be all noise
        ([100, 300], 90.0, ((0, 1.05), (1, -0.05)), "interpolated"),
        ([float("nan")], 60.0, ((0, 1.0),), "equal"),
        ([0.0, 20], 60.0, ((1, 3.0),), "scaled"),
    ],
)
def test_which_darks_are_taken(times, seconds, weights, how):
    found = mix(times, seconds)
    assert found.how == how
    assert [i for i, _ in found.weights] == [i for i, _ in weights]
    assert [w for _, w in found.weights] == pytest.approx([w for _, w in weights])


def test_two_darks_tell_offset_and_current():
    offset, current, hot = world(stripes=5.0)
    darks = [dark(offset, current, t, seed) for seed, t in enumerate((20.0, 300.0))]
    made = at_time(darks, [20.0, 300.0], 120.0)
    assert_pulls(((made.data - offset - current * 120) / np.sqrt(made.variance))[~hot])
    assert np.all(made.flags[hot] & PixelFlag.HOT)


def test_a_long_dark_scaled_down():
    _, current, hot = world()
    made = at_time([dark(0.0, current, 300.0, 1)], [300.0], 60.0)
    assert_pulls(((made.data - current * 60) / np.sqrt(made.variance))[~hot])
    assert np.array_equal((made.flags & PixelFlag.HOT) != 0, hot)


def test_a_short_dark_scaled_up_brings_no_noise_of_its_own():
    _, current, hot = world()
    short = dark(0.0, current, 60.0, 2)
    made = at_time([short], [60.0], 600.0)
    good = made.good & ~hot
    error = made.data - current * 600
    plain = short.data * 10 - current * 600
    assert error[good].std() < 0.3 * plain[good].std()
    # the median of a block is known to its stated error, pixels of one block share it
    assert np.sqrt(made.variance[good]).mean() == pytest.approx(error[good].std(), rel=0.5)
    assert np.all(made.flags[hot] & PixelFlag.HOT)
    assert made.good.mean() > 0.99


def test_a_pixel_pattern_is_scaled_not_smoothed_away():
    rng = np.random.default_rng(3)
    current = 0.2 + 0.02 * rng.normal(0, 1, SHAPE)  # pixel to pixel, far above the noise
    short = dark(0.0, current, 1000.0, 4)
    made = scaled(Frame(short.data, short.variance, np.zeros(SHAPE)), 2.0)
    error = made.data - current * 2000
    assert_pulls((error / np.sqrt(made.variance)).ravel())


def test_what_might_be_hot_is_not_trusted_in_a_long_exposure():
    frame = dark(0.0, np.full(SHAPE, 0.02), 20.0, 5)
    data = frame.data.copy()
    data[50, 60] += 4.5 * np.sqrt(frame.variance[50, 60])  # 300 electrons in 1000 s
    made = scaled(Frame(data, frame.variance, frame.flags), 50.0)
    assert made.flags[50, 60] == PixelFlag.HOT
    assert scaled(Frame(data, frame.variance, frame.flags), 0.5).flags[50, 60] == 0


@pytest.mark.parametrize("holds_bias", [True, False])
@pytest.mark.parametrize("scale", [0.1, 1.0, 4.0])
def test_a_ccd_dark_loses_the_bias_it_may_hold(holds_bias, scale):
    rng = np.random.default_rng(6)
    bias = Frame(1000 + rng.normal(0, 1.7, SHAPE), np.full(SHAPE, 2.9), np.zeros(SHAPE))
    level = 1000.0 * holds_bias + 6.0
    given = Frame(level + rng.normal(0, 2.2, SHAPE), np.full(SHAPE, 4.84), np.zeros(SHAPE))
    free = without_bias(given, bias, scale=scale)
    assert np.median(free.data) == pytest.approx(6.0, abs=0.1)
    # frame - bias - scale * dark, of which the frame alone is not made here
    rest = -(bias.data - 1000) - scale * (free.data - 6.0)
    expected = bias.variance + scale**2 * free.variance
    if holds_bias and scale >= 1:
        assert rest.var() <= 1.02 * expected.mean()
    elif not holds_bias:
        assert_pulls(rest / np.sqrt(expected))


def test_flags_of_all_darks_stay():
    flags = [np.zeros(SHAPE), np.zeros(SHAPE)]
    flags[0][1, 2], flags[1][3, 4] = PixelFlag.BAD, PixelFlag.SATURATED
    pair = [Frame(np.ones(SHAPE), np.ones(SHAPE), f) for f in flags]
    made = at_time(pair, [10.0, 30.0], 20.0)
    assert (made.flags[1, 2], made.flags[3, 4]) == (PixelFlag.BAD, PixelFlag.SATURATED)


def test_darks_of_different_shape_are_refused():
    with pytest.raises(InputError, match="different shapes"):
        at_time([Frame(*np.zeros((3, n, 4))) for n in (4, 8)], [1.0, 2.0], 3.0)
