"""What disp_solution and spat_solution say and do about their lines."""

import logging
from dataclasses import replace

import numpy as np
import pytest

from soxspipe.datamodel.arc_lines import LineList, LineState
from soxspipe.datamodel.polynomial_table import PolynomialTable
from soxspipe.errors import DataError
from soxspipe.instrument.arms import get_arm
from soxspipe.instrument.line_lists import arc_lines
from soxspipe.recipes import arc_results, arc_steps
from soxspipe.recipes.disp_solution import METRICS
from soxspipe.science.wavelength.corrections import Degrees
from soxspipe.settings import DispSolutionSettings, SpatSolutionSettings
from tests.qc import made_up as made

VIS, NIR = (get_arm("SOXS", name) for name in ("VIS", "NIR"))


def with_ions(solved, ions=("ArI", "HgI", "NeI", "XeI")):
    """A line list for the lines of `solved`, ions in turn."""
    lines = solved.lines
    _, first = np.unique(
        np.column_stack([lines.order, lines.wavelength]), axis=0, return_index=True
    )
    order, wavelength = lines.order[first], lines.wavelength[first]
    ion = np.array([ions[k % len(ions)] for k in range(len(order))])
    return LineList(order, wavelength, np.zeros(len(order), bool), ion, np.ones(len(order)))


def solved_without(element):
    """A solution none of whose lines of `element` was found."""
    solved = made.solved(made.arm_of("NIR"))
    listed = with_ions(solved)
    key = {(n, w): i for n, w, i in zip(listed.order, listed.wavelength, listed.ion, strict=True)}
    mine = np.array(
        [
            key[n, w].startswith(element)
            for n, w in zip(solved.lines.order, solved.lines.wavelength, strict=True)
        ]
    )
    shines = ~mine
    lines = replace(
        solved.lines,
        detected=shines,
        seen=shines,
        state=np.where(shines, LineState.FOUND, LineState.NOT_SEEN),
    )
    return replace(solved, lines=lines, fit=replace(solved.fit, used=shines)), listed


def test_a_lamp_that_is_off_is_named(caplog):
    solved, listed = solved_without("Hg")
    with caplog.at_level(logging.WARNING):
        arc_steps.check(solved, listed, NIR, "frame")
    assert "no lines of Hg (is the Hg lamp on?)" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        arc_steps.check(*solved_without("Kr"), NIR, "frame")
    assert not caplog.records


def test_a_bad_solution_fails_with_the_lamp_as_its_cause():
    solved, listed = solved_without("Ar")
    bad = replace(solved, problems=("only 3 of 90 listed lines were recognised",))
    with pytest.raises(DataError) as caught:
        arc_steps.check(bad, listed, NIR, "frame")
    assert "no lines of Ar (is the Ar lamp on?)" in caught.value.message
    assert "only 3 of 90" in caught.value.message


def test_no_light_at_all_asks_to_look_at_the_raw_frame():
    lines = made.solved(made.arm_of("VIS")).lines
    arc_steps.require_light(lines, "frame")
    with pytest.raises(DataError) as caught:
        arc_steps.require_light(replace(lines, seen=np.zeros(len(lines), dtype=bool)), "frame")
    assert "check the raw frame" in caught.value.hint


def test_lowered_degrees_are_told(caplog):
    solved, listed = solved_without("Kr")
    with caplog.at_level(logging.WARNING):
        arc_steps.check(replace(solved, lowered=2), listed, NIR, "frame")
    assert "lowered 2 times" in caplog.text


def test_degrees_are_ours_until_somebody_sets_them():
    usual = SpatSolutionSettings.defaults("NIR")
    options = arc_steps.options_of(usual, NIR, slit_degree=2)
    assert options.fixed is None
    assert options.least_holes == 7
    given = arc_steps.options_of(usual.with_poly("345524"), NIR, slit_degree=4)
    assert given.fixed == Degrees((3, 4), (5, 5), (2, 4))
    first = DispSolutionSettings.defaults("VIS").with_poly("2344")
    assert arc_steps.options_of(first, VIS, slit_degree=0).fixed == Degrees((2, 3), (4, 4), (0, 0))


def test_the_window_sets_how_far_a_line_is_looked_for():
    settings = DispSolutionSettings.defaults("VIS")
    assert arc_steps.gates(settings, VIS) == (6.0, 3.0, 1.5)
    wide = settings.model_copy(update={"pixel_window_size": 20})
    assert arc_steps.gates(wide, VIS)[0] == 10.0
    assert arc_steps.gates(settings, VIS.binned((2, 2)))[0] == 3.0


def test_degrees_in_the_name_of_the_plot():
    tables = tuple(
        PolynomialTable(axis, np.zeros(shape))
        for axis, shape in (("x", (4, 6, 1)), ("y", (5, 5, 3)))
    )
    assert arc_steps.degrees_of(tables) == "345402"


def test_values_by_order_are_recorded_but_not_judged():
    arm = made.arm_of("NIR")
    solved = made.solved(arm)
    found = arc_results.values_per_order(solved, METRICS, arm)
    orders = {str(n) for n in np.unique(solved.lines.order)}
    assert {m.order for m in found} == orders
    assert all(m.limits is None for m in found)
    keywords = {m.metric.keyword for m in found}
    assert {"X RES SD", "FWHM PIN MEDIAN", "R PIN MEDIAN", "DETLINES FRAC"} <= keywords
    assert not keywords & {"DETLINES TOT", "DETLINES NUM", "DETLINES CLIP NUM"}
    one = next(m for m in found if m.metric.keyword == "X RES SD")
    own = solved.fit.used & (solved.lines.order == int(one.order))
    assert one.value == pytest.approx(np.std((solved.lines.x - solved.fit.x)[own]))


def test_the_tables_have_the_documented_columns_and_units():
    arm = made.arm_of("NIR")
    solved = made.solved(arm)
    width = np.where(np.arange(len(solved.lines)) % 2, 3.5, np.nan)
    table = arc_results.fitted_table(solved, arm, width)
    documented = """wavelength order slit_index slit_position detector_x detector_y detector_x_shifted
        detector_y_shifted observed_x observed_y x_diff y_diff fit_x fit_y residuals_x residuals_y
        residuals_xy sigma_clipped sharpness roundness1 roundness2 npix sky peak flux fwhm_pin_px R_pin
        pixelScaleNm fwhm_slit_px R_slit"""
    assert set(documented.split()) <= set(table.colnames)
    assert table["wavelength"].unit == "nm"
    assert table["fwhm_slit_px"].unit == "pix"
    slit = np.isfinite(table["fwhm_slit_px"])
    assert 0 < slit.sum() < len(table)
    ratio = table["R_pin"][slit] * table["width_px"][slit] / table["fwhm_slit_px"][slit]
    assert np.asarray(table["R_slit"][slit]) == pytest.approx(np.asarray(ratio))
    none = arc_results.fitted_table(solved, arm)
    assert np.isnan(none["R_slit"]).all()


def test_missed_lines_say_why():
    solved = made.solved(made.arm_of("VIS"))
    missed = arc_results.missed_table(solved)
    assert len(missed) == (~solved.lines.detected).sum()
    assert set(missed["reason"]) == {"not seen"}


@pytest.mark.parametrize("arm", [VIS, NIR], ids=["VIS", "NIR"])
def test_every_listed_line_has_an_ion_of_a_lamp(arm):
    listed = arc_lines(arm)
    elements = {str(i).rstrip("IV") for i in listed.ion} - {""}
    assert all(any(e in lamp for lamp in arm.arc_lamps) for e in elements)
    assert len(listed.ion) == len(listed.strength) == len(listed.order)
