"""The 2-D quick-look shows every bin, in a small file, and stands missing data."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from soxspipe.datamodel.frame import PixelFlag
from soxspipe.datamodel.rectified import Grid, RectifiedImage, RectifiedOrders, RectifiedSpectrum
from soxspipe.instrument.arms import get_arm
from soxspipe.qc import plot_rectified
from tests.qc.test_figures import pdf_size


def an_image(n=20000, *, kind=RectifiedSpectrum, first=13000, sky=True):
    """A star on noise, sky lines with too much scatter, a gap."""
    rng = np.random.default_rng(1)
    grid = Grid(first, 0.06, -20, 0.3, (41, n))
    level = 10.0 + 1e4 * np.exp(-0.5 * ((np.arange(n) % 200 - 100) / 2.0) ** 2)
    error = np.sqrt(9.0 + 0.1 * level) * np.ones((41, 1))
    flux = rng.normal(0.0, 1.0, grid.shape) * error * np.where(level > 100, 1.5, 1.0)
    flux += 40.0 * np.exp(-0.5 * ((grid.slit[:, None] - 1.0) / 0.5) ** 2)
    flags = np.zeros(grid.shape, dtype="u2")
    gap = slice(n // 2, n // 2 + n // 40)
    flux[:, gap], error[:, gap], flags[:, gap] = np.nan, np.nan, PixelFlag.NOTHING_LEFT
    table = np.zeros((int(grid.chunks[-1]) + 1, 2, 3))
    table[:, 0, 1] = 1.0
    level = np.repeat(level[None], 41, axis=0) if sky else None
    return kind(grid=grid, flux=flux, error=error, flags=flags, correlation=table, sky=level)


def panels_of(figure):
    return [p for p in figure.axes if p.images]


@pytest.mark.parametrize("arm", ["VIS", "NIR"])
def test_strips_show_the_whole_spectrum_once(arm):
    image = an_image()
    figure = plot_rectified.merged(image, get_arm("SOXS", arm), "a star")
    assert figure.texts[0].get_text().startswith(f"SOXS {arm}: ")
    limits = [p.get_xlim() for p in panels_of(figure)]
    assert len(limits) >= 11
    assert limits[0][0] == pytest.approx(13000 * 0.06, abs=0.04)
    assert limits[-1][1] == pytest.approx((13000 + 19999) * 0.06, abs=0.04)
    for (_, end), (start, _) in pairwise(limits):
        assert end == pytest.approx(start, abs=1e-6)
    assert 0 < pdf_size(figure) < 400_000


def test_the_picture_lies_where_its_axes_say():
    """The star is at +1 arcsec, the gap at its wavelengths."""
    figure = plot_rectified.merged(an_image(), get_arm("SOXS", "NIR"), "a star")
    gap = 0.06 * (13000 + 10250)
    for panel in panels_of(figure):
        left, right, bottom, top = panel.images[0].get_extent()
        shown = np.ma.filled(panel.images[0].get_array().astype("f8"), np.nan)
        slit = bottom + (np.arange(shown.shape[0]) + 0.5) * (top - bottom) / shown.shape[0]
        assert slit[np.nanargmax(np.nanmean(shown, axis=1))] == pytest.approx(1.0, abs=0.2)
        if left < gap < right:
            column = int((gap - left) / (right - left) * shown.shape[1])
            assert np.isnan(shown[:, column]).all()


def test_scatter_in_lines_is_told():
    figure = plot_rectified.merged(an_image(), get_arm("SOXS", "NIR"), "a star")
    ratio = figure.axes[-1].lines[0].get_ydata()
    assert ratio[0] == pytest.approx(1.0, abs=0.05)
    assert ratio[-1] == pytest.approx(1.5, abs=0.1)


def test_orders_come_by_wavelength():
    arm = get_arm("SOXS", "NIR")
    made = {n: an_image(800, kind=RectifiedImage, first=f) for n, f in ((10, 31000), (12, 26000))}
    figure = plot_rectified.orders(RectifiedOrders(made), arm, "a star")
    starts = [p.get_xlim()[0] for p in panels_of(figure)]
    assert starts == sorted(starts)
    assert "order 12" in panels_of(figure)[0].texts[0].get_text()
    assert 0 < pdf_size(figure) < 250_000


def test_missing_data_leave_panels_empty_but_draw():
    arm, image = get_arm("SOXS", "NIR"), an_image(3000, sky=False)
    nothing = np.full(image.grid.shape, np.nan)
    flags = np.full(image.grid.shape, PixelFlag.NOTHING_LEFT)
    for made in (image, replace(image, flux=nothing, error=nothing, flags=flags)):
        assert pdf_size(plot_rectified.merged(made, arm, "nothing")) > 0
    assert pdf_size(plot_rectified.orders(RectifiedOrders({}), arm, "nothing")) > 0
