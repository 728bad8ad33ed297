"""`soxspipe reduce all` and `reduce sof`: run what is to be run and tell how it went."""

import argparse
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from soxspipe.cli.status import DONE, IN_PART
from soxspipe.errors import InputError, SettingsError

if TYPE_CHECKING:
    from soxspipe.workspace.executors import Executor
    from soxspipe.workspace.folder import Workspace
    from soxspipe.workspace.reduce import Options, Reduction, Reporter

_WATCH_SECONDS = 15


def run(args: argparse.Namespace) -> int:
    """Reduce; IN_PART if anything failed or could not be done."""
    signal.signal(signal.SIGTERM, _interrupt)
    while True:
        status = _pass(args)
        if not args.watch:
            return status
        time.sleep(_WATCH_SECONDS)
        args.prep = True


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _pass(args: argparse.Namespace) -> int:
    from soxspipe.cli.prep import prepare_folder, report
    from soxspipe.workspace.folder import find_workspace, get_workspace
    from soxspipe.workspace.reduce import Options

    folder = Path(args.folder)
    if args.prep:
        preparation = prepare_folder(folder)
        if preparation.taken or not args.watch:
            report(preparation)
    workspace = None
    if args.what == "sof" and args.folder == ".":
        workspace = find_workspace(Path(args.sof))
    workspace = workspace or get_workspace(folder)
    options = Options(
        settings=None if args.settings is None else Path(args.settings).absolute(),
        overwrite=args.overwrite,
        quit_on_fail=args.quitOnFail,
        batch=args.batch,
        only=None if args.sof is None else _stem(args.sof),
    )
    reduction = reduce_workspace(workspace, options, workers=args.workers, verbose=args.verbose)
    if reduction.outcomes or not args.watch:
        tell(reduction)
    return DONE if reduction.is_whole else IN_PART


def _stem(sof: str) -> str:
    if Path(sof).suffix not in (".sof", ""):
        raise InputError(f"{sof} is no SOF file", hint="name a file of the folder sof/")
    return Path(sof).name.removesuffix(".sof")


def reduce_workspace(
    workspace: "Workspace", options: "Options", *, workers: int = 2, verbose: bool = False
) -> "Reduction":
    """Reduce with the recipes of this version. Mistakes in the settings raise before any run."""
    from soxspipe.cli.logs import session_log
    from soxspipe.recipes import load_all
    from soxspipe.settings import read_settings
    from soxspipe.workspace.executors import Processes, Serial
    from soxspipe.workspace.reduce import reduce_all

    if workers < 1:
        raise SettingsError(f"{workers} workers can do nothing", hint="give --workers 1 or more")
    read_settings(options.settings or workspace.settings)
    recipes = load_all()
    with session_log(workspace), _reporter() as reporter:
        executor: Executor = Serial() if workers == 1 else Processes(workers, verbose=verbose)
        return reduce_all(workspace, recipes, executor, options, reporter)


@contextmanager
def _reporter() -> Iterator["Reporter"]:
    from soxspipe.cli.progress import Bar, Lines

    if sys.stderr.isatty():
        with Bar() as bar:
            yield bar
    else:
        yield Lines()


def tell(reduction: "Reduction") -> None:
    """The tables at the end."""
    from soxspipe.cli.tables import show_runs, show_troubles

    show_runs(reduction.outcomes)
    show_troubles(reduction)
    if not reduction.outcomes:
        print(f"nothing to do: {reduction.current} runs are done and current")
    if reduction.undone:
        print(f"{len(reduction.undone)} runs are left for the next call")
