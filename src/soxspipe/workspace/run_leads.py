"""Runs without raw frames: masters are combined, or a product is worked on. Which product leads?"""

from collections.abc import Iterable

from astropy.io.fits import Header

from soxspipe.instrument.headers import FrameKind, observation_info
from soxspipe.recipes.recipe import Calibration, Input, Recipe
from soxspipe.workspace.run_files import ProductFile, RawFile

_MASTERS = {FrameKind.BIAS: ("CALIB", "BIAS", "IMAGE"), FrameKind.DARK: ("CALIB", "DARK", "IMAGE")}


def in_place_of_raw(recipe: Recipe, products: Iterable[ProductFile]) -> list[RawFile]:
    """Products that stand for raw frames, in order of time, with what their headers say of the frames
    they were made of: those of the recipe itself that it can combine, and those that it works on.
    """
    kind = next((_MASTERS[k] for k in recipe.type_codes if k in _MASTERS), None)
    tags = _own_tags(recipe)
    found = []
    for file in products:
        if _leads(recipe, file):
            found.append(_as_raw(file, _frames_of(file)))
        elif kind and _tag(file) in tags:
            found.append(_as_raw(file, kind))
    return sorted(found, key=lambda f: (f.info.mjd_obs, f.path.name))


def wanted(recipe: Recipe, arm: str, category: str) -> Input | None:
    """The input that takes a product of that category, None if there is none."""
    inputs = {_tag_of(i): i for i in recipe.calibrations(arm)}
    foreign = category.rpartition("_")[2] in {"VIS", "NIR"} - {arm}
    own = inputs.get(category.rpartition("_")[0]) if category.endswith(f"_{arm}") else None
    return own or (None if foreign else inputs.get(""))


def _tag_of(item: Input) -> str:
    return item.marker.tag if isinstance(item.marker, Calibration) else ""


def _leads(recipe: Recipe, file: ProductFile) -> bool:
    """True for a product that the run can be about."""
    arm = str(file.header.get("ESO SEQ ARM", "")).strip().upper()
    item = wanted(recipe, arm, file.category)
    return item is not None and isinstance(item.marker, Calibration) and item.marker.leads


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
