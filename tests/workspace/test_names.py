"""The names observed in workspaces of the published system (spec 3.5)."""

from datetime import datetime

import pytest

from soxspipe.workspace.names import product_path, sof_stem
from tests.workspace.cascade import RECIPES

OBSERVED = {
    "20260111T090000_VIS_1X1_1_MBIAS_SOXS": ("MBIAS", "1x1", "1", "", "BLANK", 0.0, ""),
    "20260111T100000_NIR_3_MDARK_15_0S_SOXS": ("MDARK", "", "3", "", "BLANK", 15.0, ""),
    "20260111T092000_VIS_1X1_1_DSOL_PINHOLE_30_0S_SOXS": (
        *("DSOL", "1x1", "1", "ThAr", "PINHOLE"),
        *(30.0, ""),
    ),
    "20260111T103300_NIR_3_OLOC_QTH_PINHOLE_15_0S_SOXS": (
        *("OLOC", "", "3", "QTH", "PINHOLE"),
        *(15.0, ""),
    ),
    "20260111T093000_VIS_1X1_1_MFLAT_QTH_SLIT1_0_20_0S_SOXS": (
        *("MFLAT", "1x1", "1", "QTH", "SLIT1.0"),
        *(20.0, ""),
    ),
    "20260111T104600_NIR_3_SSOL_MULTPIN_15_0S_SOXS": (
        *("SSOL", "", "3", "ArNeHgXe", "MULTPIN"),
        *(15.0, ""),
    ),
    "20260112T030000_VIS_1X1_1_STARE_STD_FLUX_SLIT5_0_300_0S_SOXS": (
        *("STARE_STD_FLUX", "1x1", "1", "", "SLIT5.0"),
        *(300.0, ""),
    ),
    "20260112T040000_VIS_1X1_1_NOD_OBJ_SLIT1_0_60_0S_SOXS_SN2026-ab": (
        *("NOD_OBJ", "1x1", "1", "", "SLIT1.0"),
        *(60.0, "SN 2026-ab"),
    ),
}


def stem(name: str, facts: tuple) -> str:
    code, binning, mode, lamp, slit, exptime, target = facts
    return sof_stem(
        start=datetime.fromisoformat(name[:15]),
        arm=name[16:19].lower(),
        binning=binning,
        read_mode=mode,
        type_code=code,
        lamp=lamp,
        slit=slit,
        exptime=exptime,
        instrument="soxs",
        target=target,
    )


@pytest.mark.parametrize(("name", "facts"), OBSERVED.items(), ids=list(OBSERVED))
def test_sof_names_are_the_observed_ones(name, facts):
    assert stem(name, facts) == name


def test_a_target_cannot_lead_out_of_the_folder():
    facts = ("STARE_OBJ", "1x1", "1", "", "SLIT1.0", 60.0, "../../etc/passwd; rm *")
    name = stem("20260112T040000_VIS", facts)
    assert "/" not in name
    assert "." not in name
    assert " " not in name


def test_the_flats_order_table_is_named_oloc():
    recipe = RECIPES["mflat"]
    name = "20260111T093700_VIS_1X1_1_MFLAT_QTH_SLIT5_0_20_0S_SOXS"
    paths = [product_path(name, "2026-01-10", recipe, product) for product in recipe.products]
    assert paths == [
        f"reduced/2026-01-10/soxs-mflat/{name}.fits",
        f"reduced/2026-01-10/soxs-mflat/{name.replace('MFLAT', 'OLOC')}.fits",
    ]
