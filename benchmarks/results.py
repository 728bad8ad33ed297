"""All that a benchmark measures, and the goals."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

from benchmarks.accuracy import Summary
from benchmarks.runs import Reduced, Run
from benchmarks.wavelengths import Residuals

#: Seconds and MB of `reduce all` for the nights of both arms, seconds of `soxspipe --help`.
WALL_GOAL, MEMORY_GOAL, START_GOAL = 120.0, 3000.0, 0.5
#: Pixels rms, arc and sky lines against their lists; arc lines, rms over the expected error.
LIST_GOAL, EXPECTED_GOAL = 0.2, 1.2

#: Recipes of the calibrations.
CALIBRATIONS = ("mbias", "mdark", "disp_solution", "order_centres", "mflat", "spat_solution")


@dataclass(frozen=True)
class Independent:
    """A night of somebody else: what became of the runs, and residuals of lines."""

    reduced: Reduced
    residuals: tuple[Residuals, ...]

    @property
    def calibrations(self) -> tuple[Run, ...]:
        """The runs whose recipe takes no exposure of the sky."""
        return tuple(run for run in self.reduced.runs if run.recipe in CALIBRATIONS)


@dataclass(frozen=True)
class Stress:
    """Nights made difficult (benchmarks.stress), by what became of them."""

    right: int
    poor: int
    refused: int
    wrong: int
    crashed: int

    @property
    def nights(self) -> int:
        """How many there were."""
        return self.right + self.poor + self.refused + self.wrong + self.crashed


@dataclass(frozen=True)
class Results:
    """Everything measured on one machine with one version."""

    version: str
    machine: str
    command: str
    seeds: tuple[int, ...]
    start: float
    nights: tuple[Reduced, ...]
    accuracy: tuple[Summary, ...]
    independent: Independent | None
    stress: Stress | None = None


@dataclass(frozen=True)
class Speed:
    """A cost over the nights: mean and worst, with its unit and goal (0: none).

    A night cut short is cheap: `whole` is False if there was one.
    """

    quantity: str
    unit: str
    mean: float
    worst: float
    goal: float
    whole: bool

    @property
    def reached(self) -> bool:
        """True if all nights were reduced as a whole, and the worst reaches the goal."""
        return self.whole and (not self.goal or self.worst <= self.goal)


def speeds(results: Results) -> list[Speed]:
    """Costs of the simulated nights that were reduced as a whole, and of starting."""
    nights = [night for night in results.nights if night.is_whole]
    start = Speed("`soxspipe --help`", "s", results.start, results.start, START_GOAL, whole=True)
    if not nights:
        return [start]
    whole = len(nights) == len(results.nights)
    costs = [n.reduce for n in nights]
    rows = (
        ("`reduce all`, wall time", "s", [c.wall for c in costs], WALL_GOAL),
        ("`reduce all`, processor time", "s", [c.cpu for c in costs], 0.0),
        ("`reduce all`, memory of all processes", "MB", [c.tree_mb for c in costs], MEMORY_GOAL),
        ("`reduce all`, memory of the largest process", "MB", [c.largest_mb for c in costs], 0.0),
        ("`prep`, wall time", "s", [n.prep.wall for n in nights], 0.0),
    )
    found = [Speed(name, unit, mean(v), max(v), goal, whole) for name, unit, v, goal in rows]
    return [*found, start]


@dataclass(frozen=True)
class RecipeCost:
    """A recipe in one arm: runs a night, seconds of one run (mean), largest peak of memory, MB, and
    number of runs, of all nights, that did not pass.
    """

    recipe: str
    arm: str
    runs: float
    seconds: float
    peak_mb: float
    not_passed: int


def recipe_costs(nights: Sequence[Reduced]) -> list[RecipeCost]:
    """Costs by recipe and arm, in order of their first run."""
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in (run for night in nights for run in night.runs):
        groups.setdefault((run.recipe, run.arm), []).append(run)
    return [
        RecipeCost(
            recipe,
            arm,
            len(runs) / len(nights),
            mean(run.seconds for run in runs),
            max(run.peak_mb for run in runs),
            sum(run.state != "passed" for run in runs),
        )
        for (recipe, arm), runs in groups.items()
    ]
