"""Dispersion solutions of days that may leave too little to go by: right, or refused."""

import numpy as np
import pytest
from benchmarks.stress import draw, nights, stress, table

from tests.bad_day.days import solve

ARMS = ("VIS", "NIR")

HARD = {
    "lines missing": {"lines_missing": 0.4},
    "saturated": {"lamp_level": 40.0},
    "all at once": {
        "shift": (14.0, -13.0),
        "rotation": -0.45,
        "scale": 0.0027,
        "lines_missing": 0.35,
        "lamps_off": {"NEON"},
        "lamp_level": 0.3,
        "cosmic_rate": 0.3,
        "nan_share": 0.002,
        "dead_rows": 1,
        "dead_columns": 1,
    },
}

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("what", HARD)
def test_hard_days_give_the_right_solution_or_none(arm, what):
    outcome = solve(arm, full=True, **HARD[what])
    assert outcome.refusal or outcome.right, str(outcome)


@pytest.mark.parametrize(
    ("lamp", "name"), [("ARGO", "Ar"), ("MERC", "Hg"), ("NEON", "Ne"), ("XENO", "Xe")]
)
def test_a_lamp_that_is_off_is_named_and_the_solution_right_or_none(lamp, name, caplog):
    outcome = solve("NIR", full=False, lamps_off={lamp})
    assert outcome.refusal or outcome.right, str(outcome)
    assert f"{name} lamp" in caplog.text


@pytest.mark.parametrize("arm", ARMS)
def test_without_any_lamp_there_is_no_solution(arm):
    outcome = solve(arm, full=False, lamps_off={"ARGO", "MERC", "NEON", "XENO", "THAR"})
    assert outcome.errors is None
    assert "not recognised" in outcome.refusal


def test_a_detector_moved_too_far_is_refused():
    """20 px and the bands' own shifts on top: beyond what is looked for."""
    outcome = solve("VIS", full=False, shift=(-20.0, 20.0), rotation=0.9, scale=0.009)
    assert outcome.refusal or outcome.right, str(outcome)


def test_stressed_nights_are_drawn_and_counted():
    """The count of `benchmarks.stress` on one night; its conditions depend on the seed alone."""
    assert nights(7, 3, ARMS) == [(7, "NIR"), (8, "VIS"), (9, "NIR")]
    assert draw(8, "VIS") == draw(8, "VIS") != draw(9, "VIS")
    assert all(np.abs(draw(seed, "NIR").shift).max() <= 15.0 for seed in range(50))
    verdict = stress(6, "VIS")
    assert verdict.name in ("right", "refused")
    assert "| VIS |" in table([verdict])
