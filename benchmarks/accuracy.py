"""Figures of several simulated nights put together."""

from collections.abc import Sequence
from dataclasses import dataclass

from soxspipe.cli.accuracy import Figure, Goal


@dataclass(frozen=True)
class Summary:
    """A quantity over the seeds: mean, the value that does worst, and number of nights that had it.

    reached   the mean reaches the goal and no night lacks the quantity
    always    so does every single value
    """

    arm: str
    frame: str
    quantity: str
    goal: Goal
    mean: float
    worst: float
    nights: int
    reached: bool
    always: bool


def summarise(by_seed: Sequence[Sequence[Figure]]) -> list[Summary]:
    """One summary for each arm, frame and quantity.

    A quantity given more than once in a night (two flats) counts with every value.
    """
    groups: dict[tuple[str, str, str], list[tuple[int, Figure]]] = {}
    for seed, figures in enumerate(by_seed):
        for figure in figures:
            key = (figure.arm, figure.frame, figure.quantity)
            groups.setdefault(key, []).append((seed, figure))
    return [_summary(group, len(by_seed)) for group in groups.values()]


def _summary(group: list[tuple[int, Figure]], expected: int) -> Summary:
    figures = [figure for _, figure in group]
    nights = len({seed for seed, _ in group})
    first = figures[0]
    values = [figure.value for figure in figures]
    mean = sum(values) / len(values)
    whole = nights == expected
    return Summary(
        arm=first.arm,
        frame=first.frame,
        quantity=first.quantity,
        goal=first.goal,
        mean=mean,
        worst=first.goal.worst(values),
        nights=nights,
        reached=whole and first.goal.reached(mean),
        always=whole and all(figure.reached for figure in figures),
    )
