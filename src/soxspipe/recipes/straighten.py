"""straighten: orders become images of wavelength times slit position."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from soxspipe.datamodel.flat import MasterFlat
from soxspipe.datamodel.frame import UNUSABLE, Frame
from soxspipe.datamodel.geometry import PixelMap
from soxspipe.datamodel.metric import Metric
from soxspipe.datamodel.rectified import RectifiedImage
from soxspipe.errors import InputError
from soxspipe.instrument.arms import Arm
from soxspipe.instrument.headers import FrameKind
from soxspipe.qc import plot_rectified
from soxspipe.recipes import rectified_steps
from soxspipe.recipes.prepare import detrended, electrons
from soxspipe.recipes.quality import judged, per_order
from soxspipe.recipes.recipe import Calibration, Plot, Product, Raw, RawFrame, Result, recipe
from soxspipe.recipes.slit_orders import order_pixels
from soxspipe.science.detector.detrend import add_photon_noise
from soxspipe.science.extraction.rectify import Values
from soxspipe.settings import StraightenSettings

log = logging.getLogger(__name__)

_SPECTRAL = tuple(k for k in FrameKind if k not in (FrameKind.BIAS, FrameKind.DARK))

METRICS = (
    Metric("FLUX RATIO", "", "1 minus what the images lack of the pixels' light, over its size"),
    Metric(
        "BINS FILLED", "", "part of the bins inside the slit that hold good data, all and per order"
    ),
    Metric("NOISE FACTOR", "", "true error of large sums over the naive one, all and per order"),
    Metric("N ORDERS", "", "orders straightened"),
)


@dataclass(frozen=True)
class Inputs:
    """What straighten takes: an image product, or a raw frame."""

    image: Annotated[Frame | None, Calibration("", "stare", required=False, leads=True)]
    raw: Annotated[RawFrame | None, Raw(_SPECTRAL, least=0)]
    bias: Annotated[
        Frame | None, Calibration("MASTER_BIAS", "mbias", arms=("VIS",), required=False)
    ]
    dark: Annotated[
        Frame | None, Calibration("MASTER_DARK", "mdark", arms=("NIR",), required=False)
    ]
    flat: Annotated[MasterFlat | None, Calibration("MASTER_FLAT", "mflat", required=False)]
    pixel_map: Annotated[PixelMap, Calibration("DISP_IMAGE", "spat_solution")]


@recipe(
    "straighten",
    folder="soxs-straighten",
    title="Images of wavelength times slit",
    inputs=Inputs,
    settings=StraightenSettings,
    products=(
        Product(
            "RECTIFIED_ORDERS", "_RECTIFIED.fits", "", "ECHELLE,SLIT", "an image for each order"
        ),
        rectified_steps.merged_product("ECHELLE,SLIT"),
    ),
    plots=(
        Plot("RECTIFIED_QUICKLOOK", "_RECTIFIED_quicklook.pdf", "the images of the orders"),
        rectified_steps.MERGED_PLOT,
    ),
    metrics=METRICS,
    type_codes={},
)
def straighten(inputs: Inputs, settings: StraightenSettings, arm: Arm) -> Result:
    """Straighten the orders of one frame: any image product (sky-subtracted, sky model, ...) or a raw
    frame.

    Light is shared among bins by the exact overlap of pixels with them. With a master flat in the SOF,
    whose lamp tells how orders compare, they are joined to one image as well.
    """
    frame = _frame(inputs, arm)
    pixels = order_pixels(inputs.pixel_map, arm, flat_fielded=inputs.raw is None)
    values = rectified_steps.values_of(frame, pixels)
    made = rectified_steps.straightened(
        pixels,
        values,
        arm,
        step=settings.straighten_grid_res_wavelength,
        along_slit=settings.straighten_grid_res_split,
    )
    orders = made.images
    title = str(frame.header.get("OBJECT", "")) or "orders"
    filled = {n: _filled(image) for n, image in orders.orders.items()}
    factors = {n: image.noise_factor for n, image in orders.orders.items()}
    measured = {
        "FLUX RATIO": _flux_ratio(orders.orders, values),
        "BINS FILLED": float(np.mean(list(filled.values()))),
        "NOISE FACTOR": float(np.median(list(factors.values()))),
        "N ORDERS": len(filled),
    }
    products: dict[str, Any] = {"RECTIFIED_ORDERS": orders}
    figures = {"RECTIFIED_QUICKLOOK": lambda: plot_rectified.orders(orders, arm, title)}
    if inputs.flat is not None:
        merged = rectified_steps.joined([made], inputs.flat.lamp)
        products["RECTIFIED_MERGED"] = merged
        figures["MERGED2D_QUICKLOOK"] = lambda: plot_rectified.merged(merged, arm, title)
    return Result(
        products=products,
        measurements=(
            *judged(METRICS, measured, settings, arm),
            *per_order(METRICS, "BINS FILLED", filled, arm),
            *per_order(METRICS, "NOISE FACTOR", factors, arm),
        ),
        figures=figures,
    )


def _frame(inputs: Inputs, arm: Arm) -> Frame:
    """The one image to be straightened, electrons if it is a raw frame."""
    if (inputs.image is None) == (inputs.raw is None):
        raise InputError(
            "straighten takes one image: a product, or a raw frame",
            hint="leave one image in the SOF, beside the map DISP_IMAGE",
        )
    if inputs.raw is None:
        if not isinstance(inputs.image, Frame):
            raise InputError(
                f"a {type(inputs.image).__name__} cannot be straightened",
                hint="give a detector image with the extensions FLUX, QUAL and ERRS",
            )
        return inputs.image
    raw = inputs.raw
    if inputs.bias is None and inputs.dark is None:
        log.warning("neither bias nor dark is given: the level of the detector stays in the images")
        frame = add_photon_noise(electrons(raw, arm))
    else:
        frame = detrended(raw, arm, bias=inputs.bias, dark=inputs.dark)
    return Frame(frame.data, frame.variance, frame.flags, frame.unit, raw.header)


def _filled(image: RectifiedImage) -> float:
    """Part of the bins inside the slit that are good; rows at the slit's ends do not count."""
    inside = np.abs(image.slit) < 0.9 * np.abs(image.slit).max()
    ends = max(image.grid.shape[1] // 50, 1)
    window = (image.flags[inside, ends:-ends] & UNUSABLE) == 0
    return float(window.mean()) if window.size else float("nan")


def _flux_ratio(images: Mapping[int, RectifiedImage], values: Mapping[int, Values]) -> float:
    """Sum of images over sum of good pixels, in a way that stands sums near zero."""
    total = lacking = 0.0
    for n, image in images.items():
        assert image.cover is not None
        own = values[n]
        good = ((own.flags & UNUSABLE) == 0) & np.isfinite(own.data) & np.isfinite(own.variance)
        seen = float(np.nansum(image.flux.astype("f8") * image.cover))
        lacking += float(own.data[good].sum(dtype="f8")) - seen
        total += float(np.abs(own.data[good]).sum(dtype="f8"))
    return 1.0 - lacking / total if total > 0 else float("nan")
