"""Small raw frames and masters for recipe steps, which ask no arm for its size."""

from dataclasses import replace

import numpy as np
from astropy.io.fits import Header

from soxspipe.datamodel.frame import Frame
from soxspipe.instrument.headers import observation_info
from soxspipe.io.frames import RawFrame
from tests.raw_files import raw_header

SHAPE = (20, 30)


def info(**changes):
    """Facts of a VIS exposure."""
    return replace(observation_info(raw_header(), "made up"), **changes)


def raw(level=1000.0, seed=1, noise=0.0, **changes):
    """A raw frame of `level` counts."""
    data = np.random.default_rng(seed).normal(level, noise, SHAPE).astype("f4")
    return RawFrame(data, np.empty(0), info(**changes), Header())


def master(level=0.0, variance=1.0, **cards):
    """A master frame of `level` electrons; `cards` by keyword, blanks as underscores."""
    header = Header()
    for key, value in cards.items():
        name = key.replace("_", " ")
        header[f"HIERARCH {name}" if " " in name else name] = value
    return Frame(np.full(SHAPE, level), np.full(SHAPE, variance), np.zeros(SHAPE), header=header)
