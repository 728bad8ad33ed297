"""Take files into a workspace: frames to raw/<night>/ and the database, other files to misc/."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from soxspipe.errors import InputError
from soxspipe.workspace.database import Database
from soxspipe.workspace.folder import LINKS, cannot_write, move
from soxspipe.workspace.intake import Look, expand, is_fits_name, look_into
from soxspipe.workspace.records import raw_row

#: Files in the root of a workspace that are not moved to misc/.
_KEPT_ENDINGS = (".db", ".yaml", ".yml", ".log", ".sh", ".py", ".db-journal", ".db-wal", ".db-shm")

#: Called with (files done, files in all).
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Left:
    """A file that could not be taken, and why. It stays where it was."""

    path: str
    reason: str


def candidates(root: Path) -> Iterator[Path]:
    """Files with FITS names in the root and anywhere under raw/, in order of name."""
    with os.scandir(root) as entries:
        names = sorted(e.name for e in entries if is_fits_name(e.name) and not e.is_dir())
    yield from (root / name for name in names)
    for folder, inner, names in os.walk(root / "raw"):
        inner.sort()
        yield from (Path(folder, name) for name in sorted(names) if is_fits_name(name))


def take_in(root: Path, db: Database, progress: Progress) -> tuple[int, list[Left]]:
    """Move new frames to raw/<night>/ and enter them; forget rows whose files are gone."""
    known = {row["filepath"]: row for row in db.rows("SELECT * FROM raw_frames")}
    left_before = {row["filepath"]: row for row in db.rows("SELECT * FROM left_files")}
    exposures = {_exposure(row): path for path, row in known.items()}
    files = list(candidates(root))
    rows, left, seen = [], [], set()
    for number, file in enumerate(files):
        path = file.relative_to(root).as_posix()
        status = _status(file)
        before = known.get(path) or left_before.get(path)
        if before and (before["file_size"], before["file_mtime"]) == status:
            seen.add(path)
            if path in left_before:
                left.append(Left(path, before["reason"]))
            continue
        progress(number, len(files))
        result = _take(root, file, exposures)
        if isinstance(result, Left):
            left.append(result)
            continue
        row = raw_row(*result)
        exposures[_exposure(row)] = row["filepath"]
        seen.add(row["filepath"])
        rows.append(row)
    progress(len(files), len(files))
    with db.transaction():
        for path in known.keys() - seen:
            db.execute("DELETE FROM raw_frames WHERE filepath = ?", (path,))
        # a file that changed in place has an old row under the same path
        for row in rows:
            db.execute("DELETE FROM raw_frames WHERE filepath = ?", (row["filepath"],))
        db.insert("raw_frames", rows)
        db.execute("DELETE FROM left_files")
        db.insert("left_files", _left_rows(root, left))
    return len(rows), left


def _status(file: Path) -> tuple[int, int]:
    """Size in bytes and time of change in ns; (-1, -1) if the file cannot be reached."""
    try:
        status = file.stat()
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns


def _exposure(row: Mapping[str, object]) -> tuple:
    """What only copies of one exposure share."""
    keys = ("instrume", "eso seq arm", "date-obs", "eso dpr type", "eso dpr tech", "exptime")
    return tuple(row[key] for key in keys)


def _left_rows(root: Path, left: list[Left]) -> list[dict]:
    rows = []
    for item in left:
        size, mtime = _status(root / item.path)
        if item.path.startswith("raw/"):
            rows.append(
                {"filepath": item.path, "reason": item.reason, "file_size": size}
                | {"file_mtime": mtime}
            )
    return rows


def _take(
    root: Path, file: Path, exposures: Mapping[tuple, str]
) -> tuple[Look, str, int, int] | Left:
    """Look into one file and bring it to its place; what the database needs, or why it is left."""
    path = file.relative_to(root).as_posix()
    if file.name.lower().endswith(".z"):
        return _take_expanded(root, file, exposures)
    look = look_into(file)
    if look.info is None:
        return Left(path, look.reason)
    in_raw = path.startswith("raw/")
    target = path if in_raw else f"raw/{look.info.night}/{file.name}"
    size, mtime = _status(file)
    row = raw_row(look, target, size, mtime)
    twin = exposures.get(_exposure(row))
    if twin is not None and twin != target:
        return Left(path, f"is the same exposure as {twin}")
    if not in_raw and (problem := move(file, root / target)):
        return Left(path, problem.replace(f"{root}/", ""))
    return look, target, size, mtime


def _take_expanded(
    root: Path, file: Path, exposures: Mapping[tuple, str]
) -> tuple[Look, str, int, int] | Left:
    """Expand a `.Z` file beside it, take the result, and keep the original in misc/."""
    path = file.relative_to(root).as_posix()
    plain = file.with_suffix("")
    if plain.exists():
        return Left(path, f"is not expanded, because {plain.name} is there already")
    try:
        expand(file, plain)
    except InputError as error:
        return Left(path, error.message)
    except OSError as error:
        raise cannot_write(plain.parent, error) from error
    result = _take(root, plain, exposures)
    if isinstance(result, Left):
        plain.unlink(missing_ok=True)
        return Left(path, result.reason)
    problem = move(file, root / "misc" / file.name)
    return Left(path, f"was taken, but the file {problem}") if problem else result


def tidy(root: Path) -> tuple[int, list[Left]]:
    """Move files that are no frames to misc/. Folders, links and hidden files are left alone."""
    moved, left = 0, []
    for file in sorted(root.iterdir()):
        name = file.name
        stays = (
            name.startswith(".")
            or name.lower().startswith("readme")
            or name.lower().endswith(_KEPT_ENDINGS)
            or is_fits_name(name)
            or name in LINKS
        )
        if stays or file.is_symlink() or not file.is_file():
            continue
        problem = move(file, root / "misc" / name)
        if problem:
            left.append(Left(name, problem.replace(f"{root}/", "")))
        else:
            moved += 1
    return moved, left
