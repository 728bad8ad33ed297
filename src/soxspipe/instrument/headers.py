"""ESO keywords -> typed ObservationInfo. No keyword goes further up."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from soxspipe.errors import InputError
from soxspipe.instrument.arms import Arm, get_arm
from soxspipe.instrument.kinds import FrameKind, kind_of

__all__ = [
    "LAMPS",
    "NIGHT_START_OFFSET",
    "PRODUCT_KEYWORDS",
    "FrameKind",
    "ObservationInfo",
    "kind_of",
    "lamp_name",
    "observation_info",
    "slit_width",
]

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

_ENDS = ("START", "END")

PRODUCT_KEYWORDS = ("ESO PRO CATG", "ESO PRO TYPE", "ESO PRO TECH")


@dataclass(frozen=True)
class ObservationInfo:
    """What the pipeline needs to know of one raw frame, in plain types.

    Times are UTC; exposure time in s; `gain` in e-/ADU; `read_noise` in e-, zero or less if the header
    says so, which no healthy frame does; temperatures: detector in K,
    common path in C. Text that is missing is "", a number NaN.

    Of the pointing: `seeing` in arcsec, angles in degrees. Offsets in arcsec; `offset_along_slit` and
    `offset_across_slit` are those of nodding, cumulative, `nod_throw` the distance of A and B,
    `jitter_width` the width of the box of random offsets. On the sky, `offset_ra` and `offset_dec` are
    those of the fixed offset, `cumulative_ra` and `cumulative_dec` those of a pattern, and `step_ra` and
    `step_dec` say how far the telescope moved since the exposure before.
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
    offset_across_slit: float = math.nan
    nod_throw: float = math.nan
    jitter_width: float = math.nan
    cumulative_ra: float = math.nan
    cumulative_dec: float = math.nan
    step_ra: float = math.nan
    step_dec: float = math.nan
    seeing_start: float = math.nan
    seeing_end: float = math.nan
    airmass_start: float = math.nan
    airmass_end: float = math.nan
    parallactic_angle: float = math.nan
    rotator_angle: float = math.nan
    position_angle: float = math.nan

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
        return slit_width(self.slit)

    @property
    def mjd_middle(self) -> float:
        """MJD of the middle of the exposure; of its start if the exposure time is not known."""
        return self.mjd_obs + (self.exptime / 172800.0 if math.isfinite(self.exptime) else 0.0)

    def get_arm(self) -> Arm:
        """The arm that took the frame, at the frame's binning."""
        return get_arm(self.instrument, self.arm).binned(self.binning)


def slit_width(name: str) -> float:
    """Width in arcsec of the slit of that name (`SLIT1.0`), NaN for masks and blanks."""
    digits = name.removeprefix("SLIT")
    is_width = digits != name and digits.replace(".", "", 1).isdigit()
    return float(digits) if is_width else math.nan


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


def _mean(values: Iterable[float]) -> float:
    known = [v for v in values if math.isfinite(v)]
    return sum(known) / len(known) if known else math.nan


def _seeing(header: Mapping[str, Any], end: str) -> float:
    """FWHM at the start or the end, arcsec. Monitors that are down write 0 or less."""
    value = _number(header, f"ESO TEL AMBI FWHM {end}")
    return value if value > 0 else math.nan


def _mean_angle(header: Mapping[str, Any], stem: str) -> float:
    """Mean of start and end in degrees, -180 to 180: over the meridian it jumps from one to the other."""
    angles = [math.radians(_number(header, f"{stem} {end}")) for end in _ENDS]
    known = [a for a in angles if math.isfinite(a)]
    if not known:
        return math.nan
    return math.degrees(math.atan2(sum(map(math.sin, known)), sum(map(math.cos, known))))


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
        airmass=_mean([_number(header, f"ESO TEL AIRM {end}") for end in _ENDS]),
        seeing=_mean([_seeing(header, end) for end in _ENDS]),
        detector_temperature=_kelvin(_number(header, arm.temperature_keyword), arm),
        common_path_temperature=_number(header, "ESO INS TEMP301 VAL"),
        offset_along_slit=_number(header, "ESO SEQ CUMOFF Y"),
        offset_ra=_number(header, "ESO SEQ FIXOFF RA"),
        offset_dec=_number(header, "ESO SEQ FIXOFF DEC"),
        simulated=header.get(arm.simulated_keyword) is True,
        offset_across_slit=_number(header, "ESO SEQ CUMOFF X"),
        nod_throw=_number(header, "ESO SEQ NOD THROW"),
        jitter_width=_number(header, "ESO SEQ JITTER WIDTH"),
        cumulative_ra=_number(header, "ESO SEQ CUMOFF RA"),
        cumulative_dec=_number(header, "ESO SEQ CUMOFF DEC"),
        step_ra=_number(header, "ESO SEQ RELOFF RA"),
        step_dec=_number(header, "ESO SEQ RELOFF DEC"),
        seeing_start=_seeing(header, "START"),
        seeing_end=_seeing(header, "END"),
        airmass_start=_number(header, "ESO TEL AIRM START"),
        airmass_end=_number(header, "ESO TEL AIRM END"),
        parallactic_angle=_mean_angle(header, "ESO TEL PARANG"),
        rotator_angle=_number(header, "ESO ADA ABSROT END"),
        position_angle=_number(header, "ESO ADA POSANG"),
    )
