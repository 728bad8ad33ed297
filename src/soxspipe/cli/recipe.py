"""One recipe by hand: `soxspipe mbias sof/NAME.sof`."""

import argparse
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from soxspipe.workspace.folder import Workspace, find_workspace

if TYPE_CHECKING:
    from soxspipe.workspace.runner import RunOutcome


def run(args: argparse.Namespace) -> int:
    """Run the recipe, print QC and product tables, record the run if it is in a workspace."""
    from soxspipe.cli.tables import show_products, show_quality
    from soxspipe.workspace.runner import RunRequest, run_recipe

    inputs = tuple(Path(word) for word in args.inputs)
    workspace = find_workspace(inputs[0])
    settings = None if args.settings is None else Path(args.settings)
    if settings is None and workspace is not None:
        settings = workspace.settings
    request = RunRequest(
        recipe=args.recipe,
        inputs=inputs[0] if len(inputs) == 1 else inputs,
        root=workspace.root if workspace else Path.cwd(),
        output=None if args.output is None else Path(args.output),
        settings=settings,
        overwrite=args.overwrite,
        poly=getattr(args, "poly", None),
        options=_options(args),
        debug=args.debug,
    )
    with _patience(f"{args.command} {inputs[0].name}"):
        outcome = run_recipe(request, log=logging.getLogger("soxspipe"))
    if workspace is not None and request.output is None and outcome.state != "exists":
        _remember(workspace, outcome, settings)
    show_quality(outcome.measurements)
    show_products(outcome)
    _conclude(args, outcome)
    return outcome.exit_status


def _options(args: argparse.Namespace) -> dict[str, tuple[float, ...]]:
    """Options of the recipe given on the command line, by the name they have in the settings."""
    return {name: tuple(values) for name in args.options if (values := getattr(args, name))}


@contextmanager
def _patience(what: str) -> Iterator[None]:
    """A sign of life on a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(what):
        yield


def _remember(workspace: Workspace, outcome: "RunOutcome", settings: Path | None) -> None:
    """Enter the run in the database, as the planned one if the SOF is the planned one."""
    from soxspipe.recipes import load_all
    from soxspipe.workspace.ledger import record_by_hand

    known = settings is not None and settings.is_file()
    text = settings.read_text(encoding="utf-8") if known and settings else ""
    with workspace.open_database() as db:
        record_by_hand(db, workspace, load_all(), outcome, text)


def _conclude(args: argparse.Namespace, outcome: "RunOutcome") -> None:
    """The last lines: how it ended and how long it took; what is wrong goes to stderr."""
    words = " ".join(os.fspath(word) for word in args.inputs)
    print(f"soxspipe {args.command} {words}: {outcome.state}, {outcome.seconds:.1f} s")
    if outcome.state != "passed":
        print(f"soxspipe {args.command}: {outcome.message}", file=sys.stderr)
        if outcome.hint:
            print(f"  hint: {outcome.hint}", file=sys.stderr)
