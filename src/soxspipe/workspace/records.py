"""Raw frames between header, database and plan: rows in, records out."""

import math
import uuid
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

from soxspipe.instrument.arms import get_arm
from soxspipe.instrument.headers import NIGHT_START_OFFSET, kind_of
from soxspipe.workspace.database import NO_NUMBER, NO_TEXT, Database, Row
from soxspipe.workspace.intake import NUMBER_CARDS, OTHER_CARDS, TEXT_CARDS, Look
from soxspipe.workspace.sets import RawRecord, is_to_be_ignored

_MJD_ZERO = datetime(1858, 11, 17)  # noqa: DTZ001 (all times are UTC, kept naive)


def _number(value: Any) -> float:
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return value if known else NO_NUMBER


def _text(value: Any) -> str:
    return str(value).strip() or NO_TEXT if value is not None else NO_TEXT


def _date_of(mjd: float) -> str:
    return (_MJD_ZERO + timedelta(days=mjd)).date().isoformat()


def raw_row(look: Look, path: str, size: int, mtime: int) -> Row:
    """The row of raw_frames for a frame at `path`, relative to the workspace.

    `size` in bytes and `mtime` in ns since 1970 tell the next scan whether to read it again.
    """
    info = look.info
    if info is None:
        raise ValueError(f"{path} holds no frame")
    never_binned = len(get_arm(info.instrument, info.arm).binnings) == 1
    night = datetime.fromisoformat(info.night)
    row: dict[str, Any] = {
        "uuid": str(uuid.uuid4()),
        "instrume": info.instrument,
        "eso seq arm": info.arm,
        "file": PurePosixPath(path).name,
        "mjd-obs": info.mjd_obs,
        "mjd-date": _date_of(info.mjd_obs),
        "date-obs": info.date_obs.isoformat(timespec="milliseconds"),
        "night start date": info.night,
        "night start mjd": (night + NIGHT_START_OFFSET - _MJD_ZERO) / timedelta(days=1),
        "eso dpr catg": _text(info.dpr_catg),
        "eso dpr type": info.dpr_type,
        "eso dpr tech": info.dpr_tech,
        "exptime": _number(info.exptime),
        "binning": NO_TEXT if never_binned else f"{info.binning[0]}x{info.binning[1]}",
        "rospeed": _text(info.read_mode),
        "slit": _text(info.slit),
        "slitmask": _text(info.mask_class),
        "object": _text(info.object),
        "lamp": _text(info.lamp),
        "template": _text(info.template),
        "ra": _number(info.ra),
        "dec": _number(info.dec),
        "filter": NO_TEXT,
        "eso tpl start": _text(info.template_start),
        "eso tpl expno": info.exposure_number,
        "eso tpl nexp": info.exposures_in_template,
        "eso obs id": _text(info.ob_id),
        "eso obs name": _text(info.ob_name),
        "filepath": path,
        "simulation": int(info.simulated),
        "gain": info.gain,
        "nir temp k": _number(info.detector_temperature) if info.arm == "NIR" else NO_NUMBER,
        "vis temp c": _number(info.detector_temperature) if info.arm == "VIS" else NO_NUMBER,
        "cp temp c": _number(info.common_path_temperature),
        "read_noise": _number(info.read_noise),
        "file_size": size,
        "file_mtime": mtime,
        "ignore": 0,
    }
    row |= {column: _number(look.cards[column]) for column in (*NUMBER_CARDS, *OTHER_CARDS)}
    row |= {column: _text(look.cards[column]) for column in TEXT_CARDS}
    ignored = is_to_be_ignored(_raw_record(row), simulated=info.simulated)
    return row | {"ignore": int(ignored)}


def _known(text: str) -> str:
    return "" if text == NO_TEXT else text


def _raw_record(row: Row) -> RawRecord:
    return RawRecord(
        path=row["filepath"],
        instrument=row["instrume"],
        arm=row["eso seq arm"],
        kind=kind_of(row["eso dpr type"], row["eso dpr tech"]),
        dpr_catg=_known(row["eso dpr catg"]),
        dpr_type=row["eso dpr type"],
        dpr_tech=row["eso dpr tech"],
        date_obs=datetime.fromisoformat(row["date-obs"]),
        mjd=row["mjd-obs"],
        night=row["night start date"],
        exptime=max(row["exptime"], 0.0),
        binning=_known(row["binning"]),
        read_mode=_known(row["rospeed"]),
        gain=row["gain"],
        slit=_known(row["slit"]),
        slit_mask=_known(row["slitmask"]),
        lamp=_known(row["lamp"]),
        object=_known(row["object"]),
        template=_known(row["template"]),
        template_start=_known(row["eso tpl start"]),
        exposures_in_template=row["eso tpl nexp"],
        ob_id=_known(row["eso obs id"]),
        ob_name=_known(row["eso obs name"]),
        ignored=bool(row["ignore"]),
        file_size=row["file_size"],
    )


def load_frames(db: Database) -> list[RawRecord]:
    """All raw frames of the workspace."""
    return [_raw_record(row) for row in db.rows("SELECT * FROM raw_frames")]
