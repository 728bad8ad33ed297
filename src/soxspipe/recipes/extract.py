"""extract: spectra once more, at slit positions and with apertures of the user's choice."""

import logging
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from soxspipe.datamodel.flat import MasterFlat
from soxspipe.datamodel.frame import Frame
from soxspipe.datamodel.geometry import PixelMap
from soxspipe.datamodel.metric import Metric
from soxspipe.datamodel.rectified import RectifiedSpectrum
from soxspipe.errors import DataError, InputError
from soxspipe.instrument.arms import Arm
from soxspipe.qc import plot_spectra
from soxspipe.recipes import extract_steps
from soxspipe.recipes.extract_steps import Extracted
from soxspipe.recipes.quality import judged
from soxspipe.recipes.recipe import Calibration, Plot, Product, Result, recipe
from soxspipe.recipes.slit_orders import order_pixels
from soxspipe.recipes.slit_steps import Cards
from soxspipe.settings import ExtractSettings

log = logging.getLogger(__name__)

METRICS = (
    Metric("N OBJECTS", "", "objects extracted"),
    Metric("OBJECT POS", "arcsec", "slit position of the first"),
    Metric("OBJECT FWHM", "arcsec", "its FWHM along the slit"),
    Metric("SNR MEDIAN", "", "its median S/N per bin of the merged spectrum"),
    Metric("BOX RATIO", "", "boxcar over optimal flux, median of its bins of S/N above 3"),
)


#: label, suffix, category and meaning of the spectra of one object.
_SPECTRA = (
    ("EXTRACTED_MERGED_TABLE", "_EXTRACTED_MERGED", "SCI_SLIT_FLUX", "merged spectrum"),
    ("EXTRACTED_BOXCAR_TABLE", "_EXTRACTED_BOXCAR", "", "merged sum over the aperture"),
    ("EXTRACTED_ORDERS_TABLE", "_EXTRACTED_ORDERS", "SCI_ORDERS_FLUX", "spectra of the orders"),
)
_TECH = "ECHELLE,SLIT"


def _products() -> tuple[Product, ...]:
    """The spectra of the first object, and those of the others by number."""
    return (
        *(
            Product(label, f"{stem}.fits", category, _TECH, meaning)
            for label, stem, category, meaning in _SPECTRA
        ),
        *(
            Product(
                f"{label}_OTHERS", f"_OBJ{{n}}{stem}.fits", category, _TECH, f"{meaning}, others"
            )
            for label, stem, category, meaning in _SPECTRA
        ),
    )


@dataclass(frozen=True)
class Inputs:
    """What extract takes: a sky-subtracted frame with map and flat, or a merged 2-D image."""

    frame: Annotated[
        Frame | None, Calibration("SCI_SLIT_SKYSUB", "stare", required=False, leads=True)
    ]
    image: Annotated[
        RectifiedSpectrum | None,
        Calibration("SCI_SLIT_MERGE2D", "straighten", required=False, leads=True),
    ]
    flat: Annotated[MasterFlat | None, Calibration("MASTER_FLAT", "mflat", required=False)]
    pixel_map: Annotated[
        PixelMap | None, Calibration("DISP_IMAGE", "spat_solution", required=False)
    ]


@recipe(
    "extract",
    folder="soxs-extract",
    title="Spectra at places of your choice",
    inputs=Inputs,
    settings=ExtractSettings,
    products=_products(),
    plots=(
        Plot("EXTRACTED_MERGED_QC_PLOT", "_OBJ{n}_EXTRACTED_MERGED_QC_PLOT.pdf", "merged spectra"),
    ),
    metrics=METRICS,
    type_codes={},
)
def extract(inputs: Inputs, settings: ExtractSettings, arm: Arm) -> Result:
    """Extract again what was reduced before: from a sky-subtracted frame (`_SKYSUB.fits`, with the map
    and the flat it was made with) or from a merged 2-D image (`_MERGED2D.fits`).

    `object-positions` and `object-apertures` say where and how wide; without positions all
    objects that are found are taken.
    """
    objects = _extracted(inputs, settings, arm)
    products: dict[str, Any] = {}
    for found in objects:
        number = found.source.number
        for label, value in _spectra(found).items():
            if number == 1:
                products[label] = value
            else:
                products.setdefault(f"{label}_OTHERS", {})[str(number)] = value
    first = objects[0]
    measured = {
        "N OBJECTS": len(objects),
        "OBJECT POS": _position(first),
        "OBJECT FWHM": first.source.fwhm,
        "SNR MEDIAN": _median(first.optimal.snr),
        "BOX RATIO": _box_ratio(first),
    }
    return Result(
        products=products,
        measurements=judged(METRICS, measured, settings, arm),
        figures={
            "EXTRACTED_MERGED_QC_PLOT": {str(o.source.number): _figure(o, arm) for o in objects}
        },
        headers=_headers(objects),
    )


def _extracted(inputs: Inputs, settings: ExtractSettings, arm: Arm) -> list[Extracted]:
    """All objects asked for, in the order in which they were."""
    if (inputs.frame is None) == (inputs.image is None):
        raise InputError(
            "extract takes one product: a sky-subtracted frame, or a merged 2-D image",
            hint="name a _SKYSUB.fits (tag SCI_SLIT_SKYSUB_<ARM>) or a _MERGED2D.fits",
        )
    if inputs.image is not None:
        orders = extract_steps.pieces_of(inputs.image)
        if not orders:
            raise DataError("the image holds no known bin", hint="look at the frame it was made of")
        return _told(extract_steps.from_image(inputs.image, orders, settings))
    assert inputs.frame is not None
    if inputs.pixel_map is None:
        raise InputError(
            "a sky-subtracted frame needs its map", hint=f"add DISP_IMAGE_{arm.name} to the SOF"
        )
    if inputs.flat is None:
        log.warning("no master flat is given: orders are joined as if they were equally bright")
    lamp = {} if inputs.flat is None else inputs.flat.lamp
    orders = extract_steps.orders_of(inputs.frame, order_pixels(inputs.pixel_map, arm))
    return _told(extract_steps.from_frame(inputs.frame, orders, lamp, settings, arm))


def _spectra(found: Extracted) -> dict[str, Any]:
    """What there is of one object, by label."""
    values = {
        "EXTRACTED_MERGED_TABLE": found.optimal,
        "EXTRACTED_BOXCAR_TABLE": found.boxcar,
        "EXTRACTED_ORDERS_TABLE": found.orders,
    }
    return {label: value for label, value in values.items() if value is not None}


def _headers(objects: list[Extracted]) -> dict[str, Cards]:
    """Cards of the spectra: those of the first object, and of all others together."""
    made = {label: _cards(objects[0]) for label, *_ in _SPECTRA}
    if len(objects) > 1:
        places = ", ".join(f"{_position(o):.3f}" for o in objects[1:])
        card: Cards = {"ESO PRO EXTRACT POS": (places, "[arcsec] slit positions, by number")}
        made |= {f"{label}_OTHERS": card for label, *_ in _SPECTRA}
    return made


def _told(objects: list[Extracted]) -> list[Extracted]:
    """The objects; the log tells if none was found."""
    if objects[0].source.found is None:
        log.warning("no object was found on the slit; what is extracted is its middle")
    return objects


def _figure(found: Extracted, arm: Arm):  # type: ignore[no-untyped-def]
    title = f"slit position {_position(found):.2f} arcsec"
    return lambda: plot_spectra.merged(found.optimal, arm, title, found.orders)


def _position(found: Extracted) -> float:
    return extract_steps.position_of(found.source)


def _cards(found: Extracted) -> Cards:
    return {
        "ESO PRO EXTRACT POS": (round(_position(found), 3), "[arcsec] slit position"),
        "ESO PRO EXTRACT WIDTH": (found.width, "[arcsec] full width of the boxcar"),
        "NOISEFAC": (round(found.factor, 4), "true over naive error of a sum of many bins"),
    }


def _median(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else float("nan")


def _box_ratio(found: Extracted) -> float:
    bright = np.nan_to_num(found.optimal.snr) > 3.0
    return _median(found.boxcar.flux[bright] / found.optimal.flux[bright])
