"""Arc line lists, from the tables in the package."""

from functools import cache
from importlib import resources

import numpy as np
from astropy.table import Table

from soxspipe.datamodel.arc_lines import LineList
from soxspipe.instrument.arms import Arm


@cache
def _read(tag: str) -> LineList:
    instrument, arm = tag.split("_")
    source = resources.files("soxspipe.instrument").joinpath(
        "data", instrument, f"{arm}_arc_lines.ecsv"
    )
    table = Table.read(source.read_text(encoding="utf-8"), format="ascii.ecsv")
    return LineList(
        order=np.asarray(table["order"], dtype="i4"),
        wavelength=np.asarray(table["wavelength"], dtype="f8"),
        suspect=np.asarray(table["suspect"], dtype=bool),
    )


def arc_lines(arm: Arm) -> LineList:
    """The arc lines of an arm: order and wavelength (nm, air)."""
    return _read(arm.tag)
