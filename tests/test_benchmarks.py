"""The benchmark measures what it says: known shifts, blends, memory, and the tables it writes."""

import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from benchmarks import measuring, nights, report, wavelengths
from benchmarks.accuracy import summarise
from benchmarks.make_sky_lines import isolated
from benchmarks.results import Independent, Results, Stress, speeds
from benchmarks.runs import Reduced, Run

from soxspipe.cli.accuracy import Figure, Goal
from soxspipe.errors import InputError

SHIFT = 0.3


def order_of_lines(height, fwhm=4.4, shift=SHIFT):
    """An extracted NIR order whose listed sky lines are all `shift` pixels redward."""
    pixel = np.arange(2000.0)
    scale = 0.07
    wavelength = 1430 + scale * pixel
    sky = np.full(2000, 100.0)
    for line in wavelengths.sky_list():
        at = (line - 1430) / scale + shift
        sky += height * np.exp(-0.5 * ((pixel - at) * 2.355 / fwhm) ** 2)
    table = np.zeros(
        2000,
        [(n, "f8") for n in ("order", "wavelengthMean", "pixelScaleNm", "skyFlux", "flags")],
    )
    table["order"], table["wavelengthMean"], table["pixelScaleNm"] = 13, wavelength, scale
    table["skyFlux"] = sky
    table["flags"] = 0
    return table.astype([(n, "i4" if n in ("order", "flags") else "f8") for n in table.dtype.names])


def test_a_shift_of_sky_lines_is_found():
    lines = list(wavelengths.sky_lines_seen(order_of_lines(3e4)))
    assert len(lines) > 10
    shifts = np.array([line.shift for line in lines])
    assert np.median(shifts) == pytest.approx(SHIFT, abs=0.01)
    assert np.median([line.fwhm for line in lines]) == pytest.approx(4.4, rel=0.01)


@pytest.mark.parametrize(("height", "fwhm"), [(3.0, 4.4), (3e4, 40.0)], ids=["faint", "broad"])
def test_lines_without_a_clear_centre_are_not_used(height, fwhm):
    assert not list(wavelengths.sky_lines_seen(order_of_lines(height, fwhm)))


def test_a_flagged_line_is_not_used():
    table = order_of_lines(3e4)
    table["flags"] = 1
    assert not list(wavelengths.sky_lines_seen(table))


def test_doublets_are_one_line_and_neighbours_forbid_it():
    # a resolution element at 1000 nm is 0.25 nm
    doublet = isolated(np.array([1000.0, 1000.04]), np.array([3.0, 1.0]))
    assert {entry[0] for entry in doublet} == {1000.01}
    assert not isolated(np.array([1000.0, 1000.3]), np.array([3.0, 1.0]))
    assert len(isolated(np.array([1000.0, 1001.0]), np.array([3.0, 1.0]))) == 2


def found(value, arm="VIS", frame=""):
    return Figure(arm, frame, "map", value, Goal(high=0.15))


def test_a_quantity_that_a_night_lacks_is_not_reached():
    (summary,) = summarise([[found(0.01)], []])
    assert (summary.nights, summary.reached, summary.always) == (1, False, False)
    (summary,) = summarise([[found(0.01)], [found(0.01)]])
    assert summary.reached
    assert summary.always


def test_the_mean_counts_and_the_worst_is_told():
    (summary,) = summarise([[found(0.01), found(0.02)], [found(0.2)]])
    assert (summary.mean, summary.worst) == (pytest.approx(0.23 / 3), 0.2)
    assert summary.reached
    assert not summary.always
    (summary,) = summarise([[found(0.01)], [found(0.4)]])
    assert not summary.reached
    (summary,) = summarise([[found(0.01)], [found(math.nan)]])
    assert math.isnan(summary.worst)
    assert not summary.reached


@pytest.mark.parametrize(
    ("nights_", "word"),
    [
        ([[found(0.1), found(0.1, "NIR")]], "yes"),
        ([[found(0.1), found(0.1, "NIR")], [found(0.19), found(0.1, "NIR")]], "on average"),
        ([[found(0.3), found(0.1, "NIR")]], "**no**"),
        ([[found(0.1), found(0.1, "NIR", "flat")]], "**no**"),  # the other arm has none
        ([[found(0.1, frame="flat")]], "yes"),  # of one arm only
    ],
)
def test_the_report_says_whether_goals_are_reached(nights_, word):
    results = replace(measured(), accuracy=tuple(summarise(nights_)))
    row = next(line for line in report.short(results).splitlines() if "map" in line)
    assert row.rstrip(" |").endswith(f"| {word}")


def test_figures_without_a_goal_stand_in_the_manual_only():
    plain = summarise([[Figure("VIS", "", "of interest", 3.0)]])
    results = replace(measured(), accuracy=tuple(plain))
    assert "| VIS | of interest |  | 3.0000 |" in report.full(results)
    assert "of interest" not in report.short(results)


def test_wrong_solutions_of_difficult_nights_are_reported():
    text = report.full(
        replace(measured(), stress=Stress(right=7, poor=0, refused=2, wrong=1, crashed=0))
    )
    assert "Of 10 difficult nights" in text
    assert "1 end with a wrong solution delivered as good (goal 0: **no**)" in text


def fitted_lines(path, *, scatter=None):
    """A table of 1000 lines that scatter by 0.02 px and claim 0.01 px; five are clipped."""
    n = 1000
    table = Table({"residuals_x": 0.02 * np.random.default_rng(1).standard_normal(n)})
    table["residuals_y"] = 5.0
    table["observed_x_error"] = 0.01
    table["sigma_clipped"] = np.arange(n) < 5
    table["residuals_x"][:5] = 7.0
    if scatter is not None:
        table["expected_x_scatter"] = scatter
    path.parent.mkdir(parents=True)
    table.write(path)


@pytest.mark.parametrize(("scatter", "over"), [(None, math.nan), (0.04, 0.5)])
def test_arc_residuals_are_told_in_units_of_their_errors(tmp_path, scatter, over):
    name = "20260511T111027_NIR_3_DSOL_PINHOLE_FITTED_LINES.fits"
    fitted_lines(tmp_path / "qc" / "2026-05-10" / "soxs-disp-solution" / name, scatter=scatter)
    (line,) = wavelengths.arc_residuals(tmp_path)
    assert (line.arm, line.used, line.clipped) == ("NIR", 995, 5)
    assert line.rms == pytest.approx(0.02, rel=0.1)
    assert line.over_error == pytest.approx(2.0, rel=0.1)
    assert line.over_scatter == pytest.approx(over, rel=0.1, nan_ok=True)


def test_calibrations_that_fail_are_told_apart_from_the_rest():
    reduced = night(8, 10.0)
    science = replace(reduced.runs[0], recipe="stare", state="passed")
    other = Independent(replace(reduced, runs=(*reduced.runs, science)), ())
    assert [run.recipe for run in other.calibrations] == ["mdark"]
    text = report.full(replace(measured(), independent=other))
    assert "All quality values of 0 of 1 calibrations are in range (goal: all; **no**)" in text


def test_a_workspace_of_calibrations_leaves_the_sky_out(tmp_path):
    kinds = {"a": ("CALIB", "BIAS"), "b": ("CALIB", "STD,FLUX"), "c": ("SCIENCE", "OBJECT")}
    for name, (category, kind) in kinds.items():
        frame = fits.PrimaryHDU(np.zeros((4, 4), "i2"))
        frame.header["HIERARCH ESO DPR CATG"], frame.header["HIERARCH ESO DPR TYPE"] = (
            category,
            kind,
        )
        (tmp_path / "night").mkdir(exist_ok=True)
        frame.writeto(tmp_path / "night" / f"{name}.fits")
    place = nights.workspace(tmp_path / "night", tmp_path / "work", calibrations=True)
    assert {path.name for path in place.iterdir()} == {"a.fits"}


@pytest.mark.skipif(sys.platform != "linux", reason="memory of processes is read from /proc")
def test_memory_of_children_counts(tmp_path):
    child = "b = bytearray(80_000_000); import time; time.sleep(0.6)"
    parent = (
        f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}]); sys.exit(3)"
    )
    cost = measuring.measure([sys.executable, "-c", parent], tmp_path / "log")
    assert cost.status == 3
    assert cost.wall > 0.5
    assert cost.largest_mb > 80
    assert 85 < cost.tree_mb < 160  # the child and the small parent together


def test_a_workspace_leaves_the_night_as_it_is(tmp_path):
    night = tmp_path / "night"
    for arm in ("vis", "nir"):
        (night / arm).mkdir(parents=True)
    counts = np.arange(400, dtype="i2").reshape(20, 20)
    fits.PrimaryHDU(counts).writeto(night / "vis" / "a.fits")
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(counts, name="X")]).writeto(
        night / "nir" / "b.fits.fz"
    )
    place = nights.workspace(night, tmp_path / "work")
    assert {path.name for path in place.iterdir()} == {"a.fits", "b.fits"}
    assert np.array_equal(fits.getdata(place / "b.fits"), counts)
    (place / "a.fits").rename(place / "moved.fits")
    assert (night / "vis" / "a.fits").exists()

    fits.PrimaryHDU(counts).writeto(night / "nir" / "a.fits")
    with pytest.raises(InputError, match="two frames"):
        nights.workspace(night, tmp_path / "work")


def test_tables_go_between_the_marks(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n", encoding="utf-8")
    text = report.table(["name", "value"], [("a", "+1.50"), ("b", 2)])
    report.insert(page, text)
    once = page.read_text(encoding="utf-8")
    assert once.startswith("before\n")
    assert once.endswith("after\n")
    assert "| a | +1.50 |" in once
    assert "|---|---:|" in once
    assert "old" not in once
    report.insert(page, text)
    assert page.read_text(encoding="utf-8") == once
    page.write_text("no marks", encoding="utf-8")
    with pytest.raises(InputError, match="no place"):
        report.insert(page, text)


def night(status, wall):
    cost = measuring.Cost(status, wall, cpu=2 * wall, tree_mb=2000.0, largest_mb=1000.0)
    prep = measuring.Cost(0, 1.0, cpu=1.0, tree_mb=200.0, largest_mb=200.0)
    state = "passed" if status == 0 else "failed"
    return Reduced(Path("night"), prep, cost, (Run("mdark", "NIR", "set", state, 2.0, 900.0, "x"),))


def measured(*nights_):
    return Results(
        version="1.0",
        machine="2 cores",
        command="python -m benchmarks",
        seeds=tuple(range(1, len(nights_) + 1)),
        start=0.1,
        nights=nights_,
        accuracy=(),
        independent=None,
    )


def test_a_night_cut_short_does_not_count_as_fast():
    wall = speeds(measured(night(0, 100.0), night(8, 10.0)))[0]
    assert (wall.mean, wall.worst, wall.reached) == (100.0, 100.0, False)
    assert speeds(measured(night(0, 100.0), night(0, 60.0)))[0].reached
    assert not speeds(measured(night(0, 130.0)))[0].reached


def test_the_report_tells_which_night_failed():
    text = report.full(measured(night(0, 100.0), night(8, 10.0)))
    assert "Seed 2 was not reduced as a whole" in text
    assert "mdark NIR failed: x" in text
    assert "Seed 1 was not" not in text
