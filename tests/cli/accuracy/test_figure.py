"""Goals judge values, worst values and what was not measured."""

import math

import pytest

from soxspipe.cli.accuracy.figure import GOALS, Goal, figure

BELOW, ABOVE, BETWEEN = Goal(high=0.15), Goal(low=0.9), Goal(0.99, 1.01)


@pytest.mark.parametrize(
    ("goal", "text", "good", "bad"),
    [
        (BELOW, "< 0.15", 0.15, 0.16),
        (ABOVE, ">= 0.9", 0.9, 0.89),
        (BETWEEN, "0.99 to 1.01", 1.0, 1.02),
    ],
)
def test_a_goal_is_reached_or_not(goal, text, good, bad):
    assert str(goal) == text
    assert goal
    assert goal.reached(good)
    assert not goal.reached(bad)
    assert not goal.reached(math.nan)


def test_without_a_goal_anything_measured_will_do():
    assert not Goal()
    assert str(Goal()) == ""
    assert Goal().reached(1e9)
    assert not Goal().reached(math.nan)


def test_the_worst_value_depends_on_the_goal():
    assert BELOW.worst([0.1, 0.2]) == 0.2
    assert ABOVE.worst([0.8, 0.95]) == 0.8
    assert BETWEEN.worst([1.02, 0.97]) == 0.97
    assert Goal().worst([1.0, 2.0]) == 2.0
    assert math.isnan(BELOW.worst([0.1, math.nan]))


def test_arms_may_have_goals_of_their_own():
    quantity = "order centres, rms [px]"
    assert not figure("VIS", "", quantity, 0.01).reached
    assert figure("NIR", "", quantity, 0.01).reached
    assert not figure("NIR", "", "of no goal", 0.01).goal


def test_every_goal_is_one():
    for goal in GOALS.values():
        for one in (goal,) if isinstance(goal, Goal) else goal.values():
            assert one
            assert not one.reached(math.nan)
