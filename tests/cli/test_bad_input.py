"""What goes wrong at a telescope: one clear message, a documented exit status, the rest reduced."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from soxspipe.recipes import load
from tests.workspace import frames as f

ROOT = Path(__file__).parents[2]
SETTINGS, INPUT, OUTPUT, WORKSPACE, IN_PART, INTERRUPTED = 3, 4, 6, 7, 8, 130


def contents(folder):
    return {str(p.relative_to(folder)): p.stat().st_size for p in folder.rglob("*") if p.is_file()}


# ------------------------------------------------------------------------------- a night of frames


@pytest.mark.parametrize("inside", [None, "notes.txt"])
@pytest.mark.parametrize("command", [["prep"], ["reduce", "all", "-p"]])
def test_a_folder_without_frames(soxspipe, tmp_path, inside, command):
    if inside:
        (tmp_path / inside).write_text("nothing here")
    before = contents(tmp_path)
    status, _, err = soxspipe(*command, tmp_path)
    assert status == WORKSPACE
    assert "nothing to prepare" in err
    assert "hint: put raw frames" in err
    assert contents(tmp_path) == before


def test_a_folder_that_does_not_exist(soxspipe, tmp_path):
    status, _, err = soxspipe("prep", tmp_path / "nowhere")
    assert status == WORKSPACE
    assert "there is no folder" in err


def test_reduce_before_prep(soxspipe, night):
    status, _, err = soxspipe("reduce", "all", night)
    assert status == WORKSPACE
    assert f"run: soxspipe prep {night}" in err


@pytest.mark.parametrize(
    ("name", "spoil", "reason"),
    [
        ("zero.fits", lambda path: path.write_bytes(b""), "is empty (0 bytes)"),
        ("text.fits", lambda path: path.write_text("no frame"), "is no FITS file"),
        ("cut.fits", lambda path: os.truncate(path, path.stat().st_size - 2880), "is truncated"),
        (
            "foreign.fits",
            lambda path: fits.setval(path, "INSTRUME", value="FORS2"),
            "no spectrograph arm FORS2",
        ),
    ],
)
def test_a_bad_file_is_named_and_the_rest_reduced(soxspipe, night, name, spoil, reason):
    path = f.write(night, "VIS", f.at(40), **f.ARC).rename(night / name)
    spoil(path)
    status, out, err = soxspipe("prep", night)
    assert status == IN_PART
    assert name in out
    assert reason in out
    assert not err
    assert path.exists()
    assert soxspipe("reduce", "all", night, "--workers", "1")[0] == 0
    assert list((night / "reduced").rglob("*STARE_OBJ*"))


def test_a_science_frame_without_any_flat(soxspipe, night):
    flat = f.SCIENCE | {"read_mode": "9"}
    f.write(night, "VIS", f.at(20), **flat, object="lonely")
    status, out, _ = soxspipe("prep", night)
    assert status == IN_PART
    assert "mflat (slit SLIT1.0 or another width, read-out mode 9" in " ".join(out.split())
    status, out, _ = soxspipe("reduce", "all", night, "--workers", "1")
    assert status == IN_PART
    assert "lonely" in out
    names = [p.name for p in (night / "reduced").rglob("*STARE_OBJ*.fits")]
    assert len(names) == 1
    assert "SN2026-ab" in names[0]


def test_a_science_slit_without_a_flat_of_its_own(soxspipe, night):
    f.write(night, "VIS", f.at(20), **f.SCIENCE | {"slit": "SLIT0.5"}, object="odd")
    status, out, _ = soxspipe("prep", night)
    assert status == 0
    assert "no mflat of SLIT0.5: that of SLIT1.0 stands in" in " ".join(out.split())
    assert soxspipe("reduce", "all", night, "--workers", "1")[0] == 0
    assert list((night / "reduced").rglob("*STARE_OBJ*_odd_*.fits"))


def test_seven_frames_of_a_nod_template(soxspipe, night):
    f.write_set(night, "VIS", f.at(21), 7, f.NODDING, count=8, object="nodded")
    status, out, _ = soxspipe("prep", night)
    assert status == 0
    assert "7 of the 8 exposures of its template are here" in " ".join(out.split())
    assert soxspipe("reduce", "all", night, "--workers", "1")[0] == 0
    assert list((night / "reduced").rglob("*NOD_OBJ*_nodded_*.fits"))


def test_a_frame_that_vanishes_after_prep(soxspipe, night):
    soxspipe("prep", night)
    next((night / "raw").rglob("*T09:30:00*")).unlink()  # the arc
    status, out, _ = soxspipe("reduce", "all", night, "--workers", "1")
    assert status == IN_PART
    assert "error" in out
    assert "blocked" in out


def test_settings_with_three_mistakes_are_all_told_before_any_run(soxspipe, night):
    soxspipe("prep", night)
    wrong = night / "wrong.yaml"
    wrong.write_text(
        "soxs-mbias:\n  stacked-clipping-sigma: -3\n  staked-clipping-iterations: 3\n"
        "soxs-mdark:\n  frame-clipping-iterations: many\n"
    )
    status, _, err = soxspipe("reduce", "all", night, "-s", wrong)
    assert status == SETTINGS
    for word in ("stacked-clipping-sigma", "staked-clipping-iterations", "many", "3 mistakes"):
        assert word in err
    assert not (night / "done.log").exists()


def test_a_folder_that_cannot_be_written(soxspipe, night, monkeypatch):
    def refuse(*_args, **_more):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("soxspipe.workspace.folder.os.open", refuse)
    before = contents(night)
    status, _, err = soxspipe("prep", night)
    assert status == OUTPUT
    assert "Read-only file system" in err
    assert "hint: check the permissions" in err
    assert contents(night) == before


def test_interrupted_half_way_then_the_same_command_again(soxspipe, night):
    soxspipe("prep", night)
    (night / "_DSOL_.how.log").write_text("slow")
    script = ROOT / "tests" / "cli" / "pretended.py"
    words = [sys.executable, str(script), "reduce", "all", str(night)]
    paths = {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    with subprocess.Popen(
        words,
        env=os.environ | paths,
        start_new_session=True,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        limit = time.monotonic() + 60
        while not (night / "busy.log").exists() and time.monotonic() < limit:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        out, err = process.communicate(timeout=30)
    assert process.returncode == INTERRUPTED
    assert "stopped" in err
    assert "Traceback" not in out + err
    assert not (night / "half-written.part").exists()
    assert not list((night / "reduced").rglob("*DSOL*"))
    bias = next((night / "reduced").rglob("*MBIAS*.fits"))
    age = bias.stat().st_mtime_ns
    (night / "_DSOL_.how.log").write_text("fine")
    assert soxspipe("reduce", "all", night, "--workers", "1")[0] == 0
    assert list((night / "reduced").rglob("*STARE_OBJ*"))
    assert bias.stat().st_mtime_ns == age  # what was finished is not done again


# ------------------------------------------------------------------------------ a recipe by hand


@pytest.fixture(scope="module")
def biases(tmp_path_factory):
    """A workspace folder with five full-size bias frames, and a SOF of them."""
    folder = tmp_path_factory.mktemp("biases")
    arm_shape = (4096, 908)
    rng = np.random.default_rng(1)
    for i in range(5):
        start = f.at(i / 60)
        head = f.header("VIS", start, **f.BIAS, number=i + 1, count=5, template=f.at(0))
        data = (300 + 3.8 * rng.standard_normal(arm_shape, dtype="f4")).astype("u2")
        fits.PrimaryHDU(data, head).writeto(folder / f"bias{i}.fits")
    write_sof(folder, "20260111T090000_VIS_1X1_1_MBIAS_SOXS", range(5))
    return folder


def write_sof(folder, name, numbers, more=()):
    lines = [f"./bias{i}.fits  BIAS_VIS" for i in numbers] + [f"./{m}  BIAS_VIS" for m in more]
    sof = folder / f"{name}.sof"
    sof.write_text("\n".join(lines) + "\n")
    return sof


@pytest.fixture
def hand(biases, tmp_path, monkeypatch):
    """A copy of the bias folder that the command is called in."""
    load("mbias")
    for path in biases.iterdir():
        os.link(path, tmp_path / path.name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


SOF = "20260111T090000_VIS_1X1_1_MBIAS_SOXS.sof"


def nothing_made(folder):
    return not list(folder.rglob("*MBIAS*.fits")) and not list(folder.rglob("*.part"))


def test_a_sof_that_names_a_missing_file(soxspipe, hand):
    sof = write_sof(hand, "lost", range(5), ["gone1.fits", "gone2.fits"])
    status, _, err = soxspipe("mbias", sof)
    assert status == INPUT
    assert "gone1.fits" in err
    assert "gone2.fits" in err
    assert "hint" in err
    assert nothing_made(hand)


def test_two_binnings_in_one_sof(soxspipe, hand):
    head = f.header("VIS", f.at(1), **f.BIAS, binning=(2, 2))
    fits.PrimaryHDU(np.full((2048, 454), 300, "u2"), head).writeto(hand / "binned.fits")
    sof = write_sof(hand, "mixed", range(5), ["binned.fits"])
    status, _, err = soxspipe("mbias", sof)
    assert status == INPUT
    assert "binning" in err
    assert "2x2" in err
    assert nothing_made(hand)


def test_a_truncated_frame_in_a_sof(soxspipe, hand):
    whole = (hand / "bias0.fits").read_bytes()
    (hand / "cut.fits").write_bytes(whole[: len(whole) // 2])
    sof = write_sof(hand, "cut", range(1, 5), ["cut.fits"])
    status, _, err = soxspipe("mbias", sof)
    assert status == INPUT
    assert "cut.fits" in err
    assert nothing_made(hand)


def test_settings_with_three_mistakes_by_hand(soxspipe, hand):
    Path("wrong.yaml").write_text("soxs-mbias:\n  a: 1\n  b: 2\n  stacked-clipping-sigma: x\n")
    status, _, err = soxspipe("mbias", SOF, "-s", "wrong.yaml")
    assert status == SETTINGS
    assert "3 mistakes" in err
    assert nothing_made(hand)


def test_a_settings_file_that_is_missing(soxspipe, hand):
    status, _, err = soxspipe("mbias", SOF, "-s", "nowhere.yaml")
    assert status == SETTINGS
    assert "nowhere.yaml" in err
    assert nothing_made(hand)


def test_an_existing_product_is_kept_unless_told_otherwise(soxspipe, hand):
    assert soxspipe("mbias", SOF)[0] == 0
    (product,) = hand.rglob("*MBIAS*.fits")
    before = product.stat()
    status, _, err = soxspipe("mbias", SOF)
    assert status == OUTPUT
    assert product.name in err
    assert "-x" in err
    assert product.stat().st_mtime_ns == before.st_mtime_ns
    assert soxspipe("-x", "mbias", SOF)[0] == 0
    assert product.stat().st_mtime_ns != before.st_mtime_ns


def test_an_output_folder_that_does_not_exist(soxspipe, hand):
    status, _, err = soxspipe("mbias", SOF, "-o", "nowhere")
    assert status == INPUT
    assert "nowhere" in err
    assert nothing_made(hand)


def test_an_output_folder_that_is_read_only(soxspipe, hand):
    if os.geteuid() == 0:  # who may write everywhere, but not there
        folder = Path("/sys")
    else:
        folder = hand / "locked"
        folder.mkdir(mode=0o500)
    if not folder.is_dir():
        pytest.skip("no folder that root may not write to")
    status, _, err = soxspipe("mbias", SOF, "-o", folder)
    assert status == OUTPUT
    assert str(folder) in err
    assert nothing_made(hand)


def test_a_full_disk(hand):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

    done = subprocess.run(
        [sys.executable, "-m", "soxspipe", "mbias", SOF],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limit,
    )
    assert done.returncode == OUTPUT
    assert "hint" in done.stderr
    assert "Traceback" not in done.stderr
    assert nothing_made(hand)


def test_no_input_at_all(soxspipe):
    assert soxspipe("mbias")[0] == 2
    assert soxspipe("no_such_command")[0] == 2
    assert soxspipe("mbias", "nothing.sof")[0] == INPUT


def test_the_database_of_another_version(soxspipe, night):
    soxspipe("prep", night)
    shutil.copy(night / "soxspipe.db", night / "copy.db")
    (night / "soxspipe.db").write_bytes(b"garbage" * 1000)
    status, _, err = soxspipe("reduce", "all", night)
    assert status == WORKSPACE
    assert "prep --refresh" in err
