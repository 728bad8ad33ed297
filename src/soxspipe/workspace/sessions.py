"""Sessions: several reductions of the same raw frames, each with its own settings and products."""

import os
import re
from datetime import UTC, datetime
from pathlib import Path

from soxspipe.errors import WorkspaceError
from soxspipe.workspace.database import Database, quoted
from soxspipe.workspace.folder import LINKS, Workspace, cannot_write, write_aside

BASE = "base"
_RESERVED = ("ls", "new")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,16}")


def list_sessions(workspace: Workspace) -> list[str]:
    """Names of all sessions of a workspace, in alphabetical order."""
    folder = workspace.root / "sessions"
    if not folder.is_dir():
        return []
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and _NAME.fullmatch(p.name))


def create(workspace: Workspace, name: str | None, settings: str, db: Database) -> str:
    """Make the session `name` (default: the time), with `settings` as its YAML, and switch to it.

    Raises WorkspaceError if the name is odd or taken, OutputError if the folder is read-only.
    """
    name = datetime.now(UTC).strftime("%Y%m%dt%H%M%S") if name is None else name
    if not _NAME.fullmatch(name):
        raise WorkspaceError(
            f"{name!r} cannot be the name of a session",
            hint="use up to 16 letters (A-Z, a-z), digits, _ or -",
        )
    _refuse_taken(workspace, name)
    folder = workspace.root / "sessions" / name
    try:
        for part in ("sof", "qc", "reduced"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        (folder / "soxspipe.log").touch()
    except OSError as error:
        raise cannot_write(folder, error) from error
    write_aside(folder / "soxspipe.yaml", settings)
    switch(workspace, name, db)
    return name


def _refuse_taken(workspace: Workspace, name: str) -> None:
    """Names differ in more than case: columns of the database do not tell `a` from `A`."""
    if name.lower() in _RESERVED:
        raise WorkspaceError(f"a session cannot be called {name}", hint="that is a command")
    for old in list_sessions(workspace):
        settings = workspace.root / "sessions" / old / "soxspipe.yaml"
        if old.lower() == name.lower() and settings.exists():
            raise WorkspaceError(
                f"there is a session {old} already", hint=f"switch to it: soxspipe session {old}"
            )


def switch(workspace: Workspace, name: str, db: Database) -> None:
    """Make `name` the current session: links in the root, states in the database.

    Raises WorkspaceError if there is no such session or something else stands where a link belongs.
    """
    if name not in list_sessions(workspace):
        known = ", ".join(list_sessions(workspace))
        raise WorkspaceError(f"there is no session {name!r}", hint=f"sessions are: {known}")
    for link in LINKS:
        _point(workspace.root / link, Path("sessions", name, link))
    _switch_states(db, name)
    write_aside(workspace.root / "sessions" / ".sessionid", name + "\n")


def _point(link: Path, target: Path) -> None:
    if link.exists() and not link.is_symlink():
        raise WorkspaceError(
            f"{link} is in the way: soxspipe keeps a link of that name in a workspace",
            hint="move it elsewhere",
        )
    if link.is_symlink() and link.readlink() == target:
        return
    part = link.with_name(f".{link.name}.part")
    try:
        part.unlink(missing_ok=True)
        part.symlink_to(target)
        os.replace(part, link)  # noqa: PTH105 (Path.replace would do the same)
    except OSError as error:
        raise cannot_write(link.parent, error) from error


def _switch_states(db: Database, name: str) -> None:
    """Let `status` and the view `sof_map` be those of the session."""
    column, table = status_column(name), sof_table(name)
    with db.transaction():
        if column not in db.columns("product_frames"):
            db.execute(f"ALTER TABLE product_frames ADD COLUMN {quoted(column)} TEXT")
        db.execute(
            f"CREATE TABLE IF NOT EXISTS {quoted(table)}"  # noqa: S608 (a checked name)
            " AS SELECT * FROM sof_map_base WHERE 0"
        )
        db.execute(
            f"CREATE UNIQUE INDEX IF NOT EXISTS {quoted(table + '_key')}"
            f" ON {quoted(table)} (file, sof)"
        )
        db.execute(f"UPDATE product_frames SET status = {quoted(column)}")  # noqa: S608
        _recreate_view(db, table)


def _recreate_view(db: Database, table: str) -> None:
    # a view that reads sof_map would make its replacement fail half-way
    reader = db.rows("SELECT sql FROM sqlite_master WHERE name = 'failed_raw_frame'")
    db.execute("DROP VIEW IF EXISTS failed_raw_frame")
    db.execute("DROP VIEW IF EXISTS sof_map")
    db.execute(f"CREATE VIEW sof_map AS SELECT * FROM {quoted(table)}")  # noqa: S608
    for row in reader:
        db.execute(row["sql"])


def status_column(session: str) -> str:
    """Column of product_frames with the states of a session."""
    return f"status_{session}"


def sof_table(session: str) -> str:
    """Table with the SOF files of a session."""
    return f"sof_map_{session}"
