"""Sets of files: read, write, and make one of whatever the user named."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from soxspipe.errors import InputError

FITS_SUFFIXES = (".fits", ".fits.gz", ".fits.fz", ".fits.Z")
WORKSPACE_MARKS = ("soxspipe.db", "sessions")


@dataclass(frozen=True)
class SofEntry:
    """One line: the file as written, where it is, and its tag ("" if not known)."""

    name: str
    path: Path
    tag: str = ""


@dataclass(frozen=True)
class FileSet:
    """The input of one recipe run. `stem` names the products, "" if no SOF was given."""

    entries: tuple[SofEntry, ...]
    stem: str = ""
    source: str = ""


def is_fits(path: Path) -> bool:
    """True for a file name that FITS files have."""
    return path.name.endswith(FITS_SUFFIXES)


def workspace_of(path: Path) -> Path | None:
    """The nearest folder at or above `path` that is a workspace, None if there is none."""
    start = path.absolute()
    for folder in (start, *start.parents):
        if any((folder / mark).exists() for mark in WORKSPACE_MARKS):
            return folder
    return None


def read_sof(path: Path, *, root: Path | None = None) -> FileSet:
    """The files named in a SOF.

    Paths are relative to `root`, else to the workspace the SOF is in, else to the folder above the
    SOF's, else to the current folder; the first place where a file is counts. Raises InputError if
    the SOF cannot be read, has a line without a tag, or names files that are missing: all are told.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise InputError(
            f"the SOF {path} cannot be read: {reason}", hint="`soxspipe prep` writes SOF files"
        ) from error
    places = _places(path, root)
    entries, untagged = [], []
    for number, line in enumerate(text.splitlines(), start=1):
        content = line.partition("#")[0].strip()
        if not content:
            continue
        name, _, tag = content.replace("\t", " ").rpartition(" ")
        if not name:
            untagged.append(str(number))
            continue
        entries.append(SofEntry(name.strip(), _find(name.strip(), places), tag.upper()))
    if untagged:
        raise InputError(
            f"{path}: no tag in line {', '.join(untagged)}",
            hint="each line is `path  TAG`, for instance `./raw/2026-01-11/x.fits  BIAS_VIS`",
        )
    if not entries:
        raise InputError(f"{path}: names no file", hint="`soxspipe prep` writes SOF files")
    _refuse_missing(path, entries)
    return FileSet(tuple(entries), path.name.removesuffix(".sof"), str(path))


def sof_text(entries: Iterable[tuple[str, str]]) -> str:
    """Content of a SOF: (path, tag) lines in padded columns."""
    lines = list(entries)
    width = max((len(name) for name, _ in lines), default=0)
    return "".join(f"{name:<{width}}  {tag}\n" for name, tag in lines)


def file_set(inputs: Path | str | Sequence[Path | str], *, root: Path | None = None) -> FileSet:
    """The files of a SOF, a folder of FITS files, or a list of paths.

    Raises InputError if nothing is there, or files are missing: all are told.
    """
    if not isinstance(inputs, str | Path):
        return _from_list([Path(p) for p in inputs], root)
    path = Path(inputs)
    if path.is_dir():
        found = sorted(p for p in path.iterdir() if is_fits(p))
        if not found:
            raise InputError(
                f"the folder {path} holds no FITS file", hint="name a SOF, or a folder of frames"
            )
        return FileSet(tuple(SofEntry(p.name, p) for p in found), source=str(path))
    if not path.exists():
        raise InputError(
            f"there is no SOF, folder or file {path}",
            hint="SOF files are in the folder sof of the workspace; `soxspipe prep` writes them",
        )
    if is_fits(path):
        return _from_list([path], root)
    return read_sof(path, root=root)


def _from_list(paths: Sequence[Path], root: Path | None) -> FileSet:
    if not paths:
        raise InputError("no input file is given", hint="name a SOF, a folder or FITS files")
    places = [Path(), *([root] if root else [])]
    entries = [SofEntry(str(p), _find(str(p), places)) for p in paths]
    _refuse_missing(None, entries)
    return FileSet(tuple(entries))


def _places(sof: Path, root: Path | None) -> list[Path]:
    workspace = workspace_of(sof.parent)
    places = [root, workspace, sof.absolute().parent.parent, Path()]
    return [p for p in places if p is not None]


def _find(name: str, places: Sequence[Path]) -> Path:
    candidates = [place / name for place in places]
    return next((c for c in candidates if c.exists()), candidates[0])


def _refuse_missing(sof: Path | None, entries: Sequence[SofEntry]) -> None:
    missing = [e.name for e in entries if not e.path.exists()]
    if missing:
        where = f"{sof}: " if sof else ""
        many = "these files are missing" if len(missing) > 1 else "this file is missing"
        raise InputError(
            "\n    ".join([f"{where}{many}:", *missing]),
            hint="make missing products first, or run `soxspipe prep` again",
        )
