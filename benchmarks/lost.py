"""`python -m benchmarks.lost`: are faint targets lost, or extracted at a wrong place without a word?

Nights are made and reduced in memory, with calibrations as they are: only what stare does is at stake.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np

from benchmarks.in_memory import Day
from benchmarks.report import table
from benchmarks.true_calibrations import true_flat, true_map
from soxspipe.errors import SoxspipeError
from soxspipe.recipes.recipe import Result
from soxspipe.simulator.observation import Observation
from soxspipe.simulator.plan import Exposure
from soxspipe.simulator.truth_on_sky import Taken, spectrum_of

ARMS = ("VIS", "NIR")
#: The trace is right within this, arcsec, and at a wrong place beyond that.
RIGHT, WRONG = 0.1, 0.5
VERDICTS = ("right", "poor", "told", "wrong", "crashed")


@dataclass(frozen=True)
class Verdict:
    """What became of one target.

    name    right; poor (off by more than RIGHT, less than WRONG); told (not found, and said so by an
            error, by a quality value out of range or by the number of objects); wrong; crashed
    offset  arcsec, trace minus truth, median
    bias    extracted over true light, less 1
    """

    seed: int
    arm: str
    name: str
    offset: float
    bias: float
    reason: str = ""


def observe(seed: int, arm: str, snr: float, target: str = "sn") -> Verdict:
    """Make and reduce one target of that median S/N per native bin."""
    day = Day(arm, seed, target=target, observation=Observation(snr=snr))
    exposure = day.exposure("science")
    try:
        raw = day.raw("science")
        inputs = {"target": raw, "flat": true_flat(day), "orders": day.true_orders}
        masters = day.masters(exposure.seconds)
        result = day.run("stare", **inputs, **masters, pixel_map=true_map(day))
    except SoxspipeError as error:
        return Verdict(seed, arm, "told", np.nan, np.nan, error.message)
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}"
        return Verdict(seed, arm, "crashed", np.nan, np.nan, reason)
    offset, bias = errors(day, exposure, result)
    reason = flagged(result)
    return Verdict(seed, arm, judge(offset, reason), offset, bias, reason)


def judge(offset: float, reason: str) -> str:
    """The verdict on a target that was extracted `offset` arcsec away, NaN: nowhere."""
    if abs(offset) <= RIGHT:
        return "right"
    if reason:
        return "told"
    return "poor" if abs(offset) <= WRONG else "wrong"


def flagged(result: Result) -> str:
    """What the recipe says is not as it should be, "" if nothing."""
    failed = [m.metric.keyword for m in result.measurements if m.failed]
    found = [m.value for m in result.measurements if m.metric.keyword == "N OBJECTS"]
    none = ["no object"] if found and not found[0] > 0 else []
    return ", ".join([*none, *failed])


def errors(day: Day, exposure: Exposure, result: Result) -> tuple[float, float]:
    """(arcsec, relative) errors of position and of light of the extracted target."""
    taken = Taken(day.night, exposure, day.light(exposure))
    trace, spectra = result.products["OBJECT_TRACE"], result.products["EXTRACTED_ORDERS_TABLE"]
    off, measured, expected = [np.empty(0)], 0.0, 0.0
    for order, found in spectra.orders.items():
        truth = spectrum_of(taken, 0, order)
        rising = np.argsort(truth["wavelength"])
        known = {key: values[rising] for key, values in truth.items()}
        rows = trace[np.asarray(trace["order"]) == order]
        at = np.asarray(rows["wavelength"], dtype="f8")
        place = np.interp(at, known["wavelength"], known["slit"])
        off.append(np.asarray(rows["slit_position"], dtype="f8") - place)
        good = (found.flags == 0) & np.isfinite(found.flux) & (found.variance > 0)
        density = known["flux"] / known["bin_width"]
        true = np.interp(found.wavelength, known["wavelength"], density) * found.bin_width
        # weights that do not know the noise that was drawn
        snr = np.interp(found.wavelength, known["wavelength"], known["ideal_snr"])
        weight = np.where(good & (true > 0), snr**2 / np.maximum(true, 1e-9), 0.0)
        measured += float(np.sum((weight * found.flux)[good]))
        expected += float(np.sum((weight * true)[good]))
    offset = np.concatenate(off)
    offset = offset[np.isfinite(offset)]
    position = float(np.median(offset)) if offset.size else np.nan
    return position, measured / expected - 1.0 if expected > 0.0 else np.nan


def summary(verdicts: Sequence[Verdict]) -> str:
    """Counts, position error and bias of each arm as a Markdown table."""
    counted = Counter((v.arm, v.name) for v in verdicts)
    rows = []
    for arm in sorted({v.arm for v in verdicts}):
        own = [v for v in verdicts if v.arm == arm and v.name in ("right", "poor")]
        position = np.sqrt(np.mean([v.offset**2 for v in own])) if own else np.nan
        bias = [v.bias for v in own]
        mean = np.mean(bias) if own else np.nan
        error = np.std(bias) / np.sqrt(len(bias)) if own else np.nan
        numbers = [str(counted[arm, name]) for name in VERDICTS]
        rows.append([arm, *numbers, f"{position:.3f}", f"{100 * mean:+.2f} +- {100 * error:.2f}"])
    return table(["arm", *VERDICTS, "position, rms [arcsec]", "flux bias [%]"], rows)


def details(verdicts: Iterable[Verdict]) -> Iterable[str]:
    """Every target that is not right, in one line."""
    for v in verdicts:
        if v.name != "right":
            yield f"- seed {v.seed} {v.arm} {v.name}, {v.offset:.2f} arcsec off {v.reason}"


def main() -> int:
    """Count and print. Exit status 1 if a target is at a wrong place without a word."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lost", description=__doc__)
    parser.add_argument("--nights", type=int, default=100, metavar="N", help="how many (100)")
    parser.add_argument("--first", type=int, default=1, metavar="SEED", help="first seed (1)")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS), help="in turn")
    parser.add_argument("--snr", type=float, default=2.0, help="median per native bin (2)")
    parser.add_argument("--target", default="sn", help="as of soxspipe simulate (sn)")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="processes (2)")
    args = parser.parse_args()
    seeds = range(args.first, args.first + args.nights)
    arms = [args.arms[seed % len(args.arms)] for seed in seeds]
    verdicts: list[Verdict] = []
    with ProcessPoolExecutor(args.jobs) as pool:
        n = len(arms)
        for verdict in pool.map(observe, seeds, arms, [args.snr] * n, [args.target] * n):
            verdicts.append(verdict)
            print(f"seed {verdict.seed} {verdict.arm} {verdict.name}", file=sys.stderr, flush=True)
    print(summary(verdicts))
    print("\n".join(["", *details(verdicts)]))
    return int(any(v.name in ("wrong", "crashed") for v in verdicts))


if __name__ == "__main__":
    sys.exit(main())
