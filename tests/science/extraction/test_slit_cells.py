"""Objects are found in a rectified image where they are, wherever rows and cells lie."""

from dataclasses import replace

import numpy as np
import pytest

from soxspipe.datamodel.frame import PixelFlag
from soxspipe.datamodel.rectified import Grid, RectifiedImage
from soxspipe.errors import DataError
from soxspipe.science.extraction import objects
from soxspipe.science.extraction.slit_cells import slit_cells


def an_image(position, *, step=0.33, height=60.0, n=2000, seed=1):
    rng = np.random.default_rng(seed)
    m = round(12.0 / step)
    grid = Grid(13000, 0.06, -(m // 2), step, (m, n))
    error = np.full(grid.shape, 5.0)
    flux = rng.normal(0.0, 5.0, grid.shape)
    flux += height * np.exp(-0.5 * ((grid.slit[:, None] - position) / 0.5) ** 2)
    flags = np.zeros(grid.shape, dtype="u2")
    flux[0], flags[0] = np.nan, PixelFlag.NOTHING_LEFT
    table = np.ones((int(grid.chunks[-1]) + 1, 1, 1))
    return RectifiedImage(grid, flux, error, flags, table)


def found_in(image):
    cells = {1: slit_cells(image, chunks=16)}
    found = objects.find(*objects.collapse_all(cells), significance=5.0, fwhm=1.0)
    return cells, found


@pytest.mark.parametrize("step", [0.2, 0.28, 0.33, 0.66])
@pytest.mark.parametrize("position", [-3.1, 0.05, 0.47])
def test_the_star_is_where_it_is(step, position):
    cells, found = found_in(an_image(position, step=step))
    assert len(found) == 1
    assert found[0].position == pytest.approx(position, abs=0.03)
    trace = objects.trace(cells, found[0], degree=2, clip_sigma=4.0, clip_rounds=5)
    assert trace.at(np.array([800.0, 850.0])) == pytest.approx(position, abs=0.03)


def test_noise_is_no_object():
    significant = [len(found_in(an_image(0.0, height=0.0, seed=seed))[1]) for seed in range(20)]
    assert sum(significant) == 0


def test_errors_are_those_of_the_noise():
    cells = slit_cells(an_image(0.0, height=0.0, step=0.2, n=8000), chunks=64)
    pull = cells.value / cells.error
    known = np.isfinite(cells.error)
    assert pull[known].std() == pytest.approx(1.0, abs=0.05)


def test_stretches_without_data_count_nothing():
    image = an_image(0.0)
    flux = image.flux.copy()
    flux[:, 500:1000] = np.nan
    holed = RectifiedImage(image.grid, flux, image.error, image.flags, image.correlation)
    cells, found = found_in(holed)
    assert len(found) == 1
    assert np.isinf(cells[1].error[5:7]).all()


def test_an_image_without_a_good_bin_is_refused():
    image = an_image(0.0, n=100)
    hit = replace(image, flags=image.flags | np.uint16(PixelFlag.COSMIC_RAY))
    with pytest.raises(DataError, match="no good bin"):
        slit_cells(hit, chunks=4)
