"""Dispersion solutions of days as an instrument has them: they must be right."""

import pytest

from tests.bad_day.days import solve

#: What may happen on any day.
ORDINARY = {
    "shifted up and left": {"shift": (-15.0, 15.0)},
    "shifted down and right": {"shift": (15.0, -15.0)},
    "rotated": {"rotation": 0.5},
    "rotated back": {"rotation": -0.5},
    "stretched": {"scale": 0.003},
    "shrunk": {"scale": -0.003},
    "bright": {"lamp_level": 5.0},
    "faint": {"lamp_level": 0.2},
    "not numbers": {"nan_share": 0.003},
    "dead row": {"dead_rows": 1, "dead_columns": 1},
    "cosmic rays": {"cosmic_rate": 0.6},
}

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("what", ORDINARY)
def test_both_solutions_are_right_in_vis(what):
    outcome = solve("VIS", full=True, **ORDINARY[what])
    assert outcome.right, str(outcome)


@pytest.mark.parametrize("what", ORDINARY)
def test_solutions_are_right_in_nir(what, caplog):
    """The full one, which takes its time, in two cases. No lamp is taken for one that is off."""
    full = what in ("shifted up and left", "cosmic rays")
    outcome = solve("NIR", full=full, **ORDINARY[what])
    assert outcome.right, str(outcome)
    assert "lamp" not in caplog.text
