"""One night from raw frames to spectra by the command line, measured."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measuring import Cost, soxspipe


@dataclass(frozen=True)
class Run:
    """One recipe run: its verdict ("passed", "failed", "error"), seconds, peak MB, and what it said."""

    recipe: str
    arm: str
    sof: str
    state: str
    seconds: float
    peak_mb: float
    message: str


@dataclass(frozen=True)
class Reduced:
    """A reduced night: cost of `prep` and of `reduce all`, the runs in order, and the sets of frames for
    which no run could be planned, with the reason.
    """

    root: Path
    prep: Cost
    reduce: Cost
    runs: tuple[Run, ...]
    unplanned: tuple[tuple[str, str], ...] = ()

    @property
    def is_whole(self) -> bool:
        """True if everything that could be planned was reduced and passed."""
        return self.prep.status == 0 and self.reduce.status == 0

    @property
    def passed(self) -> int:
        """Number of runs that passed."""
        return sum(run.state == "passed" for run in self.runs)


def reduce_night(root: Path) -> Reduced:
    """`soxspipe prep` and `soxspipe reduce all` on the raw frames in `root`, defaults throughout.

    What they print is kept beside `root`.
    """
    prep = soxspipe("prep", root, log=root.with_name(f"{root.name}-prep.txt"))
    cost = soxspipe("reduce", "all", root, log=root.with_name(f"{root.name}-reduce.txt"))
    return Reduced(root, prep, cost, read_runs(root), read_unplanned(root))


def read_runs(root: Path) -> tuple[Run, ...]:
    """The newest run of every SOF in the workspace's database."""
    rows = _query(
        root,
        "SELECT recipe, arm, sof, state, seconds, peak_memory_mb, message FROM run_latest"
        " ORDER BY id",
    )
    return tuple(
        Run(recipe, arm or "", sof, state, seconds or 0.0, peak or 0.0, message or "")
        for recipe, arm, sof, state, seconds, peak, message in rows
    )


def read_unplanned(root: Path) -> tuple[tuple[str, str], ...]:
    """Sets of frames that are not complete, and what they miss."""
    return tuple(_query(root, "SELECT sof, missing FROM raw_frame_sets WHERE complete = 0"))


def _query(root: Path, question: str) -> list[tuple[Any, ...]]:
    """Rows of the database; none if `prep` has not made one."""
    database = root / "soxspipe.db"
    if not database.is_file():
        return []
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return connection.execute(question).fetchall()
