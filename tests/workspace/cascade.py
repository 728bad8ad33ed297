"""The cascade's declarations with recipes that compute nothing, for tests of planning and order."""

from dataclasses import make_dataclass
from typing import Annotated

from soxspipe.instrument.headers import FrameKind
from soxspipe.recipes.recipe import Calibration, Product, Raw, Recipe, Result
from soxspipe.settings import RecipeSettings

BIAS = Calibration("MASTER_BIAS", "mbias", arms=("VIS",))
DARK = Calibration("MASTER_DARK", "mdark", arms=("NIR",))
DISP = Calibration("DISP_TAB", "disp_solution")
FLAT = Calibration("MASTER_FLAT", "mflat")
FLAT_EDGES = Calibration("ORDER_TAB", "mflat")
MAP = (Calibration("DISP_TAB", "spat_solution"), Calibration("DISP_IMAGE", "spat_solution"))


def _nothing(*_args: object) -> Result:
    return Result({})


def _product(label: str, suffix: str, category: str, **more: object) -> Product:
    return Product(label, suffix, category, "IMAGE", label, **more)


def _recipe(name, folder, codes, calibrations, products, least=1) -> Recipe:
    raw = Annotated[tuple[object, ...], Raw(tuple(codes), least)]
    fields = [
        ("raw", raw),
        *((f"cal{i}", Annotated[object, c]) for i, c in enumerate(calibrations)),
    ]
    inputs = make_dataclass(f"{name}_inputs", fields)
    return Recipe(name, folder, name, inputs, RecipeSettings, products, (), (), codes, _nothing)


_STARE = (_product("EXTRACTED", "_EXTRACTED_MERGED.fits", "OBJECT_TAB"),)
_ON_SKY = (BIAS, DARK, FLAT, FLAT_EDGES, *MAP)

RECIPES = {
    r.name: r
    for r in (
        _recipe(
            "mbias",
            "soxs-mbias",
            {FrameKind.BIAS: "MBIAS"},
            (),
            (_product("MBIAS", ".fits", "MASTER_BIAS"),),
            least=5,
        ),
        _recipe(
            "mdark",
            "soxs-mdark",
            {FrameKind.DARK: "MDARK"},
            (),
            (_product("MDARK", ".fits", "MASTER_DARK"),),
            least=3,
        ),
        _recipe(
            "disp_solution",
            "soxs-disp-solution",
            {FrameKind.PINHOLE_ARC: "DSOL"},
            (BIAS, DARK),
            (_product("DSOL", ".fits", "DISP_TAB"),),
        ),
        _recipe(
            "order_centres",
            "soxs-order-centres",
            {FrameKind.PINHOLE_FLAT: "OLOC"},
            (BIAS, DARK, DISP),
            (_product("OLOC", ".fits", "ORDER_TAB"),),
        ),
        _recipe(
            "mflat",
            "soxs-mflat",
            {FrameKind.SLIT_FLAT: "MFLAT"},
            (BIAS, DARK, Calibration("ORDER_TAB", "order_centres")),
            (
                _product("MFLAT", ".fits", "MASTER_FLAT"),
                _product("OLOC", ".fits", "ORDER_TAB", replace=("MFLAT", "OLOC")),
            ),
            least=3,
        ),
        _recipe(
            "spat_solution",
            "soxs-spat-solution",
            {FrameKind.MULTI_PINHOLE_ARC: "SSOL"},
            (BIAS, DARK, DISP, FLAT_EDGES),
            (
                _product("SSOL", ".fits", "DISP_TAB"),
                _product("IMAGE", "_IMAGE.fits", "DISP_IMAGE"),
            ),
        ),
        _recipe(
            "stare_std",
            "soxs-stare-std",
            {
                FrameKind.FLUX_STANDARD_STARE: "STARE_STD_FLUX",
                FrameKind.TELLURIC_STANDARD_STARE: "STARE_STD_TELL",
            },
            _ON_SKY,
            (*_STARE, _product("RESP", "_RESP.fits", "RESP_TAB")),
        ),
        _recipe(
            "stare",
            "soxs-stare",
            {FrameKind.SCIENCE_STARE: "STARE_OBJ"},
            (*_ON_SKY, Calibration("RESP_TAB", "stare_std", required=False)),
            _STARE,
        ),
        _recipe(
            "nod_std",
            "soxs-nod-std",
            {
                FrameKind.FLUX_STANDARD_NODDING: "NOD_STD_FLUX",
                FrameKind.TELLURIC_STANDARD_NODDING: "NOD_STD_TELL",
            },
            _ON_SKY,
            _STARE,
        ),
        _recipe("nod", "soxs-nod", {FrameKind.SCIENCE_NODDING: "NOD_OBJ"}, _ON_SKY, _STARE),
        _recipe(
            "offset",
            "soxs-offset",
            {FrameKind.SCIENCE_OFFSET: "OFFSET_OBJ"},
            _ON_SKY,
            _STARE,
        ),
        # no recipe takes the standards in offset mode, so that something is left over
    )
}
