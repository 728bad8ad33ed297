"""Raw SOXS frames for tests: 2x2 binned VIS, which is small, with a level of our choice."""

from datetime import datetime, timedelta

import numpy as np
from astropy.io import fits

START = datetime(2026, 1, 11, 9, 0, 0)  # noqa: DTZ001 (headers know no time zone)
SHAPE = (2048, 454)


def raw_header(number=0, **cards):
    """A VIS bias header; `cards` by keyword, blanks as underscores, ESO left out of long ones."""
    start = START + timedelta(minutes=number)
    header = fits.Header()
    plain = {
        "INSTRUME": "SOXS",
        "OBJECT": "BIAS",
        "EXPTIME": 0.0,
        "MJD-OBS": 61051.375 + number / 1440,
        "DATE-OBS": start.isoformat(timespec="milliseconds"),
        "RADECSYS": "FK5",
        "ARCFILE": f"SOXS.{number}.fits",
    }
    eso = {
        "SEQ ARM": "VIS",
        "DPR CATG": "CALIB",
        "DPR TYPE": "BIAS",
        "DPR TECH": "IMAGE",
        "DET BINX": 2,
        "DET BINY": 2,
        "DET READ CURID": 1,
        "DET OUT1 CONAD": 1.2,
        "DET OUT1 GAIN": 0.8333,
        "DET CHIP RON": 3.8,
        "INS VISE NAME": "SLIT1.0",
        "INS TEMP104 VAL": 148.0,
        "INS TEMP301 VAL": 11.5,
    }
    for key, value in plain.items():
        header[key] = value
    for key, value in eso.items():
        header[f"HIERARCH ESO {key}"] = value
    for key, value in cards.items():
        name = key.replace("_", " ")
        header[name if name in plain else f"HIERARCH ESO {name}"] = value
    return header


def write_raw(path, number=0, level=1000, shape=SHAPE, noise=0.0, **cards):
    """Write a raw frame with a uniform `level`; the margins hold one less. `noise` in counts."""
    image = np.full(shape, level, dtype="i4")
    image[:, :25] = level - 1
    image[:, 429:] = level - 1
    if noise:
        scatter = np.random.default_rng(number).normal(0, noise, shape)
        image += np.rint(scatter).astype("i4")
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.PrimaryHDU(image, raw_header(number, **cards)).writeto(path)
    return path
