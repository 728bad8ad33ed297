"""extract: spectra once more, at slit positions and with apertures of the user's choice."""

import logging
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from soxspipe.datamodel.flat import MasterFlat
from soxspipe.datamodel.frame import Frame
from soxspipe.datamodel.geometry import PixelMap
from soxspipe.datamodel.metric import Metric
from soxspipe.datamodel.rectified import RectifiedSpectrum
from soxspipe.errors import InputError
from soxspipe.instrument.arms import Arm
from soxspipe.qc import plot_spectra
from soxspipe.recipes import extract_steps
from soxspipe.recipes.extract_steps import Extracted
from soxspipe.recipes.quality import judged
from soxspipe.recipes.recipe import Calibration, Plot, Product, Result, recipe
from soxspipe.science.wavelength.native_bins import order_pixels
from soxspipe.settings import ExtractSettings

log = logging.getLogger(__name__)

#: Objects that one run extracts at most.
MOST = 5

METRICS = (
    Metric("N OBJECTS", "", "objects extracted"),
    Metric("OBJECT POS", "arcsec", "slit position of the first"),
    Metric("OBJECT FWHM", "arcsec", "its FWHM along the slit"),
    Metric("SNR MEDIAN", "", "its median S/N per bin of the merged spectrum"),
    Metric("BOX RATIO", "", "boxcar over optimal flux, median of its bins of S/N above 3"),
)


def _ending(number: int) -> str:
    return "" if number == 1 else f"_{number}"


def _products() -> tuple[Product, ...]:
    found = []
    for n in range(1, MOST + 1):
        end, which = _ending(n), f"object {n}"
        for label, suffix, category, meaning in (
            ("EXTRACTED_MERGED_TABLE", "_EXTRACTED_MERGED", "SCI_SLIT_FLUX", "merged spectrum"),
            ("EXTRACTED_BOXCAR_TABLE", "_EXTRACTED_BOXCAR", "", "merged sum over the aperture"),
            (
                "EXTRACTED_ORDERS_TABLE",
                "_EXTRACTED_ORDERS",
                "SCI_ORDERS_FLUX",
                "spectra of the orders",
            ),
        ):
            found.append(
                Product(
                    f"{label}{end}",
                    f"{suffix}{end}.fits",
                    category,
                    "ECHELLE,SLIT",
                    f"{meaning}, {which}",
                )
            )
    return tuple(found)


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
    plots=tuple(
        Plot(
            f"EXTRACTED_MERGED_QC_PLOT{_ending(n)}",
            f"_EXTRACTED_MERGED_QC_PLOT{_ending(n)}.pdf",
            f"merged spectrum of object {n}",
        )
        for n in range(1, MOST + 1)
    ),
    metrics=METRICS,
    type_codes={},
)
def extract(inputs: Inputs, settings: ExtractSettings, arm: Arm) -> Result:
    """Extract again what was reduced before: from a sky-subtracted frame (`_SKYSUB.fits`, with the map
    and the flat it was made with) or from a merged 2-D image (`_MERGED2D.fits`).

    `slit-positions` and `apertures` say where and how wide; without positions the brightest object is
    taken.
    """
    objects = _extracted(inputs, settings, arm)
    products, headers, figures = {}, {}, {}
    for number, found in enumerate(objects, start=1):
        end, card = _ending(number), _cards(found)
        values = {
            "EXTRACTED_MERGED_TABLE": found.optimal,
            "EXTRACTED_BOXCAR_TABLE": found.boxcar,
            "EXTRACTED_ORDERS_TABLE": found.orders,
        }
        for label, value in values.items():
            if value is not None:
                products[f"{label}{end}"], headers[f"{label}{end}"] = value, card
        figures[f"EXTRACTED_MERGED_QC_PLOT{end}"] = _figure(found, arm)
    first = objects[0]
    measured = {
        "N OBJECTS": len(objects),
        "OBJECT POS": _position(first),
        "OBJECT FWHM": first.model.fwhm,
        "SNR MEDIAN": _median(first.optimal.snr),
        "BOX RATIO": _box_ratio(first),
    }
    return Result(
        products=products,
        measurements=judged(METRICS, measured, settings, arm),
        figures=figures,
        headers=headers,
    )


def _extracted(inputs: Inputs, settings: ExtractSettings, arm: Arm) -> list[Extracted]:
    """All objects asked for, in the order in which they were."""
    if (inputs.frame is None) == (inputs.image is None):
        raise InputError(
            "extract takes one product: a sky-subtracted frame, or a merged 2-D image",
            hint="name a _SKYSUB.fits (tag SCI_SLIT_SKYSUB_<ARM>) or a _MERGED2D.fits",
        )
    if inputs.image is not None:
        image = inputs.image
        wanted = _wanted(extract_steps.find_in_image(image), settings)
        orders = extract_steps.pieces_of(image)
        return [
            extract_steps.from_image(image, orders, target, width, settings)
            for target, width in wanted
        ]
    assert inputs.frame is not None
    if inputs.pixel_map is None:
        raise InputError(
            "a sky-subtracted frame needs its map", hint=f"add DISP_IMAGE_{arm.name} to the SOF"
        )
    if inputs.flat is None:
        log.warning("no master flat is given: orders are joined as if they were equally bright")
    lamp = {} if inputs.flat is None else inputs.flat.lamp
    pixels = order_pixels(inputs.pixel_map, dispersion_axis=arm.dispersion_axis)
    orders = extract_steps.orders_of(inputs.frame, pixels)
    return [
        extract_steps.from_frame(inputs.frame, orders, lamp, target, width, settings, arm)
        for target, width in _wanted(extract_steps.find(orders), settings)
    ]


def _wanted(
    brightest: extract_steps.Target, settings: ExtractSettings
) -> list[tuple[extract_steps.Target, float]]:
    """Target and width of the aperture of each object."""
    positions, widths = settings.slit_positions[:MOST], settings.apertures
    if len(settings.slit_positions) > MOST:
        log.warning("only the first %d slit positions are extracted", MOST)
    if len(widths) not in (1, len(settings.slit_positions)) or min(widths, default=0.0) <= 0:
        raise InputError(
            f"{len(widths)} apertures are given for {len(settings.slit_positions)} slit positions",
            hint="give one width above zero for all, or one for each position",
        )
    if not positions:
        if brightest.found is None:
            log.warning("no object was found on the slit; what is extracted is its middle")
        return [(brightest, widths[0])]
    targets = [extract_steps.placed(brightest, position) for position in positions]
    every = widths if len(widths) > 1 else widths * len(positions)
    return list(zip(targets, every, strict=False))


def _figure(found: Extracted, arm: Arm):  # type: ignore[no-untyped-def]
    title = f"slit position {_position(found):.2f} arcsec"
    return lambda: plot_spectra.merged(found.optimal, arm, title, found.orders)


def _position(found: Extracted) -> float:
    return extract_steps.position_of(found.target)


def _cards(found: Extracted) -> dict[str, tuple[float, str]]:
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
