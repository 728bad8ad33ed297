"""First steps that recipes share: electrons, bias, dark, lamp-off frames."""

import numpy as np
import pytest

from soxspipe.errors import InputError
from soxspipe.instrument.arms import get_arm
from soxspipe.recipes.prepare import (
    dark_scale,
    detrended,
    electrons,
    lamp_off,
    measured_read_noise,
)
from tests.recipes.frames import SHAPE, master, raw

VIS, NIR = get_arm("SOXS", "VIS"), get_arm("SOXS", "NIR")
GAIN = 1.2  # e-/ADU, in the made-up headers


def test_counts_become_electrons_with_the_noise_of_the_read_out():
    frame = electrons(raw(100.0), VIS)
    assert frame.data == pytest.approx(np.full(SHAPE, 120.0))
    assert frame.variance == pytest.approx(np.full(SHAPE, 3.8**2))
    assert electrons(raw(100.0), VIS, read_noise=5.0).variance == pytest.approx(
        np.full(SHAPE, 25.0)
    )


@pytest.mark.parametrize(
    ("cards", "noise"),
    [
        ({"ESO_QC_RAW_RON": 4.2}, 4.2),
        ({"ESO_QC_RAW_RON": 0.0}, None),
        ({"ESO_QC_RAW_RON": "--"}, None),
        ({}, None),
    ],
)
def test_the_read_noise_is_the_one_measured_on_the_masters_frames(cards, noise):
    assert measured_read_noise(master(**cards)) == noise


def test_without_master_no_read_noise_was_measured():
    assert measured_read_noise(None) is None


@pytest.mark.parametrize(
    ("seconds", "dark", "scale"),
    [
        (60.0, 60.0, 1.0),
        (60.0, 60.0004, 1.0),
        (60.0, 600.0, 0.1),
        (900.0, 300.0, 3.0),
        (60.0, 0.0, 1.0),
        (60.0, "unknown", 1.0),
    ],
)
def test_a_dark_is_scaled_to_the_exposure_time(seconds, dark, scale):
    assert dark_scale(raw(exptime=seconds), master(EXPTIME=dark)) == pytest.approx(scale)


def test_a_dark_that_tells_no_time_is_taken_as_it_is():
    assert dark_scale(raw(exptime=60.0), master()) == 1.0


@pytest.mark.parametrize("arm", [VIS, NIR], ids=["VIS", "NIR"])
def test_nothing_to_subtract_is_refused_with_advice(arm):
    with pytest.raises(InputError, match=r"neither a bias, a dark nor a lamp-off.*\n.*hint: add"):
        detrended(raw(), arm, bias=None, dark=None)


def test_bias_goes_and_photon_noise_comes():
    bias = master(1000.0, 2.0, ESO_QC_RAW_RON=5.0)
    frame = detrended(raw(1000.0), VIS, bias=bias, dark=None)
    assert frame.data == pytest.approx(np.full(SHAPE, 200.0))
    # read-out (as measured on the bias), master bias, 200 electrons
    assert frame.variance == pytest.approx(np.full(SHAPE, 25.0 + 2.0 + 200.0))


def test_a_vis_dark_is_scaled_after_the_bias():
    frame = detrended(
        raw(1000.0, exptime=100.0),
        VIS,
        bias=master(1000.0, 0.0),
        dark=master(30.0, 9.0, EXPTIME=300.0),
    )
    assert frame.data == pytest.approx(np.full(SHAPE, 190.0))
    assert frame.variance == pytest.approx(np.full(SHAPE, 3.8**2 + 200.0 + 1.0))


def test_a_nir_dark_holds_the_bias_too():
    dark = master(700.0, 3.0, EXPTIME=60.0, ESO_QC_RAW_RON=10.0)
    frame = detrended(raw(1000.0, exptime=60.0), NIR, bias=None, dark=dark)
    assert frame.data == pytest.approx(np.full(SHAPE, 500.0))
    assert frame.variance == pytest.approx(np.full(SHAPE, 100.0 + 1200.0 + 3.0))


def test_a_lamp_off_frame_takes_the_place_of_the_dark():
    dark = master(700.0, 3.0, EXPTIME=60.0, ESO_QC_RAW_RON=10.0)
    off = lamp_off((raw(500.0), raw(500.0)), NIR, dark)
    assert off is not None
    assert off.data == pytest.approx(np.full(SHAPE, 600.0))
    assert off.variance == pytest.approx(np.full(SHAPE, (100.0 + 600.0) / 2))
    frame = detrended(raw(1000.0), NIR, bias=None, dark=dark, off=off)
    assert frame.data == pytest.approx(np.full(SHAPE, 600.0))
    assert lamp_off((), NIR, dark) is None


def test_the_variance_is_that_of_repeated_exposures():
    rng = np.random.default_rng(1)
    pulls = []
    for seed in range(20):
        light = rng.poisson(400.0, SHAPE)
        counts = (1000.0 + light + rng.normal(0, 3.8, SHAPE)) / GAIN
        exposure = raw(0.0, seed=seed)
        exposure = type(exposure)(counts.astype("f4"), *list(vars(exposure).values())[1:])
        frame = detrended(exposure, VIS, bias=master(1000.0, 0.0), dark=None)
        pulls.append((frame.data - 400.0) / np.sqrt(frame.variance))
    pulls = np.ravel(pulls)
    assert pulls.std() == pytest.approx(1, abs=5 / np.sqrt(2 * pulls.size))
