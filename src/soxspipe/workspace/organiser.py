"""Prepare a workspace: take in raw frames, form sets, match calibrations, write SOF files."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from soxspipe.errors import WorkspaceError
from soxspipe.recipes.recipe import Recipe
from soxspipe.workspace.database import FILE_NAME, Database, open_database
from soxspipe.workspace.folder import Workspace, cannot_write, write_aside
from soxspipe.workspace.frame_set import RawRecord
from soxspipe.workspace.ledger import known_sets, load_states, sha_of, store_plan
from soxspipe.workspace.plan import Plan, RunState, make_plan
from soxspipe.workspace.records import load_frames
from soxspipe.workspace.sessions import BASE, create, switch
from soxspipe.workspace.taking import Left, Progress, candidates, take_in, tidy


@dataclass(frozen=True)
class Preparation:
    """What `prepare` did.

    taken    number of raw frames added to the database
    frames   all raw frames now known
    left     files that could not be taken
    moved    number of other files moved to misc/
    """

    workspace: Workspace
    session: str
    taken: int
    frames: tuple[RawRecord, ...]
    left: tuple[Left, ...]
    moved: int
    plan: Plan

    @property
    def is_whole(self) -> bool:
        """True if every file was taken and every set has what it needs."""
        return not self.left and not self.plan.stuck


def prepare(
    root: Path,
    recipes: Mapping[str, Recipe],
    default_settings: str,
    *,
    refresh: bool = False,
    progress: Progress | None = None,
) -> Preparation:
    """Make `root` a workspace, or bring it up to date.

    default_settings  YAML of a new session
    refresh           forget the database (not the files) first
    progress          called with (files done, files in all) while headers are read

    Raises WorkspaceError for a folder that is missing, holds no frames, or is in use; OutputError
    for a folder that cannot be written.
    """
    root = root.absolute()
    if not root.is_dir():
        raise WorkspaceError(f"there is no folder {root}", hint="give the folder of the raw frames")
    _refuse_without_frames(root)
    workspace = Workspace(root)
    with workspace.in_use():
        if refresh:
            _forget(root)
        with open_database(root / FILE_NAME, create=True) as db:
            _enter_session(workspace, default_settings, db)
            taken, left = take_in(root, db, progress or _silent)
            moved, more = tidy(root)
            plan = replan(workspace, db, recipes, retry=False)
            frames = tuple(load_frames(db))
    return Preparation(workspace, workspace.session, taken, frames, (*left, *more), moved, plan)


def _silent(done: int, total: int) -> None:
    """No progress shown."""


def _refuse_without_frames(root: Path) -> None:
    """WorkspaceError if there is nothing to prepare; nothing has been touched yet."""
    if (root / FILE_NAME).exists() or any(True for _ in candidates(root)):
        return
    inside = next((p for p in root.iterdir() if p.is_dir() and any(p.glob("*.fits*"))), None)
    what = "is empty" if not any(root.iterdir()) else "holds no FITS file"
    hint = "put raw frames (.fits, .fits.gz, .fits.fz, .fits.Z) straight into it"
    if inside is not None:
        hint = f"frames belong straight into it; there are some in {inside.name}/"
    raise WorkspaceError(f"the folder {root} {what}: nothing to prepare", hint=hint)


def _forget(root: Path) -> None:
    try:
        (root / FILE_NAME).unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(root, error) from error


def _enter_session(workspace: Workspace, default_settings: str, db: Database) -> None:
    current = workspace.root / "sessions" / ".sessionid"
    if not current.is_file():
        settings = workspace.root / "sessions" / BASE / "soxspipe.yaml"
        if settings.is_file():
            switch(workspace, BASE, db)
        else:
            create(workspace, BASE, default_settings, db)
    else:
        switch(workspace, workspace.session, db)


# ------------------------------------------------------------------------------------- planning


def replan(
    workspace: Workspace,
    db: Database,
    recipes: Mapping[str, Recipe],
    *,
    retry: bool,
    states: Mapping[str, RunState] | None = None,
) -> Plan:
    """Plan from the database, store the plan and bring the session's SOF files up to date.

    `states`: how earlier runs ended; read from the database if not given. With `retry`, failures
    that may be cured by now are forgotten.
    """
    session = workspace.session
    if states is None:
        states = load_states(db, session, settings_sha(workspace), retry=retry)
    plan = make_plan(known_sets(db, workspace, recipes), recipes, states)
    before = {row["sof"] for row in db.rows("SELECT sof FROM raw_frame_sets")}
    with db.transaction():
        store_plan(db, plan, recipes, session)
    write_sofs(workspace, plan, before - plan.runs.keys())
    return plan


def settings_sha(workspace: Workspace) -> str:
    """Fingerprint of the session's settings file, "" if it cannot be read."""
    try:
        return sha_of(workspace.settings.read_text(encoding="utf-8"))
    except OSError:
        return ""


def write_sofs(workspace: Workspace, plan: Plan, gone: Iterable[str]) -> None:
    """Write SOF files that are new or have changed, and remove those of the sets `gone`."""
    folder = workspace.session_folder / "sof"
    for stem, run in plan.runs.items():
        path, text = folder / f"{stem}.sof", run.sof
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            write_aside(path, text)
    for stem in gone:
        (folder / f"{stem}.sof").unlink(missing_ok=True)
