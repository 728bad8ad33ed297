"""The reduction as a graph: which run takes which frames and calibrations, and what it will make.

Pure: sets of frames and the outcomes so far go in, a plan that can be printed comes out. When a
calibration fails, a new plan is made with the failure known: the next best one takes its place.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from graphlib import TopologicalSorter

from soxspipe.io.sof import sof_text
from soxspipe.recipes.recipe import Calibration, Product, Recipe
from soxspipe.workspace.frame_set import FrameSet
from soxspipe.workspace.matching import chosen, ranked, remark, rule_for, wish
from soxspipe.workspace.names import product_path

#: How a run can end: well; with a metric out of its range; not at all.
PASSED, FAILED, ERROR = "passed", "failed", "error"


@dataclass(frozen=True)
class RunState:
    """How the latest run of a SOF ended; `signature` tells what exactly was run.

    products  paths of the files it wrote, relative to the workspace
    """

    state: str
    signature: str
    message: str = ""
    products: tuple[str, ...] = ()


@dataclass(frozen=True)
class Taken:
    """A calibration product that a run takes. `maker`: stem of the run that makes it; `note`: in which
    way it is not what was wished for, or "".
    """

    tag: str
    path: str
    maker: str
    note: str = ""


@dataclass(frozen=True)
class Predicted:
    """A product a run will make. `path` is relative to the workspace."""

    product: Product
    path: str


@dataclass(frozen=True)
class PlannedRun:
    """One run of one recipe.

    signature  of the SOF and everything upstream: a product made under the same one is current
    state      of the latest run if it had this signature, else ""
    """

    frames: FrameSet
    calibrations: tuple[Taken, ...]
    products: tuple[Predicted, ...]
    signature: str
    state: str
    message: str

    @property
    def stem(self) -> str:
        """Name of the SOF without `.sof`."""
        return self.frames.stem

    @property
    def recipe(self) -> str:
        """Command name of the recipe."""
        return self.frames.recipe

    @property
    def makers(self) -> frozenset[str]:
        """Stems of the runs whose products it takes."""
        return frozenset(taken.maker for taken in self.calibrations)

    @property
    def lines(self) -> tuple[tuple[str, str], ...]:
        """The SOF as (path, tag), raw frames first."""
        raw = [(f"./{frame.path}", frame.tag) for frame in self.frames.frames]
        return (*raw, *((f"./{taken.path}", taken.tag) for taken in self.calibrations))

    @property
    def odd(self) -> tuple[str, ...]:
        """What is missing from its frames or stands in among its calibrations, each once."""
        notes = (self.frames.lack, *(taken.note for taken in self.calibrations))
        return tuple(dict.fromkeys(note for note in notes if note))

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the SOF should know."""
        return (*self.frames.partners, *self.odd)

    @property
    def sof(self) -> str:
        """Content of the SOF: the notes as comments, then the lines."""
        return "".join(f"# {note}\n" for note in self.notes) + sof_text(self.lines)


@dataclass(frozen=True)
class Missing:
    """A calibration that was looked for in vain.

    wish    what to observe, e.g. `mflat (slit SLIT1.0, ...)`
    failed  stems of runs that would have served had they not failed
    """

    made_by: str
    wish: str
    failed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stuck:
    """A set that cannot be reduced: flawed in itself, or without a calibration it requires."""

    frames: FrameSet
    missing: tuple[Missing, ...] = ()

    @property
    def is_blocked(self) -> bool:
        """True if a failure upstream is the reason."""
        return any(m.failed for m in self.missing)

    @property
    def reason(self) -> str:
        """One line for people."""
        if self.frames.flaw:
            return self.frames.flaw
        return "; ".join(
            f"needs {m.wish}" + (f", and {', '.join(m.failed)} failed" if m.failed else "")
            for m in self.missing
        )


@dataclass(frozen=True)
class Plan:
    """All runs by stem, in an order in which they can be done, and the sets left out."""

    runs: Mapping[str, PlannedRun]
    stuck: tuple[Stuck, ...] = ()
    unsupported: tuple[FrameSet, ...] = ()

    def waits_for(self) -> dict[str, frozenset[str]]:
        """The graph: stem -> stems of the runs that must be done before."""
        return {stem: run.makers for stem, run in self.runs.items()}

    def order(self) -> tuple[str, ...]:
        """Stems in an order in which every run finds its calibrations made."""
        return tuple(TopologicalSorter(self.waits_for()).static_order())

    def upstream(self, stem: str) -> frozenset[str]:
        """The run `stem` and all it depends on, directly or not."""
        found: set[str] = set()
        todo = [stem]
        while todo:
            name = todo.pop()
            if name not in found:
                found.add(name)
                todo.extend(self.runs[name].makers)
        return frozenset(found)

    def describe(self) -> str:
        """The plan as text, one run a line with what it waits for."""
        lines = []
        for stem in self.order():
            run = self.runs[stem]
            lines.append(f"{run.recipe:<14} {stem}" + (f"  [{run.state}]" if run.state else ""))
            lines.extend(f"{'':<14}   # {note}" for note in run.notes)
            lines.extend(f"{'':<14}   <- {taken.tag} {taken.path}" for taken in run.calibrations)
        lines.extend(f"{'not possible':<14} {s.frames.stem}: {s.reason}" for s in self.stuck)
        lines.extend(f"{'not supported':<14} {s.stem}" for s in self.unsupported)
        return "\n".join(lines)


@dataclass
class _Builder:
    """Collects runs in the order of the cascade, so that makers are known before takers."""

    recipes: Mapping[str, Recipe]
    states: Mapping[str, RunState]
    runs: dict[str, PlannedRun] = field(default_factory=dict)
    stuck: dict[str, Stuck] = field(default_factory=dict)
    by_recipe: dict[str, list[FrameSet]] = field(default_factory=dict)

    def add(self, frames: FrameSet) -> None:
        self.by_recipe.setdefault(frames.recipe, []).append(frames)
        if frames.flaw:
            self.stuck[frames.stem] = Stuck(frames)
            return
        taken: list[Taken] = []
        missing: list[Missing] = []
        makers: dict[str, tuple[FrameSet, ...]] = {}
        arm = frames.first.arm
        for need in self.recipes[frames.recipe].calibrations(arm):
            marker = need.marker
            if not isinstance(marker, Calibration) or arm in marker.by_hand:
                continue
            if marker.made_by not in makers:
                makers[marker.made_by] = self._best(marker, frames)
                if not makers[marker.made_by] and marker.required_in(arm):
                    missing.append(self._missing(marker.made_by, frames))
            taken += [self._product(marker, maker, frames) for maker in makers[marker.made_by]]
        if missing:
            self.stuck[frames.stem] = Stuck(frames, tuple(missing))
        else:
            self.runs[frames.stem] = self._planned(frames, tuple(taken))

    def _best(self, marker: Calibration, wanted: FrameSet) -> tuple[FrameSet, ...]:
        rule = rule_for(marker.made_by, wanted.recipe)
        sets = self.by_recipe.get(marker.made_by, [])
        usable = [c for c in sets if self._offers(c.stem, marker.tag)]
        return chosen(rule, usable, wanted, several=marker.by_time)

    def _offers(self, stem: str, tag: str) -> bool:
        """True if the run will make a product of that category, or has made it."""
        run = self.runs.get(stem)
        if run is None or run.state in (FAILED, ERROR):
            return False
        path = next((p.path for p in run.products if p.product.category == tag), None)
        made = self.states[stem].products if run.state == PASSED else ()
        return path is not None and (not made or path in made)

    def _missing(self, made_by: str, wanted: FrameSet) -> Missing:
        rule = rule_for(made_by, wanted.recipe)
        fitting = ranked(rule, self.by_recipe.get(made_by, []), wanted)
        failed = [c.stem for c in fitting if self._is_lost(c.stem)]
        return Missing(made_by, wish(rule, wanted), tuple(failed))

    def _is_lost(self, stem: str) -> bool:
        if stem in self.stuck:
            return self.stuck[stem].is_blocked
        return self.runs[stem].state in (FAILED, ERROR)

    def _product(self, marker: Calibration, maker: FrameSet, wanted: FrameSet) -> Taken:
        run = self.runs[maker.stem]
        path = next(p.path for p in run.products if p.product.category == marker.tag)
        note = remark(rule_for(marker.made_by, wanted.recipe), maker, wanted)
        return Taken(f"{marker.tag}_{maker.first.arm}", path, maker.stem, note)

    def _planned(self, frames: FrameSet, taken: tuple[Taken, ...]) -> PlannedRun:
        recipe = self.recipes[frames.recipe]
        lamps = len({frame.lamp for frame in frames.frames})
        products = tuple(
            Predicted(product, product_path(frames.stem, frames.first.night, recipe, product))
            for product in recipe.products
            if product.lamps <= lamps and not product.is_family
        )
        facts = [recipe.name]
        facts += [f"{f.path} {f.tag} {f.file_size}" for f in frames.frames]
        facts += [f"{t.path} {t.tag} {self.runs[t.maker].signature}" for t in taken]
        signature = hashlib.sha256("\n".join(facts).encode()).hexdigest()
        last = self.states.get(frames.stem, RunState("", ""))
        same = last.signature == signature
        return PlannedRun(
            frames,
            taken,
            products,
            signature,
            last.state if same else "",
            last.message if same else "",
        )


def make_plan(
    sets: Iterable[FrameSet], recipes: Mapping[str, Recipe], states: Mapping[str, RunState]
) -> Plan:
    """The plan for `sets`, given how earlier runs ended (`states`, by stem).

    A run that failed stays failed as long as its signature is the same, and is no calibration for
    others.
    """
    builder = _Builder(recipes, states)
    unsupported = []
    position = {name: i for i, name in enumerate(recipes)}
    ordered = sorted(sets, key=lambda s: (position.get(s.recipe, -1), s.first.mjd, s.stem))
    for frames in ordered:
        if frames.recipe:
            builder.add(frames)
        else:
            unsupported.append(frames)
    return Plan(builder.runs, tuple(builder.stuck.values()), tuple(unsupported))
