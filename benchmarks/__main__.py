"""`python -m benchmarks`: accuracy and speed on full-size nights, as tables."""

import argparse
import json
import shutil
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

import soxspipe
from benchmarks import nights, report, stress
from benchmarks.accuracy import summarise
from benchmarks.measuring import load, machine, start_seconds
from benchmarks.results import Independent, Results, Stress
from benchmarks.runs import Reduced, reduce_night
from benchmarks.wavelengths import arc_residuals, sky_residuals
from soxspipe.cli.accuracy import Figure, figures
from soxspipe.errors import SoxspipeError

ROOT = Path(__file__).parent.parent
#: Load of the machine above which other work disturbs the times.
_QUIET = 0.5
#: Processes for the difficult nights.
_JOBS = 2


def main() -> int:
    """Measure, print, and write."""
    args = _arguments()
    try:
        results = _measure(args)
        _write(results, ROOT / "benchmarks" / "results")
        if args.write:
            report.insert(ROOT / "README.md", report.short(results))
            report.insert(ROOT / "docs" / "performance.md", report.full(results))
    except SoxspipeError as error:
        print(f"{error.message}\n{error.hint}", file=sys.stderr)
        return error.exit_status
    print(report.full(results))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--seeds", type=int, default=5, metavar="N", help="simulate nights of seeds 1 to N (5)"
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path("bench-nights"),
        help="where raw nights are kept and reduced, 1 GB for each (bench-nights)",
    )
    parser.add_argument(
        "--night", type=Path, help="reduce this night as well: raw frames, .fits or .fits.fz"
    )
    parser.add_argument(
        "--calibrations", action="store_true", help="leave out standard and science exposures"
    )
    parser.add_argument(
        "--stress",
        type=int,
        default=200,
        metavar="N",
        help="difficult nights to count wrong solutions on (200)",
    )
    parser.add_argument("--keep", action="store_true", help="keep the reduced nights")
    parser.add_argument(
        "--write", action="store_true", help="put the tables into README.md and docs/performance.md"
    )
    return parser.parse_args()


def _measure(args: argparse.Namespace) -> Results:
    _ignored_folder(args.folder)
    if load() > _QUIET:
        _say(f"the machine is busy (load {load():.1f}): times will be too long")
    seeds = tuple(range(1, args.seeds + 1))
    start = start_seconds(args.folder / "help.txt")
    reduced, accuracy = [], []
    for seed in seeds:
        night, found = _simulated(args, seed)
        reduced.append(night)
        accuracy.append(found)
    return Results(
        version=soxspipe.__version__,
        machine=machine(),
        command=_command(args),
        seeds=seeds,
        start=start,
        nights=tuple(reduced),
        accuracy=tuple(summarise(accuracy)),
        independent=None if args.night is None else _independent(args),
        stress=_stress(args.stress) if args.stress else None,
    )


def _command(args: argparse.Namespace) -> str:
    """The command line, without anybody's folders."""
    options = [f"--seeds {args.seeds}", f"--stress {args.stress}"]
    options += ["--calibrations"] if args.calibrations else []
    options += ["--night DIR"] if args.night is not None else []
    return f"python -m benchmarks {' '.join(options)}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _simulated(args: argparse.Namespace, seed: int) -> tuple[Reduced, list[Figure]]:
    _say(f"seed {seed}: simulating, unless done before")
    raw = nights.simulated(args.folder, seed)
    _say(f"seed {seed}: reducing")
    place = args.folder / f"reduced-seed{seed}"
    reduced = _reduced(nights.workspace(raw, place, calibrations=args.calibrations))
    found = figures(reduced.root)
    if not args.keep:
        shutil.rmtree(reduced.root)
    return reduced, found


def _reduced(root: Path) -> Reduced:
    reduced = reduce_night(root)
    _say(f"  {reduced.passed} of {len(reduced.runs)} runs passed, {reduced.reduce.wall:.0f} s")
    for run in reduced.runs:
        if run.state != "passed":
            _say(f"  {run.recipe} {run.sof} {run.state}: {run.message}")
    return reduced


def _independent(args: argparse.Namespace) -> Independent:
    _say("independent night: reducing")
    place = args.folder / "reduced-independent"
    reduced = _reduced(nights.workspace(args.night, place, calibrations=args.calibrations))
    residuals = (*arc_residuals(reduced.root), *sky_residuals(reduced.root))
    if not args.keep:
        shutil.rmtree(reduced.root)
    return Independent(reduced, residuals)


def _stress(number: int) -> Stress:
    _say(f"{number} difficult nights")
    work = stress.nights(1, number, stress.ARMS)
    with ProcessPoolExecutor(_JOBS) as pool:
        verdicts = list(pool.map(stress.stress, *zip(*work, strict=True)))
    for verdict in verdicts:
        if verdict.name in ("wrong", "crashed"):
            _say(f"  {stress.line(verdict)}")
    counted = Counter(verdict.name for verdict in verdicts)
    return Stress(**{name: counted[name] for name in stress.VERDICTS})


def _ignored_folder(folder: Path) -> None:
    """Make a folder that version control leaves alone."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".gitignore").write_text("*\n", encoding="utf-8")


def _write(results: Results, folder: Path) -> None:
    """Write latest.json and latest.md."""
    _ignored_folder(folder)
    plain = json.dumps(asdict(results), indent=1, default=lambda path: path.name)
    (folder / "latest.json").write_text(plain, encoding="utf-8")
    (folder / "latest.md").write_text(report.full(results) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
