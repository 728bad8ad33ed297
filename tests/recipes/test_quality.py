"""From measured values to verdicts."""

import numpy as np
import pytest

from soxspipe.datamodel.metric import Metric
from soxspipe.instrument.arms import get_arm
from soxspipe.recipes.quality import judged, limits_of, per_order, spread, temperatures
from soxspipe.settings import MbiasSettings
from tests.recipes.frames import info

VIS, NIR = get_arm("SOXS", "VIS"), get_arm("SOXS", "NIR")
LEVEL = Metric("MBIAS MEDIAN", "e-", "level", {"VIS": (0, 2000)})
NOISE = Metric("RAW RON", "e-", "noise", {"VIS": (0, 15), "NIR": (0, 15)})
COUNT = Metric("BADPIX NUM", "px", "number")
METRICS = (LEVEL, NOISE, COUNT)


def settings(**ranges):
    options = {**MbiasSettings.default_options("VIS"), "qc_acceptable_ranges": ranges}
    return MbiasSettings.model_validate(options)


def verdicts(values, given=None, arm=VIS):
    return {m.metric.keyword: m.verdict for m in judged(METRICS, values, given or settings(), arm)}


def test_values_are_judged_by_the_declared_range():
    assert verdicts({"MBIAS MEDIAN": 1000, "RAW RON": 3.8}) == {
        "MBIAS MEDIAN": "pass",
        "RAW RON": "pass",
    }
    assert verdicts({"MBIAS MEDIAN": 2000.1, "RAW RON": 15}) == {
        "MBIAS MEDIAN": "fail",
        "RAW RON": "pass",
    }


def test_an_arm_without_range_is_not_judged():
    assert verdicts({"MBIAS MEDIAN": 9e9}, arm=NIR) == {"MBIAS MEDIAN": "pass"}
    assert limits_of(LEVEL, settings(), NIR) is None


def test_the_settings_file_has_the_last_word():
    narrow = settings(**{"mbias-median": (0, 500), "badpix-num": (None, 10)})
    assert verdicts({"MBIAS MEDIAN": 1000, "RAW RON": 20, "BADPIX NUM": 11}, narrow) == {
        "MBIAS MEDIAN": "fail",
        "RAW RON": "fail",
        "BADPIX NUM": "fail",
    }
    wide = settings(**{"mbias-median": (None, None)})
    assert verdicts({"MBIAS MEDIAN": 1e6}, wide) == {"MBIAS MEDIAN": "pass"}


def test_what_could_not_be_measured_never_passes():
    found = judged(METRICS, {"RAW RON": float("nan"), "BADPIX NUM": np.nan}, settings(), VIS)
    assert [m.verdict for m in found] == ["not measured"] * 2
    assert [m.failed for m in found] == [True, False]


def test_values_come_in_the_order_of_declaration():
    found = judged(METRICS, {"BADPIX NUM": 1, "MBIAS MEDIAN": 1}, settings(), VIS)
    assert [m.metric for m in found] == [LEVEL, COUNT]


def test_values_of_orders_are_recorded_under_the_names_of_the_orders():
    found = per_order(METRICS, "MBIAS MEDIAN", dict.fromkeys(VIS.orders, 9000000000.0), VIS)
    assert {m.order for m in found} == {"u", "g", "r", "i"}
    assert {m.verdict for m in found} == {"pass"}
    found = per_order(METRICS, "MBIAS MEDIAN", {10: 1.0, 24: 2.0}, NIR)
    assert {m.order: m.value for m in found} == {"10": 1.0, "24": 2.0}


def test_residuals_are_summed_up():
    found = spread("X RES", np.array([-3.0, 1.0, 2.0, np.nan]))
    assert found == {
        "X RES MIN": -3.0,
        "X RES MAX": 2.0,
        "X RES MEDIAN": 2.0,
        "X RES SD": pytest.approx(np.std([-3.0, 1.0, 2.0])),
    }
    assert all(np.isnan(v) for v in spread("X RES", np.array([np.nan])).values())


def test_temperatures_are_means_over_the_frames():
    frames = [info(detector_temperature=t, common_path_temperature=t / 10) for t in (100, 110)]
    assert temperatures(frames) == {"DETECTOR TEMP": 105.0, "CPATH TEMP": 10.5}


def test_ranges_in_pixels_hold_for_unbinned_frames_unless_the_user_says_otherwise():
    width = Metric("FWHM PIN MEDIAN", "px", "width", {"VIS": (1.6, 1.75)}, in_pixels=True)
    binned = VIS.binned((2, 2))
    repeated = settings(**{"fwhm-pin-median": (1.6, 1.75)})
    assert limits_of(width, repeated, VIS) == (1.6, 1.75)
    assert limits_of(width, repeated, binned) is None
    assert limits_of(width, settings(), binned) is None
    assert limits_of(width, settings(**{"fwhm-pin-median": (1, 2)}), binned) == (1, 2)
