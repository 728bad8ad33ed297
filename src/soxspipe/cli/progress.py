"""What is shown while a night is reduced: a bar on a terminal, lines elsewhere."""

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from soxspipe.workspace.plan import PlannedRun
from soxspipe.workspace.reduce import Reporter
from soxspipe.workspace.runner import RunOutcome


def _failure(outcome: RunOutcome) -> str:
    return f"{outcome.recipe} {outcome.sof_stem} {outcome.state}: {outcome.message}"


def _replacement(stem: str, takers: tuple[str, ...]) -> str:
    return f"{', '.join(takers)}: takes the next best in place of {stem}"


class Lines(Reporter):
    """One line on stderr for each run that ends."""

    def __init__(self) -> None:
        self._total = 0
        self._done = 0
        self._start = time.monotonic()

    def planned(self, total: int) -> None:
        """Remember how many there are."""
        self._total = total

    def finished(self, outcome: RunOutcome) -> None:
        """Say how it went."""
        self._done += 1
        text = f"{outcome.recipe} {outcome.sof_stem} {outcome.state}, {outcome.seconds:.1f} s"
        if outcome.state != "passed":
            text = _failure(outcome)
        elapsed = time.monotonic() - self._start
        print(f"[{self._done}/{self._total}, {elapsed:.0f} s] {text}", file=sys.stderr, flush=True)

    def replaced(self, stem: str, takers: tuple[str, ...]) -> None:
        """Say who takes another calibration."""
        if takers:
            print(_replacement(stem, takers), file=sys.stderr, flush=True)


class Bar(Reporter):
    """A progress bar that names what is running; failures are printed above it."""

    def __init__(self) -> None:
        self._bar = Progress(
            TextColumn("reducing"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task("", total=None)
        self._running: dict[str, str] = {}

    def __enter__(self) -> "Bar":
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def planned(self, total: int) -> None:
        """Set the length of the bar."""
        self._bar.update(self._task, total=total)

    def started(self, run: PlannedRun) -> None:
        """Name the run."""
        self._running[run.stem] = f"{run.recipe} {run.frames.first.arm}"
        self._describe()

    def finished(self, outcome: RunOutcome) -> None:
        """One more done."""
        self._running.pop(outcome.sof_stem, None)
        self._bar.advance(self._task)
        self._describe()
        if outcome.state != "passed":
            self._bar.console.print(_failure(outcome), style="red", markup=False)

    def replaced(self, stem: str, takers: tuple[str, ...]) -> None:
        """Say who takes another calibration."""
        if takers:
            self._bar.console.print(_replacement(stem, takers), markup=False)

    def _describe(self) -> None:
        self._bar.update(self._task, description=", ".join(self._running.values()))
