"""Master bias and dark of a detector with rows that see nothing and pixels that are no number."""

import numpy as np
import pytest
from benchmarks.in_memory import Day

from soxspipe.simulator.conditions import Conditions
from tests.bad_day.days import SEED

BROKEN = Conditions(nan_share=0.003, dead_rows=1, dead_columns=1, cosmic_rate=0.3)


@pytest.mark.parametrize(("arm", "group"), [("VIS", "bias"), ("NIR", "dark")])
def test_masters_hold_the_truth_or_say_that_they_do_not(arm, group):
    day = Day(arm, SEED, BROKEN)
    frames = day.raw(group, seconds=60.0 if group == "dark" else None)
    result = day.run("m" + group, **{group: frames})
    (master,) = (v for label, v in result.products.items() if label in ("MBIAS", "MDARK"))
    detector, broken = day.night.detector, day.night.broken
    assert np.all(master.flags[broken] != 0)
    pedestal = 1000.0 * 1.1 if arm == "VIS" else 0.0
    true = detector.bias + pedestal + detector.dark * frames[0].info.exptime
    good = master.flags == 0
    pull = (master.data - true)[good] / np.sqrt(master.variance[good])
    assert good.mean() > 0.98
    assert abs(np.median(pull)) < 0.1
    assert np.mean(np.abs(pull) > 6.0) < 1e-3
