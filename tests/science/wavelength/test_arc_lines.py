"""Pinhole images on frames of our making."""

from dataclasses import replace

import numpy as np
import pytest

from soxspipe.datamodel.frame import PixelFlag
from soxspipe.science.wavelength import arc_lines
from tests.maths.truth import assert_pulls
from tests.science.wavelength.made_arcs import (
    HOLES,
    SHAPE,
    SIGMA,
    arc_frame,
    images_of,
    line_list,
    truth,
)

LINES = line_list(seed=3)
FWHM = 2 * np.sqrt(2 * np.log(2))


@pytest.fixture(scope="module")
def frame():
    return arc_frame(LINES, truth(), np.random.default_rng(1))


def look(frame, x=None, y=None, sigma_limit=10.0, gate=3.0):
    wanted = arc_lines.expected(LINES, HOLES, np.arange(9), truth())
    x, y = wanted.predicted_x if x is None else x, wanted.predicted_y if y is None else y
    return arc_lines.measure(
        frame, wanted, x, y, dispersion_axis="x", sigma_limit=sigma_limit, gate=gate
    )


def test_every_line_is_expected_through_every_hole():
    wanted = arc_lines.expected(LINES, HOLES, np.arange(9), truth())
    assert len(wanted) == 9 * len(LINES.order)
    assert np.array_equal(wanted.wavelength[::9], LINES.wavelength)
    assert np.array_equal(wanted.slit[:9], HOLES)
    assert np.array_equal(wanted.slit_index[:9], np.arange(9))
    x, y = images_of(LINES, truth())
    assert wanted.predicted_x == pytest.approx(x)
    assert wanted.predicted_y == pytest.approx(y)
    assert not wanted.detected.any()
    assert np.isnan(wanted.x).all()


def test_centres_widths_and_errors(frame):
    x, y = images_of(LINES, truth())
    rng = np.random.default_rng(2)
    found = look(frame, x + rng.uniform(-1, 1, x.size), y + rng.uniform(-1, 1, x.size))
    assert found.detected.mean() > 0.99
    ok = found.detected & (found.chi2 < 2)
    assert ok.mean() > 0.98
    for at, error, true in ((found.x, found.x_error, x), (found.y, found.y_error, y)):
        pulls = ((at - true) / error)[ok]
        assert abs(np.mean(pulls)) < 4 / np.sqrt(pulls.size)
        assert np.std(pulls) == pytest.approx(1, abs=0.1)
    assert np.median(found.width[ok]) == pytest.approx(FWHM * SIGMA[0], rel=0.01)
    assert np.median(found.background[ok]) == pytest.approx(4, abs=2)


def test_width_is_that_along_dispersion(frame):
    turned = frame.viewed(lambda image: np.ascontiguousarray(image.T))
    x, y = images_of(LINES, truth())
    wanted = arc_lines.expected(LINES, HOLES, np.arange(9), truth())
    found = arc_lines.measure(turned, wanted, y, x, dispersion_axis="y", sigma_limit=10.0, gate=3.0)
    assert np.nanmedian(found.width) == pytest.approx(FWHM * SIGMA[0], rel=0.01)
    assert np.nanmedian(found.x - y) == pytest.approx(0, abs=0.01)


def test_lines_that_do_not_shine_are_not_detected(frame):
    noise = np.random.default_rng(3).normal(0, 5, SHAPE)
    dark = replace(frame, data=noise, variance=np.full(SHAPE, 25.0))
    found = look(dark, sigma_limit=6.0)
    assert found.detected.mean() < 0.01
    assert np.isnan(found.x[~found.detected]).all()


def test_a_spot_beyond_the_gate_is_another(frame):
    x, y = images_of(LINES, truth())
    assert not look(frame, x + 1.5, y, gate=1.0).detected[::9].any()


def test_saturated_spots_are_left_out(frame):
    x, y = images_of(LINES, truth())
    rows, columns = np.rint(y[::5]).astype(int), np.rint(x[::5]).astype(int)
    full = np.zeros(SHAPE, dtype=bool)
    full[rows, columns] = True
    found = look(frame.flagged(full, PixelFlag.SATURATED))
    assert not found.detected[::5].any()
    assert np.delete(found.detected, np.s_[::5]).mean() > 0.95


def test_peak_is_the_brightest_pixel(frame):
    found = look(frame)
    k = int(np.nanargmax(found.counts))
    x, y = int(np.rint(found.x[k])), int(np.rint(found.y[k]))
    assert found.peak[k] == frame.data[y, x] == frame.data[y - 2 : y + 3, x - 2 : x + 3].max()


def test_errors_mean_the_same_for_single_pinholes():
    rng = np.random.default_rng(4)
    lines = line_list(40, seed=5, least=0.8)
    pulls = []
    for _ in range(3):
        frame = arc_frame(lines, truth(), rng, holes=np.zeros(1))
        wanted = arc_lines.expected(lines, np.zeros(1), np.array([4]), truth())
        found = arc_lines.measure(
            frame, wanted, wanted.predicted_x, wanted.predicted_y,
            dispersion_axis="x", sigma_limit=10.0, gate=2.0,
        )  # fmt: skip
        assert found.detected.mean() > 0.97
        off = (found.x - wanted.predicted_x) / found.x_error
        pulls.append(off[found.detected])
    assert_pulls(np.concatenate(pulls))


def test_light_off_its_expected_place_is_seen_but_not_measured(frame):
    x, y = images_of(LINES, truth())
    found = look(frame, x + 0.8, y, gate=0.3)
    assert found.seen.mean() > 0.9
    assert not found.detected.any()


def test_where_there_is_no_light_nothing_is_seen(frame):
    x, _ = images_of(LINES, truth())
    found = look(frame, x, np.full(x.size, 4.0), sigma_limit=6.0)
    assert not found.seen.any()
