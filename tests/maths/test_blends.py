"""Spots in each other's way: centres and errors of those that share a stamp."""

import numpy as np
import pytest

from soxspipe.maths.blends import fit_together, leftovers
from tests.maths.truth import assert_pulls, spots

SIGMA = (0.72, 0.80)
HALF = (4, 2)
READ = 5.0


def together(image, x, y, counts, *, read=READ, sigma=SIGMA, scatter=0.02, **options):
    """Fit spots on a noisy or noiseless image from places that are a little off."""
    n = len(x)
    start = np.column_stack([counts * 0.8, x + 0.2, y - 0.15, np.full((n, 2), sigma), np.zeros(n)])
    wanted = np.tile([[10.0, *sigma], [2.0, scatter, scatter]], (n, 1, 1))
    return fit_together(
        image,
        np.full(image.shape, read**2),
        start,
        np.full(n, 10.0),
        wanted=wanted,
        half_width=options.pop("half_width", HALF),
        **{"rounds": 4} | options,
    )


def noisy(image, rng):
    return image + rng.normal(0, np.sqrt(image + READ**2))


def pinholes(distance):
    """A line through nine holes, seen at many phases: x, y of (20 lines, 9 holes)."""
    line = np.arange(20)
    x = 12 + 14 * line[:, None] + np.linspace(-0.5, 0.5, 20)[:, None] + 0.11 * np.arange(9)
    y = 8 + distance * np.arange(9) + np.linspace(-0.4, 0.5, 20)[:, None] ** 3 * 4
    return x.ravel(), y.ravel()


def pairs(gap, n=200):
    """Pairs of spots `gap` pixels apart along x, at all phases."""
    k = np.arange(n)
    row, column = np.divmod(k, 20)
    x = 12 + 18.0 * column + 0.618 * k % 1
    y = 8 + 12.0 * row + 0.382 * k % 1
    return np.column_stack([x, x + gap]).ravel(), np.repeat(y, 2), (12 * n // 20 + 10, 390)


def test_neighbours_four_pixels_away_do_not_pull():
    x, y = pinholes(4.0)
    counts = 2000.0 * (1 + np.arange(x.size) % 3)
    fit = together(spots((50, 300), x, y, SIGMA, counts, 10.0), x, y, counts)
    assert np.abs(fit.spots[:, 1] - x).max() < 0.005
    assert np.abs(fit.spots[:, 2] - y).max() < 0.005
    assert fit.spots[:, 0] == pytest.approx(counts, rel=0.01)
    assert np.abs(fit.residual - 10.0).max() < 0.01 * 0.3 * counts.max()


@pytest.mark.parametrize("gap", [2.0, 2.6, 4.0])
def test_errors_of_two_in_one_stamp(gap):
    x, y, shape = pairs(gap)
    counts = np.tile([6000.0, 3000.0], len(x) // 2)
    image = noisy(spots(shape, x, y, SIGMA, counts, 10.0), np.random.default_rng(1))
    fit = together(image, x, y, counts)
    for k, truth in enumerate((counts, x, y)):
        assert_pulls((fit.spots[:, k] - truth) / fit.errors[:, k])
    assert fit.chi2.mean() == pytest.approx(1, abs=0.05)


def test_a_close_neighbour_costs_precision():
    errors = []
    for gap in (1.6, 2.4, 6.0):
        x, y, shape = pairs(gap, 60)
        counts = np.full(len(x), 5000.0)
        fit = together(spots(shape, x, y, SIGMA, counts, 10.0), x, y, counts)
        errors.append(np.median(fit.errors[:, 1]))
    assert errors[0] > 1.5 * errors[1] > 1.5 * errors[2]


def test_a_lean_is_seen_and_taken_into_account():
    # two Gaussians on a diagonal make a spot that leans
    x, y, shape = pairs(9.0, 100)
    lean = 0.15
    image = sum(spots(shape, x + s * lean, y + s * lean, SIGMA, 4000.0, 5.0) for s in (-1, 1))
    counts = np.full(len(x), 8000.0)
    straight = together(image, x, y, counts)
    found, error, _ = leftovers(straight, np.full(shape, 1 / READ**2), half_width=HALF)
    assert np.median(found) == pytest.approx(lean**2, rel=0.25)
    assert (error < 0.3 * lean**2).all()
    start = straight.spots.copy()
    start[:, 5] = found
    wanted = np.tile([[10.0, *np.hypot(SIGMA, lean)], [2.0, 0.02, 0.02]], (len(x), 1, 1))
    leaning = fit_together(
        image, np.full(shape, READ**2), start, straight.level, wanted=wanted, half_width=HALF
    )
    assert np.median(leaning.chi2) < 0.3 * np.median(straight.chi2)
    assert np.abs(leaning.spots[:, 1] - x).max() < 0.005


def test_a_hit_or_a_dead_pixel_does_not_move_a_spot():
    x, y, shape = pairs(9.0, 200)
    counts = np.full(len(x), 3000.0)
    rng = np.random.default_rng(2)
    image = noisy(spots(shape, x, y, SIGMA, counts, 10.0), rng)
    row, column = np.rint(y).astype(int), np.rint(x).astype(int)
    image[row[::2], column[::2] + 1] += rng.uniform(300, 3000, len(x) // 2)
    image[row[1::2], column[1::2] - 1] *= 0.05
    without = together(image, x, y, counts, rounds=1)
    fit = together(image, x, y, counts, rounds=1, most_hits=3)
    off, worse = ((f.spots[:, 1] - x) / f.errors[:, 1] for f in (fit, without))
    assert (fit.hits > 0).mean() > 0.95
    assert off.std() == pytest.approx(1, abs=0.25)  # the faintest hits stay unseen
    assert worse.std() > 3


def test_widths_of_faint_spots_are_those_of_their_neighbours_and_bright_ones_their_own():
    x, y, shape = pairs(9.0, 100)
    counts = np.tile([300.0, 2e5], len(x) // 2)
    image = noisy(spots(shape, x, y, (0.76, 0.80), counts, 10.0), np.random.default_rng(3))
    fit = together(image, x, y, counts)
    assert np.median(fit.spots[::2, 3]) == pytest.approx(0.72, abs=0.01)
    assert np.median(fit.spots[1::2, 3]) == pytest.approx(0.76, abs=0.004)


def test_pixels_that_are_not_to_be_used_do_not_count():
    x, y, shape = pairs(9.0, 100)
    counts = np.full(len(x), 3000.0)
    image = noisy(spots(shape, x, y, SIGMA, counts, 10.0), np.random.default_rng(4))
    base = np.full(shape, READ**2)
    row, column = np.rint(y).astype(int), np.rint(x).astype(int)
    image[row, column + 2], base[row, column + 2] = 1e6, np.inf
    start = np.column_stack([counts, x, y, np.full((len(x), 2), SIGMA), np.zeros(len(x))])
    wanted = np.tile([[10.0, *SIGMA], [2.0, 0.02, 0.02]], (len(x), 1, 1))
    fit = fit_together(image, base, start, np.full(len(x), 10.0), wanted=wanted, half_width=HALF)
    assert_pulls((fit.spots[:, 1] - x) / fit.errors[:, 1])
    assert fit.chi2.mean() == pytest.approx(1, abs=0.1)


def test_what_is_no_spot_is_given_up():
    rng = np.random.default_rng(5)
    image = rng.normal(0, READ, (15, 60)) + spots((15, 60), 7, 7, SIGMA, 3000.0)
    x, y = np.array([7, 22, 37.0]), np.full(3, 7.0)
    fit = together(image, x, y, np.array([3000.0, 500.0, -50.0]))
    assert fit.spots[0, 1:3] == pytest.approx((7, 7), abs=0.02)
    assert not (fit.spots[2, 0] > 0)
    missing = np.full((1, 6), np.nan)
    wanted = np.tile([[10.0, *SIGMA], [2.0, 0.02, 0.02]], (1, 1, 1))
    none = fit_together(
        image, np.ones(image.shape), missing, np.zeros(1), wanted=wanted, half_width=HALF
    )
    assert np.isnan(none.chi2).all()
    assert np.array_equal(none.residual, image)
