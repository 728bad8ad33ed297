"""The workspace on disk: where things are, who uses it, and moving files without losing any."""

import fcntl
import filecmp
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from soxspipe.errors import OutputError, WorkspaceError
from soxspipe.workspace.database import FILE_NAME, Database, open_database

LINKS = ("sof", "qc", "reduced", "soxspipe.yaml", "soxspipe.log")
_LOCK = ".soxspipe.lock"


@dataclass(frozen=True)
class Workspace:
    """A prepared folder. All paths of the database and of SOF files are relative to `root`."""

    root: Path

    @property
    def session(self) -> str:
        """Name of the current session. WorkspaceError if the folder was never prepared."""
        try:
            return (self.root / "sessions" / ".sessionid").read_text(encoding="utf-8").strip()
        except OSError as error:
            raise WorkspaceError(
                f"{self.root} is not a prepared workspace: it has no session",
                hint=f"run: soxspipe prep {self.root}",
            ) from error

    @property
    def session_folder(self) -> Path:
        """Folder of the current session."""
        return self.root / "sessions" / self.session

    @property
    def settings(self) -> Path:
        """Settings file of the current session."""
        return self.session_folder / "soxspipe.yaml"

    def open_database(self) -> Database:
        """The workspace's database; it must exist."""
        return open_database(self.root / FILE_NAME)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Hold the workspace for one process that plans. WorkspaceError if another one holds it.

        The hold ends with the process, however it ends.
        """
        with _open_lock(self.root / _LOCK) as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise WorkspaceError(
                    f"{self.root} is in use by another soxspipe",
                    hint="wait until it is done, or stop it",
                ) from error
            yield


@contextmanager
def _open_lock(path: Path) -> Iterator[int]:
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise cannot_write(path.parent, error) from error
    try:
        yield lock
    finally:
        os.close(lock)


def find_workspace(start: Path) -> Workspace | None:
    """The workspace that `start`, a file or folder, lies in, or None."""
    for place in (Path(os.path.abspath(start)), start.resolve()):  # noqa: PTH100 (keeps links)
        for folder in (place, *place.parents):
            if (folder / FILE_NAME).is_file():
                return Workspace(folder)
    return None


def get_workspace(root: Path) -> Workspace:
    """The workspace at `root` exactly. WorkspaceError if it is not prepared."""
    if not (root / FILE_NAME).is_file():
        raise WorkspaceError(
            f"{root} is not a prepared workspace: it has no {FILE_NAME}",
            hint=f"run: soxspipe prep {root}",
        )
    return Workspace(root.absolute())


def cannot_write(path: Path, error: OSError) -> OutputError:
    """The error to raise when a folder turns out read-only or full."""
    return OutputError(
        f"cannot write in {path}: {error.strerror or error}",
        hint="check the permissions of the folder and the space on its disk",
    )


def write_aside(path: Path, text: str) -> None:
    """Write a text file whole or not at all. OutputError if the folder does not allow it."""
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise cannot_write(path.parent, error) from error


def move(path: Path, target: Path) -> str:
    """Move a file or link to `target`, which is never overwritten.

    Returns "" or why the file stays where it is. A relative link is made to point to the same file
    from its new place. OutputError if the folder does not allow it.
    """
    try:
        if os.path.lexists(target):
            same = target.exists() and filecmp.cmp(path, target, shallow=False)
            return f"is there already: {target}" if same else f"differs from the older {target}"
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink() and not path.readlink().is_absolute():
            target.symlink_to(path.resolve())
            path.unlink()
        else:
            path.rename(target)
    except OSError as error:
        raise cannot_write(target.parent, error) from error
    return ""
