"""What may be wrong with a pinhole image, drawn on purpose: is it noticed, and are errors honest?"""

from dataclasses import replace

import numpy as np
import pytest

from soxspipe.datamodel.arc_lines import LineState
from soxspipe.datamodel.frame import Frame, PixelFlag
from soxspipe.science.wavelength import arc_lines
from soxspipe.science.wavelength.hole_shifts import shifted
from tests.maths.truth import assert_pulls, spots
from tests.science.wavelength.made_arcs import (
    HOLES,
    SHAPE,
    SIGMA,
    arc_frame,
    images_of,
    line_list,
    truth,
)

LINES = line_list(22, seed=11, least=1.2)
X, Y = images_of(LINES, truth())
READ = 5.0


def exposed(light, rng):
    variance = np.maximum(light, 0) + READ**2
    return Frame(light + rng.normal(0, np.sqrt(variance)), variance, np.zeros(SHAPE))


def drawn(rng, counts=8000.0, more=(), sigma=SIGMA):
    """All lines through all holes; `more`: further spots (x, y, counts)."""
    light = spots(SHAPE, X, Y, sigma, counts, 4.0)
    for x, y, electrons in more:
        light = light + spots(SHAPE, x, y, sigma, electrons)
    return exposed(light, rng)


def look(frame, lines=LINES, x=None, y=None, **options):
    wanted = arc_lines.expected(lines, HOLES, np.arange(9), truth())
    at = (wanted.predicted_x, wanted.predicted_y) if x is None else (x, y)
    how = {"dispersion_axis": "x", "sigma_limit": 5.0, "gate": 1.5} | options
    return arc_lines.measure(frame, wanted, *at, **how)


def pulls(found, where):
    return np.concatenate(
        [
            ((found.x - X) / found.x_error)[where & found.detected],
            ((found.y - Y) / found.y_error)[where & found.detected],
        ]
    )


@pytest.mark.parametrize("counts", [400.0, 4000.0, 60_000.0])
def test_errors_of_faint_and_of_bright_spots(counts):
    found = look(drawn(np.random.default_rng(1), counts))
    assert found.detected.mean() > 0.97
    assert_pulls(pulls(found, np.ones(len(X), dtype=bool)))


def test_an_unlisted_line_beside_a_listed_one_does_not_pull_it():
    rng = np.random.default_rng(2)
    third = np.arange(len(X)) % 3 == 0
    more = [(X[third] + 2.4, Y[third], 2500.0)]
    found = look(drawn(rng, more=more))
    assert found.detected[third].mean() > 0.9
    assert np.std(pulls(found, third)) < 1.25
    assert abs(np.nanmean((found.x - X)[third])) < 0.01


def test_what_cannot_be_told_apart_is_blended():
    rng = np.random.default_rng(3)
    first = replace(LINES, wavelength=LINES.wavelength.copy())
    # the second line of each order moves to a pixel beside the first
    first.wavelength[1] = LINES.wavelength[0] + 0.08
    x, y = images_of(first, truth())
    frame = exposed(spots(SHAPE, x, y, SIGMA, 6000.0, 4.0), rng)
    found = look(frame, first)
    assert (found.state[:18] == LineState.BLENDED).all()
    assert not found.detected[:18].any()
    assert found.seen[:18].all()
    assert found.detected[18:].mean() > 0.95


def test_an_image_unlike_its_neighbours_is_misshapen():
    rng = np.random.default_rng(4)
    odd = np.arange(len(X)) % 10 == 0
    counts = np.where(odd, 0.0, 20_000.0)
    wide = spots(SHAPE, X[odd], Y[odd], (1.25, 0.95), 20_000.0)
    found = look(exposed(spots(SHAPE, X, Y, SIGMA, counts, 4.0) + wide, rng))
    assert np.isin(found.state[odd], (LineState.MISSHAPEN, LineState.BLENDED)).mean() > 0.9
    assert found.detected[~odd].mean() > 0.95


def test_cosmic_rays_near_spots_do_not_move_them():
    rng = np.random.default_rng(5)
    clean = drawn(rng)
    data = clean.data.copy()
    hit = rng.random(len(X)) < 0.3
    row = np.rint(Y[hit] + rng.uniform(-2, 2, hit.sum())).astype(int)
    column = np.rint(X[hit] + rng.uniform(-3, 3, hit.sum())).astype(int)
    data[row, column] += rng.uniform(500, 8000, hit.sum()).astype("f4")
    found = look(replace(clean, data=data, variance=np.maximum(data, 0) + READ**2))
    assert found.detected[hit].mean() > 0.7
    off = pulls(found, hit)
    assert np.std(off) < 1.3
    assert (np.abs(off) > 5).mean() < 0.01


def test_a_flat_top_is_full_though_nobody_says_so():
    rng = np.random.default_rng(6)
    bright = np.arange(len(X)) % 9 == 4
    light = spots(SHAPE, X, Y, SIGMA, np.where(bright, 4e5, 8000.0), 4.0)
    electrons = np.minimum(rng.poisson(light), 60_000)
    frame = Frame(electrons + rng.normal(0, READ, SHAPE), electrons + READ**2, np.zeros(SHAPE))
    found = look(frame)
    assert (found.state[bright] == LineState.SATURATED).all()
    assert found.detected[~bright].mean() > 0.8


def test_a_spot_whose_middle_is_bad_is_left_out():
    frame = drawn(np.random.default_rng(7))
    bad = np.zeros(SHAPE, dtype=bool)
    bad[np.rint(Y[::7]).astype(int), np.rint(X[::7]).astype(int)] = True
    data = np.where(bad, np.nan, frame.data)
    found = look(replace(frame, data=data).flagged(bad, PixelFlag.BAD))
    assert (found.state[::7] == LineState.BAD_PIXELS).mean() > 0.9
    assert found.detected[::7].mean() < 0.1  # of those, the pixel beside is the middle
    assert np.delete(found.detected, np.s_[::7]).mean() > 0.95


def test_where_nothing_shines_nothing_is_seen():
    dark = exposed(np.full(SHAPE, 4.0), np.random.default_rng(8))
    found = look(dark, sigma_limit=7.0)
    assert not found.detected.any()
    assert (found.state == LineState.NOT_SEEN).mean() > 0.95


def test_a_shape_that_is_no_gaussian_makes_errors_larger_not_wrong():
    rng = np.random.default_rng(9)
    # core and wings, the wings off centre: what a real camera does
    light = spots(SHAPE, X, Y, (0.7, 0.72), 40_000.0, 4.0)
    light += spots(SHAPE, X + 0.25, Y, (1.4, 1.4), 12_000.0)
    found = look(exposed(light, rng))
    assert found.detected.mean() > 0.95
    off = (found.x - X)[found.detected]
    assert np.std(off) < 0.02
    total = np.hypot(np.std(off), 0) / np.median(found.x_error[found.detected])
    assert total < 1.5


@pytest.mark.parametrize("binning", [(1, 2), (2, 1), (2, 2)])
def test_binned_spots(binning):
    rng = np.random.default_rng(10)
    bx, by = binning
    light = spots(SHAPE, X, Y, SIGMA, 8000.0, 4.0)
    ny, nx = SHAPE[0] // by, SHAPE[1] // bx
    light = light[: ny * by, : nx * bx].reshape(ny, by, nx, bx).sum(axis=(1, 3))
    variance = light + READ**2
    frame = Frame(light + rng.normal(0, np.sqrt(variance)), variance, np.zeros((ny, nx)))
    x, y = (X + 0.5) / bx - 0.5, (Y + 0.5) / by - 0.5
    found = look(frame, x=x, y=y, binning=binning)
    assert found.detected.mean() > 0.9
    for at, error, true in ((found.x, found.x_error, x), (found.y, found.y_error, y)):
        off = ((at - true) / error)[found.detected]
        assert abs(off.mean()) < 0.3
        assert off.std() < 1.3


def test_each_hole_finds_its_own_shift():
    lines = line_list(30, seed=12, least=0.8)
    frame = arc_frame(lines, truth(), np.random.default_rng(11))
    wanted = arc_lines.expected(lines, HOLES, np.arange(9), truth())
    x, y = wanted.predicted_x, wanted.predicted_y
    lean = 7.0 * wanted.slit / HOLES[-1]
    found = shifted(frame, wanted, x + lean, y - 1.0, dispersion_axis="x", gate=5.0)
    assert np.abs(found[0] - x).max() < 0.7
    assert np.abs(found[1] - y).max() < 0.7
    empty = replace(frame, data=np.zeros(SHAPE))
    assert np.array_equal(shifted(empty, wanted, x, y, dispersion_axis="x", gate=5.0)[0], x)
