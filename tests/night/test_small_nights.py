"""Nights of a binned detector: binning itself, a missing flat, an interruption."""

import signal
import sqlite3
import subprocess

import pytest
from astropy.io import fits

from soxspipe.cli.accuracy import CALIBRATIONS, figures
from tests.night.commands import COMMAND, half_written, soxspipe

pytestmark = pytest.mark.slow

IN_PART, INTERRUPTED = 8, 130

RECIPES = {"mbias", "disp_solution", "order_centres", "mflat", "spat_solution"}


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """Raw frames of a VIS night, binned 2x2, with their truth."""
    folder = tmp_path_factory.mktemp("binned") / "frames"
    run = soxspipe("simulate", folder, "--arm", "vis", "--binning", "2x2", "--seed", "3")
    assert run.returncode == 0, run.stderr
    return folder


def prepared(frames, folder, wanted=lambda header: True):
    """A workspace of hard links to the `wanted` frames."""
    folder.mkdir()
    (folder / "truth").symlink_to(frames / "truth")
    for path in frames.glob("*.fits"):
        if wanted(fits.getheader(path)):
            (folder / path.name).hardlink_to(path)
    return soxspipe("prep", folder)


def is_calibration(header):
    return header["ESO DPR CATG"] == "CALIB" and header["ESO DPR TYPE"] != "STD,FLUX"


def runs(folder):
    with sqlite3.connect(folder / "soxspipe.db") as db:
        rows = db.execute("SELECT recipe, sof, state FROM run ORDER BY id").fetchall()
    db.close()
    return rows


def test_a_binned_night_is_reduced(frames, tmp_path):
    root = tmp_path / "night"
    assert prepared(frames, root).returncode == 0
    run = soxspipe("reduce", "all", root)
    assert run.returncode == 0, run.stdout + run.stderr
    assert {state for _, _, state in runs(root)} == {"passed"}
    assert {recipe for recipe, _, _ in runs(root)} == RECIPES | {"stare", "stare_std"}
    assert all("_VIS_2X2_1_" in sof for _, sof, _ in runs(root))
    found = {}
    for figure in figures(root):
        found.setdefault(figure.quantity, []).append(figure.value)
    assert max(found["map along dispersion, rms [px]"]) < 0.05
    assert max(found["map along slit, rms [px]"]) < 0.05
    assert len(found["pull width"]) == 2
    # nobody shortened the exposures for binned pixels: the r and i bands of these flats are saturated, so
    # that neither flats nor the finer goals of spectra are judged
    judged = [f for f in figures(root, CALIBRATIONS) if not f.frame.startswith("flat")]
    assert len(judged) > 5
    assert [f for f in judged if not f.reached] == []
    assert found["extracted / true, median"] == pytest.approx([1.0, 1.0], abs=0.01)
    assert found["pull width"] == pytest.approx([1.0, 1.0], abs=0.1)
    assert min(found["S/N over ideal, median"]) > 0.9


def test_the_flat_of_another_slit_stands_in_for_that_of_the_science_slit(frames, tmp_path):
    root = tmp_path / "night"

    def wanted(header):
        flat = header["ESO DPR TYPE"] == "LAMP,FLAT" and header["ESO DPR TECH"] == "ECHELLE,SLIT"
        standard = header["ESO DPR TYPE"] == "STD,FLUX"
        return not standard and not (flat and header["ESO INS VISE NAME"] == "SLIT1.0")

    run = prepared(frames, root, wanted)
    assert run.returncode == 0
    assert "no mflat of SLIT1.0: that of SLIT5.0 stands in" in " ".join(run.stdout.split())
    run = soxspipe("reduce", "all", root)
    assert run.returncode == 0, run.stdout
    assert {(recipe, state) for recipe, _, state in runs(root)} == {
        (recipe, "passed") for recipe in RECIPES | {"stare"}
    }
    (spectrum,) = root.glob("reduced/*/soxs-stare/*sim_EXTRACTED_MERGED.fits")
    header = fits.getheader(spectrum)
    assert header["ESO PRO REC1 FLAT HOW"] == "of SLIT5.0, frames are of SLIT1.0"
    log = next(spectrum.parent.glob("*.log")).read_text(encoding="utf-8")
    assert "the master flat is of SLIT5.0, frames are of SLIT1.0" in log


def test_after_an_interruption_the_same_command_goes_on(frames, tmp_path):
    root = tmp_path / "night"
    assert prepared(frames, root, is_calibration).returncode == 0
    words = [*COMMAND, "reduce", "all", str(root)]
    # Ctrl-C inside an import leaves Python's own file of the module open: not a warning of ours
    python, *rest = words
    quiet = [python, "-W", "error", "-W", "ignore::ResourceWarning", *rest[rest.index("-m") :]]
    run = subprocess.Popen(quiet, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for line in run.stderr:
        if "disp_solution" in line:  # the second run; the third is on its way
            run.send_signal(signal.SIGINT)
            break
    _, errors = run.communicate(timeout=60)
    assert run.returncode == INTERRUPTED
    assert "the same command goes on from there" in errors
    assert "Traceback" not in errors
    done = runs(root)
    assert 2 <= len(done) < 6
    assert {state for _, _, state in done} == {"passed"}
    whole_and_known(root)

    again = soxspipe(*words[len(COMMAND) :])
    assert again.returncode == 0, again.stdout + again.stderr
    assert runs(root)[: len(done)] == done
    stems = [sof for _, sof, _ in runs(root)]
    assert len(stems) == len(set(stems)) == 6
    assert {recipe for recipe, _, _ in runs(root)} == RECIPES
    whole_and_known(root)


def whole_and_known(root):
    """Every product is complete, and is one that a finished run has left."""
    assert half_written(root) == []
    with sqlite3.connect(root / "soxspipe.db") as db:
        written = {
            name
            for (names,) in db.execute("SELECT products FROM run")
            for name in names.splitlines()
        }
    db.close()
    found = {path.relative_to(root).as_posix() for path in root.glob("reduced/*/*/*.fits")}
    assert found == {name for name in written if name.startswith("reduced/")}
    for name in found:
        with fits.open(root / name, checksum=True) as hdus:
            hdus.verify("exception")
