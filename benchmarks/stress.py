"""`python -m benchmarks.stress`: are wrong solutions ever delivered as good? A count over bad nights."""

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np

from benchmarks.in_memory import Day, Errors
from soxspipe.errors import SoxspipeError
from soxspipe.recipes.recipe import Result
from soxspipe.simulator.conditions import Conditions

#: A night is right if both solutions are better than this (rms, px) ...
RIGHT_RMS = 0.1
#: ... and wrong if one passes its quality control with this rms, or with one point that far off, px.
WRONG_RMS, WRONG_POINT = 0.3, 1.5

VERDICTS = ("right", "poor", "refused", "wrong", "crashed")
ARMS = ("VIS", "NIR")


@dataclass(frozen=True)
class Verdict:
    """What became of one night.

    name     right; poor (delivered, neither right nor wrong); refused (an error, or a quality value
             out of range); wrong; crashed (an exception that is no answer)
    reason   of a refusal or crash
    rms, worst  of the solutions reached, the larger of both, px, inside the span of the lines
    """

    seed: int
    arm: str
    name: str
    reason: str
    rms: float
    worst: float
    conditions: Conditions


def draw(seed: int, arm: str) -> Conditions:
    """Conditions of a stressed night: anything may be wrong, often several things at once."""
    rng = np.random.default_rng([seed, ARMS.index(arm), 99])
    lamps = ("ARGO", "MERC", "NEON", "XENO") if arm == "NIR" else ("THAR",)
    out = rng.random() < (0.3 if arm == "NIR" else 0.04)
    return Conditions(
        shift=(rng.uniform(-15.0, 15.0), rng.uniform(-15.0, 15.0)),
        rotation=rng.uniform(-0.5, 0.5),
        scale=rng.uniform(-0.003, 0.003),
        lines_missing=max(rng.uniform(-0.3, 0.4), 0.0),
        lamps_off=frozenset({str(rng.choice(lamps))} if out else ()),
        lamp_level=5.0 ** rng.uniform(-1.0, 1.0),
        cosmic_rate=0.03 * 20.0 ** rng.uniform(0.0, 1.0),
        nan_share=10.0 ** rng.uniform(-4.0, -2.3) if rng.random() < 0.4 else 0.0,
        dead_rows=int(rng.integers(0, 3)),
        dead_columns=int(rng.integers(0, 3)),
    )


def stress(seed: int, arm: str) -> Verdict:
    """Render the arcs of one stressed night, solve them, and compare with the truth."""
    conditions = draw(seed, arm)
    reached: list[Errors] = []
    delivered: list[Errors] = []
    try:
        reason = _solve(Day(arm, seed, conditions), reached, delivered)
        name = "refused" if reason else ""
    except SoxspipeError as error:
        name, reason = "refused", error.message
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        name, reason = "crashed", f"{type(error).__name__}: {error}"
    rms = max((e.rms for e in reached), default=np.nan)
    worst = max((e.worst for e in reached), default=np.nan)
    if any(e.rms > WRONG_RMS or e.worst > WRONG_POINT for e in delivered):
        name = "wrong"
    name = name or ("right" if rms < RIGHT_RMS else "poor")
    return Verdict(seed, arm, name, reason, rms, worst, conditions)


def _solve(day: Day, reached: list[Errors], delivered: list[Errors]) -> str:
    """Make both solutions; errors of each go into `reached`, and into `delivered` if nothing is out of
    range so far. Returns the quality values out of range.
    """
    first = day.disp_solution()
    solution = first.products["DISP_MAP"].solution
    reached.append(day.errors(solution, 0.0))
    reason = _out_of_range("disp_solution", first)
    delivered += [] if reason else reached
    full = day.spat_solution(
        solution, day.true_orders
    )  # to know, even if the first is out of range
    reached.append(day.errors(full.products["SPAT_SOL"].solution, 0.45 * day.arm.slit_length))
    reason = reason or _out_of_range("spat_solution", full)
    delivered += [] if reason else reached[-1:]
    return reason


def _out_of_range(recipe: str, result: Result) -> str:
    failed = [m.metric.keyword for m in result.measurements if m.failed]
    return f"QC {recipe}: {', '.join(failed)}" if failed else ""


def nights(first: int, number: int, arms: Sequence[str]) -> list[tuple[int, str]]:
    """Seeds and arms of the nights to make, arms in turn."""
    return [(seed, arms[seed % len(arms)]) for seed in range(first, first + number)]


def table(verdicts: Iterable[Verdict]) -> str:
    """Counts as a Markdown table, one row for each arm."""
    counted = Counter((v.arm, v.name) for v in verdicts)
    rows = [["arm", *VERDICTS], ["---"] * (len(VERDICTS) + 1)]
    rows += [
        [arm, *(str(counted[arm, name]) for name in VERDICTS)]
        for arm in sorted({arm for arm, _ in counted})
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def details(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """Refusals by reason, and every night that is not right nor refused."""
    reasons = Counter(_kind(v) for v in verdicts if v.name == "refused")
    for reason, number in reasons.most_common():
        yield f"- refused {number} times: {reason}"
    needless = sum(v.name == "refused" and v.rms < RIGHT_RMS for v in verdicts)
    yield f"- refused although what was solved is right: {needless}"
    for v in verdicts:
        if v.name not in ("right", "refused"):
            yield f"- {line(v)}: {v.conditions}"
        elif v.name == "refused" and (v.rms > WRONG_RMS or v.worst > WRONG_POINT):
            yield f"- held back by quality control alone: {line(v)}"


def _kind(verdict: Verdict) -> str:
    """The reason of a refusal without the name of the frame and its numbers."""
    text = verdict.reason.partition(".fits")[2] or verdict.reason
    plain = "".join("#" if c.isdigit() else c for c in text.partition("(")[0])
    while "##" in plain:
        plain = plain.replace("##", "#")
    return f"{verdict.arm} {plain.strip(' ,:')}"


def line(v: Verdict) -> str:
    """One night in one line."""
    reason = f" ({v.reason})" if v.reason else ""
    return f"seed {v.seed} {v.arm} {v.name}, rms {v.rms:.3f}, worst {v.worst:.2f} px{reason}"


def main() -> int:
    """Count and print. Exit status 1 if a night is wrong or crashed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stress", description=__doc__)
    parser.add_argument("--nights", type=int, default=200, metavar="N", help="how many (200)")
    parser.add_argument("--first", type=int, default=1, metavar="SEED", help="first seed (1)")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS), help="both in turn")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="processes (2)")
    args = parser.parse_args()
    work = nights(args.first, args.nights, args.arms)
    verdicts = []
    with ProcessPoolExecutor(args.jobs) as pool:
        for verdict in pool.map(stress, *zip(*work, strict=True)):
            verdicts.append(verdict)
            print(line(verdict), file=sys.stderr, flush=True)
    print(table(verdicts))
    print("\n".join(["", *details(verdicts)]))
    return int(any(v.name in ("wrong", "crashed") for v in verdicts))


if __name__ == "__main__":
    sys.exit(main())
