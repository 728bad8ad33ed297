"""Tables on the terminal."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from soxspipe.datamodel.metric import WHOLE_FRAME
from soxspipe.workspace.run_log import PRODUCT_COLUMNS

if TYPE_CHECKING:
    from soxspipe.datamodel.metric import Measurement
    from soxspipe.workspace.reduce import Reduction
    from soxspipe.workspace.runner import RunOutcome

_COLOURS = {
    "pass": "green",
    "passed": "green",
    "fail": "bold red",
    "failed": "bold red",
    "error": "bold red",
}


def console() -> Console:
    """Standard output; as wide as it needs when it is no terminal, so that files are not cut."""
    plain = Console()
    return plain if plain.is_terminal else Console(width=160, soft_wrap=False)


def show(title: str, headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table. Columns of numbers are set flush right; verdicts are coloured."""
    rows = [tuple(row) for row in rows]
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    for i, heading in enumerate(headings):
        numbers = bool(rows) and all(isinstance(row[i], int | float) for row in rows)
        table.add_column(heading, justify="right" if numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    console().print(table)


def _cell(value: object) -> Text:
    text = f"{value:.5g}" if isinstance(value, float) else str(value)
    return Text(text, style=_COLOURS.get(text, ""))


def _range(measurement: "Measurement") -> str:
    low, high = measurement.limits or (None, None)
    if low is None and high is None:
        return ""
    return f"{'' if low is None else f'{low:g}'} to {'' if high is None else f'{high:g}'}"


#: A quality table longer than this is cut down to whole frames.
_MOST_ROWS = 60


def show_quality(measurements: Iterable["Measurement"]) -> None:
    """The QC table of a run: values of whole frames first, then order by order if these are few; all
    are in the database.
    """
    ordered = sorted(measurements, key=lambda m: m.order != WHOLE_FRAME)
    if len(ordered) > _MOST_ROWS:
        ordered = [m for m in ordered if m.order == WHOLE_FRAME]
    rows = [
        (
            m.metric.keyword,
            "" if m.order == WHOLE_FRAME else m.order,
            m.value,
            m.metric.unit,
            _range(m),
            m.verdict if m.limits is not None or m.verdict != "pass" else "",
            m.metric.meaning,
        )
        for m in ordered
    ]
    if rows:
        show("Quality", ("name", "order", "value", "unit", "range", "verdict", "meaning"), rows)


def show_products(outcome: "RunOutcome") -> None:
    """Files a run has written."""
    rows = [
        (p.label, p.path, p.path.suffix[1:].upper(), outcome.observed, p.kind, p.meaning)
        for p in (*outcome.products, *outcome.plots)
    ]
    if rows:
        show("Products", PRODUCT_COLUMNS, rows)


def show_runs(outcomes: Iterable["RunOutcome"]) -> None:
    """One line a run: recipe, SOF, seconds, memory, verdict."""
    rows = [
        (o.recipe, o.arm, o.sof_stem, round(o.seconds, 1), round(o.peak_memory_mb), o.state)
        for o in outcomes
    ]
    headings = ("recipe", "arm", "SOF", "seconds", "memory/MB", "QC")
    if rows:
        show("Runs", headings, rows)


def show_troubles(reduction: "Reduction") -> None:
    """What failed and what could not be done, with the reason."""
    rows = [(o.sof_stem, o.state, o.message) for o in reduction.outcomes if o.state != "passed"]
    rows += [(run.stem, "failed before", run.message) for run in reduction.failed]
    rows += [
        (s.frames.stem, "blocked" if s.is_blocked else "not possible", s.reason)
        for s in reduction.stuck
    ]
    if rows:
        show("Not reduced", ("SOF", "state", "reason"), rows)
