"""Pixels that are not to be trusted are found, good ones are left alone."""

import numpy as np
import pytest

from soxspipe.datamodel.frame import Frame, PixelFlag
from soxspipe.science.detector.defects import deviating

SHAPE = (300, 320)


def noise_frame(rng, light=0.0, read=4.0):
    zero = np.zeros(SHAPE)
    variance = zero + read**2 + np.maximum(light, 0.0)
    return Frame(light + rng.normal(0, np.sqrt(variance)), variance, zero)


def flagged(frame, flag):
    return (frame.flags & np.uint16(flag)) != 0


def plus(frame, extra):
    return Frame(frame.data + extra, frame.variance, frame.flags)


def find_hot(frame):
    return deviating(frame, sigma=3, rounds=3, flag=PixelFlag.HOT)


def test_hot_pixels_are_found_and_good_ones_kept():
    rng = np.random.default_rng(1)
    hot = rng.random(SHAPE) < 1e-3
    frame = plus(noise_frame(rng), hot * rng.uniform(40, 4000, SHAPE))  # 10 sigma and more
    found = flagged(deviating(frame, sigma=5, rounds=5, flag=PixelFlag.HOT), PixelFlag.HOT)
    assert (found & hot).sum() >= 0.99 * hot.sum()
    assert (found & ~hot).sum() <= 0.01 * hot.sum() + 1


def test_dead_pixels_of_a_lit_frame_are_found_too():
    rng = np.random.default_rng(2)
    dead = rng.random(SHAPE) < 1e-3
    frame = plus(noise_frame(rng, 400.0), -300.0 * dead)
    found = flagged(deviating(frame, sigma=5, rounds=5, flag=PixelFlag.HOT), PixelFlag.BAD)
    assert np.array_equal(found, dead)


def test_the_tail_of_the_noise_is_not_hot():
    frame = noise_frame(np.random.default_rng(8))
    hot = deviating(frame, sigma=3, rounds=5, flag=PixelFlag.HOT)
    assert flagged(hot, PixelFlag.HOT).sum() <= 1


def test_glow_of_the_amplifier_is_not_hot():
    rng = np.random.default_rng(3)
    y, x = np.indices(SHAPE)
    frame = noise_frame(rng, 500 * np.exp(-np.hypot(x - 320, y) / 60))
    hot = deviating(frame, sigma=5, rounds=5, flag=PixelFlag.HOT)
    assert flagged(hot, PixelFlag.HOT).sum() <= 1


def test_weak_hot_pixels_are_found_as_far_as_chance_allows():
    rng = np.random.default_rng(9)
    shape = (1000, 1000)
    excess = rng.uniform(5.0, 60.0, shape) * (rng.random(shape) < 1.5e-3)  # in sigmas
    frame = Frame(3.0 * (excess + rng.normal(0, 1, shape)), np.full(shape, 9.0), np.zeros(shape))
    hot, found = excess > 0, flagged(find_hot(frame), PixelFlag.HOT)
    assert (found & hot).sum() >= 0.99 * hot.sum()
    assert (found & hot).sum() >= 0.98 * found.sum()


def test_the_noise_is_measured_not_believed():
    rng = np.random.default_rng(10)
    frame = Frame(rng.normal(0, 3.0, (600, 600)), np.full((600, 600), 4.0), np.zeros((600, 600)))
    assert not find_hot(frame).flags.any()


@pytest.mark.parametrize("where", ["column", "row", "cluster", "corner"])
def test_hot_pixels_side_by_side_do_not_hide_each_other(where):
    place = {
        "column": (slice(20, 280), 100),
        "row": (150, slice(None)),
        "cluster": (slice(40, 45), slice(60, 65)),
        "corner": (slice(0, 3), slice(0, 3)),
    }[where]
    hot = np.zeros(SHAPE, dtype=bool)
    hot[place] = True
    frame = plus(noise_frame(np.random.default_rng(11)), 60.0 * hot)
    found = flagged(find_hot(frame), PixelFlag.HOT)
    assert found[hot].mean() >= 0.99
    assert (found & ~hot).sum() <= 0.02 * hot.sum() + 1


def test_low_pixels_are_bad_not_hot():
    low = np.zeros(SHAPE, dtype=bool)
    low[30, 40:45] = True
    frame = find_hot(plus(noise_frame(np.random.default_rng(12)), -80.0 * low))
    assert np.array_equal(flagged(frame, PixelFlag.BAD), low)
    assert not flagged(frame, PixelFlag.HOT).any()


def test_saturated_pixels_are_hot_as_well():
    frame = noise_frame(np.random.default_rng(13))
    data, flags = frame.data.copy(), frame.flags.copy()
    data[7, 8], flags[7, 8] = 6e4, PixelFlag.SATURATED
    found = find_hot(Frame(data, frame.variance, flags))
    assert found.flags[7, 8] == PixelFlag.SATURATED | PixelFlag.HOT


def test_without_rounds_nothing_is_flagged():
    frame = plus(noise_frame(np.random.default_rng(4)), np.eye(*SHAPE) * 1e4)
    assert deviating(frame, sigma=5, rounds=0, flag=PixelFlag.HOT) is frame
