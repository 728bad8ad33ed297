"""One recipe run: what goes in is checked, and each misfit is told."""

import numpy as np
import pytest
from astropy.io.fits import Header

from soxspipe import recipes
from soxspipe.datamodel.frame import Frame
from soxspipe.errors import InputError
from soxspipe.io.products import write_product
from soxspipe.io.sof import file_set
from soxspipe.workspace.run_inputs import gather
from tests.raw_files import write_raw
from tests.workspace.one_run import STEM, run


def change(workspace, **cards):
    path = workspace / "raw" / "2026-01-10" / "bias2.fits"
    path.unlink()
    shape = (4096, 908) if cards.get("DET_BINX") == 1 else (2048, 454)
    write_raw(path, 2, shape=shape, **cards)


@pytest.mark.parametrize(
    ("cards", "told"),
    [
        ({"DET_BINX": 1, "DET_BINY": 1}, "binning: 2x2 (2 frames), 1x1 (1 frames)"),
        ({"DET_READ_CURID": 3}, "read-out mode: 1 (2 frames), 3 (1 frames)"),
        ({"DET_OUT1_CONAD": 2.1}, "gain [e-/ADU]: 1.2 (2 frames), 2.1 (1 frames)"),
        ({"DET_CHIP_RON": 5.5}, "read noise [e-]: 3.8 (2 frames), 5.5 (1 frames)"),
        ({"EXPTIME": 7.0}, "exposure time [s]: 0 (2 frames), 7 (1 frames)"),
    ],
)
def test_a_mix_is_told(workspace, cards, told):
    change(workspace, **cards)
    outcome = run(workspace)
    assert (outcome.state, outcome.exit_status) == ("error", InputError.exit_status)
    assert told in outcome.message


def test_the_slit_of_a_frame_without_light_does_not_matter(workspace):
    change(workspace, INS_VISE_NAME="SLIT5.0")
    assert run(workspace).state == "passed"


def test_the_slit_of_flats_matters(tmp_path):
    flats = [
        write_raw(
            tmp_path / f"flat{n}.fits",
            n,
            DPR_TYPE="LAMP,FLAT",
            DPR_TECH="ECHELLE,SLIT",
            INS_VISE_NAME=slit,
        )
        for n, slit in enumerate(("SLIT1.0", "SLIT5.0", "SLIT5.0"))
    ]
    masters = []
    for tag in ("MASTER_BIAS_VIS", "ORDER_TAB_VIS"):
        masters.append(tmp_path / f"{tag}.fits")
        header = Header({"HIERARCH ESO PRO CATG": tag})
        write_product(masters[-1], Frame(*np.zeros((3, 4, 4), dtype="f4")), header)
    with pytest.raises(InputError, match=r"slit: SLIT1.0 \(1 frames\), SLIT5.0 \(2 frames\)"):
        gather(recipes.load("mflat"), file_set([*flats, *masters]))


def lamp_pair(folder, off_seconds=60.0):
    common = {"SEQ_ARM": "NIR", "DPR_TYPE": "LAMP,WAVE", "EXPTIME": 60.0}
    off = write_raw(folder / "off.fits", 1, DPR_TECH="IMAGE", **common | {"EXPTIME": off_seconds})
    arc = write_raw(folder / "arc.fits", 2, DPR_TECH="ECHELLE,PINHOLE", **common)
    return gather(recipes.load("disp_solution"), file_set([off, arc]))


def test_a_lamp_off_frame_does_not_name_the_products(tmp_path):
    gathered = lamp_pair(tmp_path)
    assert gathered.first.info.file == "arc.fits"
    assert [f.info.file for f in gathered.frames] == ["off.fits", "arc.fits"]


def test_a_lamp_off_frame_of_another_exposure_time_is_told(tmp_path):
    told = r"lamp off \[s\]: 30 \(1 frames\)\n.*lamp on \[s\]: 60 \(1 frames\)"
    with pytest.raises(InputError, match=told):
        lamp_pair(tmp_path, off_seconds=30.0)


def test_mixed_arms(workspace):
    sof = workspace / "sof" / f"{STEM}.sof"
    write_raw(workspace / "nir.fits", 5, SEQ_ARM="NIR")
    sof.write_text(sof.read_text() + "./nir.fits BIAS_NIR\n")
    assert "arm: VIS (3 frames), NIR (1 frames)" in run(workspace).message


def test_unwanted_and_missing_files_are_told_in_one_message(workspace):
    flat = write_raw(workspace / "flat.fits", 4, DPR_TYPE="LAMP,FLAT", DPR_TECH="ECHELLE,SLIT")
    outcome = run(workspace, (workspace / "raw" / "2026-01-10" / "bias0.fits", flat))
    assert "bias_frame: 1 given, at least 2 needed" in outcome.message
    assert "not wanted: 1 x LAMP,FLAT_VIS ECHELLE,SLIT" in outcome.message
    assert outcome.hint.startswith("mbias VIS needs 2 or more bias_frame")


def test_a_single_frame_is_wanted(workspace):
    arcs = [
        write_raw(workspace / f"arc{n}.fits", n, DPR_TYPE="LAMP,WAVE", DPR_TECH="ECHELLE,PINHOLE")
        for n in (4, 5)
    ]
    biases = sorted((workspace / "raw" / "2026-01-10").iterdir())
    assert run(workspace, (*biases, arcs[0])).state == "passed"
    message = run(workspace, (*biases, *arcs), overwrite=True).message
    assert "single_pinhole_arc: 2 given, only one wanted" in message


def test_tag_and_header_disagree(workspace):
    sof = workspace / "sof" / f"{STEM}.sof"
    sof.write_text(sof.read_text().replace("bias1.fits   BIAS_VIS", "bias1.fits   DARK_VIS"))
    outcome = run(workspace)
    assert "bias1.fits: the SOF calls it DARK_VIS, its header BIAS_VIS" in outcome.message
    assert outcome.exit_status == InputError.exit_status


def test_damaged_frame(workspace):
    path = workspace / "raw" / "2026-01-10" / "bias1.fits"
    path.write_bytes(path.read_bytes()[:100_000])
    outcome = run(workspace)
    assert (outcome.state, outcome.exit_status) == ("error", InputError.exit_status)
    assert "bias1.fits: is truncated" in outcome.message


def test_foreign_frame(workspace):
    change(workspace, INSTRUME="EFOSC")
    assert "no spectrograph arm EFOSC VIS" in run(workspace).message


def test_raw_shape_is_checked(workspace):
    change(workspace)
    path = workspace / "raw" / "2026-01-10" / "bias2.fits"
    path.unlink()
    write_raw(path, 2, shape=(2048, 450))
    assert "has 454 x 2048" in run(workspace).message


def test_calibration_of_another_binning(workspace):
    master = workspace / "master.fits"
    frame = Frame(*np.zeros((3, 4096, 808), dtype="f4"))
    write_product(master, frame, Header({"HIERARCH ESO PRO CATG": "MASTER_BIAS_VIS"}))
    biases = sorted((workspace / "raw" / "2026-01-10").iterdir())
    outcome = run(workspace, (*biases, master))
    assert "master.fits: is (4096, 808) pixels, the frames are (2048, 404)" in outcome.message


def test_two_calibrations_of_one_kind(workspace):
    first = run(workspace).products[0].path
    second = workspace / "second.fits"
    second.write_bytes(first.read_bytes())
    biases = sorted((workspace / "raw" / "2026-01-10").iterdir())
    outcome = run(workspace, (*biases, first, second))
    assert "two files MASTER_BIAS_VIS" in outcome.message
