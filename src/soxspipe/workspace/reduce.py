"""Reduce what can be reduced: a run starts once its inputs are there; failures are replanned."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from soxspipe.errors import InputError
from soxspipe.recipes.recipe import Recipe
from soxspipe.workspace.database import Database
from soxspipe.workspace.executors import Crash, Executor
from soxspipe.workspace.folder import Workspace
from soxspipe.workspace.ledger import load_states, paths_written, sha_of, store_outcome
from soxspipe.workspace.organiser import replan
from soxspipe.workspace.plan import FAILED, PASSED, Plan, PlannedRun, RunState, Stuck
from soxspipe.workspace.runner import RunOutcome, RunRequest

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """How to reduce.

    settings   settings file; None: the session's
    overwrite  do everything again, also what is done and current
    only       stem of one SOF: it and what it needs
    batch      start no more than so many runs
    """

    settings: Path | None = None
    overwrite: bool = False
    quit_on_fail: bool = False
    batch: int | None = None
    only: str | None = None
    plots: bool = True
    debug: bool = False


class Reporter:
    """Is told what happens. This one keeps silent."""

    def planned(self, total: int) -> None:
        """So many runs are to be done; called again when a failure changes the number."""

    def started(self, run: PlannedRun) -> None:
        """A run has been started."""

    def finished(self, outcome: RunOutcome) -> None:
        """A run has ended, well or not."""

    def replaced(self, stem: str, takers: tuple[str, ...]) -> None:
        """The calibration `stem` failed; the runs `takers` take the next best."""


@dataclass(frozen=True)
class Reduction:
    """What was done.

    outcomes  runs in the order they ended
    current   number of runs in scope that were done before and still hold
    failed    runs that failed in an earlier call and are not tried again
    stuck     sets that lack a calibration
    undone    stems of runs that could have been done: batch or quit-on-fail
    """

    outcomes: tuple[RunOutcome, ...]
    current: int
    failed: tuple[PlannedRun, ...]
    stuck: tuple[Stuck, ...]
    undone: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        """True if everything in scope is now done and good."""
        bad = any(outcome.state != PASSED for outcome in self.outcomes)
        return not (bad or self.failed or self.stuck)


def reduce_all(
    workspace: Workspace,
    recipes: Mapping[str, Recipe],
    executor: Executor,
    options: Options,
    reporter: Reporter | None = None,
) -> Reduction:
    """Do every run of the plan that is not done yet. The executor is stopped in any case.

    Raises WorkspaceError if the folder is not prepared or in use, InputError if `options.only`
    names no SOF of the plan. KeyboardInterrupt ends the running recipes cleanly and is raised on.
    """
    try:
        with workspace.in_use(), workspace.open_database() as db:
            night = _Night(workspace, db, recipes, executor, options, reporter or Reporter())
            return night.reduce()
    finally:
        executor.stop()


@dataclass
class _Night:
    workspace: Workspace
    db: Database
    recipes: Mapping[str, Recipe]
    executor: Executor
    options: Options
    reporter: Reporter
    plan: Plan = field(default_factory=lambda: Plan({}))
    states: dict[str, RunState] = field(default_factory=dict)
    running: dict[str, PlannedRun] = field(default_factory=dict)
    outcomes: list[RunOutcome] = field(default_factory=list)
    started: int = 0
    quitting: bool = False

    @cached_property
    def settings(self) -> Path:
        return self.options.settings or self.workspace.settings

    @cached_property
    def settings_sha(self) -> str:
        return sha_of(self.settings.read_text(encoding="utf-8"))

    @cached_property
    def session(self) -> str:
        return self.workspace.session

    def reduce(self) -> Reduction:
        if not self.options.overwrite:
            self.states = load_states(self.db, self.session, self.settings_sha, retry=True)
        self._replan()
        if self.options.only is not None:
            self._find_only(self.options.only)
        before = sum(self._is_current(stem) for stem in self._scope())
        self._tell_total()
        while True:
            self._start_what_is_ready()
            if not self.running:
                break
            for finished in self.executor.collect():
                self._finish(self.running.pop(finished.stem), finished.result)
        return self._report(before)

    # ------------------------------------------------------------------------------- planning

    def _replan(self) -> None:
        self.plan = replan(
            self.workspace, self.db, self.recipes, retry=True, states=dict(self.states)
        )
        self._steps_behind = _steps_behind(self.plan)

    def _find_only(self, stem: str) -> None:
        stuck = next((s for s in self.plan.stuck if s.frames.stem == stem), None)
        if stuck is not None:
            raise InputError(f"{stem} cannot be reduced: {stuck.reason}", hint="see soxspipe prep")
        if stem not in self.plan.runs:
            raise InputError(
                f"there is no set {stem} in {self.workspace.root}",
                hint="name a file of the folder sof/; soxspipe list sof shows them",
            )

    def _scope(self) -> frozenset[str]:
        only = self.options.only
        if only is None:
            return frozenset(self.plan.runs)
        return self.plan.upstream(only) if only in self.plan.runs else frozenset()

    def _is_current(self, stem: str) -> bool:
        """True if the run was done as now planned, went well, and its products are there."""
        last = self.states.get(stem)
        return (
            last is not None
            and last.state == PASSED
            and last.signature == self.plan.runs[stem].signature
            and all((self.workspace.root / path).is_file() for path in last.products)
        )

    def _todo(self) -> list[str]:
        """Runs in scope that are to be done, the one with most work behind it first."""
        todo = [
            stem
            for stem in self._scope()
            if stem not in self.running
            and not self.plan.runs[stem].state.startswith((FAILED, "error"))
            and not self._is_current(stem)
        ]
        return sorted(todo, key=lambda stem: (-self._steps_behind[stem], stem))

    def _tell_total(self) -> None:
        self.reporter.planned(len(self.outcomes) + len(self.running) + len(self._todo()))

    # -------------------------------------------------------------------------------- running

    def _start_what_is_ready(self) -> None:
        for stem in self._todo():
            batch = self.options.batch
            full = batch is not None and self.started >= batch
            if self.quitting or full or not self.executor.has_room:
                return
            run = self.plan.runs[stem]
            if all(self._is_current(maker) for maker in run.makers):
                self._start(run)

    def _start(self, run: PlannedRun) -> None:
        request = RunRequest(
            recipe=run.recipe,
            inputs=self.workspace.root / "sof" / f"{run.stem}.sof",
            root=self.workspace.root,
            output=None,
            settings=self.settings,
            overwrite=True,
            plots=self.options.plots,
            debug=self.options.debug,
        )
        self.executor.submit(run.stem, request)
        self.running[run.stem] = run
        self.started += 1
        self.reporter.started(run)

    def _finish(self, run: PlannedRun, result: RunOutcome | Crash) -> None:
        outcome = _outcome_of_crash(run, result) if isinstance(result, Crash) else result
        store_outcome(
            self.db,
            outcome,
            self.workspace.root,
            session=self.session,
            signature=run.signature,
            settings_sha=self.settings_sha,
            observed=run.frames.first.date_obs.isoformat(timespec="milliseconds"),
        )
        self.outcomes.append(outcome)
        text = f": {outcome.message}" if outcome.message else ""
        log.info("%s %s %s, %.1f s%s", run.recipe, run.stem, outcome.state, outcome.seconds, text)
        self.states[run.stem] = RunState(
            outcome.state,
            run.signature,
            outcome.message,
            paths_written(outcome, self.workspace.root),
        )
        self.reporter.finished(outcome)
        if outcome.state != PASSED:
            self.quitting = self.quitting or self.options.quit_on_fail
            self._take_the_next_best(run.stem)
        elif self._lacks_a_product(run):
            self._replan()

    def _lacks_a_product(self, run: PlannedRun) -> bool:
        """True if the run, which went well, had no reason to make all that others might take."""
        written = self.states[run.stem].products
        return any(p.product.category and p.path not in written for p in run.products)

    def _take_the_next_best(self, stem: str) -> None:
        """Plan again without the failed run, and say which runs take another calibration now."""
        before = {s for s, makers in self.plan.waits_for().items() if stem in makers}
        self._replan()
        takers = before & self.plan.runs.keys()
        if takers:
            log.info("%s failed; %s take the next best", stem, ", ".join(sorted(takers)))
        self.reporter.replaced(stem, tuple(sorted(takers)))
        self._tell_total()

    def _report(self, before: int) -> Reduction:
        only = self.options.only
        earlier = {outcome.sof_stem for outcome in self.outcomes}
        scope = self._scope()
        failed = [
            run
            for stem, run in self.plan.runs.items()
            if stem in scope and run.state.startswith((FAILED, "error")) and stem not in earlier
        ]
        stuck = [s for s in self.plan.stuck if only is None or s.frames.stem == only]
        return Reduction(
            tuple(self.outcomes), before, tuple(failed), tuple(stuck), tuple(self._todo())
        )


def _steps_behind(plan: Plan) -> dict[str, int]:
    """Length of the longest chain of runs that wait for each run."""
    steps = dict.fromkeys(plan.runs, 0)
    for stem in reversed(plan.order()):
        for maker in plan.runs[stem].makers:
            steps[maker] = max(steps[maker], steps[stem] + 1)
    return steps


def _outcome_of_crash(run: PlannedRun, crash: Crash) -> RunOutcome:
    return replace(
        RunOutcome.error(run.recipe, run.stem, run.frames.first.arm, crash.message),
        hint=f"see {run.stem}_ERROR.log, and report it" if crash.traceback else "run it again",
    )
