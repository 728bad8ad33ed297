"""SOF files of nodding and offset, by hand: what is taken, and what is refused with the reason."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.io.fits import Header

from soxspipe.datamodel.frame import Frame
from soxspipe.errors import InputError
from soxspipe.io.products import write_product
from soxspipe.io.provenance import Provenance, Used, product_header
from soxspipe.io.sof import file_set
from soxspipe.workspace.run_inputs import gather
from soxspipe.workspace.run_values import flat_cards
from tests.raw_files import raw_header, write_raw
from tests.workspace.cascade import RECIPES

TECH = {"nod": "NODDING", "offset": "OFFSET", "stare": "STARE"}


def write_one(folder, n, mode="nod", **cards):
    own = {"DPR_CATG": "SCIENCE", "DPR_TYPE": "OBJECT", "OBJECT": "SN", "EXPTIME": 300.0}
    own["DPR_TECH"] = f"ECHELLE,SLIT,{TECH[mode]}"
    return write_raw(folder / f"{mode}{n}.fits", n, **own | cards)


def write_calibrations(folder, slit="SLIT1.0"):
    paths = []
    for tag in ("MASTER_BIAS", "MASTER_FLAT", "ORDER_TAB", "DISP_TAB", "DISP_IMAGE"):
        paths.append(folder / f"{tag}.fits")
        header = Header({"HIERARCH ESO PRO CATG": f"{tag}_VIS"})
        header["HIERARCH ESO INS VISE NAME"] = slit
        write_product(paths[-1], Frame(*np.zeros((3, 4, 4), dtype="f4")), header)
    return paths


def taken(folder, *cards, mode="nod"):
    frames = [write_one(folder, n, mode, **c) for n, c in enumerate(cards)]
    return gather(RECIPES[mode], file_set([*frames, *write_calibrations(folder)]))


@pytest.mark.parametrize("mode", ["nod", "offset"])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_any_number_of_exposures_is_taken(tmp_path, mode, count):
    gathered = taken(tmp_path, *({},) * count, mode=mode)
    assert len(gathered.frames) == count


@pytest.mark.parametrize("mode", ["nod", "offset"])
def test_exposure_times_may_differ(tmp_path, mode):
    assert len(taken(tmp_path, {}, {"EXPTIME": 600.0}, mode=mode).frames) == 2


def test_exposure_times_of_stare_may_not(tmp_path):
    with pytest.raises(InputError, match=r"exposure time \[s\]: 300 \(1 frames\), 600"):
        taken(tmp_path, {}, {"EXPTIME": 600.0}, mode="stare")


@pytest.mark.parametrize("mode", ["nod", "offset", "stare"])
@pytest.mark.parametrize(
    ("cards", "told"),
    [
        ({"OBJECT": "other"}, r"target: SN \(1 frames\), other \(1 frames\)"),
        ({"INS_VISE_NAME": "SLIT5.0"}, r"slit: SLIT1.0 \(1 frames\), SLIT5.0 \(1 frames\)"),
        ({"SEQ_ARM": "NIR"}, r"arm: VIS \(1 frames\), NIR \(1 frames\)"),
        ({"DET_READ_CURID": 3}, r"read-out mode: 1 \(1 frames\), 3 \(1 frames\)"),
    ],
    ids=["two targets", "two slits", "two arms", "two modes"],
)
def test_a_mix_is_refused(tmp_path, mode, cards, told):
    with pytest.raises(InputError, match=told):
        taken(tmp_path, {}, cards, mode=mode)


def test_frames_of_another_observing_mode_are_not_wanted(tmp_path):
    stare = write_one(tmp_path, 5, "stare")
    nod = write_one(tmp_path, 6)
    with pytest.raises(InputError, match="not wanted: 1 x OBJECT_VIS ECHELLE,SLIT,STARE"):
        gather(RECIPES["nod"], file_set([stare, nod, *write_calibrations(tmp_path)]))


def test_calibrations_of_the_other_arm_are_not_wanted(tmp_path):
    frame = write_one(tmp_path, 0, SEQ_ARM="NIR", INS_NISE_NAME="SLIT1.0")
    with pytest.raises(InputError, match=r"not wanted: MASTER_BIAS.fits \(MASTER_BIAS_VIS\)"):
        gather(RECIPES["nod"], file_set([frame, *write_calibrations(tmp_path)]))


@pytest.mark.parametrize("name", ["SKY", "sky", ""])
def test_the_sky_of_an_offset_pattern_may_be_called_so(tmp_path, name):
    assert len(taken(tmp_path, {}, {"OBJECT": name}, mode="offset").frames) == 2


# --- the flat of another slit


def test_a_flat_of_another_slit_is_told_in_log_and_header(tmp_path, caplog):
    frame = write_one(tmp_path, 0)
    files = file_set([frame, *write_calibrations(tmp_path, "SLIT5.0")])
    cards = flat_cards(gather(RECIPES["nod"], files))
    assert cards["ESO PRO REC1 FLAT HOW"][0] == "of SLIT5.0, frames are of SLIT1.0"
    assert cards["ESO PRO REC1 FLAT SLIT"][0] == "SLIT5.0"
    assert "the master flat is of SLIT5.0, frames are of SLIT1.0" in caplog.text


def test_a_declared_stand_in_is_no_warning(tmp_path, caplog):
    frame = write_one(tmp_path, 0, SEQ_ARM="NIR", INS_NISE_NAME="SLIT5.0")
    paths = []
    for tag in ("MASTER_DARK", "MASTER_FLAT", "ORDER_TAB", "DISP_TAB", "DISP_IMAGE"):
        paths.append(tmp_path / f"{tag}.fits")
        header = Header({"HIERARCH ESO PRO CATG": f"{tag}_NIR"})
        header["HIERARCH ESO INS NISE NAME"] = "SLIT1.5"
        write_product(paths[-1], Frame(*np.zeros((3, 4, 4), dtype="f4")), header)
    cards = flat_cards(gather(RECIPES["nod"], file_set([frame, *paths])))
    assert cards["ESO PRO REC1 FLAT SLIT"][0] == "SLIT1.5"
    assert not caplog.text


def test_a_flat_of_its_own_slit_needs_no_word(tmp_path, caplog):
    assert flat_cards(taken(tmp_path, {})) == {}
    pinhole = taken(tmp_path / "b", {"INS_VISE_NAME": "MULTPIN"})
    assert flat_cards(pinhole) == {}
    assert not caplog.text


# --- recipes that take no raw frames


def extract_recipe():
    """Works on a two-dimensional product, as a re-extraction does."""
    from dataclasses import make_dataclass
    from typing import Annotated

    from soxspipe.recipes.recipe import Calibration

    fields = [
        ("frame", Annotated[Frame, Calibration("SKY_SUB", "stare", leads=True)]),
        ("map", Annotated[object, Calibration("DISP_IMAGE", "spat_solution")]),
    ]
    inputs = make_dataclass("inputs", fields)
    return replace(RECIPES["stare"], name="extract", inputs=inputs, type_codes={})


def write_sky_subtracted(path):
    raw = raw_header(3, DPR_TYPE="OBJECT", DPR_CATG="SCIENCE", OBJECT="SN", EXPTIME=300.0)
    header = product_header(
        raw,
        Provenance("soxs-stare", [Used("raw3.fits", "OBJECT_VIS", "abc")]),
        category="SKY_SUB_VIS",
        tech="ECHELLE,SLIT,STARE",
    )
    write_product(path, Frame(*np.zeros((3, 4, 4), dtype="f4")), header)
    return path


def test_a_product_stands_for_the_frames_it_was_made_of(tmp_path):
    product = write_sky_subtracted(tmp_path / "x_SKYSUB.fits")
    map_ = write_calibrations(tmp_path)[-1]
    gathered = gather(extract_recipe(), file_set([product, map_]))
    assert gathered.frames == ()
    assert gathered.first.path == product
    info = gathered.first.info
    assert (info.kind, info.object, info.exptime) == ("science_stare", "SN", 300.0)


def test_what_a_product_recipe_needs_is_told(tmp_path):
    map_ = write_calibrations(tmp_path)[-1]
    with pytest.raises(InputError, match="no product to work on is given"):
        gather(extract_recipe(), file_set([map_]))
    product = write_sky_subtracted(tmp_path / "x_SKYSUB.fits")
    frame = write_one(tmp_path, 0)
    with pytest.raises(InputError, match="not wanted: 1 x OBJECT_VIS"):
        gather(extract_recipe(), file_set([frame, product, map_]))


def test_no_set_of_raw_frames_is_planned_for_it():
    from soxspipe.instrument.headers import FrameKind
    from soxspipe.workspace.sets import group
    from tests.workspace.test_matching import BASE

    stare = replace(
        BASE, kind=FrameKind.SCIENCE_STARE, dpr_tech="ECHELLE,SLIT,STARE", dpr_catg="SCIENCE"
    )
    greedy = replace(extract_recipe(), type_codes={FrameKind.SCIENCE_STARE: "EXTRACT"})
    (only,) = group([stare], {**RECIPES, "extract": greedy})
    assert only.recipe == "stare"
