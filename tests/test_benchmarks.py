"""The benchmark measures what it says: known shifts, blends, memory, and the tables it writes."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from benchmarks import measuring, nights, report, wavelengths
from benchmarks.accuracy import summarise, worst
from benchmarks.make_sky_lines import isolated
from benchmarks.results import Results, speeds
from benchmarks.runs import Reduced, Run

from soxspipe.cli.accuracy import Figure
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


def test_the_worst_value_depends_on_the_goal():
    assert worst([0.1, 0.2], "< 0.15") == 0.2
    assert worst([0.8, 0.95], ">= 0.9") == 0.8
    assert worst([1.02, 0.97], "0.99 to 1.01") == 0.97
    assert math.isnan(worst([0.1, math.nan], "< 0.15"))


def test_a_quantity_that_a_night_lacks_is_not_reached():
    good = Figure("VIS", "", "map", 0.01, "< 0.15", reached=True)
    (summary,) = summarise([[good], []])
    assert (summary.nights, summary.reached) == (1, False)
    (summary,) = summarise([[good], [good]])
    assert summary.reached


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
