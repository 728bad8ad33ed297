"""The page of a map shows where the light is, and stands gaps and missing values."""

import numpy as np
import pytest
from astropy.table import Table

from soxspipe.datamodel.cube import Cube
from soxspipe.datamodel.rectified import Grid
from soxspipe.instrument.arms import get_arm
from soxspipe.qc import plot_maps
from tests.qc import made_up as made
from tests.qc.test_figures import pdf_size
from tests.qc.test_plot_rectified import an_image

ARM = get_arm("SOXS", "NIR")


def a_cube(rows=5, *, gap=None):
    grid = Grid(13000, 0.06, -20, 0.3, (41, 300))
    away = (np.arange(rows) - rows // 2)[:, None] ** 2 + (grid.slit - 1.0) ** 2
    flux = 100.0 * np.exp(-0.5 * away)[:, :, None] * np.ones(300)
    if gap is not None:
        flux[gap] = np.nan
    return Cube(grid, -2.0, 1.0, 1.0, flux, np.ones(flux.shape), np.zeros(flux.shape), 1.5, 300.0)


def a_table(n=5, **changes):
    one = np.ones(n)
    columns = {
        "position": np.arange(1, n + 1),
        "ra_offset": np.arange(n) - 2.0,
        "dec_offset": 0 * one,
        "across": np.arange(n) - 2.0,
        "moved": 0 * one,
        "found": one > 0,
        "slit_position": one,
        "flux": 1e6 * one,
        "flux_error": 1e3 * one,
    }
    return Table(columns | changes, meta={"ANGLE": 20.0})


def page(table, cube):
    numbers = [int(n) for n in table["position"]]
    spectra = {n: made.spectrum(made.arm_of("NIR")) for n in numbers}
    images = {n: an_image(400) for n in numbers}
    return plot_maps.overview(table, spectra, images, cube, ARM, "a galaxy")


def test_the_peak_is_where_the_light_is():
    figure = page(a_table(), a_cube())
    picture = figure.axes[0].images[0]
    row, column = np.unravel_index(np.argmax(picture.get_array()), (5, 41))
    left, right, bottom, top = picture.get_extent()
    assert left + (column + 0.5) * (right - left) / 41 == pytest.approx(1.0, abs=0.2)
    assert bottom + (row + 0.5) * (top - bottom) / 5 == pytest.approx(0.0)
    assert len(figure.axes[-1].lines) == 10  # each spectrum and its zero
    assert pdf_size(figure) < 200_000


@pytest.mark.parametrize("cube", [None, a_cube(1), a_cube(gap=2), a_cube(gap=slice(None))])
def test_gaps_and_no_cube(cube):
    missing = a_table(2, flux=[np.nan, np.nan], found=[True, False])
    for table in (a_table(), missing):
        assert page(table, cube).axes


def test_a_large_map_shows_some_of_its_spectra():
    figure = page(a_table(40), None)
    assert "28 more are not shown" in figure.axes[-1].get_title(loc="left")
