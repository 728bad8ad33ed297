"""Stacks: what is rejected, what is kept, and how well the mean is known."""

import numpy as np
import pytest

from soxspipe.datamodel.frame import Frame, PixelFlag
from soxspipe.errors import InputError
from soxspipe.science.detector.combine import clipped_mean, mean_of_kept, weighted_mean
from tests.maths.truth import assert_pulls

READ = 4.0


def exposures(n, level, rng, shape=(40, 50)):
    light = rng.poisson(level, (n, *shape)) + rng.normal(0, READ, (n, *shape))
    return [Frame(z, np.full(shape, READ**2), np.zeros(shape)) for z in light]


def pixel(values, flags=None):
    """Frames of 9 alike pixels, the middle one with the values and flags given."""
    frames = []
    for k, value in enumerate(values):
        data, flag = np.full((3, 3), 100.0), np.zeros((3, 3))
        data[1, 1], flag[1, 1] = value, flags[k] if flags else 0
        frames.append(Frame(data, np.full((3, 3), READ**2), flag))
    return frames


def mean(frames, *, sigma=5.0, rounds=3, photon_noise=False):
    return clipped_mean(frames, sigma=sigma, rounds=rounds, photon_noise=photon_noise)


@pytest.mark.parametrize(("n", "level"), [(3, 0), (5, 800), (10, 30)])
def test_mean_is_as_good_as_its_variance_says(n, level):
    result = mean(exposures(n, level, np.random.default_rng(n)), photon_noise=level > 0)
    assert result.good.all()
    assert_pulls((result.data - level) / np.sqrt(result.variance))


@pytest.mark.parametrize("n", [3, 4, 5])
def test_a_hit_in_one_exposure_is_left_out(n):
    values = [100.0 + k for k in range(n - 1)] + [160.0]
    result = mean(pixel(values))
    assert result.data[1, 1] == pytest.approx(np.mean(values[:-1]))
    assert result.variance[1, 1] == pytest.approx(READ**2 / (n - 1))
    assert result.variance[0, 0] == pytest.approx(READ**2 / n)
    assert result.flags[1, 1] == 0


def test_hits_are_found_and_little_else():
    rng = np.random.default_rng(1)
    frames = exposures(5, 100, rng, (100, 100))
    hit = rng.random((100, 100)) < 0.02
    frames[2] = Frame(frames[2].data + 500 * hit, frames[2].variance, frames[2].flags)
    result = mean(frames, photon_noise=True)
    pulls = (result.data - 100) / np.sqrt(result.variance)
    assert_pulls(pulls)
    assert_pulls(pulls[hit])
    assert np.median(result.variance[hit]) == pytest.approx(116 / 4, rel=0.05)
    assert np.median(result.variance[~hit]) == pytest.approx(116 / 5, rel=0.05)


def test_photon_noise_widens_the_limits():
    values = [900, 900, 900, 1000.0]  # 3.3 sigma of the photons, 25 sigma of the read-out
    assert mean(pixel(values), photon_noise=True).data[1, 1] == pytest.approx(925)
    assert mean(pixel(values), photon_noise=False).data[1, 1] == pytest.approx(900)


def test_flagged_exposures_do_not_count():
    result = mean(pixel([100, 102, 104, 500], [0, 0, 0, PixelFlag.SATURATED]))
    assert result.data[1, 1] == pytest.approx(102)
    assert result.variance[1, 1] == pytest.approx(READ**2 / 3)
    assert result.flags[1, 1] == 0


def test_a_pixel_flagged_everywhere_says_so():
    flags = [PixelFlag.HOT, PixelFlag.HOT | PixelFlag.BAD, PixelFlag.HOT]
    result = mean(pixel([101, 101, 101], flags))
    assert result.data[1, 1] == pytest.approx(101)
    assert result.flags[1, 1] == PixelFlag.HOT | PixelFlag.BAD | PixelFlag.NOTHING_LEFT
    assert (np.delete(result.flags.ravel(), 4) == 0).all()


def test_a_pixel_rejected_everywhere_holds_the_median():
    result = mean(pixel([0, 20, 1000, 1020.0]))
    assert result.data[1, 1] == pytest.approx(510)
    assert result.flags[1, 1] == PixelFlag.NOTHING_LEFT


def test_two_exposures_have_no_majority():
    with pytest.raises(InputError, match="at least 3"):
        mean(pixel([1, 2]))


def test_mean_of_kept_is_as_good_as_its_variance_says():
    rng = np.random.default_rng(2)
    shape, sigma = (50, 50), np.array([2.0, 3.0, 5.0, 4.0])
    frames = [
        Frame(70 + rng.normal(0, s, shape), np.full(shape, s**2), np.zeros(shape)) for s in sigma
    ]
    for some in (frames[:2], frames):
        result = mean_of_kept(some, sigma=6.0)
        assert_pulls((result.data - 70) / np.sqrt(result.variance))


def test_mean_of_kept_rejects_and_flags():
    result = mean_of_kept(pixel([100, 102, 900]), sigma=6.0)
    assert result.data[1, 1] == pytest.approx(101)
    assert result.variance[1, 1] == pytest.approx(READ**2 / 2)
    result = mean_of_kept(pixel([100, 900], [0, PixelFlag.COSMIC_RAY]), sigma=6.0)
    assert result.data[1, 1] == pytest.approx(100)
    assert result.flags[1, 1] == 0
    result = mean_of_kept(pixel([100, 104], [PixelFlag.HOT, PixelFlag.BAD]), sigma=6.0)
    assert result.data[1, 1] == pytest.approx(102)
    assert result.flags[1, 1] == PixelFlag.HOT | PixelFlag.BAD | PixelFlag.NOTHING_LEFT


def test_one_exposure_is_its_own_mean():
    (frame,) = pixel([7], [PixelFlag.BAD])
    assert mean_of_kept([frame], sigma=6.0) is frame


@pytest.mark.parametrize("n", [3, 5, 9])
def test_clipping_at_three_sigma_costs_little(n):
    frames = exposures(n, 0.0, np.random.default_rng(10 + n), (600, 600))
    result = mean(frames, sigma=3.0)
    assert result.data.std() < 1.02 * READ / np.sqrt(n)
    assert (result.data / np.sqrt(result.variance)).std() == pytest.approx(1.0, abs=0.02)


def test_a_faint_frame_is_not_pulled_down_by_its_own_noise():
    rng = np.random.default_rng(20)
    light = np.full((600, 600), 4.0)
    frames = exposures(5, light, rng, light.shape)
    plain = mean(frames, sigma=3.0, photon_noise=True)
    told = clipped_mean(frames, sigma=3.0, rounds=3, photon_noise=True, light=light)
    pulls = (told.data - 4.0) / np.sqrt(told.variance)
    assert pulls.mean() == pytest.approx(0.0, abs=4 / 600)
    assert pulls.std() == pytest.approx(1.0, abs=0.02)
    # without it the variance follows the noise, and weights by it come out low
    weighted = [np.average(f.data, weights=1 / f.variance) for f in (plain, told)]
    assert weighted[0] < 3.95
    assert weighted[1] == pytest.approx(4.0, abs=0.02)


def test_a_bright_pixel_of_a_faint_frame_has_its_own_photon_noise():
    values = [1000.0, 1080.0, 900.0]
    result = clipped_mean(
        pixel(values), sigma=5.0, rounds=3, photon_noise=True, light=np.full((3, 3), 100.0)
    )
    assert result.data[1, 1] == pytest.approx(np.mean(values))
    assert result.variance[1, 1] == pytest.approx((READ**2 + np.mean(values)) / 3, rel=1e-4)
    assert result.variance[0, 0] == pytest.approx((READ**2 + 100) / 3, rel=1e-4)


def test_masters_are_weighted_by_their_noise():
    rng = np.random.default_rng(30)
    shape, sigmas = (60, 70), (1.0, 2.0, 0.7)
    masters = [
        Frame(9 + rng.normal(0, s, shape), np.full(shape, s**2), np.zeros(shape)) for s in sigmas
    ]
    result = weighted_mean(masters)
    assert_pulls((result.data - 9) / np.sqrt(result.variance))
    assert result.variance[0, 0] == pytest.approx(1 / sum(s**-2 for s in sigmas))


def test_masters_keep_flags_but_lend_each_other_pixels():
    lost = PixelFlag.NOTHING_LEFT | PixelFlag.SATURATED
    masters = pixel([100.0, 900.0], [PixelFlag.HOT, lost])
    result = weighted_mean(masters)
    assert result.data[1, 1] == pytest.approx(100.0)
    assert result.variance[1, 1] == pytest.approx(READ**2)
    assert result.flags[1, 1] == PixelFlag.HOT
    nowhere = weighted_mean(pixel([100.0, 900.0], [lost, PixelFlag.NOTHING_LEFT]))
    assert nowhere.flags[1, 1] == lost


def test_masters_of_different_binning_are_refused():
    masters = [Frame(*np.zeros((3, n, 4))) for n in (4, 8)]
    with pytest.raises(InputError, match=r"shapes \(4, 4\), \(8, 4\)"):
        weighted_mean(masters)
