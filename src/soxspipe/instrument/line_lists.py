"""Arc line lists and line atlases, from the tables in the package."""

from functools import cache
from importlib import resources

import numpy as np
from astropy.table import Table

from soxspipe.datamodel.arc_lines import LineList
from soxspipe.instrument.arms import Arm


def _table(tag: str, name: str) -> Table:
    instrument, arm = tag.split("_")
    source = resources.files("soxspipe.instrument").joinpath(
        "data", instrument, f"{arm}_{name}.ecsv"
    )
    return Table.read(source.read_text(encoding="utf-8"), format="ascii.ecsv")


@cache
def _list(tag: str) -> LineList:
    table = _table(tag, "arc_lines")
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
    return _list(arm.tag)


@cache
def _atlas(tag: str) -> LineList:
    table = _table(tag, "line_atlas")
    n = len(table)
    return LineList(
        order=np.zeros(n, dtype="i4"),
        wavelength=np.asarray(table["wavelength"], dtype="f8"),
        suspect=np.zeros(n, dtype=bool),
        ion=np.asarray(table["ion"], dtype=str),
        strength=np.asarray(table["strength"], dtype="f8"),
    )


def line_atlas(arm: Arm) -> LineList:
    """Lines of the arm's lamps that stand alone, more than `arc_lines` has; `order` is 0: any."""
    return _atlas(arm.tag)
