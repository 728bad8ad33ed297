"""Names of SOF files, products and their folders."""

import re
from datetime import datetime
from pathlib import PurePosixPath

from soxspipe.recipes.recipe import Product, Recipe

#: Recipes whose SOF names tell the lamp; those that tell neither slit nor lamp.
_WITH_LAMP = ("OLOC", "MFLAT")
_WITHOUT_SLIT = ("MBIAS", "MDARK")
_WITHOUT_EXPOSURE = ("MBIAS",)


def safe(text: str) -> str:
    """`text` as part of a file name: no blanks, and nothing but letters, digits and `+-_`."""
    return re.sub(r"[^\w+-]", "_", re.sub(r"\s", "", text))[:60]


def sof_stem(
    *,
    start: datetime,
    arm: str,
    binning: str,
    read_mode: str,
    type_code: str,
    lamp: str,
    slit: str,
    exptime: float,
    instrument: str,
    target: str,
) -> str:
    """Name of a SOF file without `.sof`.

    binning    "1x1", or "" for a detector that is never binned
    type_code  MBIAS, DSOL, STARE_OBJ, ...
    target     "" for calibrations
    """
    parts = [
        start.strftime("%Y%m%dT%H%M%S"),
        arm.upper(),
        binning.upper(),
        safe(read_mode),
        type_code,
        safe(lamp) if type_code in _WITH_LAMP else "",
        "" if type_code in _WITHOUT_SLIT else safe(slit),
        "" if type_code in _WITHOUT_EXPOSURE else f"{exptime}S".replace(".", "_"),
        instrument.upper(),
        safe(target),
    ]
    return "_".join(part for part in parts if part)


def product_stem(stem: str, product: Product) -> str:
    """Name of a product without suffix: the SOF's, or with one field replaced (MFLAT by OLOC)."""
    if product.replace is None:
        return stem
    old, new = product.replace
    return stem.replace(f"_{old}", f"_{new}", 1)


def product_path(stem: str, night: str, recipe: Recipe, product: Product) -> str:
    """Path of a product, relative to the workspace: `reduced/<night>/<recipe>/<stem><suffix>`."""
    name = product_stem(stem, product) + product.suffix
    return str(PurePosixPath(product.group, night, recipe.folder, name))
