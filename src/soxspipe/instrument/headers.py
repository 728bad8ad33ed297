"""ESO keywords -> typed ObservationInfo; DPR rules -> kind of frame. No keyword goes further up."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from soxspipe.errors import InputError
from soxspipe.instrument.arms import Arm, get_arm

#: Lamps in the order in which their names are joined: keyword -> abbreviation.
LAMPS = {
    "ESO INS QTH NAME": "QTH",
    "ESO INS DEUT NAME": "D",
    "ESO INS ARGO NAME": "Ar",
    "ESO INS NEON NAME": "Ne",
    "ESO INS MERC NAME": "Hg",
    "ESO INS XENO NAME": "Xe",
    "ESO INS THAR NAME": "ThAr",
}

#: A night begins this many hours after 0 h UT of its date.
NIGHT_START_OFFSET = timedelta(hours=15)

PRODUCT_KEYWORDS = ("ESO PRO CATG", "ESO PRO TYPE", "ESO PRO TECH")


class FrameKind(StrEnum):
    """What a raw frame is, named as in the published map of sets."""

    BIAS = "bias_frame"
    DARK = "dark_frame"
    PINHOLE_ARC = "single_pinhole_arc"
    PINHOLE_FLAT = "order_centre_trace"
    SLIT_FLAT = "flat_frame"
    MULTI_PINHOLE_ARC = "multi_pinhole_arc"
    SLIT_ARC = "slit_arc"
    LAMP_OFF = "lamp_off"
    FLUX_STANDARD_STARE = "flux_standard_stare"
    TELLURIC_STANDARD_STARE = "telluric_standard_stare"
    FLUX_STANDARD_NODDING = "flux_standard_nodding"
    TELLURIC_STANDARD_NODDING = "telluric_standard_nodding"
    FLUX_STANDARD_OFFSET = "flux_standard_offset"
    TELLURIC_STANDARD_OFFSET = "telluric_standard_offset"
    SCIENCE_STARE = "science_stare"
    SCIENCE_NODDING = "science_nodding"
    SCIENCE_OFFSET = "science_offset"


_ON_SKY = {"STARE": "stare", "NODDING": "nodding", "OFFSET": "offset"}
_TARGETS = {
    "STD,FLUX": "flux_standard",
    "STD": "flux_standard",
    "STD,TELLURIC": "telluric_standard",
    "STD,SKY": "telluric_standard",
    "OBJECT": "science",
    "OBJECT,ASYNC": "science",
}
_ARCS = ("LAMP,WAVE", "WAVE,LAMP")
_FLATS = ("LAMP,FLAT", "FLAT,LAMP", "DOME,FLAT")


def kind_of(dpr_type: str, dpr_tech: str) -> FrameKind | None:
    """The kind of a raw SOXS frame, None for a type the pipeline does not reduce."""
    if dpr_type == "BIAS":
        return FrameKind.BIAS
    if dpr_type == "DARK":
        return FrameKind.DARK
    if dpr_tech == "IMAGE":
        return FrameKind.LAMP_OFF if dpr_type in _ARCS + _FLATS else None
    if dpr_type in _ARCS:
        return {
            "ECHELLE,PINHOLE": FrameKind.PINHOLE_ARC,
            "ECHELLE,MULTI-PINHOLE": FrameKind.MULTI_PINHOLE_ARC,
            "ECHELLE,SLIT": FrameKind.SLIT_ARC,
        }.get(dpr_tech)
    if dpr_type in _FLATS:
        return {
            "ECHELLE,PINHOLE": FrameKind.PINHOLE_FLAT,
            "ECHELLE,SLIT": FrameKind.SLIT_FLAT,
        }.get(dpr_tech)
    mode = _ON_SKY.get(dpr_tech.rpartition(",")[2])
    target = _TARGETS.get(dpr_type)
    return FrameKind(f"{target}_{mode}") if mode and target else None


@dataclass(frozen=True)
class ObservationInfo:
    """What the pipeline needs to know of one raw frame, in plain types.

    Times are UTC; exposure time in s; `gain` in e-/ADU; `read_noise` in e-, zero or less if the header
    says so, which no healthy frame does; temperatures: detector in K,
    common path in C; `offset_along_slit` arcsec (NaN if not nodding). Text that is missing is "".
    """

    file: str
    instrument: str
    arm: str
    kind: FrameKind | None
    dpr_catg: str
    dpr_type: str
    dpr_tech: str
    date_obs: datetime
    mjd_obs: float
    exptime: float
    binning: tuple[int, int]
    read_mode: str
    gain: float
    read_noise: float
    slit: str
    lamp: str
    object: str
    template: str
    template_start: str
    exposure_number: int
    exposures_in_template: int
    ob_id: str
    ob_name: str
    ra: float
    dec: float
    airmass: float
    seeing: float
    detector_temperature: float
    common_path_temperature: float
    offset_along_slit: float
    offset_ra: float
    offset_dec: float
    simulated: bool

    @property
    def night(self) -> str:
        """Date of the night the frame belongs to: UT date of start minus 15 h."""
        return (self.date_obs - NIGHT_START_OFFSET).date().isoformat()

    @property
    def tag(self) -> str:
        """SOF tag of the raw frame: `<DPR TYPE>_<ARM>`."""
        return f"{self.dpr_type}_{self.arm}"

    @property
    def mask_class(self) -> str:
        """`MPH`, `PH`, `SLIT` or "" from the name of the slit."""
        for part, name in (("MULT", "MPH"), ("PINHOLE", "PH"), ("SLIT", "SLIT")):
            if part in self.slit:
                return name
        return ""

    @property
    def slit_width(self) -> float:
        """Arcsec, from the name of the slit (`SLIT1.0`); NaN for masks and blanks."""
        digits = self.slit.removeprefix("SLIT")
        return float(digits) if digits != self.slit and _is_number(digits) else math.nan

    def get_arm(self) -> Arm:
        """The arm that took the frame, at the frame's binning."""
        return get_arm(self.instrument, self.arm).binned(self.binning)


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdigit()


def _number(header: Mapping[str, Any], key: str, default: float = math.nan) -> float:
    value = header.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return default
    return float(value)


def _text(header: Mapping[str, Any], key: str) -> str:
    value = header.get(key)
    return "" if value is None else str(value).strip()


def _required(header: Mapping[str, Any], key: str, file: str) -> str:
    value = _text(header, key)
    if not value:
        raise InputError(
            f"{file}: the header has no {key}",
            hint="repair the header or take the file out of the workspace",
        )
    return value


def _date(header: Mapping[str, Any], file: str) -> datetime:
    text = _required(header, "DATE-OBS", file)
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError as error:
        raise InputError(
            f"{file}: DATE-OBS is {text!r}, not a date",
            hint="repair the header or take the file out of the workspace",
        ) from error


def _mean(header: Mapping[str, Any], stem: str) -> float:
    values = [_number(header, f"{stem} {end}") for end in ("START", "END")]
    known = [v for v in values if math.isfinite(v)]
    return sum(known) / len(known) if known else math.nan


def _kelvin(temperature: float, arm: Arm) -> float:
    """Detector temperature in K. Headers do not tell the scale: what is colder in K than the detector
    can be is in Celsius. NaN stays NaN.
    """
    return temperature + 273.15 if temperature < arm.coldest else temperature


def _gain(header: Mapping[str, Any], arm: Arm) -> float:
    """e-/ADU: the larger of CONAD and GAIN, whose meaning changed in time; NIR: the declared value."""
    found = [_number(header, f"ESO DET OUT1 {key}", 0.0) for key in ("CONAD", "GAIN")]
    return max(found) if arm.gain_from_header and max(found) > 0 else arm.gain


def _binning(header: Mapping[str, Any], arm: Arm) -> tuple[int, int]:
    if len(arm.binnings) == 1:
        return arm.binnings[0]
    x, y = (int(_number(header, f"ESO DET BIN{axis}", 1)) for axis in "XY")
    return x, y


def lamp_name(header: Mapping[str, Any]) -> str:
    """Lamps that are on, joined: `QTH`, `ArNeHgXe`. Only the keyword's presence counts."""
    return "".join(name for key, name in LAMPS.items() if key in header)


def observation_info(header: Mapping[str, Any], file: str) -> ObservationInfo:
    """Typed facts from a raw header; `file` is used in messages.

    Raises InputError if the frame is a product, of another instrument or arm, or lacks a keyword
    nothing can be done without.
    """
    if any(key in header for key in PRODUCT_KEYWORDS):
        raise InputError(f"{file}: is a product, not a raw frame", hint="give raw frames")
    instrument = _required(header, "INSTRUME", file).upper()
    arm_name = _required(header, "ESO SEQ ARM", file).upper()
    arm = get_arm(instrument, arm_name)
    dpr_type = _required(header, "ESO DPR TYPE", file)
    dpr_tech = _text(header, "ESO DPR TECH")
    mjd = _number(header, "MJD-OBS")
    if not math.isfinite(mjd):
        raise InputError(
            f"{file}: the header has no usable MJD-OBS",
            hint="repair the header or take the file out of the workspace",
        )
    return ObservationInfo(
        file=file,
        instrument=instrument,
        arm=arm_name,
        kind=kind_of(dpr_type, dpr_tech),
        dpr_catg=_text(header, "ESO DPR CATG"),
        dpr_type=dpr_type,
        dpr_tech=dpr_tech,
        date_obs=_date(header, file),
        mjd_obs=mjd,
        exptime=round(_number(header, "EXPTIME"), 2),
        binning=_binning(header, arm),
        read_mode=_text(header, "ESO DET READ CURID"),
        gain=_gain(header, arm),
        read_noise=_number(header, "ESO DET CHIP RON", arm.read_noise),
        slit=_text(header, arm.slit_keyword).upper(),
        lamp=lamp_name(header),
        object=_text(header, "OBJECT"),
        template=_text(header, "ESO TPL ID") or _text(header, "ESO TPL NAME"),
        template_start=_text(header, "ESO TPL START"),
        exposure_number=int(_number(header, "ESO TPL EXPNO", 1)),
        exposures_in_template=int(_number(header, "ESO TPL NEXP", 1)),
        ob_id=_text(header, "ESO OBS ID"),
        ob_name=_text(header, "ESO OBS NAME"),
        ra=_number(header, "RA"),
        dec=_number(header, "DEC"),
        airmass=_mean(header, "ESO TEL AIRM"),
        seeing=_mean(header, "ESO TEL AMBI FWHM"),
        detector_temperature=_kelvin(_number(header, arm.temperature_keyword), arm),
        common_path_temperature=_number(header, "ESO INS TEMP301 VAL"),
        offset_along_slit=_number(header, "ESO SEQ CUMOFF Y"),
        offset_ra=_number(header, "ESO SEQ FIXOFF RA"),
        offset_dec=_number(header, "ESO SEQ FIXOFF DEC"),
        simulated=header.get(arm.simulated_keyword) is True,
    )
