"""Where runs are carried out: in this process, or in a few worker processes that stay warm.

This module imports nothing heavy: a worker sets its environment before numerical libraries start.
"""

import logging
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from soxspipe.workspace.runner import RunOutcome, RunRequest

#: Does one run and says how it went; must be importable by name in a worker.
Work = Callable[["RunRequest"], "RunOutcome"]

#: Each worker computes on one core: two recipes side by side beat one recipe on two cores.
_ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
_SECONDS_TO_STOP = 15.0


@dataclass(frozen=True)
class Crash:
    """A run that ended in no outcome: the worker died, or the code has a fault."""

    message: str
    traceback: str = ""


@dataclass(frozen=True)
class Finished:
    """What became of a submitted run."""

    stem: str
    result: "RunOutcome | Crash"


class Executor(Protocol):
    """Takes runs and hands back what became of them, in the order they finish."""

    @property
    def has_room(self) -> bool:
        """True if a run submitted now starts at once."""

    def submit(self, stem: str, request: "RunRequest") -> None:
        """Start a run."""

    def collect(self) -> list[Finished]:
        """Wait until at least one run is done."""

    def stop(self) -> None:
        """End all runs, so that they leave nothing half-written, and all workers."""


def run_here(request: "RunRequest") -> "RunOutcome":
    """Do one run with the installed recipes."""
    from soxspipe.workspace.runner import run_recipe

    return run_recipe(request, log=logging.getLogger("soxspipe"))


class Serial:
    """One run after the other in this process."""

    def __init__(self, work: Work = run_here) -> None:
        self._work = work
        self._waiting: list[tuple[str, RunRequest]] = []

    @property
    def has_room(self) -> bool:
        """True if nothing is waiting."""
        return not self._waiting

    def submit(self, stem: str, request: "RunRequest") -> None:
        """Keep the run until `collect` does it."""
        self._waiting.append((stem, request))

    def collect(self) -> list[Finished]:
        """Do what was submitted."""
        waiting, self._waiting = self._waiting, []
        return [Finished(stem, _attempt(self._work, request)) for stem, request in waiting]

    def stop(self) -> None:
        """Nothing to end."""
        self._waiting.clear()


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    stem: str = ""


class Processes:
    """A few worker processes. One that dies costs only the run it was doing and is replaced."""

    def __init__(self, count: int, work: Work = run_here, *, verbose: bool = False) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._work = work
        self._verbose = verbose
        self._workers = [self._start() for _ in range(count)]

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=_serve, args=(theirs, self._work, self._verbose), daemon=True
        )
        with _no_interrupt():
            process.start()
        theirs.close()
        return _Worker(process, ours)

    @property
    def has_room(self) -> bool:
        """True if a worker is idle."""
        return any(not worker.stem for worker in self._workers)

    def submit(self, stem: str, request: "RunRequest") -> None:
        """Hand the run to an idle worker."""
        worker = next(worker for worker in self._workers if not worker.stem)
        worker.stem = stem
        try:
            worker.pipe.send(request)
        except OSError:
            return  # it has died; `collect` will find out and say so

    def collect(self) -> list[Finished]:
        """Wait for a result or a death."""
        busy = {worker.pipe: worker for worker in self._workers if worker.stem}
        finished = []
        for pipe in wait(list(busy)):
            worker = busy[pipe]  # type: ignore[index]
            try:
                result = worker.pipe.recv()
            except (EOFError, OSError):
                result = self._replace(worker)
            finished.append(Finished(worker.stem, result))
            worker.stem = ""
        return finished

    def _replace(self, worker: _Worker) -> Crash:
        worker.pipe.close()
        worker.process.join()
        code = worker.process.exitcode
        fresh = self._start()
        worker.process, worker.pipe = fresh.process, fresh.pipe
        how = f"by signal {-code}" if code is not None and code < 0 else f"with status {code}"
        return Crash(f"the worker process was ended {how}, perhaps for want of memory")

    def stop(self) -> None:
        """Interrupt what is running, wait for it to clean up, then end the workers."""
        for worker in self._workers:
            if worker.stem and worker.process.pid is not None:
                worker.process.terminate()
            worker.pipe.close()
        limit = time.monotonic() + _SECONDS_TO_STOP
        for worker in self._workers:
            worker.process.join(max(0.0, limit - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()


@contextmanager
def _no_interrupt() -> Iterator[None]:
    """Hold Ctrl-C back, so that a worker is born deaf to it; this process hears it afterwards."""
    # starting this helper of multiprocessing would let the signal through again
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(pipe: Connection, work: Work, verbose: bool) -> None:
    """The life of a worker: warm up, then one run after the other until the pipe closes."""
    # Ctrl-C reaches the whole group of processes; the parent decides what happens to the workers
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _interrupt)
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    logging.basicConfig(
        level=logging.INFO if verbose else logging.ERROR, format="%(message)s", stream=sys.stderr
    )
    try:
        while True:
            pipe.send(_attempt(work, pipe.recv()))
    except (EOFError, OSError, KeyboardInterrupt):
        return  # the parent has closed the pipe, or wants an end


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _attempt(work: Work, request: "RunRequest") -> "RunOutcome | Crash":
    """The outcome of a run. A fault in the code becomes a Crash: the rest of the night goes on."""
    try:
        return work(request)
    except Exception as error:  # noqa: BLE001 (reported with its traceback, never dropped)
        return Crash(f"fault in soxspipe: {type(error).__name__}: {error}", traceback.format_exc())
