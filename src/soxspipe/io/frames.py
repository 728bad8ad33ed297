"""Raw frames and headers in, each failure named."""

import hashlib
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.io.fits import Header
from astropy.utils.exceptions import AstropyUserWarning

from soxspipe.errors import InputError
from soxspipe.instrument.arms import Arm
from soxspipe.instrument.headers import ObservationInfo, observation_info

_BLOCK = 2880
_REPLACE = "copy the file again from its source, or take it out of the workspace"


@dataclass(frozen=True, eq=False)
class RawFrame:
    """A raw exposure, trimmed to the science window and oriented; not yet electrons.

    data     (ny, nx) float32 ADU
    margin   (n,) ADU of the columns beside the science window that see no light; empty in NIR
    datamd5  MD5 of the data unit as it is in the file, for the record
    bad      (ny, nx) bool, defects of the detector by the bad-pixel map; None if there is no map
    """

    data: np.ndarray
    margin: np.ndarray
    info: ObservationInfo
    header: Header
    datamd5: str = ""
    bad: np.ndarray | None = None


def read_header(path: Path) -> Header:
    """The primary header of a FITS file; of `.fits.fz` that of the compressed image.

    Reads no more than the header. Raises InputError if the file is missing, empty, not FITS, or
    shorter than its header says.
    """
    check_is_file(path)
    if path.name.endswith((".gz", ".fz", ".Z")):
        with open_fits(path) as hdus:
            compressed = path.name.endswith(".fz") and len(hdus) > 1
            return hdus[1 if compressed else 0].header.copy()
    with path.open("rb") as stream:
        if stream.read(6) != b"SIMPLE":
            raise InputError(f"{path}: is not a FITS file", hint=_REPLACE)
        stream.seek(0)
        try:
            header = Header.fromfile(stream, endcard=True)
        except (OSError, ValueError, fits.VerifyError) as error:
            raise InputError(f"{path}: the FITS header is damaged", hint=_REPLACE) from error
        wanted = stream.tell() + _data_size(header, path)
    if path.stat().st_size < wanted:
        raise _truncated(path)
    return header


def read_raw(path: Path, *, extension: int = 0, header: Header | None = None) -> RawFrame:
    """A raw frame, trimmed to the science window at its binning and oriented.

    `header`: the primary header if it is known already. Raises InputError if the file is missing,
    damaged, a product, of another instrument, or of the wrong shape.
    """
    pixels, found, datamd5 = _read_pixels(path, extension)
    header = found if header is None else header
    info = observation_info(header, path.name)
    data, margin = trimmed(pixels, info.get_arm(), path.name)
    return RawFrame(data, margin, info, header, datamd5)


def trimmed(pixels: np.ndarray, arm: Arm, file: str) -> tuple[np.ndarray, np.ndarray]:
    """Science window (ny, nx) float32 and margin pixels (n,) float32 of a raw image.

    Raises InputError if the image has not the raw shape of the arm at its binning.
    """
    image = np.rot90(pixels, arm.rotation // 90)
    bx, by = arm.binning
    (x0, x1), (y0, y1) = arm.columns, arm.rows
    # The border is as wide on the far side as on the near side, in both arms.
    expected = ((y0 + y1) // by, (x0 + x1) // bx)
    if image.shape != expected:
        raise InputError(
            f"{file}: the image is {image.shape[1]} x {image.shape[0]} pixels; {arm.name} binned "
            f"{bx}x{by} has {expected[1]} x {expected[0]}",
            hint="the header's arm or binning is wrong, or the frame is windowed: leave it out",
        )
    window = image[y0 // by : y1 // by, x0 // bx : x1 // bx]
    margins = [image[:, m0 // bx : m1 // bx].ravel() for m0, m1 in arm.margin_columns]
    margin = np.concatenate(margins) if margins else np.empty(0)
    return np.ascontiguousarray(window, dtype="f4"), margin.astype("f4")


def check_is_file(path: Path) -> None:
    """InputError unless `path` is a readable, non-empty file."""
    try:
        size = path.stat().st_size
    except FileNotFoundError as error:
        raise InputError(
            f"{path}: there is no such file", hint="correct the path, or the line of the SOF"
        ) from error
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", hint="check the permissions") from error
    if not path.is_file():
        raise InputError(f"{path}: is not a file", hint="name a FITS file")
    if size == 0:
        raise InputError(f"{path}: is empty (0 bytes)", hint=_REPLACE)


@contextmanager
def open_fits(path: Path) -> Iterator[fits.HDUList]:
    """The open file, all headers read; InputError if it is missing or damaged."""
    check_is_file(path)
    # Opened here, not by astropy: it leaves the file open when it meets a damaged header.
    with path.open("rb") as stream:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", AstropyUserWarning)
                hdus = fits.open(stream, memmap=False, lazy_load_hdus=False)
        except AstropyUserWarning as error:
            raise _truncated(path) from error
        except (OSError, EOFError, ValueError, TypeError, zlib.error) as error:
            raise InputError(f"{path}: is not a FITS file, or damaged", hint=_REPLACE) from error
        with hdus:
            yield hdus


def _read_pixels(path: Path, extension: int) -> tuple[np.ndarray, Header, str]:
    with open_fits(path) as hdus:
        index = 1 if path.name.endswith(".fz") and extension == 0 else extension
        if index >= len(hdus):
            raise InputError(
                f"{path}: has no extension {extension}",
                hint="correct data-extension in the settings file",
            )
        hdu = hdus[index]
        wanted, have = hdu.header.get("NAXIS", 0), len(hdu.shape) if hdu.is_image else 0
        if wanted != 2 or have != 2:
            raise InputError(
                f"{path}: extension {extension} holds no image",
                hint="correct data-extension in the settings file, or leave the frame out",
            )
        try:
            pixels = hdu.data
            datamd5 = _md5(hdu)
        except (OSError, EOFError, TypeError, ValueError) as error:
            raise _truncated(path) from error
        header = hdus[0].header.copy() if index == 0 else _joined(hdus[0].header, hdu.header)
    return pixels, header, datamd5


def _md5(hdu: fits.PrimaryHDU | fits.ImageHDU) -> str:
    place = hdu.fileinfo()
    place["file"].seek(place["datLoc"])
    return hashlib.md5(place["file"].read(place["datSpan"]), usedforsecurity=False).hexdigest()


def _joined(primary: Header, extension: Header) -> Header:
    header = primary.copy()
    header.extend((c for c in extension.cards if c.keyword not in primary), unique=True)
    return header


def _data_size(header: Header, path: Path) -> int:
    """Bytes of the data unit, whole blocks."""
    try:
        axes = [int(header[f"NAXIS{i + 1}"]) for i in range(int(header["NAXIS"]))]
        bits = abs(int(header["BITPIX"]))
    except (KeyError, ValueError, TypeError, fits.VerifyError) as error:
        raise InputError(f"{path}: the FITS header is damaged", hint=_REPLACE) from error
    size = bits // 8 * int(np.prod(axes, dtype=np.int64)) if axes else 0
    return -(-size // _BLOCK) * _BLOCK


def _truncated(path: Path) -> InputError:
    return InputError(f"{path}: is truncated, shorter than its header says", hint=_REPLACE)
