"""An arm of the spectrograph: detector format, orientation, gain, slit, orders. Facts only."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any, Literal

import numpy as np
import yaml

from soxspipe.errors import InputError

Window = tuple[int, int]
Binning = tuple[int, int]


@dataclass(frozen=True)
class OrderFormat:
    """One order (VIS: quasi-order) of an arm. Wavelength ranges in nm, air."""

    number: int
    label: str  # the band name in VIS, the order number in NIR: used for QC values and plots
    full: tuple[float, float]
    useful: tuple[float, float]


@dataclass(frozen=True)
class Arm:
    """The declared facts of one arm at one binning. Pixel numbers are unbinned unless said.

    columns, rows     science window in the raw array, half open, after rotation
    margin_columns    column ranges of the raw array that see no light
    dispersion_axis   detector axis along which light is dispersed: "y" in SOXS VIS, "x" in NIR
    gain              e-/ADU, used if `gain_from_header` is false or the header has none
    read_noise        e-, used if the header has none
    saturation        ADU, None if not known
    coldest           K, what the detector cannot be colder than: lower readings are in Celsius
    merged_step       nm, step of the merged spectrum
    """

    instrument: str
    name: str
    columns: Window
    rows: Window
    margin_columns: tuple[Window, ...]
    rotation: int
    dispersion_axis: Literal["x", "y"]
    gain: float
    gain_from_header: bool
    read_noise: float
    saturation: float | None
    pixel_size: float
    slit_keyword: str
    simulated_keyword: str
    temperature_keyword: str
    coldest: float
    slit_length: float
    pinholes: tuple[float, ...]
    merged_step: float
    arc_lamps: tuple[str, ...]
    bands_move_independently: bool
    orders: Mapping[int, OrderFormat]
    binnings: tuple[Binning, ...]
    binning: Binning = (1, 1)

    @property
    def shape(self) -> tuple[int, int]:
        """(ny, nx) of the trimmed frame at this arm's binning."""
        (x0, x1), (y0, y1) = self.columns, self.rows
        return (y1 - y0) // self.binning[1], (x1 - x0) // self.binning[0]

    @property
    def tag(self) -> str:
        """`soxs_vis`: names data files and the arm in messages."""
        return f"{self.instrument}_{self.name}".lower()

    def binned(self, binning: Binning) -> "Arm":
        """The same arm read out with `binning` (x, y). InputError if the arm has no such binning."""
        if binning not in self.binnings:
            known = ", ".join(f"{x}x{y}" for x, y in self.binnings)
            raise InputError(
                f"{self.instrument} {self.name} has no binning {binning[0]}x{binning[1]}",
                hint=f"known binnings are {known}",
            )
        return replace(self, binning=binning)

    def along_rows(self, image: np.ndarray) -> np.ndarray:
        """View of `image` with dispersion along the last axis and the slit along the first."""
        return image if self.dispersion_axis == "x" else image.T

    def dispersion_and_slit(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Detector (x, y) as (pixel along dispersion, pixel across); its own inverse."""
        return (x, y) if self.dispersion_axis == "x" else (y, x)


def _order_formats(table: Mapping[int, Mapping[str, Any]]) -> dict[int, OrderFormat]:
    return {
        int(number): OrderFormat(
            int(number),
            str(facts.get("band", number)),
            tuple(facts["full"]),
            tuple(facts.get("useful", facts["full"])),
        )
        for number, facts in table.items()
    }


@cache
def get_arm(instrument: str, name: str) -> Arm:
    """The arm `name` ("VIS", "NIR") of `instrument` ("SOXS"), unbinned.

    Raises InputError for an arm that is not known.
    """
    folder = resources.files("soxspipe.instrument").joinpath("data", instrument.lower())
    source = folder.joinpath(f"{name.lower()}.yaml")
    if not source.is_file():
        raise InputError(
            f"no spectrograph arm {instrument} {name}",
            hint="this version reduces SOXS VIS and SOXS NIR",
        )
    facts = yaml.safe_load(source.read_text(encoding="utf-8"))
    return Arm(
        instrument=facts["instrument"],
        name=facts["arm"],
        columns=tuple(facts["science_window"]["columns"]),
        rows=tuple(facts["science_window"]["rows"]),
        margin_columns=tuple(map(tuple, facts["margin_columns"])),
        rotation=facts["rotation"],
        dispersion_axis=facts["dispersion_axis"],
        gain=facts["gain"],
        gain_from_header=facts["gain_from_header"],
        read_noise=facts["read_noise"],
        saturation=facts["saturation"],
        pixel_size=facts["pixel_size"],
        slit_keyword=facts["slit_keyword"],
        simulated_keyword=facts["simulated_keyword"],
        temperature_keyword=facts["temperature_keyword"],
        coldest=facts["coldest"],
        slit_length=facts["slit_length"],
        pinholes=tuple(facts["pinholes"]),
        merged_step=facts["merged_step"],
        arc_lamps=tuple(facts["arc_lamps"]),
        bands_move_independently=facts["bands_move_independently"],
        orders=_order_formats(facts["orders"]),
        binnings=tuple(map(tuple, facts["binnings"])),
    )


ARMS = (("SOXS", "VIS"), ("SOXS", "NIR"))
