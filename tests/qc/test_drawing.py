"""Reducing images and curves to the page keeps what they show."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from soxspipe.qc import drawing, pixel_grid, style
from tests.qc import made_up as made


def test_block_means_are_means_of_finite_pixels():
    image = np.arange(24.0).reshape(4, 6)
    image[0, 0] = np.nan
    image[2:, 4:] = np.nan
    means, step = drawing.block_means(image, 2, 3)
    assert step == (2, 2)
    assert means[0, 0] == pytest.approx((1 + 6 + 7) / 3)
    assert means[1, 1] == pytest.approx((14 + 15 + 20 + 21) / 4)
    assert np.isnan(means[1, 2])


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (7, 1000), (999, 1001)])
def test_block_means_never_exceed_the_page(shape):
    means, (step_y, step_x) = drawing.block_means(np.ones(shape), 100, 200)
    assert means.shape[0] <= 100
    assert means.shape[1] <= 200
    assert means.shape == (shape[0] // step_y, shape[1] // step_x)
    assert (means == 1).all()


def test_an_image_lies_on_its_pixels():
    panel = Figure(figsize=(3, 3)).add_axes((0, 0, 1, 1))
    drawing.show(panel, np.ones((40, 60)), (0, 1), origin=(100, 200))
    assert panel.images[0].get_extent() == pytest.approx([199.5, 259.5, 99.5, 139.5])


def test_a_reduced_curve_keeps_its_spikes():
    x = np.arange(20_000.0)
    y = np.random.default_rng(1).normal(0, 1, x.size)
    y[7777], y[12345], y[500:900] = 100.0, -100.0, np.nan
    px, py = drawing.extremes(x, y, 300)
    assert len(px) <= 4 * 300
    assert px[np.nanargmax(py)] == 7777
    assert px[np.nanargmin(py)] == 12345
    assert np.isnan(py).any()
    assert (np.diff(px) >= 0).all()


def test_a_short_curve_is_left_alone():
    x, y = np.arange(10.0), np.arange(10.0) ** 2
    assert np.array_equal(drawing.extremes(x, y, 300), (x, y))


def test_limits_leave_outliers_out_and_are_never_empty():
    values = np.append(np.linspace(0, 1, 10_000), [1e9, np.nan])
    low, high = style.robust_limits(values)
    assert 0 <= low < 0.02
    assert 0.98 < high <= 1.0
    assert style.robust_limits(np.array([np.nan])) == (0.0, 1.0)
    low, high = style.robust_limits(np.full(5, 7.0))
    assert low < 7 < high


@pytest.mark.parametrize(
    ("value", "step"), [(0.9, 1.0), (18.0, 20.0), (0.042, 0.05), (730.0, 1000.0), (0.0, 1.0)]
)
def test_grid_steps_are_round(value, step):
    assert pixel_grid.round_step(value) == pytest.approx(step)


@pytest.mark.parametrize("name", ["VIS", "NIR"])
def test_grid_lines_are_where_the_map_has_that_wavelength(name):
    arm = made.arm_of(name)
    panel = Figure().add_axes((0, 0, 1, 1))
    step = pixel_grid.draw(panel, made.pixel_map(arm), arm, slits=np.array([0.0]), stride=4)
    number, row = next(iter(made.rows_of(arm).items()))
    wavelengths, slits = panel.collections[:2]
    drawn = np.concatenate([p.vertices for p in wavelengths.get_paths() if len(p.vertices)])
    found = (made.start_of(arm, number) + made.NM * drawn[:, 0]) / step
    assert found == pytest.approx(np.rint(found), abs=1e-6)
    middle = np.concatenate([p.vertices for p in slits.get_paths() if len(p.vertices)])
    assert middle[:, 1] == pytest.approx(row)


def test_orders_get_different_colours():
    for count in (1, 4, 15):
        colours = style.order_colours(range(10, 10 + count))
        assert len({str(c) for c in colours.values()}) == count
