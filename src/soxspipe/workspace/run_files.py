"""Files of a run, known by their headers; no pixel is read."""

from dataclasses import dataclass
from pathlib import Path

from astropy.io.fits import Header

from soxspipe.errors import InputError
from soxspipe.instrument.headers import PRODUCT_KEYWORDS, ObservationInfo, observation_info
from soxspipe.io.frames import read_header
from soxspipe.io.sof import SofEntry

#: Start of the tag of a bad-pixel map, which every recipe takes.
BAD_PIXEL_MAP = "BPM_"


@dataclass(frozen=True, eq=False)
class RawFile:
    """A raw frame by its header, the pixels not read yet."""

    path: Path
    info: ObservationInfo
    header: Header


@dataclass(frozen=True, eq=False)
class ProductFile:
    """A product by its header. `category` is PRO CATG, arm included."""

    path: Path
    category: str
    header: Header

    @property
    def datamd5(self) -> str:
        """MD5 of its data, "" if the header has none."""
        return str(self.header.get("DATAMD5", ""))

    @property
    def binning(self) -> tuple[int, int]:
        """(x, y)."""
        return int(self.header.get("ESO DET BINX", 1)), int(self.header.get("ESO DET BINY", 1))


def recognised(entry: SofEntry) -> RawFile | ProductFile:
    """What the file of a SOF's line is, by its header.

    Raises InputError if it is damaged, foreign, or other than its tag says.
    """
    header = read_header(entry.path)
    if any(key in header for key in PRODUCT_KEYWORDS):
        tag = str(header.get("ESO PRO CATG", entry.tag)).strip()
        file: RawFile | ProductFile = ProductFile(entry.path, tag, header)
    elif entry.tag.startswith(BAD_PIXEL_MAP):  # any image may be one
        file, tag = ProductFile(entry.path, entry.tag, header), entry.tag
    else:
        info = observation_info(header, entry.path.name)
        file, tag = RawFile(entry.path, info, header), info.tag
    if entry.tag and entry.tag != tag:
        raise InputError(
            f"{entry.name}: the SOF calls it {entry.tag}, its header {tag}",
            hint="correct the SOF; `soxspipe prep` writes it from the headers",
        )
    return file
