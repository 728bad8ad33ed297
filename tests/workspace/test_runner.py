"""One recipe run: what comes out is whole, and everything is told."""

import logging
import pickle

import numpy as np
import pytest
from astropy.io import fits

from soxspipe.errors import DataError, InputError, OutputError, SettingsError
from soxspipe.io import writing
from soxspipe.io.frames import read_header
from soxspipe.io.products import read_product
from soxspipe.workspace import run_outputs, runner
from soxspipe.workspace.runner import QC_STATUS, RunRequest, run_recipe
from tests.workspace import fake_bias
from tests.workspace.one_run import LOG, STEM, run


def files_below(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_products_plots_and_log(workspace):
    outcome = run(workspace, plots=True)
    assert (outcome.state, outcome.exit_status, outcome.message) == ("passed", 0, "")
    folder = "2026-01-10/soxs-mbias"
    assert files_below(workspace / "reduced") == [f"{folder}/{STEM}.fits", f"{folder}/{STEM}.log"]
    assert files_below(workspace / "qc") == [
        f"{folder}/{STEM}_COPY.fits",
        f"{folder}/{STEM}_LEVEL.pdf",
    ]
    assert [p.path.name for p in outcome.products] == [f"{STEM}.fits", f"{STEM}_COPY.fits"]
    assert [p.path.name for p in outcome.plots] == [f"{STEM}_LEVEL.pdf"]
    assert outcome.plots[0].path.read_bytes().startswith(b"%PDF")
    assert np.all(read_product(outcome.products[0].path).data == 301)
    assert len(outcome.raw_files) == 3
    assert outcome.seconds > 0
    assert outcome.peak_memory_mb > 10
    log = (workspace / "reduced" / folder / f"{STEM}.log").read_text()
    for told in ("soxspipe mbias", "bias2.fits", "MBIAS MEDIAN", "pass", f"{STEM}_COPY.fits"):
        assert told in log


def test_header_of_a_product(workspace):
    path = run(workspace).products[0].path
    with fits.open(path, checksum=True) as hdus:
        hdus.verify("exception")
        header = hdus[0].header
    assert header["ESO PRO CATG"] == "MASTER_BIAS_VIS"
    assert header["ESO PRO TYPE"] == "REDUCED"
    assert header["ESO PRO TECH"] == "IMAGE"
    assert header["ESO PRO REC1 ID"] == "soxs-mbias"
    assert header["ESO PRO REC1 RAW3 NAME"] == "bias2.fits"
    assert header["ESO PRO REC1 RAW3 CATG"] == "BIAS_VIS"
    assert header["ESO PRO REC1 RAW1 DATAMD5"] != header["ESO PRO REC1 RAW2 DATAMD5"]
    assert header["ESO PRO REC1 PARAM1 NAME"] == "stacked-clipping-sigma"
    assert header["ESO PRO REC1 PARAM1 VALUE"] == 3.0
    assert header["ESO QC MBIAS MEDIAN"] == 301
    assert header.comments["ESO QC MBIAS MEDIAN"].startswith("[e-] median")
    assert header["ESO QC DETECTOR TEMP"] == 148
    assert header["ESO QC VERDICT"] == "pass"
    assert header["RADESYS"] == "FK5"
    assert not {"ESO DPR TYPE", "ARCFILE", "RADECSYS"} & set(header)


def test_a_product_is_recognised_as_calibration(workspace):
    master = run(workspace).products[0].path
    sof = workspace / "sof" / "again.sof"
    lines = (workspace / "sof" / f"{STEM}.sof").read_text()
    sof.write_text(f"{lines}./{master.relative_to(workspace)}  MASTER_BIAS_VIS\n")
    outcome = run(workspace, sof)
    assert outcome.calibration_files == (str(workspace / master.relative_to(workspace)),)
    header = read_header(outcome.products[0].path)
    assert header["ESO PRO REC1 CAL1 CATG"] == "MASTER_BIAS_VIS"
    assert header["ESO PRO REC1 CAL1 DATAMD5"] == read_header(master)["DATAMD5"]


def test_folder_and_list_get_the_name_prep_would_give(workspace):
    raw = workspace / "raw" / "2026-01-10"
    assert run(workspace, raw).products[0].path.name == f"{STEM}.fits"
    outcome = run(workspace, tuple(sorted(raw.iterdir())), overwrite=True)
    assert outcome.sof_stem == STEM


def test_existing_product_needs_x(workspace):
    first = run(workspace)
    before = first.products[0].path.read_bytes()
    second = run(workspace)
    assert (second.state, second.exit_status) == ("exists", OutputError.exit_status)
    assert first.products[0].path.name in second.message
    assert "-x" in second.hint
    assert first.products[0].path.read_bytes() == before
    assert not list(workspace.rglob("*_ERROR.log"))
    assert run(workspace, overwrite=True).state == "passed"


def test_output_folder(workspace, tmp_path):
    other = tmp_path / "elsewhere"
    missing = run(workspace, output=other)
    assert (missing.state, missing.exit_status) == ("error", InputError.exit_status)
    assert "does not exist" in missing.message
    other.mkdir()
    outcome = run(workspace, output=other)
    assert outcome.products[0].path.is_relative_to(other / "reduced" / "2026-01-10")
    assert not (workspace / "reduced").exists()


def test_value_out_of_range_keeps_and_marks_the_product(workspace):
    settings = workspace / "soxspipe.yaml"
    settings.write_text("soxs-mbias: {qc-acceptable-ranges: {mbias-median: [0, 100]}}")
    outcome = run(workspace)
    assert (outcome.state, outcome.exit_status) == ("failed", QC_STATUS)
    assert "MBIAS MEDIAN = 301" in outcome.message
    header = read_header(outcome.products[0].path)
    assert (header["ESO QC VERDICT"], header["ESO QC FAILED"]) == ("fail", "MBIAS MEDIAN")


def test_range_of_an_unknown_metric(workspace):
    wrong = {"soxs-mbias": {"qc-acceptable-ranges": {"mbias-medina": [0, 100]}}}
    outcome = run(workspace, settings=wrong)
    assert outcome.exit_status == SettingsError.exit_status
    assert "mbias-median" in outcome.hint


def test_mistaken_settings_stop_before_pixels_are_read(workspace, monkeypatch):
    monkeypatch.setattr(runner, "load", lambda *a, **k: pytest.fail("pixels were read"))
    outcome = run(workspace, settings={"soxs-mbias": {"frame-clipping-sigma": -1}})
    assert (outcome.state, outcome.exit_status) == ("error", SettingsError.exit_status)
    assert "soxs-mbias / frame-clipping-sigma: must be greater than 0, got -1" in outcome.message


def test_poly_belongs_to_other_recipes(workspace):
    assert run(workspace, poly="34").exit_status == SettingsError.exit_status


def test_missing_files_are_all_named_and_filed(workspace):
    sof = workspace / "sof" / f"{STEM}.sof"
    sof.write_text(sof.read_text() + "./raw/none1.fits BIAS_VIS\n./raw/none2.fits BIAS_VIS\n")
    outcome = run(workspace)
    assert "./raw/none1.fits" in outcome.message
    assert "./raw/none2.fits" in outcome.message
    log = workspace / "reduced" / "2026-01-10" / "soxs-mbias" / f"{STEM}_ERROR.log"
    assert "none2.fits" in log.read_text()


def test_data_error_is_filed_and_its_log_goes_when_cured(workspace, monkeypatch):
    def fails(inputs, settings, arm):
        raise DataError("too few arc lines", hint="look at the frame")

    monkeypatch.setattr(runner.recipes, "load", lambda name: fake_bias.recipe(fails))
    outcome = run(workspace)
    assert (outcome.state, outcome.exit_status) == ("error", DataError.exit_status)
    assert (outcome.message, outcome.hint) == ("too few arc lines", "look at the frame")
    folder = workspace / "reduced" / "2026-01-10" / "soxs-mbias"
    assert files_below(folder) == [f"{STEM}_ERROR.log"]
    monkeypatch.setattr(runner.recipes, "load", lambda name: fake_bias.recipe())
    run(workspace)
    assert files_below(folder) == [f"{STEM}.fits", f"{STEM}.log"]


def test_a_bug_keeps_its_traceback(workspace, monkeypatch):
    def fails(inputs, settings, arm):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(runner.recipes, "load", lambda name: fake_bias.recipe(fails))
    with pytest.raises(ZeroDivisionError, match="a bug"):
        run(workspace)
    (log,) = workspace.rglob("*_ERROR.log")
    assert "Traceback" in log.read_text()


def test_a_plot_that_fails_costs_no_product(workspace, monkeypatch):
    def broken(data):
        raise ValueError("no colours left")

    monkeypatch.setattr(fake_bias, "draw", broken)
    outcome = run(workspace, plots=True)
    assert (outcome.state, outcome.plots) == ("passed", ())
    assert outcome.warnings == ("plot LEVEL could not be drawn",)
    log = next(iter(workspace.rglob(f"{STEM}.log"))).read_text()
    assert "no colours left" in log


@pytest.mark.parametrize("at", [1, 2])
def test_interrupt_while_writing_leaves_nothing(workspace, monkeypatch, at):
    """Ctrl-C during the first and during the second product."""
    calls = []

    def interrupted(number):
        calls.append(number)
        if len(calls) == at:
            raise KeyboardInterrupt

    monkeypatch.setattr(writing.os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(workspace)
    assert files_below(workspace / "reduced") == []
    assert not list(workspace.rglob("*.part"))
    monkeypatch.undo()
    monkeypatch.setattr(runner.recipes, "load", lambda name: fake_bias.recipe())
    assert run(workspace).state == "passed"


def test_full_disk(workspace, monkeypatch):
    def full(number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing.os, "fsync", full)
    outcome = run(workspace)
    assert (outcome.state, outcome.exit_status) == ("error", OutputError.exit_status)
    assert "No space left on device" in outcome.message
    assert files_below(workspace / "reduced") == []


def test_unknown_recipe(workspace):
    with pytest.raises(InputError, match="no recipe mbiass"):
        run_recipe(RunRequest("mbiass", workspace, workspace), log=LOG)


def test_other_handlers_hear_no_more_than_before(workspace, caplog):
    caplog.set_level(logging.WARNING)
    run(workspace)
    assert not caplog.records


def test_outcome_travels_between_processes(workspace):
    outcome = run(workspace)
    assert pickle.loads(pickle.dumps(outcome)) == outcome


def test_plots_are_shown_if_wanted_where_there_is_a_screen(workspace, monkeypatch):
    shown = []
    monkeypatch.setattr(run_outputs.webbrowser, "open", lambda uri: shown.append(uri) or True)
    monkeypatch.setenv("DISPLAY", ":9")
    plot = run(workspace, plots=True, debug=True).plots[0].path
    assert shown == [plot.absolute().as_uri()]
    run(workspace, plots=True, overwrite=True)
    assert len(shown) == 1


def test_without_a_screen_the_log_says_where_plots_are(workspace, monkeypatch):
    monkeypatch.setattr(run_outputs.webbrowser, "open", lambda uri: pytest.fail("opened"))
    monkeypatch.setattr(run_outputs.sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    outcome = run(workspace, plots=True, debug=True)
    assert outcome.warnings == (f"no viewer to show the plot {outcome.plots[0].path}",)


def test_the_log_lists_products_and_plots_with_the_documented_columns(workspace):
    outcome = run(workspace, plots=True)
    text = outcome.products[0].path.with_suffix(".log").read_text()
    head = next(line for line in text.splitlines() if "product_label" in line)
    assert head.split()[-6:] == [
        "product_label", "file_name", "file_type", "obs_date_utc", "label", "product_desc",
    ]  # fmt: skip
    rows = [line.split() for line in text.splitlines() if f"{STEM}.fits " in line]
    assert any({"MBIAS", "FITS", "2026-01-11T09:00:00", "PROD"} <= set(row) for row in rows), rows
    rows = [line.split() for line in text.splitlines() if "_LEVEL.pdf " in line]
    assert any({"PDF", "QC"} <= set(row) for row in rows), rows
