"""Extraction of a made-up star whose light in every pixel is known."""

import numpy as np
import pytest

from soxspipe.datamodel.frame import PixelFlag
from soxspipe.science.extraction import optimal
from tests.maths.truth import assert_pulls
from tests.science.extraction.one_order import READ_NOISE, gaussian_share, order_pixels

PIXELS = order_pixels(1500)
SHARE = gaussian_share(PIXELS, 0.5, 1.0)
WHOLE = slice(12, -12)  # bins whose tilted slit lies fully on the detector
ALL = np.ones(len(PIXELS.bin), dtype=bool)
NEAREST = PIXELS.nearest


def star(rng, flux, sky=60.0):
    """Sky-subtracted pixels of a star of `flux` (electrons per bin) and their true variance."""
    light = np.asarray(flux * np.ones(len(PIXELS.grid)))[NEAREST] * SHARE
    variance = light + sky + READ_NOISE**2
    return rng.normal(light, np.sqrt(variance)), variance


@pytest.mark.parametrize("flux", [0.0, 30.0, 1000.0, 1e5])
def test_flux_and_variance_are_right(flux):
    data, variance = star(np.random.default_rng(1), flux)
    sums = optimal.horne(PIXELS, data, variance, ALL, SHARE)
    assert_pulls(((sums.flux - flux) / np.sqrt(sums.variance))[WHOLE])


def test_the_weights_are_the_best_there_are():
    data, variance = star(np.random.default_rng(2), 300.0)
    sums = optimal.horne(PIXELS, data, variance, ALL, SHARE)
    ideal = np.sqrt(np.bincount(NEAREST, SHARE**2 / variance))
    assert (300.0 / np.sqrt(sums.variance))[WHOLE] == pytest.approx(300.0 * ideal[WHOLE])
    inside = np.abs(PIXELS.slit - 0.5) < 1.5
    plain = np.bincount(NEAREST, np.where(inside, variance, 0.0))
    assert np.median(plain[WHOLE] / sums.variance[WHOLE]) > 1.3


def test_a_spectrum_with_features_is_not_smoothed():
    bins = np.arange(len(PIXELS.grid))
    flux = 1000 * (1 + 0.5 * np.sin(bins / 3.0)) - 800 * np.exp(-0.5 * ((bins - 700) / 1.5) ** 2)
    data, variance = star(np.random.default_rng(3), flux)
    sums = optimal.horne(PIXELS, data, variance, ALL, SHARE)
    assert_pulls(((sums.flux - flux) / np.sqrt(sums.variance))[WHOLE])


def test_the_errors_of_bins_are_independent():
    data, variance = star(np.random.default_rng(4), 500.0)
    pull = optimal.horne(PIXELS, data, variance, ALL, SHARE)
    pull = ((pull.flux - 500.0) / np.sqrt(pull.variance))[WHOLE]
    assert abs(np.mean(pull[1:] * pull[:-1])) < 4 / np.sqrt(len(pull))


def test_bad_pixels_are_left_out_and_paid_for():
    rng = np.random.default_rng(5)
    data, variance = star(rng, 800.0)
    good = rng.random(len(data)) > 0.08
    data[~good] = 1e6
    sums = optimal.horne(PIXELS, data, variance, good, SHARE)
    whole = optimal.horne(PIXELS, data, variance, ALL, SHARE)
    kept = sums.lost < optimal.LOST
    kept[: WHOLE.start] = kept[WHOLE.stop :] = False
    assert kept.sum() > 1300
    assert_pulls(((sums.flux - 800.0) / np.sqrt(sums.variance))[kept])
    assert (sums.variance >= whole.variance)[WHOLE].all()
    assert sums.variance * (1 - sums.lost) == pytest.approx(whole.variance)
    assert sums.lost[WHOLE].mean() == pytest.approx(0.08, abs=0.02)


def test_a_bin_without_good_pixels_holds_nothing_and_says_so():
    data, variance = star(np.random.default_rng(6), 800.0)
    good = ALL.copy()
    good[NEAREST == 400] = False  # nothing left
    good[(NEAREST == 500) & (np.abs(PIXELS.slit - 0.5) < 0.8)] = False  # most of the weight lost
    sums = optimal.horne(PIXELS, data, variance, good, SHARE)
    assert np.isnan(sums.flux[400])
    assert np.isnan(sums.variance[400])
    assert sums.lost[400] == 1
    assert sums.wavelength[400] == PIXELS.grid[400]
    touched = np.zeros(len(PIXELS.grid), dtype="u2")
    touched[[400, 500, 600]] = PixelFlag.COSMIC_RAY
    flags = optimal.bin_flags(sums, touched)
    assert flags[400] == PixelFlag.NOTHING_LEFT | PixelFlag.COSMIC_RAY
    assert flags[500] == PixelFlag.BAD | PixelFlag.COSMIC_RAY
    assert flags[600] == 0
    assert flags[[399, 401, 499, 501]].tolist() == [0] * 4


def test_the_reasons_of_a_bin_are_those_of_its_lit_pixels():
    pixel_flags = np.zeros(len(NEAREST), dtype="u2")
    peak = int(np.argmax(np.where(NEAREST == 300, SHARE, 0.0)))
    dark = int(np.argmin(np.where(NEAREST == 350, SHARE, 1.0)))
    pixel_flags[peak], pixel_flags[dark] = PixelFlag.SATURATED, PixelFlag.COSMIC_RAY
    told = optimal.reasons(PIXELS, pixel_flags, SHARE)
    assert told[300] == PixelFlag.SATURATED
    assert np.flatnonzero(told).tolist() == [300]


def test_the_effective_wavelength_is_that_of_the_pixels_seen():
    data, variance = star(np.random.default_rng(7), 800.0)
    sums = optimal.horne(PIXELS, data, variance, ALL, SHARE)
    weight = SHARE**2 / variance
    middle = NEAREST == 300
    expected = np.average(PIXELS.wavelength[middle], weights=weight[middle])
    assert sums.wavelength[300] == pytest.approx(expected)
    assert np.abs(sums.wavelength - PIXELS.grid)[WHOLE].max() < 0.5 * PIXELS.width[0]


def test_rows_turn_a_common_error_into_its_effect():
    # an error of the sky of one electron in every pixel of a bin moves its flux by `rows`
    data, variance = star(np.random.default_rng(8), 200.0)
    sums = optimal.horne(PIXELS, data, variance, ALL, SHARE)
    moved = optimal.horne(PIXELS, data + 1.0, variance, ALL, SHARE)
    assert moved.flux - sums.flux == pytest.approx(sums.rows)


def test_outliers_are_told_from_a_bright_star_off_the_model():
    data, variance = star(np.random.default_rng(9), 5e4)
    model = 5e4 * SHARE
    far = optimal.outliers(data, variance, 1.05 * model, sigma=5.0)
    assert far.mean() < 1e-3  # 5 per cent are within the mismatch allowed for
    hit = np.random.default_rng(10).choice(len(data), 200, replace=False)
    data[hit] += 10 * np.sqrt(variance[hit] + (0.1 * model[hit]) ** 2)
    assert optimal.outliers(data, variance, model, sigma=5.0)[hit].all()
    cold = data.copy()
    cold[hit] = -30 * np.sqrt(variance[hit] + (0.1 * model[hit]) ** 2)
    assert optimal.outliers(cold, variance, model, sigma=5.0)[hit].all()


# ----------------------------------------------------------------------------------------- boxcar


def boxcar(data, variance, good=ALL, model=None, half=4.0):
    inside = np.abs(PIXELS.slit - 0.5) < half
    model = np.zeros(len(data)) if model is None else model
    return optimal.boxcar(PIXELS, data, variance, good, model, inside)


def test_the_boxcar_conserves_the_sum():
    data, variance = star(np.random.default_rng(11), 3000.0)
    inside = np.abs(PIXELS.slit - 0.5) < 4.0
    assert boxcar(data, variance).flux.sum() == pytest.approx(data[inside].sum(), rel=1e-12)


def test_the_boxcar_holds_all_light_of_the_star():
    data, variance = star(np.random.default_rng(12), 3000.0)
    box = boxcar(data, variance)
    assert np.mean(box.flux[WHOLE]) == pytest.approx(3000, abs=5 * np.sqrt(8000 / 1476))
    pull = ((box.flux - 3000) / np.sqrt(box.variance))[WHOLE]
    assert abs(pull.mean()) < 4 / np.sqrt(len(pull))
    assert pull.std() == pytest.approx(1, abs=0.08)


def test_the_robust_boxcar_replaces_bad_pixels_by_the_model():
    rng = np.random.default_rng(13)
    data, variance = star(rng, 3000.0)
    clean = boxcar(data, variance)
    good = rng.random(len(data)) > 0.03
    hit = data.copy()
    hit[~good] = 1e5
    box = boxcar(hit, variance, good, 3000.0 * SHARE)
    assert np.abs(box.robust - clean.flux)[WHOLE].mean() < 15
    assert np.mean(box.robust[WHOLE]) == pytest.approx(3000, abs=10)
    assert np.mean(box.flux[WHOLE]) > 10000
