"""Runs without raw frames: masters are combined, or a product is worked on. Which product leads?"""

from collections.abc import Iterable

from astropy.io.fits import Header

from soxspipe.instrument.headers import FrameKind, observation_info
from soxspipe.recipes.recipe import Calibration, Recipe
from soxspipe.workspace.run_files import ProductFile, RawFile

_MASTERS = {FrameKind.BIAS: ("CALIB", "BIAS", "IMAGE"), FrameKind.DARK: ("CALIB", "DARK", "IMAGE")}


def in_place_of_raw(recipe: Recipe, products: Iterable[ProductFile]) -> list[RawFile]:
    """Products that stand for raw frames, in order of time, with what their headers say of the frames
    they were made of: those of the recipe itself that it can combine; for a recipe that takes no raw
    frames, those of its first input.
    """
    if recipe.raw_inputs():
        kind = next((_MASTERS[k] for k in recipe.type_codes if k in _MASTERS), None)
        tags = _own_tags(recipe)
        found = [_as_raw(f, kind) for f in products if kind and _tag(f) in tags]
    else:
        first = next((i.marker for i in recipe.declared_inputs()), None)
        tag = first.tag if isinstance(first, Calibration) else ""
        found = [_as_raw(f, _frames_of(f)) for f in products if _tag(f) == tag]
    return sorted(found, key=lambda f: (f.info.mjd_obs, f.path.name))


def _tag(file: ProductFile) -> str:
    return file.category.rpartition("_")[0]


def _own_tags(recipe: Recipe) -> set[str]:
    inputs = [i.marker for arm in ("VIS", "NIR") for i in recipe.calibrations(arm)]
    return {m.tag for m in inputs if isinstance(m, Calibration) and m.made_by == recipe.name}


def _frames_of(file: ProductFile) -> tuple[str, str, str]:
    """DPR CATG, TYPE and TECH of the frames a product was made of, as its header tells."""
    kind = str(file.header.get("ESO PRO REC1 RAW1 CATG", "OBJECT")).rpartition("_")[0] or "OBJECT"
    tech = str(file.header.get("ESO PRO TECH", ""))
    return "SCIENCE" if kind.startswith("OBJECT") else "CALIB", kind, tech


def _as_raw(file: ProductFile, frames: tuple[str, str, str]) -> RawFile:
    header = Header([c for c in file.header.cards if not c.keyword.startswith("ESO PRO ")])
    for key, value in zip(("CATG", "TYPE", "TECH"), frames, strict=True):
        header[f"HIERARCH ESO DPR {key}"] = value
    return RawFile(file.path, observation_info(header, file.path.name), header)
