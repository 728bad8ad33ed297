"""Patterns are recognised if they are there, and only then."""

import numpy as np
import pytest

from soxspipe.datamodel.frame import Frame
from soxspipe.errors import DataError
from soxspipe.science.wavelength.registration import Pattern, Peaks, find_peaks, register
from soxspipe.science.wavelength.solve import ROTATIONS, SCALES
from tests.maths.truth import spots

STEPS = {"rotations": ROTATIONS, "scales": SCALES}


def pattern(rng, n=200):
    return rng.uniform(20, 1480, n), rng.uniform(20, 780, n)


def moved(x, y, dx, dy, degrees=0.0, scale=0.0):
    u, v, turn = x - x.mean(), y - y.mean(), np.deg2rad(degrees)
    return x + dx + scale * u - turn * v, y + dy + scale * v + turn * u


def peaks_of(x, y):
    return Peaks(x, y, np.full(len(x), 10.0))


@pytest.mark.parametrize("seed", range(6))
def test_a_moved_and_turned_pattern_with_gaps_and_false_peaks(seed):
    rng = np.random.default_rng(seed)
    x, y = pattern(rng)
    shift = rng.uniform(-15, 15, 2)
    degrees, scale = rng.uniform(-0.3, 0.3), rng.uniform(-0.002, 0.002)
    true_x, true_y = moved(x, y, *shift, degrees, scale)
    seen = rng.random(len(x)) > 0.4
    false_x, false_y = pattern(rng, 300)
    jitter = rng.normal(0, 0.3, (2, seen.sum()))
    peaks = peaks_of(
        np.concatenate([true_x[seen] + jitter[0], false_x]),
        np.concatenate([true_y[seen] + jitter[1], false_y]),
    )
    (found,) = register([Pattern(x, y, "made up")], peaks, **STEPS)
    at_x, at_y = found.apply(x, y)
    assert np.hypot(at_x - true_x, at_y - true_y).max() < 1.2  # half a step, far out
    assert np.median(np.hypot(at_x - true_x, at_y - true_y)) < 0.6
    assert (found.dx, found.dy) == pytest.approx(tuple(shift), abs=0.3)
    assert np.rad2deg(found.rotation) == pytest.approx(degrees, abs=0.07)
    assert found.matched == pytest.approx(seen.mean(), abs=0.1)
    assert found.rival < 0.6


@pytest.mark.parametrize("seed", range(5))
def test_chance_is_not_taken_for_a_match(seed):
    rng = np.random.default_rng(seed)
    x, y = pattern(rng)
    with pytest.raises(DataError, match="lamp 1: the arc lines were not recognised"):
        register([Pattern(x, y, "lamp 1")], peaks_of(*pattern(rng, 500)), **STEPS)


def band(rng, at, n=35, forest=350):
    """A straight order of a rich lamp along y: listed spots and many fainter unlisted ones."""
    listed, others = rng.uniform(50, 4050, n), rng.uniform(50, 4050, forest)
    bright = np.concatenate([10 ** rng.normal(2.2, 0.2, n), 10 ** rng.normal(1.7, 0.35, forest)])
    return np.full(n, at), listed, np.full(forest, at), others, bright


@pytest.mark.parametrize("seed", range(8))
def test_bands_with_shifts_of_their_own_turn_together_in_a_forest_of_lines(seed):
    rng = np.random.default_rng(seed)
    degrees, scale = rng.uniform(-0.5, 0.5), rng.uniform(-0.003, 0.003)
    patterns, shifts, peaks = [], [], []
    for at in (150.0, 300.0, 470.0, 640.0):
        x, y, other_x, other_y, bright = band(rng, at)
        shift = rng.uniform(-15, 15, 2)
        shine = np.concatenate([rng.random(len(x)) > 0.35, np.ones(len(other_x), dtype=bool)])
        u, v, turn = np.r_[x, other_x] - at, np.r_[y, other_y] - y.mean(), np.deg2rad(degrees)
        seen_x = at + u + shift[0] + scale * u - turn * v
        seen_y = y.mean() + v + shift[1] + scale * v + turn * u
        peaks.append(np.array([seen_x, seen_y, bright])[:, shine])
        patterns.append(Pattern(x, y, f"band at {at}"))
        shifts.append(shift)
    every = Peaks(*np.concatenate(peaks, axis=1))
    for found, shift in zip(register(patterns, every, **STEPS), shifts, strict=True):
        assert (found.dx, found.dy) == pytest.approx(tuple(shift), abs=0.7)
        assert np.rad2deg(found.rotation) == pytest.approx(degrees, abs=0.04)
        assert found.scale == pytest.approx(scale, abs=5e-4)


@pytest.mark.parametrize("seed", range(4))
def test_a_forest_without_the_listed_lines_is_refused(seed):
    rng = np.random.default_rng(seed)
    x, y, other_x, other_y, bright = band(rng, 300.0)
    peaks = Peaks(other_x, other_y, bright[len(x) :])
    with pytest.raises(DataError, match="next best match"):
        register([Pattern(x, y, "another lamp")], peaks, **STEPS)


def test_no_peaks_at_all():
    x, y = pattern(np.random.default_rng(1))
    with pytest.raises(DataError, match="0% of 200 explained"):
        register([Pattern(x, y, "dark")], peaks_of(np.empty(0), np.empty(0)), **STEPS)


def test_a_pattern_that_fits_in_two_places_is_refused():
    x, y = (z.ravel() for z in np.meshgrid(np.arange(50, 1450, 40.0), np.arange(50, 750, 10.0)))
    with pytest.raises(DataError, match="next best match"):
        register([Pattern(x, y, "comb")], peaks_of(*moved(x, y, 3, 4)))


def test_shifts_beyond_reach_are_not_found():
    x, y = pattern(np.random.default_rng(2))
    with pytest.raises(DataError, match="not recognised"):
        register([Pattern(x, y, "far")], peaks_of(*moved(x, y, 40, 0)), reach=22)
    (found,) = register([Pattern(x, y, "far")], peaks_of(*moved(x, y, 40, 0)), reach=45)
    assert (found.dx, found.dy) == pytest.approx((40, 0), abs=0.1)


def test_peaks_are_spots_and_nothing_else():
    rng = np.random.default_rng(3)
    shape = (200, 300)
    x, y = (z.ravel() for z in np.meshgrid(np.arange(20, 290, 30.3), np.arange(20, 190, 20.4)))
    light = spots(shape, x, y, (0.8, 0.8), 800.0, 50.0) + np.linspace(0, 200, 300)
    flags = np.zeros(shape)
    light[100, 35], flags[100, 35] = 1e5, 16
    variance = light + 25
    frame = Frame(light + rng.normal(0, np.sqrt(variance)), variance, flags)
    peaks = find_peaks(frame.data, frame.variance, frame.good, sigma=5.5)
    apart = np.hypot(peaks.x - x[:, None], peaks.y - y[:, None])
    assert (apart.min(axis=1) < 1.0).all()  # every spot has its peak
    assert (apart.min(axis=0) > 2.0).sum() <= 1  # and hardly a peak is none
    assert (peaks.significance > 5.5).all()
    # at best counts over sqrt(4 pi sigma^2 variance); pixels and the spots' own noise take some
    expected = 800 / np.sqrt(4 * np.pi * 0.8**2 * np.interp(peaks.x, [0, 299], [75, 275]))
    ratio = peaks.significance[apart.min(axis=0) < 1] / expected[apart.min(axis=0) < 1]
    assert 0.65 < np.median(ratio) < 1.0
