"""The results as Markdown, and their places in the README and the manual."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.accuracy import Summary
from benchmarks.results import (
    EXPECTED_GOAL,
    LIST_GOAL,
    Independent,
    Results,
    Stress,
    recipe_costs,
    speeds,
)
from benchmarks.wavelengths import Residuals
from soxspipe.errors import InputError

_OF_BOTH_ARMS = ("", "standard", "science")
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; columns after the first that hold numbers only are set flush right."""
    cells = [[str(value) for value in row] for row in rows]
    right = [
        bool(cells) and all(row[i].replace(".", "").lstrip("-+").isdigit() for row in cells)
        for i in range(len(headings))
    ]
    lines = ["| " + " | ".join(headings) + " |"]
    lines.append("|" + "|".join("---:" if flush else "---" for flush in right) + "|")
    lines += ["| " + " | ".join(row) + " |" for row in cells]
    return "\n".join(lines)


def short(results: Results) -> str:
    """Accuracy, speed and the independent night in a few lines, for the README."""
    parts = [_origin(results)]
    if results.accuracy:
        parts.append(_accuracy_by_arm([s for s in results.accuracy if s.goal]))
    if results.stress is not None:
        parts.append(_stress_line(results.stress))
    parts.append(_speed_table(results))
    if results.independent is not None:
        parts.append(_independent_summary(results.independent))
    return "\n\n".join(parts)


def full(results: Results) -> str:
    """Everything, for the manual."""
    parts = [_origin(results)]
    if results.accuracy:
        parts += ["## Accuracy", _accuracy_table(results.accuracy)]
    if results.stress is not None:
        parts += ["## Difficult nights", _stress_line(results.stress)]
    parts += ["## Speed", _speed_table(results)]
    if results.nights:
        parts += ["### By recipe", _recipe_table(results)]
    if results.independent is not None:
        parts += [
            "## A night by another simulator",
            _independent_summary(results.independent),
            _run_table(results.independent),
        ]
    return "\n\n".join(parts)


def insert(path: Path, text: str) -> None:
    """Put `text` between the marks of a file. Raises InputError if it has none."""
    before, begin, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise InputError(f"{path} has no place for the tables", hint=f"add {BEGIN} and {END}")
    path.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def _origin(results: Results) -> str:
    seeds = ", ".join(map(str, results.seeds))
    nights = f"full-size nights of both arms, seeds {seeds}" if seeds else "no simulated night"
    text = (
        f"soxspipe {results.version}, {nights}, two workers, on {results.machine}; "
        f"printed by `{results.command}`."
    )
    for seed, night in zip(results.seeds, results.nights, strict=True):
        if not night.is_whole:
            failures = "; ".join(
                f"{r.recipe} {r.arm} {r.state}: {r.message}"
                for r in night.runs
                if r.state != "passed"
            )
            text += f" **Seed {seed} was not reduced as a whole** ({failures or 'see its log'})."
    return text


def _yes(reached: bool) -> str:
    return "yes" if reached else "**no**"


def _verdict(summaries: Iterable[Summary], *, lacking: bool = False) -> str:
    """Whether the means reach their goals; "on average" if not every night does."""
    every = list(summaries)
    if lacking:
        return _yes(reached=False)
    if all(s.always for s in every):
        return "yes"
    return "on average" if all(s.reached for s in every) else _yes(reached=False)


def number(value: float, digits: int = 4) -> str:
    """A figure in so many digits, small ones as powers of ten."""
    small = 0.0 < abs(value) < 10.0 ** (1 - digits)
    return f"{value:.1e}" if small else f"{value:.{digits}f}"


def _name(quantity: str, frame: str) -> str:
    return f"{frame}: {quantity}" if frame else quantity


def _accuracy_by_arm(summaries: Sequence[Summary]) -> str:
    """One row for each quantity; mean (worst) of each arm."""
    rows: dict[tuple[str, str], dict[str, Summary]] = {}
    for summary in summaries:
        rows.setdefault((summary.frame, summary.quantity), {})[summary.arm] = summary
    arms = [arm for arm in ("VIS", "NIR") if any(arm in row for row in rows.values())]
    body = []
    for (frame, quantity), row in rows.items():
        # masters and flats are of one arm, anything else is due of both
        missing = "none" if frame in _OF_BOTH_ARMS else ""
        values = [
            f"{number(row[arm].mean, 3)} ({number(row[arm].worst, 3)})" if arm in row else missing
            for arm in arms
        ]
        goals = dict.fromkeys(str(row[arm].goal) for arm in arms if arm in row)
        body.append(
            [
                _name(quantity, frame),
                " / ".join(goals),
                *values,
                _verdict(row.values(), lacking="none" in values),
            ]
        )
    return table(
        ["against the truth", "goal", *(f"{a}: mean (worst)" for a in arms), "reached"], body
    )


def _accuracy_table(summaries: Sequence[Summary]) -> str:
    rows = [
        (
            s.arm,
            _name(s.quantity, s.frame),
            str(s.goal),
            number(s.mean),
            number(s.worst),
            s.nights,
            _verdict([s]) if s.goal else "",
        )
        for s in summaries
    ]
    return table(["arm", "quantity", "goal", "mean", "worst", "nights", "reached"], rows)


def _speed_table(results: Results) -> str:
    rows = []
    for speed in speeds(results):
        digits = 2 if speed.worst < 10 else 0
        goal = f"< {speed.goal:g}" if speed.goal else ""
        reached = _yes(speed.reached) if speed.goal else ""
        values = [f"{value:.{digits}f}" for value in (speed.mean, speed.worst)]
        rows.append((f"{speed.quantity} [{speed.unit}]", goal, *values, reached))
    return table(["cost", "goal", "mean", "worst", "reached"], rows)


def _recipe_table(results: Results) -> str:
    rows = [
        (c.recipe, c.arm, f"{c.runs:.0f}", f"{c.seconds:.1f}", f"{c.peak_mb:.0f}", c.not_passed)
        for c in recipe_costs(results.nights)
    ]
    headings = ["recipe", "arm", "runs a night", "seconds a run", "peak MB", "not passed"]
    return table(headings, rows)


def _stress_line(stress: Stress) -> str:
    return (
        f"Of {stress.nights} difficult nights (`python -m benchmarks.stress`) {stress.wrong} end with a "
        f"wrong solution delivered as good (goal 0: {_yes(stress.wrong == 0)}); {stress.right} are "
        f"solved, {stress.refused} refused, {stress.poor} poor, {stress.crashed} crashed."
    )


def _independent_summary(night: Independent) -> str:
    runs = night.reduced.runs
    cost = night.reduced.reduce
    head = (
        f"A night of both arms by another simulator, default settings: {night.reduced.passed} of "
        f"{len(runs)} runs pass; `reduce all` takes {cost.wall:.0f} s and {cost.tree_mb:.0f} MB."
    )
    passed = [run.state == "passed" for run in night.calibrations]
    head += f" All quality values of {sum(passed)} of {len(passed)} calibrations are in range"
    head += f" (goal: all; {_yes(all(passed))})."
    for sof, reason in night.reduced.unplanned:
        head += f" Left: `{sof}` ({reason})."
    return f"{head}\n\n{_residual_table(night.residuals)}"


def _residual_table(residuals: Sequence[Residuals]) -> str:
    rows = [
        (
            r.arm,
            r.lines,
            f"< {LIST_GOAL:g}",
            f"{r.rms:.3f}",
            f"{r.median:+.3f}",
            r.used,
            r.clipped,
            *(f"{v:.2f}" if math.isfinite(v) else "" for v in (r.over_error, r.over_scatter)),
            _yes(r.rms <= LIST_GOAL and not r.over_error > EXPECTED_GOAL),
        )
        for r in residuals
    ]
    headings = ["arm", "lines", "goal", "rms [px]", "median [px]", "used", "clipped"]
    headings += [f"rms / error (< {EXPECTED_GOAL:g})", "rms / scatter", "reached"]
    return table(headings, rows)


def _run_table(night: Independent) -> str:
    rows = [
        (r.recipe, r.arm, r.sof, r.state, f"{r.seconds:.1f}", r.message.replace("|", "/"))
        for r in night.reduced.runs
    ]
    return table(["recipe", "arm", "SOF", "verdict", "seconds", "message"], rows)
