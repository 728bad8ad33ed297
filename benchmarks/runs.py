"""One night from raw frames to spectra by the command line, measured."""

import sqlite3
from dataclasses import dataclass
from pathlib import Path

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
    """A reduced night: cost of `prep` and of `reduce all`, and the runs in order."""

    root: Path
    prep: Cost
    reduce: Cost
    runs: tuple[Run, ...]

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
    return Reduced(root, prep, cost, read_runs(root))


def read_runs(root: Path) -> tuple[Run, ...]:
    """The newest run of every SOF in the workspace's database; none if there is no database."""
    database = root / "soxspipe.db"
    if not database.is_file():
        return ()
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        rows = connection.execute(
            "SELECT recipe, arm, sof, state, seconds, peak_memory_mb, message FROM run_latest"
            " ORDER BY id"
        ).fetchall()
    finally:
        connection.close()
    return tuple(
        Run(recipe, arm or "", sof, state, seconds or 0.0, peak or 0.0, message or "")
        for recipe, arm, sof, state, seconds, peak, message in rows
    )
