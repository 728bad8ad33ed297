"""Raw frames as the database knows them, and sets of them."""

from dataclasses import dataclass
from datetime import datetime

from soxspipe.instrument.headers import FrameKind

_PINHOLES = (FrameKind.PINHOLE_ARC, FrameKind.PINHOLE_FLAT, FrameKind.MULTI_PINHOLE_ARC)


@dataclass(frozen=True)
class RawRecord:
    """One raw frame as the database knows it. `path` is relative to the workspace."""

    path: str
    instrument: str
    arm: str
    kind: FrameKind | None
    dpr_catg: str
    dpr_type: str
    dpr_tech: str
    date_obs: datetime
    mjd: float
    night: str
    exptime: float
    binning: str
    read_mode: str
    gain: float
    slit: str
    slit_mask: str
    lamp: str
    object: str
    template: str
    template_start: str
    exposures_in_template: int
    ob_id: str
    ob_name: str
    ignored: bool
    file_size: int

    @property
    def name(self) -> str:
        """File name without folder."""
        return self.path.rpartition("/")[2]

    @property
    def tag(self) -> str:
        """SOF tag: `<DPR TYPE>_<ARM>`."""
        return f"{self.dpr_type}_{self.arm}"

    @property
    def mjd_middle(self) -> float:
        """MJD of the middle of the exposure."""
        return self.mjd + 0.5 * self.exptime / 86400.0

    @property
    def is_pattern(self) -> bool:
        """True if it is one of a pattern of positions: nodding, offset, a map."""
        return (self.kind or "").endswith(("_nodding", "_offset"))

    @property
    def is_single(self) -> bool:
        """True if each exposure is reduced alone: on-sky stare and pinhole exposures."""
        return "STARE" in self.dpr_tech or self.kind in _PINHOLES


@dataclass(frozen=True)
class FrameSet:
    """Raw frames that one run of one recipe takes, in order of time; deuterium flats after halogen.

    recipe    "" if no recipe of this version takes the set
    stem      name of its SOF file, without `.sof`
    flaw      why the set cannot be reduced whatever calibrations there are, or ""
    lack      what is missing from it, though it is reduced all the same, or ""
    partners  what was exposed at the same time in the other arm, in words
    """

    frames: tuple[RawRecord, ...]
    recipe: str
    stem: str
    flaw: str = ""
    lack: str = ""
    partners: tuple[str, ...] = ()

    @property
    def first(self) -> RawRecord:
        """The earliest frame of the main lamp; its facts are those of the set."""
        return self.frames[0]


def template_key(record: RawRecord) -> tuple[str, str, str]:
    """What the exposures of one template share. Without a template start, a frame stands alone."""
    return (record.instrument, record.arm, record.template_start or record.path)
