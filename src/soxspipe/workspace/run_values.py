"""The way in, second half: the pixels of the files of a run, as the values a recipe takes."""

import logging
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_type_hints

from soxspipe.datamodel.flat import MasterFlat
from soxspipe.datamodel.frame import Frame
from soxspipe.datamodel.geometry import DispersionSolution, OrderTable, PixelMap
from soxspipe.datamodel.rebinning import solution_at, table_at
from soxspipe.errors import InputError
from soxspipe.instrument.arms import Arm
from soxspipe.io.bad_pixels import read_bad_pixels
from soxspipe.io.frames import RawFrame, read_header, read_raw
from soxspipe.io.products import read_product
from soxspipe.io.provenance import Used, raw_files_of
from soxspipe.recipes import darks
from soxspipe.recipes.prepare import exposure_time
from soxspipe.recipes.recipe import Calibration, Raw, Recipe
from soxspipe.workspace.matching import serves_as_well
from soxspipe.workspace.run_files import BAD_PIXEL_MAP, ProductFile
from soxspipe.workspace.run_inputs import Gathered, takes_many

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Loaded:
    """What a recipe is called with, and what its products shall tell of it.

    inputs        the recipe's Inputs
    frames        all raw frames
    raw           raw files with the MD5 of their data; of combined masters, those they were made of
    calibrations  products used
    cards         further header cards
    """

    inputs: Any
    frames: tuple[RawFrame, ...]
    raw: tuple[Used, ...]
    calibrations: tuple[Used, ...]
    cards: dict[str, tuple[Any, str]] = field(default_factory=dict)


def load(
    recipe: Recipe, gathered: Gathered, *, extension: int = 0, maps: Path | None = None
) -> Loaded:
    """The recipe's Inputs with all pixels read.

    `maps` : folder with bad-pixel maps, used if the SOF names none. Raises InputError if a file is
    damaged, or a calibration has another shape than the frames.
    """
    hints = get_type_hints(recipe.inputs)
    defects = gathered.bad_pixel_map or _found_map(maps, gathered.arm)
    bad = None if defects is None else read_bad_pixels(defects.path, gathered.arm)
    values: dict[str, Any] = {}
    frames: list[RawFrame] = []
    cards: dict[str, tuple[Any, str]] = {}
    for item in recipe.declared_inputs():
        if isinstance(item.marker, Raw):
            group = [
                replace(read_raw(f.path, extension=extension, header=f.header), bad=bad)
                for f in gathered.raw[item.name]
            ]
            values[item.name] = _as_declared(hints[item.name], group)
            frames += group
    used = [Used(f.info.file, f.info.tag, f.datamd5) for f in frames]
    for item in recipe.declared_inputs():
        if isinstance(item.marker, Calibration):
            files = gathered.calibrations.get(item.name, ())
            products = [_fitting(read_product(f.path), f, gathered.arm) for f in files]
            if item.marker.by_time and products:
                named = [
                    darks.NamedDark(f.path.name, p) for f, p in zip(files, products, strict=True)
                ]
                products[0], cards = darks.for_time(
                    named, _seconds(gathered, frames), _bias(values)
                )
            values[item.name] = _as_declared(hints[item.name], products)
            if item.marker.made_by == recipe.name or item.marker.leads:
                used += [raw for f in files for raw in raw_files_of(f.header)]
    cards |= flat_cards(gathered)
    calibrations = [*gathered.products, *([defects] if gathered.bad_pixel_map is None else [])]
    taken = tuple(Used(c.path.name, c.category, c.datamd5) for c in calibrations if c)
    raw = tuple(dict.fromkeys(used))  # masters may share raw frames
    return Loaded(recipe.inputs(**values), tuple(frames), raw, taken, cards)


def flat_cards(gathered: Gathered) -> dict[str, tuple[Any, str]]:
    """Cards that tell of a master flat taken through another slit than the frames; it is logged too."""
    need, arm = gathered.first.info, gathered.arm
    flats = [f for f in gathered.products if f.category == f"MASTER_FLAT_{arm.name}"]
    slits = {str(f.header.get(arm.slit_keyword, "")).strip().upper() for f in flats} - {""}
    if need.mask_class != "SLIT" or slits <= {need.slit}:
        return {}
    other = ", ".join(sorted(slits - {need.slit}))
    how = f"of {other}, frames are of {need.slit}"
    declared = all(serves_as_well("mflat", arm.name, need.slit, s) for s in slits - {need.slit})
    log.log(
        logging.INFO if declared else logging.WARNING,
        "the master flat is %s: the illumination along the slit may differ",
        how,
    )
    return {
        "ESO PRO REC1 FLAT HOW": (how, "flat of another slit stands in"),
        "ESO PRO REC1 FLAT SLIT": (other, "slit of the master flat"),
    }


def _seconds(gathered: Gathered, frames: list[RawFrame]) -> float:
    """Exposure time of the frames the recipe is about."""
    return exposure_time(next(f for f in frames if f.info.file == gathered.first.info.file))


def _bias(values: dict[str, Any]) -> Frame | None:
    """The master bias, if one was read already: inputs declare it before the dark."""
    bias = values.get("bias")
    return bias if isinstance(bias, Frame) else None


def _found_map(folder: Path | None, arm: Arm) -> ProductFile | None:
    """The map of the folder for the arm and its binning: `BPM_VIS_2X2.fits`, `BPM_NIR.fits`."""
    if folder is None:
        return None
    category = f"{BAD_PIXEL_MAP}{arm.name}"
    binning = "_{}X{}".format(*arm.binning) if len(arm.binnings) > 1 else ""
    path = folder / f"{category}{binning}.fits"
    if not path.is_file():
        log.warning("there is no bad-pixel map %s", path)
        return None
    return ProductFile(path, category, read_header(path))


def _as_declared(hint: Any, values: list[Any]) -> Any:
    """A tuple, or the one value, or None, as the field of Inputs is annotated."""
    if takes_many(hint):
        return tuple(values)
    return values[0] if values else None


def _fitting(value: Any, file: ProductFile, arm: Arm) -> Any:
    """A calibration for frames of the arm's binning: traces and solutions are moved to its pixels.

    Raises InputError for an image of another shape.
    """
    scale = (file.binning[0] / arm.binning[0], file.binning[1] / arm.binning[1])
    # A detector that is never binned may say anything in its header.
    if scale != (1.0, 1.0) and len(arm.binnings) > 1:
        if isinstance(value, DispersionSolution):
            return solution_at(value, scale)
        if isinstance(value, OrderTable):
            return table_at(value, scale)
    image = value.frame if isinstance(value, MasterFlat) else value
    shape = image.order.shape if isinstance(image, PixelMap) else getattr(image, "shape", None)
    if isinstance(image, Frame | PixelMap) and shape != arm.shape:
        raise InputError(
            f"{file.path.name}: is {shape} pixels, the frames are {arm.shape}",
            hint="use a calibration of the same binning",
        )
    return value
