"""`soxspipe prep`: prepare a folder of raw frames and tell what was found."""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from soxspipe.cli.status import DONE, IN_PART
from soxspipe.errors import WorkspaceError

if TYPE_CHECKING:
    from soxspipe.workspace.organiser import Preparation, Progress


def run(args: argparse.Namespace) -> int:
    """Prepare the folder; IN_PART if a file could not be taken or a set lacks calibrations."""
    if args.vlt:
        raise WorkspaceError(
            "the folders of a VLT workstation are not known here",
            hint="give the folder of the raw frames: soxspipe prep FOLDER",
        )
    preparation = prepare_folder(Path(args.folder), refresh=args.refresh)
    report(preparation)
    return DONE if preparation.is_whole else IN_PART


def prepare_folder(folder: Path, *, refresh: bool = False) -> "Preparation":
    """Prepare with the recipes of this version, showing progress on a terminal."""
    from soxspipe.recipes import load_all
    from soxspipe.recipes.default_settings import default_yaml
    from soxspipe.workspace.organiser import prepare

    with _progress() as progress:
        return prepare(folder, load_all(), default_yaml(), refresh=refresh, progress=progress)


@contextmanager
def _progress() -> Iterator["Progress | None"]:
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading headers")
        yield lambda done, total: bar.update(task, completed=done, total=total)


def report(preparation: "Preparation") -> None:
    """Say what was taken, what was planned, and what is wrong."""
    from soxspipe.cli.tables import show

    plan = preparation.plan
    arms = Counter(frame.arm for frame in preparation.frames)
    instruments = sorted({frame.instrument for frame in preparation.frames})
    counts = ", ".join(f"{count} {arm}" for arm, count in sorted(arms.items()))
    print(f"workspace  {preparation.workspace.root}, session {preparation.session}")
    print(
        f"frames     {len(preparation.frames)} of {', '.join(instruments) or 'no instrument'}",
        end="",
    )
    print(f" ({counts}), {preparation.taken} new" if counts else "")
    if preparation.moved:
        print(f"misc/      {preparation.moved} other files moved there")
    print(f"sof/       {len(plan.runs)} recipes to run; products go to reduced/, plots to qc/,")
    print("           options are in soxspipe.yaml")
    if preparation.left:
        rows = [(item.path, item.reason) for item in preparation.left]
        show("Not taken, left in place", ("file", "reason"), rows)
    if plan.stuck:
        sets = [(s.frames.first.arm, s.frames.recipe, s.frames.stem, s.reason) for s in plan.stuck]
        show("Sets that cannot be reduced", ("arm", "recipe", "set", "reason"), sets)
    odd = [(run.frames.first.arm, run.stem, note) for run in plan.runs.values() for note in run.odd]
    if odd:
        show("Reduced, but not with all that is wished for", ("arm", "set", "what"), odd)
    if plan.unsupported:
        names = "\n  ".join(s.stem for s in plan.unsupported)
        print(f"not reduced by this version (no recipe for it):\n  {names}")
    if plan.runs:
        print(f"next: soxspipe reduce all {preparation.workspace.root}")
