"""Figures of several simulated nights put together."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from soxspipe.cli.accuracy import Figure


@dataclass(frozen=True)
class Summary:
    """A quantity over the seeds: mean, the value farthest from the ideal, and whether all nights had
    it (`nights` of them did) and reached the goal.
    """

    arm: str
    frame: str
    quantity: str
    goal: str
    mean: float
    worst: float
    nights: int
    reached: bool


def summarise(by_seed: Sequence[Sequence[Figure]]) -> list[Summary]:
    """One summary for each arm, frame and quantity that has a goal.

    A quantity given more than once in a night (two flats) counts with every value.
    """
    groups: dict[tuple[str, str, str], list[tuple[int, Figure]]] = {}
    for seed, figures in enumerate(by_seed):
        for figure in figures:
            if figure.goal:
                key = (figure.arm, figure.frame, figure.quantity)
                groups.setdefault(key, []).append((seed, figure))
    return [_summary(group, len(by_seed)) for group in groups.values()]


def _summary(group: list[tuple[int, Figure]], expected: int) -> Summary:
    figures = [figure for _, figure in group]
    nights = len({seed for seed, _ in group})
    first = figures[0]
    values = [figure.value for figure in figures]
    return Summary(
        arm=first.arm,
        frame=first.frame,
        quantity=first.quantity,
        goal=first.goal,
        mean=sum(values) / len(values),
        worst=worst(values, first.goal),
        nights=nights,
        reached=nights == expected and all(figure.reached for figure in figures),
    )


def worst(values: Sequence[float], goal: str) -> float:
    """The value that does worst by a goal "< a", ">= a" or "a to b"; NaN if there is one."""
    if any(math.isnan(value) for value in values):
        return math.nan
    if goal.startswith("<"):
        return max(values)
    if goal.startswith(">"):
        return min(values)
    low, high = map(float, goal.split(" to "))
    return max(values, key=lambda value: abs(value - 0.5 * (low + high)))
