"""Files are written aside and renamed: a product is there whole, or not at all."""

import contextlib
import hashlib
import io
import os
from pathlib import Path

from astropy.io import fits

from soxspipe.errors import OutputError

PART = ".part"


def refuse_existing(path: Path, *, overwrite: bool) -> None:
    """OutputError if the product is there already and may not be replaced."""
    if path.exists() and not overwrite:
        raise OutputError(
            f"the product {path} exists already",
            hint="use -x to overwrite it, or -o for another folder",
        )


class Staged:
    """Files that appear together: each is written to `<path>.part`, all are renamed at the end.

    Use as a context manager. If the block is left by an error or Ctrl-C, the parts are removed and
    older files stay as they were.
    """

    def __init__(self) -> None:
        self._paths: list[Path] = []

    def __enter__(self) -> "Staged":
        return self

    def write(self, path: Path, content: bytes | memoryview) -> None:
        """Write the part and flush it to disk; makes the folder if need be.

        Raises OutputError if the folder cannot be written or the disk is full.
        """
        self._paths.append(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with _part(path).open("wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise _cannot_write(path, error) from error

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                for path in self._paths:
                    _rename(path)
        finally:
            for path in self._paths:
                _remove(_part(path))


def write_bytes(path: Path, content: bytes | memoryview, *, overwrite: bool = False) -> None:
    """Write one file aside, then rename it. Whatever happens, no partial file remains.

    Raises OutputError if the file exists and `overwrite` is false, or cannot be written.
    """
    refuse_existing(path, overwrite=overwrite)
    with Staged() as stage:
        stage.write(path, content)


def write_text(path: Path, text: str, *, overwrite: bool = False) -> None:
    """Write a text file as `write_bytes` does."""
    write_bytes(path, text.encode("utf-8"), overwrite=overwrite)


def fits_bytes(hdus: fits.HDUList) -> memoryview:
    """The FITS file as bytes, with CHECKSUM, DATASUM and DATAMD5."""
    hdus[0].header["DATAMD5"] = (
        data_md5(_serialised(hdus, checksum=False)),
        "MD5 of all data units",
    )
    return _serialised(hdus, checksum=True).getbuffer()


def data_md5(stream: io.BytesIO) -> str:
    """MD5 of the data units of a FITS file, in file order."""
    digest = hashlib.md5(usedforsecurity=False)
    content = stream.getvalue()
    stream.seek(0)
    with fits.open(stream, lazy_load_hdus=False, memmap=False) as hdus:
        for hdu in hdus:
            place = hdu.fileinfo()
            digest.update(content[place["datLoc"] : place["datLoc"] + place["datSpan"]])
    return digest.hexdigest()


def _part(path: Path) -> Path:
    return path.with_name(path.name + PART)


def _rename(path: Path) -> None:
    try:
        _part(path).replace(path)
    except OSError as error:
        raise _cannot_write(path, error) from error


def _remove(part: Path) -> None:
    """Remove what may not be there: in a folder that cannot be written, nothing is."""
    with contextlib.suppress(OSError):
        part.unlink(missing_ok=True)


def _cannot_write(path: Path, error: OSError) -> OutputError:
    return OutputError(
        f"{path} cannot be written: {error.strerror or error}",
        hint="free some space, correct the permissions of the folder, or name another with -o",
    )


def _serialised(hdus: fits.HDUList, *, checksum: bool) -> io.BytesIO:
    stream = io.BytesIO()
    hdus.writeto(stream, output_verify="exception", checksum=checksum)
    return stream
