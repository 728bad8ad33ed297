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
    ion = np.asarray(table["ion"], dtype=str)
    return LineList(
        order=np.asarray(table["order"], dtype="i4"),
        wavelength=np.asarray(table["wavelength"], dtype="f8"),
        suspect=np.asarray(table["suspect"], dtype=bool),
        ion=np.where(ion == "UNK", "", ion),
        strength=np.asarray(table["strength"], dtype="f8"),
    )


def arc_lines(arm: Arm) -> LineList:
    """The arc lines of an arm: order, wavelength (nm, air), ion and strength."""
    return _read(arm.tag)
