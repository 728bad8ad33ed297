"""What pixels of a tilted order see, and on what scale."""

from dataclasses import replace

import numpy as np
import pytest

from soxspipe.science.extraction.footprints import as_part, footprints, relative_throughput
from tests.science.extraction.one_order import SCALE, SLOPE, STEP, order_pixels

COLUMNS = 300


@pytest.fixture(scope="module")
def pixels():
    return order_pixels(COLUMNS, tilt=0.4)


def test_footprints_of_a_tilted_order(pixels):
    along, across = footprints(pixels, COLUMNS, dispersion_axis="x")
    inside = (pixels.bin > 3) & (pixels.bin < COLUMNS - 4)
    # position = x - tilt * slit, slit = (y - SLOPE * x) * SCALE
    assert along[inside] == pytest.approx(STEP * (1 + 0.4 * SLOPE * SCALE), rel=1e-6)
    assert across[inside] == pytest.approx(STEP * 0.4 * SCALE, rel=1e-6)
    assert (along > 0).all()
    swapped = footprints(pixels, COLUMNS, dispersion_axis="y")
    assert swapped[0] == pytest.approx(across)


def test_throughput_is_relative_to_the_best_order():
    pixels = {1: order_pixels(300), 2: order_pixels(300, number=2, low=1020.0, step=0.05)}
    lamp = {n: np.full(300, 10.0 * p.width[0] * n) for n, p in pixels.items()}
    ratio = relative_throughput(pixels, lamp)
    both = (pixels[1].wavelength > 1020.1) & (pixels[1].wavelength < 1029.8)
    assert ratio[1][both] == pytest.approx(0.5)
    assert ratio[1][pixels[1].wavelength < 1019.9] == pytest.approx(1.0)
    later = pixels[2].wavelength > 1020.1
    assert ratio[2][later] == pytest.approx(1.0)


def test_an_order_far_below_the_best_does_not_count():
    pixels = {1: order_pixels(300), 2: order_pixels(300, number=2)}
    ratio = relative_throughput(pixels, {1: np.full(300, 0.05), 2: np.ones(300)})
    inside = (pixels[1].bin > 0) & (pixels[1].bin < 299)
    assert (ratio[1][inside] == 0).all()
    assert ratio[2][inside] == pytest.approx(1.0)


def test_an_order_without_lamp_light_speaks_where_it_is_alone():
    pixels = {1: order_pixels(300), 2: order_pixels(300, number=2, low=1020.0)}
    ratio = relative_throughput(pixels, {1: np.full(300, np.nan), 2: np.ones(300)})
    alone = pixels[1].wavelength < 1019.9
    assert ratio[1][alone] == pytest.approx(1.0)
    assert (ratio[1][pixels[1].wavelength > 1020.1] == 0).all()


def test_pixels_that_see_less_slit_are_no_poorer_order():
    """The lamp fills the slit: a pixel that sees less of it gets less lamp light."""
    pixels = {1: order_pixels(300), 2: order_pixels(300, number=2)}
    pixels[2] = replace(pixels[2], area=0.9 * pixels[2].area)
    ratio = relative_throughput(pixels, {1: np.ones(300), 2: np.full(300, 0.9)})
    assert ratio[1] == pytest.approx(1.0)
    assert ratio[2] == pytest.approx(1.0)


def test_a_part_is_per_nm_and_on_the_common_scale(pixels):
    n = len(pixels.wavelength)
    one = np.ones(n)
    part = as_part(
        pixels,
        footprints(pixels, COLUMNS, dispersion_axis="x"),
        np.full(n, 0.5),
        share=0.2 * one,
        data=one,
        variance=one,
        good=one > 0,
        sky=8.0 * one,
        common=one,
        reach=3.0 * one,
    )
    assert part.response == pytest.approx(0.2 * STEP * 0.5)
    assert part.sky == pytest.approx(8.0 / STEP / 0.5)
    assert part.reach == pytest.approx(3.0 * STEP)
