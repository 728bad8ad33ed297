"""ESO headers of simulated raw frames."""

import math
from typing import Any

from astropy.io.fits import Header
from astropy.time import Time

from soxspipe.instrument.arms import Arm
from soxspipe.simulator.atmosphere import Atmosphere
from soxspipe.simulator.detector import READOUT
from soxspipe.simulator.plan import Exposure

_COORDINATES = {"standard": (245.8913, -39.2298), "science": (215.6042, -31.0447), "": (0.0, 0.0)}

Cards = list[tuple[str, Any, str]]


def raw_header(exposure: Exposure, arm: Arm, name: str, air: Atmosphere) -> Header:
    """The header of one raw frame; `name` is the object."""
    header = Header()
    cards = _general(exposure, name) + _block(exposure, name) + _detector(exposure, arm)
    cards += _instrument(exposure) + _telescope(exposure, air)
    for key, value, comment in cards:
        long = key.startswith("ESO ")
        header[f"HIERARCH {key}" if long else key] = (value, comment)
    return header


def _general(exposure: Exposure, name: str) -> Cards:
    start = exposure.start
    ra, dec = _COORDINATES[exposure.target]
    midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
    seconds = (start - midnight).total_seconds()
    mjd = float(Time(start.isoformat(), format="isot", scale="utc").mjd)
    return [
        ("ORIGIN", "SIMULATED", "Not observed: made by soxspipe simulate"),
        ("TELESCOP", "ESO-NTT", ""),
        ("INSTRUME", "SOXS", ""),
        ("OBJECT", name, ""),
        ("RA", ra, "[deg]"),
        ("DEC", dec, "[deg]"),
        ("EQUINOX", 2000.0, ""),
        ("RADECSYS", "FK5", ""),
        ("EXPTIME", exposure.seconds, "[s]"),
        ("MJD-OBS", mjd, "start of exposure"),
        ("DATE-OBS", start.isoformat(timespec="milliseconds"), "start of exposure, UTC"),
        ("UTC", round(seconds, 3), "[s]"),
        ("LST", round((seconds * 1.0027379 + 36000.0) % 86164.0, 3), "[s]"),
        ("PI-COI", "SIMULATOR", ""),
        ("OBSERVER", "SIMULATOR", ""),
        ("ARCFILE", f"{exposure.stem}.fits", ""),
        ("ORIGFILE", f"SOXS_{exposure.arm}_{exposure.group}_{exposure.number:03d}.fits", ""),
    ]


def _block(exposure: Exposure, name: str) -> Cards:
    catg, kind, tech = exposure.dpr
    start = exposure.template_start.isoformat()
    number, total = exposure.count
    return [
        ("ESO DPR CATG", catg, ""),
        ("ESO DPR TYPE", kind, ""),
        ("ESO DPR TECH", tech, ""),
        ("ESO SEQ ARM", exposure.arm, ""),
        ("ESO OBS ID", 4100000 + exposure.block, ""),
        ("ESO OBS NAME", f"{exposure.group}_{exposure.block}", ""),
        ("ESO OBS TARG NAME", name, ""),
        ("ESO OBS START", start, ""),
        ("ESO OBS TPLNO", 1, ""),
        ("ESO OBS NTPL", 1, ""),
        ("ESO OBS PROG ID", "60.A-9999(A)", ""),
        ("ESO TPL ID", exposure.template, ""),
        ("ESO TPL NAME", exposure.template.replace("_", " "), ""),
        ("ESO TPL START", start, ""),
        ("ESO TPL EXPNO", number, ""),
        ("ESO TPL NEXP", total, ""),
    ]


def _detector(exposure: Exposure, arm: Arm) -> Cards:
    electronics = READOUT[arm.name]
    size = arm.pixel_size
    cards: Cards = [
        ("ESO DET CHIP PSZX", size, "[um]"),
        ("ESO DET CHIP PSZY", size, "[um]"),
        ("ESO DET OUT1 CONAD", electronics.gain, "[e-/ADU]"),
        ("ESO DET OUT1 GAIN", round(1.0 / electronics.gain, 4), "[ADU/e-]"),
        ("ESO DET CHIP RON", electronics.read_noise, "[e-]"),
    ]
    if arm.name == "VIS":
        cards += [
            ("ESO DET BINX", arm.binning[0], ""),
            ("ESO DET BINY", arm.binning[1], ""),
            ("ESO DET READ CURID", 1, ""),
            ("ESO DET READ CURNAME", "1pt/100k/hg", ""),
        ]
    else:
        cards += [
            ("ESO DET READ CURID", 3, ""),
            ("ESO DET READ CURNAME", "Fowler", ""),
            ("ESO DET DIT", exposure.seconds, "[s]"),
            ("ESO DET NDIT", 1, ""),
        ]
    return cards


def _instrument(exposure: Exposure) -> Cards:
    wheel = "VISE" if exposure.arm == "VIS" else "NISE"
    cards: Cards = [
        (f"ESO INS {wheel} NAME", exposure.slit, ""),
        (f"ESO INS {wheel} SWSIM", False, ""),
        ("ESO INS TEMP217 VAL", 40.1, "[K] NIR detector"),
        ("ESO INS TEMP104 VAL", 153.0, "[K] VIS detector"),
        ("ESO INS TEMP301 VAL", 10.8, "[C] common path"),
        ("ESO INS ACFW ID", "FREE", ""),
        ("ESO INS ACQS ID", "SLIT", ""),
        ("ESO ADA ABSROT END", 14.2, "[deg]"),
    ]
    for unit in ("AFC1", "AFC2"):
        cards += [(f"ESO INS {unit} POS{i}", 0.5, "") for i in (1, 2)]
    for lamp in (
        key for key in exposure.lamps if key != "DOME"
    ):  # a lamp is on if its name is in the header
        cards.append((f"ESO INS {lamp} NAME", f"{lamp.capitalize()}_Lamp", ""))
        cards.append((f"ESO INS {lamp} ST", True, ""))
    return cards


def _telescope(exposure: Exposure, air: Atmosphere) -> Cards:
    airmass = round(air.airmass, 4) if exposure.target else 1.0
    altitude = math.degrees(math.asin(1.0 / airmass))
    cards: Cards = []
    for end in ("START", "END"):
        cards.append((f"ESO TEL AIRM {end}", airmass, ""))
        cards.append((f"ESO TEL AMBI FWHM {end}", round(air.seeing, 3), "[arcsec]"))
        cards.append((f"ESO TEL PARANG {end}", 20.0, "[deg]"))
    cards += [("ESO TEL AZ", 120.0, "[deg]"), ("ESO TEL ALT", round(altitude, 3), "[deg]")]
    if exposure.nod is not None:
        cards += [
            ("ESO SEQ CUMOFF X", exposure.slit_offset, "[arcsec] across the slit"),
            ("ESO SEQ CUMOFF Y", exposure.nod, "[arcsec] along the slit"),
        ]
    if exposure.throw > 0.0:
        cards += [
            ("ESO SEQ NOD THROW", exposure.throw, "[arcsec]"),
            ("ESO SEQ JITTER WIDTH", exposure.jitter, "[arcsec]"),
        ]
    if exposure.offset is not None:
        cards += [
            ("ESO SEQ FIXOFF RA", exposure.offset[0], "[arcsec]"),
            ("ESO SEQ FIXOFF DEC", exposure.offset[1], "[arcsec]"),
        ]
    return cards
