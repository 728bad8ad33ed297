"""`python -m benchmarks.science`: spectra of many scenes against the truth, on full-size frames.

The calibrations of a seed and an arm are rendered and reduced once; every scene of that night is added to
a copy of them, which shares the files.
"""

import argparse
import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from benchmarks import nights
from benchmarks.accuracy import Summary, summarise
from benchmarks.report import number, table
from benchmarks.runs import Reduced, reduce_night
from benchmarks.scenes import MODES, SNR, SPECIAL, Scene, targets
from soxspipe.cli.accuracy import ON_SKY, Figure, figures
from soxspipe.simulator.night import simulate_night
from soxspipe.simulator.observation import Observation
from soxspipe.simulator.plan import GROUPS

#: Groups that a science frame does not need.
_LEFT_OUT = ("standard", "science", "flat_standard", "flat_deuterium")


def calibrations(folder: Path, seed: int, arm: str) -> Path:
    """Workspace with the reduced calibrations of a night, made unless it is there.

    NIR darks are of 600 s and 300 s: what the scenes expose.
    """
    place = folder / f"calibrations-{arm}-{seed}-{nights.fingerprint()}"
    if not place.is_dir():
        aside = place.with_name(f"{place.name}.part")
        shutil.rmtree(aside, ignore_errors=True)
        times = Observation(exposures=2, seconds=(600.0, 300.0) if arm == "NIR" else ())
        wanted = [group for group in GROUPS if group not in _LEFT_OUT]
        simulate_night(aside, arms=(arm,), seed=seed, only=wanted, observation=times)
        aside.rename(place)
    if not (place / "reduced").is_dir():
        _tell(reduce_night(place))
    return place


def workspace(calibrated: Path, place: Path, scene: Scene, seed: int, arm: str) -> Path:
    """A copy of a calibrated workspace with the frames of a scene in it, not yet prepared."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(calibrated, place, copy_function=_share, symlinks=True)
    simulate_night(
        place,
        arms=(arm,),
        seed=seed,
        target=scene.target,
        mode=scene.mode,
        only=("science",),
        conditions=scene.conditions,
        observation=scene.observation,
    )
    return place


def _share(source: str, target: str) -> None:
    """Link frames, which nobody writes to; copy what grows."""
    if source.endswith(".fits"):
        try:
            os.link(source, target)
        except OSError:
            shutil.copy2(source, target)
    else:
        shutil.copy2(source, target)


def measure(
    folder: Path, scene: Scene, seeds: Sequence[int], arms: Sequence[str], *, keep: bool = False
) -> list[Summary]:
    """Figures of one scene over seeds and arms; every frame is named after the scene."""
    by_seed = []
    for seed in seeds:
        found: list[Figure] = []
        for arm in arms:
            _say(f"{scene.name}: {arm} seed {seed}")
            calibrated = calibrations(folder, seed, arm)
            name = "".join(c if c.isalnum() else "-" for c in scene.name)
            place = workspace(calibrated, folder / f"{name}-{arm}-{seed}", scene, seed, arm)
            _tell(reduce_night(place))
            found += [replace(f, frame=named(scene, f)) for f in figures(place, ON_SKY)]
            if not keep:
                shutil.rmtree(place)
        by_seed.append(found)
    return summarise(by_seed)


def named(scene: Scene, found: Figure) -> str:
    """The scene, and which object of it if there are several."""
    _, comma, number_of = found.frame.partition(", ")
    return f"{scene.name}{comma}{number_of}"


def _tell(reduced: Reduced) -> None:
    for run in reduced.runs:
        if run.state != "passed":
            _say(f"  {run.recipe} {run.sof} {run.state}: {run.message}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def markdown(summaries: Sequence[Summary]) -> str:
    """One row for each scene, arm and quantity."""
    rows = [
        (
            s.frame,
            s.arm,
            s.quantity,
            str(s.goal),
            number(s.mean),
            number(s.worst),
            s.nights,
            "" if not s.goal else "yes" if s.reached else "no",
        )
        for s in summaries
    ]
    headings = ["scene", "arm", "quantity", "goal", "mean", "worst", "nights", "reached"]
    return table(headings, rows)


def chosen(args: argparse.Namespace) -> Iterator[Scene]:
    """The scenes asked for: targets of some S/N in some modes, and special ones by name."""
    if args.scenes is None:
        yield from targets(args.modes, args.snr)
    for name in args.scenes or ():
        yield SPECIAL[name]


def main() -> int:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.science", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1], metavar="N")
    parser.add_argument("--arms", nargs="+", choices=("VIS", "NIR"), default=["VIS", "NIR"])
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES))
    parser.add_argument("--snr", type=float, nargs="+", default=list(SNR), metavar="N")
    parser.add_argument(
        "--scenes", nargs="*", choices=tuple(SPECIAL), help="these in place of plain targets"
    )
    parser.add_argument("--folder", type=Path, default=Path("bench-science"))
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    parser.add_argument("--keep", action="store_true", help="keep the reduced scenes")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    (args.folder / ".gitignore").write_text("*\n", encoding="utf-8")
    found: list[Summary] = []
    for scene in chosen(args):
        found += measure(args.folder, scene, args.seeds, args.arms, keep=args.keep)
        if args.json is not None:
            plain = json.dumps([asdict(s) for s in found], indent=1)
            args.json.write_text(plain, encoding="utf-8")
    print(markdown(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
