"""Look into files: is it a raw frame this pipeline knows, whole, and what does its header say?"""

import gzip
import math
import stat
import subprocess
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning

from soxspipe.errors import InputError
from soxspipe.instrument.headers import ObservationInfo, observation_info

#: Endings of files that should hold a frame. `.Z` files are expanded when they are taken.
FITS_ENDINGS = (".fits", ".fit", ".fits.gz", ".fits.fz", ".fits.z")

#: Columns of raw_frames copied from the header card of the same name, numbers and texts.
NUMBER_CARDS = (
    "eso tel az",
    "eso tel alt",
    "eso tel parang start",
    "eso tel parang end",
    "eso tel ambi fwhm start",
    "eso tel ambi fwhm end",
    "eso tel airm start",
    "eso tel airm end",
    "eso obs ntpl",
    "eso obs tplno",
)
TEXT_CARDS = ("eso tpl name", "eso obs start", "eso obs targ name")
#: Columns with names of their own -> card.
OTHER_CARDS = {
    "absrot": "ESO ADA ABSROT END",
    "afc1 pos1": "ESO INS AFC1 POS1",
    "afc1 pos2": "ESO INS AFC1 POS2",
    "afc2 pos1": "ESO INS AFC2 POS1",
    "afc2 pos2": "ESO INS AFC2 POS2",
}

_CHUNK = 1 << 22


@dataclass(frozen=True)
class Look:
    """What was found in a file: a frame, or the reason why it is none."""

    info: ObservationInfo | None
    cards: Mapping[str, Any]
    reason: str = ""


def is_fits_name(name: str) -> bool:
    """True if a file of that name should hold a frame."""
    return name.lower().endswith(FITS_ENDINGS)


def look_into(path: Path, name: str | None = None) -> Look:
    """Read the header of `path` and check that its data are all there. Never raises for bad files.

    `name` is used in messages, instead of the file's own.
    """
    name = name or path.name
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            return Look(None, {}, "is no regular file")
        if path.stat().st_size == 0:
            return Look(None, {}, "is empty (0 bytes)")
        header = _compressed_header(path) if name.lower().endswith(".fz") else _header(path)
        info = observation_info(header, name)
    except InputError as error:
        return Look(None, {}, error.message.removeprefix(f"{name}: "))
    except FileNotFoundError:
        return Look(None, {}, "is a link that leads nowhere")
    except OSError as error:
        return Look(None, {}, f"cannot be read: {error.strerror or error}")
    return Look(info, _cards(header))


def _header(path: Path) -> fits.Header:
    """Header of the first HDU of a plain or gzipped file, after a check of its length."""
    with gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb") as file:
        try:
            if file.read(9) != b"SIMPLE  =":
                raise InputError("is no FITS file")
            file.seek(0)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", AstropyWarning)
                header = fits.Header.fromfile(file)
                needed = _data_bytes(header)
            present = _count_bytes(file, needed)
        except (EOFError, gzip.BadGzipFile) as error:
            raise InputError("is truncated or damaged: the compressed data end early") from error
        except (OSError, ValueError, TypeError, KeyError, fits.VerifyError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise InputError(f"has a damaged header: {error}") from error
    if present < needed:
        raise InputError(f"is truncated: {needed} bytes of data announced, {present} present")
    return header


def _compressed_header(path: Path) -> fits.Header:
    """Header of a tile-compressed image (`fpack`), which lives in the first extension."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", AstropyWarning)
            with fits.open(path, memmap=False) as hdus:
                image = next((hdu for hdu in hdus if hdu.header.get("NAXIS") == 2), None)
                if image is None:
                    raise InputError("holds no image")
                return image.header.copy()
    except (AstropyWarning, OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"is truncated or damaged: {error}") from error


def _data_bytes(header: fits.Header) -> int:
    """Bytes of data a header announces, without the padding of the last block."""
    axes = [int(header[f"NAXIS{i + 1}"]) for i in range(int(header["NAXIS"]))]
    if not axes or min(axes) < 1:
        raise InputError("holds no data in its first extension")
    return abs(int(header["BITPIX"])) // 8 * math.prod(axes)


def _count_bytes(file: Any, needed: int) -> int:
    """How many of the `needed` bytes follow; a plain file is measured, a compressed one is read."""
    if isinstance(file, gzip.GzipFile):
        count = 0
        while count < needed and (chunk := file.read(min(_CHUNK, needed - count))):
            count += len(chunk)
        return count
    here = file.tell()
    return min(needed, file.seek(0, 2) - here)


def _cards(header: fits.Header) -> dict[str, Any]:
    columns = {name: name.upper() for name in (*NUMBER_CARDS, *TEXT_CARDS)} | OTHER_CARDS
    return {column: header.get(card) for column, card in columns.items()}


def expand(path: Path, target: Path) -> None:
    """Expand a `.Z` file into `target`. InputError if it is damaged or no program can expand it."""
    part = target.with_name(f".{target.name}.part")
    try:
        with part.open("wb") as out:
            done = subprocess.run(
                ["gzip", "-dc", "--", str(path.absolute())],
                stdout=out,
                stderr=subprocess.PIPE,
                check=False,
            )
        if done.returncode != 0:
            raise InputError("is a damaged .Z file")
        part.rename(target)
    except FileNotFoundError as error:
        raise InputError("cannot be expanded: the program gzip is not installed") from error
    finally:
        part.unlink(missing_ok=True)
