"""Order centres, edges and master flats of bad days."""

import numpy as np
import pytest

from soxspipe.errors import SoxspipeError
from tests.bad_day.days import flatten, trace_errors

pytestmark = pytest.mark.slow

U_BAND = 2
DAYS = {
    "160 counts in the u band": ("VIS", {"u_flat_counts": 160.0}),
    "faint": ("VIS", {"lamp_level": 0.2}),
    "dead rows, columns, not numbers": (
        "VIS",
        {"nan_share": 0.003, "dead_rows": 2, "dead_columns": 2},
    ),
    "dead rows, columns, not numbers, NIR": (
        "NIR",
        {"nan_share": 0.003, "dead_rows": 2, "dead_columns": 2},
    ),
    "shifted and rotated": ("NIR", {"shift": (12.0, -14.0), "rotation": 0.4}),
}


@pytest.fixture(scope="module", params=DAYS)
def flat(request):
    """The reduced flats of one bad day."""
    arm, conditions = DAYS[request.param]
    return flatten(arm, **conditions)


def test_centres_are_right(flat):
    for number, rms in trace_errors(flat.day, flat.centres, "centre").items():
        assert rms < 0.1, f"order {number}"


@pytest.mark.parametrize("which", ["lower", "upper"])
def test_edges_are_right(flat, which):
    for number, rms in trace_errors(flat.day, flat.orders, which).items():
        assert rms < 0.15, f"order {number}"


def test_pixels_without_light_are_flagged(flat):
    """Dead pixels inside the orders, where the lamp would show them; and those that are no number."""
    frame, detector = flat.master.frame, flat.day.night.detector
    lit = _inside(flat)
    dead = lit & (detector.response < 0.05)
    assert (frame.flags[dead] != 0).mean() > 0.99
    if flat.day.night.broken is not None:
        assert np.all(frame.flags[flat.day.night.broken & lit] != 0)


def test_nothing_that_counts_as_good_explodes(flat):
    """Response over truth of unflagged pixels, in units of its error and as it stands."""
    frame = flat.master.frame
    good = _inside(flat) & (frame.flags == 0)
    off = frame.data[good] - flat.day.night.detector.response[good]
    error = np.sqrt(frame.variance[good])
    assert np.isfinite(off).all()
    assert good.mean() > 0.05
    assert np.mean(np.abs(off) > 8.0 * np.hypot(error, 0.01)) < 1e-3


@pytest.mark.parametrize("arm", ["VIS", "NIR"])
def test_a_saturated_flat_is_not_delivered_as_good(arm):
    """Saturated pixels are no edge; what cannot be measured fails its quality control."""
    try:
        flat = flatten(arm, lamp_level=6.0)
    except SoxspipeError:
        return
    worst = max(max(trace_errors(flat.day, flat.orders, w).values()) for w in ("lower", "upper"))
    assert flat.refusal or worst < 0.15


def test_without_the_flat_lamp_there_is_no_trace():
    with pytest.raises(SoxspipeError, match="lamp"):
        flatten("VIS", lamps_off={"QTH"})


def _inside(flat):
    """(ny, nx) True well inside the true edges of an order, where the design says it is useful."""
    arm, optics = flat.day.arm, flat.day.night.optics
    inside = np.zeros(arm.along_rows(np.empty(arm.shape)).shape, dtype=bool)
    row = np.arange(inside.shape[0])[:, None]
    pixel = np.arange(inside.shape[1], dtype="f8")
    for number, trace in flat.day.true_orders.orders.items():
        ends, _ = optics.along_and_across(number, np.array(arm.orders[number].useful), 0.0)
        useful = (pixel > min(ends)) & (pixel < max(ends))
        low, high = trace.at("lower", pixel) + 3.0, trace.at("upper", pixel) - 3.0
        inside |= (row > low) & (row < high) & useful
    return arm.along_rows(inside)
