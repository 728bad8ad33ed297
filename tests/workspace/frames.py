"""Small raw frames with true headers, and a night of them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from astropy.io import fits

START = datetime(2026, 1, 11, 9, tzinfo=UTC).replace(tzinfo=None)  # headers name no zone
_MJD_ZERO = datetime(1858, 11, 17, tzinfo=UTC).replace(tzinfo=None)
_SLIT_KEY = {"VIS": "ESO INS VISE NAME", "NIR": "ESO INS NISE NAME"}
_LAMP_KEYS = {"QTH": "QTH", "D": "DEUT", "ThAr": "THAR", "Ar": "ARGO", "Hg": "MERC"}

BIAS = {"type": "BIAS", "tech": "IMAGE", "slit": "BLANK", "exptime": 0.0}
DARK = {"type": "DARK", "tech": "IMAGE", "slit": "BLANK"}
ARC = {"type": "LAMP,WAVE", "tech": "ECHELLE,PINHOLE", "slit": "PINHOLE", "lamp": "ThAr"}
TRACE = {"type": "LAMP,FLAT", "tech": "ECHELLE,PINHOLE", "slit": "PINHOLE", "lamp": "QTH"}
FLAT = {"type": "LAMP,FLAT", "tech": "ECHELLE,SLIT", "slit": "SLIT1.0", "lamp": "QTH"}
MULTI = {"type": "LAMP,WAVE", "tech": "ECHELLE,MULTI-PINHOLE", "slit": "MULTPIN", "lamp": "ThAr"}
SLIT_ARC = {"type": "LAMP,WAVE", "tech": "ECHELLE,SLIT", "slit": "SLIT1.0", "lamp": "ThAr"}
STANDARD = {"type": "STD,FLUX", "tech": "ECHELLE,SLIT,STARE", "slit": "SLIT5.0"}
SCIENCE = {"catg": "SCIENCE", "type": "OBJECT", "tech": "ECHELLE,SLIT,STARE", "slit": "SLIT1.0"}
NODDING = SCIENCE | {"tech": "ECHELLE,SLIT,NODDING"}
OFFSET = SCIENCE | {"tech": "ECHELLE,SLIT,OFFSET"}
OFFSET_STANDARD = STANDARD | {"tech": "ECHELLE,SLIT,OFFSET"}


def header(
    arm: str,
    start: datetime,
    *,
    type: str,  # noqa: A002 (as the keyword)
    tech: str,
    catg: str = "CALIB",
    exptime: float = 20.0,
    slit: str = "",
    lamp: str = "",
    object: str = "",  # noqa: A002 (as the keyword)
    number: int = 1,
    count: int = 1,
    template: datetime | None = None,
    binning: tuple[int, int] = (1, 1),
    read_mode: str = "1",
    gain: float = 1.0,
    instrument: str = "SOXS",
    template_id: str = "",
) -> fits.Header:
    """Header of a raw frame; `template` is the start of its template (default: of the frame)."""
    cards = {
        "INSTRUME": instrument,
        "DATE-OBS": start.isoformat(timespec="milliseconds"),
        "MJD-OBS": (start - _MJD_ZERO) / timedelta(days=1),
        "EXPTIME": exptime,
        "OBJECT": object or type,
        "RA": 10.0,
        "DEC": -20.0,
        "ESO SEQ ARM": arm,
        "ESO DPR CATG": catg,
        "ESO DPR TYPE": type,
        "ESO DPR TECH": tech,
        "ESO TPL ID": template_id or f"tpl {type} {tech}",
        "ESO TPL START": (template or start).isoformat(timespec="seconds"),
        "ESO TPL EXPNO": number,
        "ESO TPL NEXP": count,
        "ESO DET READ CURID": read_mode,
        "ESO DET OUT1 CONAD": gain,
        "ESO DET CHIP RON": 3.8,
        "ESO OBS ID": 7,
        "ESO OBS NAME": "block",
        _SLIT_KEY[arm]: slit,
    }
    if arm == "VIS":
        cards |= {"ESO DET BINX": binning[0], "ESO DET BINY": binning[1]}
        cards |= {"ESO INS TEMP104 VAL": 150.0}
    for name in [lamp] if lamp else []:
        cards[f"ESO INS {_LAMP_KEYS[name]} NAME"] = f"{name}_Lamp"
    result = fits.Header()
    for key, value in cards.items():
        result[f"HIERARCH {key}" if key.startswith("ESO ") else key] = value
    return result


def write(folder: Path, arm: str, start: datetime, **facts: object) -> Path:
    """One frame of 4 x 4 pixels, named as the archive names them."""
    path = folder / f"SOXS.{start.isoformat(timespec='milliseconds')}.{arm}.fits"
    head = header(arm, start, **facts)
    fits.PrimaryHDU(np.full((4, 4), 100, "u2"), head).writeto(path)
    return path


def write_set(
    folder: Path, arm: str, start: datetime, exposures: int, facts: dict, **more: object
) -> list[Path]:
    """The exposures of one template, a minute apart."""
    return [
        write(
            folder,
            arm,
            start + timedelta(minutes=i),
            **({"count": exposures, "number": i + 1, "template": start} | facts | more),
        )
        for i in range(exposures)
    ]


def at(hours: float) -> datetime:
    """So many hours after the first frame of the night."""
    return START + timedelta(hours=hours)


def write_vis_night(folder: Path) -> None:
    """All that one science exposure in VIS needs."""
    write_set(folder, "VIS", at(0), 5, BIAS)
    write_set(folder, "VIS", at(0.5), 1, ARC, exptime=30.0)
    write_set(folder, "VIS", at(0.6), 1, TRACE)
    write_set(folder, "VIS", at(0.7), 5, FLAT)
    write_set(folder, "VIS", at(1), 1, MULTI, exptime=60.0)
    write_set(folder, "VIS", at(18), 1, SCIENCE, exptime=60.0, object="SN2026-ab")


def write_nir_night(folder: Path) -> None:
    """All that one science exposure in NIR needs: 20 s calibrations, a 60 s exposure."""
    for hours, exptime in ((2, 20.0), (2.5, 60.0)):
        write_set(folder, "NIR", at(hours), 3, DARK, exptime=exptime, read_mode="3")
    for hours, facts in ((3, ARC), (3.2, TRACE), (3.4, FLAT | {"slit": "SLIT1.5"}), (3.8, MULTI)):
        count = 5 if facts["tech"] == "ECHELLE,SLIT" else 1
        write_set(folder, "NIR", at(hours), count, facts, count=2 * count, read_mode="3")
        off = facts | {"tech": "IMAGE", "lamp": ""}
        for i in range(count):
            write(
                folder,
                "NIR",
                at(hours) + timedelta(minutes=count + i),
                template=at(hours),
                number=count + i + 1,
                read_mode="3",
                **(off | {"count": 2 * count}),
            )
    write_set(
        folder,
        "NIR",
        at(18),
        1,
        SCIENCE | {"slit": "SLIT1.5"},
        exptime=60.0,
        read_mode="3",
        object="SN2026-ab",
    )
