"""What the database remembers of plans and runs: sets, SOF map, products, outcomes, QC values."""

import hashlib
import math
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from soxspipe import __version__
from soxspipe.errors import DataError
from soxspipe.recipes.recipe import Recipe
from soxspipe.settings import read_settings
from soxspipe.workspace.database import NO_TEXT, Database, Row
from soxspipe.workspace.folder import Workspace
from soxspipe.workspace.plan import Plan, RunState, make_plan
from soxspipe.workspace.records import load_frames
from soxspipe.workspace.sessions import sof_table, status_column
from soxspipe.workspace.sets import Flats, FrameSet, group

if TYPE_CHECKING:
    from soxspipe.workspace.runner import RunOutcome

#: Exit status of runs whose data cannot be reduced: they will end the same way when tried again.
_DATA_ERROR = DataError.exit_status


def load_states(
    db: Database, session: str, settings_sha: str, *, retry: bool
) -> dict[str, RunState]:
    """How the latest run of each SOF ended in a session, by stem.

    With `retry`, failures that a further try may cure are left out: other settings since, or a
    reason outside the data, such as a full disk, a repaired file or a killed process.
    """
    rows = db.rows("SELECT * FROM run_latest WHERE session = ?", (session,))
    return {
        row["sof"]: RunState(
            row["state"],
            row["signature"],
            row["message"] or "",
            tuple(row["products"].splitlines()),
        )
        for row in rows
        if row["state"] == "passed"
        or not retry
        or (
            (row["state"] == "failed" or row["exit_status"] == _DATA_ERROR)
            and row["settings_sha"] == settings_sha
        )
    }


def sha_of(text: str) -> str:
    """Fingerprint of a settings file."""
    return hashlib.sha256(text.encode()).hexdigest()


# ------------------------------------------------------------------------------------- the plan


def store_plan(db: Database, plan: Plan, recipes: Mapping[str, Recipe], session: str) -> None:
    """Replace sets, SOF map and predicted products by those of `plan`. Inside a transaction."""
    positions = {name: i for i, name in enumerate(recipes)}
    everything: list[tuple[FrameSet, int, str]] = [
        *((run.frames, 1, "; ".join(run.odd)) for run in plan.runs.values()),
        *((s.frames, 0, s.reason) for s in plan.stuck),
        *((s, 0, "no recipe of this version") for s in plan.unsupported),
    ]
    facts = {row["filepath"]: row for row in db.rows("SELECT * FROM raw_frames")}
    set_columns = db.columns("raw_frame_sets")
    product_columns = db.columns("product_frames")
    db.execute("DELETE FROM raw_frame_sets")
    set_rows = {}
    for frames, complete, missing in everything:
        row = dict(facts[frames.first.path])
        row |= {
            "recipe": frames.recipe or NO_TEXT,
            "recipe_order": positions.get(frames.recipe, -1),
            "counts": len(frames.frames),
            "set_first_file": frames.first.name,
            "sof": frames.stem,
            "complete": complete,
            "missing": missing,
        }
        set_rows[frames.stem] = row
    db.insert(
        "raw_frame_sets",
        [{c: row[c] for c in set_columns} for row in set_rows.values()],
        key=("sof",),
    )
    _store_sof_map(db, plan, sof_table(session))
    _store_products(db, plan, set_rows, product_columns, session)


def _store_sof_map(db: Database, plan: Plan, table: str) -> None:
    db.execute(f'DELETE FROM "{table}"')  # noqa: S608 (session names are letters, digits, _ and -)
    rows = [
        {"file": PurePosixPath(path).name, "tag": tag, "sof": stem, "filepath": path, "complete": 1}
        for stem, run in plan.runs.items()
        for path, tag in run.lines
    ]
    for frames in (*(stuck.frames for stuck in plan.stuck), *plan.unsupported):
        rows += [
            {
                "file": frame.name,
                "tag": frame.tag,
                "sof": frames.stem,
                "filepath": f"./{frame.path}",
                "complete": 0,
            }
            for frame in frames.frames
        ]
    db.insert(table, rows, key=("file", "sof"))


_VERDICTS = {"passed": "pass", "failed": "fail", "error": "fail"}


def _store_products(
    db: Database,
    plan: Plan,
    sets: Mapping[str, Row],
    columns: Iterable[str],
    session: str,
) -> None:
    rows = []
    for stem, run in plan.runs.items():
        facts = sets[stem]
        own = {
            "eso pro type": "REDUCED",
            "complete": 1,
            "status": _VERDICTS.get(run.state),
            status_column(session): _VERDICTS.get(run.state),
            "error_message": run.message if run.state in ("failed", "error") else None,
        }
        for item in run.products:
            category = item.product.category
            row = {c: facts.get(c) for c in columns if not c.startswith("status_")} | own
            row |= {
                "uuid": str(uuid.uuid4()),
                "file": PurePosixPath(item.path).name,
                "filepath": f"./{item.path}",
                "eso pro catg": f"{category}_{facts['eso seq arm']}" if category else NO_TEXT,
                "eso pro tech": item.product.tech,
            }
            rows.append(row)
    known = {row["file"] for row in rows}
    old = [row["file"] for row in db.rows("SELECT file FROM product_frames")]
    for name in old:
        if name not in known:
            db.execute("DELETE FROM product_frames WHERE file = ?", (name,))
    db.insert("product_frames", rows, key=("file", "recipe"), keep=("uuid",))


# ---------------------------------------------------------------------------------- an outcome


def store_outcome(
    db: Database,
    outcome: "RunOutcome",
    root: Path,
    *,
    session: str,
    signature: str,
    settings_sha: str,
    observed: str = "",
) -> None:
    """Record a run, its QC values and the state of its products, in one transaction.

    signature  of the planned run, "" if what was run is not the planned SOF
    observed   UT start of its first frame
    """
    verdict = _VERDICTS.get(outcome.state)
    with db.transaction():
        db.insert("run", [_run_row(outcome, root, session, signature, settings_sha)])
        db.insert(
            "quality_control",
            _quality_rows(outcome, observed),
            key=("qc_name", "sof_name", "qc_order"),
        )
        column = status_column(session)
        db.execute(
            f'UPDATE product_frames SET status = ?, "{column}" = ?, error_message = ?'  # noqa: S608
            " WHERE sof = ?",
            (verdict, verdict, outcome.message or None, outcome.sof_stem),
        )


def paths_written(outcome: "RunOutcome", root: Path) -> tuple[str, ...]:
    """Paths of the products of a run, relative to the workspace where they lie in it."""
    return tuple(_relative(Path(product.path), root) for product in outcome.products)


def _relative(path: Path, root: Path) -> str:
    if path.is_absolute() and path.is_relative_to(root):
        path = path.relative_to(root)
    return path.as_posix()


def _run_row(
    outcome: "RunOutcome", root: Path, session: str, signature: str, settings_sha: str
) -> Row:
    return {
        "session": session,
        "recipe": outcome.recipe,
        "arm": outcome.arm,
        "sof": outcome.sof_stem,
        "signature": signature,
        "settings_sha": settings_sha,
        "state": outcome.state,
        "products": "\n".join(paths_written(outcome, root)),
        "message": outcome.message,
        "hint": outcome.hint,
        "exit_status": outcome.exit_status,
        "seconds": outcome.seconds,
        "peak_memory_mb": outcome.peak_memory_mb,
        "started": str(outcome.started),
        "version": __version__,
    }


def _quality_rows(outcome: "RunOutcome", observed: str) -> list[Row]:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    rows = {}
    for m in outcome.measurements:
        low, high = m.limits or (None, None)
        rows[m.metric.keyword, m.order] = {
            "soxspipe_recipe": outcome.recipe,
            "qc_name": m.metric.keyword,
            "qc_value": m.value if math.isfinite(m.value) else None,
            "qc_unit": m.metric.unit,
            "qc_comment": m.metric.meaning,
            "obs_date_utc": observed,
            "reduction_date_utc": now,
            "sof_name": outcome.sof_stem,
            "qc_order": m.order,
            "qc_flag": m.verdict,
            "qc_value_min": low,
            "qc_value_max": high,
        }
    return list(rows.values())


def current_plan(db: Database, workspace: Workspace, recipes: Mapping[str, Recipe]) -> Plan:
    """The plan as things stand; nothing is written."""
    states = load_states(db, workspace.session, "", retry=False)
    return make_plan(known_sets(db, workspace, recipes), recipes, states)


def known_sets(
    db: Database, workspace: Workspace, recipes: Mapping[str, Recipe]
) -> tuple[FrameSet, ...]:
    """All sets of the workspace, as the session's settings want them. SettingsError if these have
    mistakes.
    """
    general = read_settings(workspace.settings).general
    flats = Flats(deuterium=not general.ignore_dflats, dome=not general.ignore_dome_flats)
    return group(load_frames(db), recipes, flats, stack_stare=general.stack_stare_templates)


def record_by_hand(
    db: Database,
    workspace: Workspace,
    recipes: Mapping[str, Recipe],
    outcome: "RunOutcome",
    settings: str,
) -> None:
    """Record a run that was started by hand; `settings` is the text of the file it used.

    If its SOF is the planned one, the run stands for the planned run: a failed calibration that
    passes by hand is taken again.
    """
    run = current_plan(db, workspace, recipes).runs.get(outcome.sof_stem)
    signature, observed = "", ""
    if run is not None:
        observed = run.frames.first.date_obs.isoformat(timespec="milliseconds")
        sof = workspace.session_folder / "sof" / f"{run.stem}.sof"
        if sof.is_file() and sof.read_text(encoding="utf-8") == run.sof:
            signature = run.signature
    store_outcome(
        db,
        outcome,
        workspace.root,
        session=workspace.session,
        signature=signature,
        settings_sha=sha_of(settings),
        observed=observed,
    )
