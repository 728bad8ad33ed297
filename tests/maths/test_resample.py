"""Rebinning: light goes over whole, its variance too."""

import numpy as np
import pytest

from soxspipe.maths.resample import edges_of, overlaps, rebin
from tests.maths.truth import assert_pulls

OLD_EDGES = np.cumsum(np.linspace(0.8, 1.4, 61)) + 400
NEW_EDGES = np.linspace(395, 475, 38)
GOOD = np.ones(60, dtype=bool)


def _inside():
    """New edges within the old range."""
    new = NEW_EDGES
    return new[(new > OLD_EDGES[0]) & (new < OLD_EDGES[-1])]


def test_edges_lie_half_way():
    assert edges_of(np.array([1, 2, 4, 7.0])) == pytest.approx([0.5, 1.5, 3, 5.5, 8.5])


def test_overlaps_share_out_every_old_bin():
    i, j, length = overlaps(OLD_EDGES, NEW_EDGES)
    assert NEW_EDGES[0] < OLD_EDGES[0] < OLD_EDGES[-1] < NEW_EDGES[-1]
    assert np.bincount(i, length) == pytest.approx(np.diff(OLD_EDGES))
    for a, b, common in zip(i, j, length, strict=True):
        assert common == pytest.approx(
            min(OLD_EDGES[a + 1], NEW_EDGES[b + 1]) - max(OLD_EDGES[a], NEW_EDGES[b])
        )


def test_bins_apart_do_not_overlap():
    for part in overlaps(np.arange(5.0), np.arange(10.0, 15.0)):
        assert len(part) == 0


def test_light_is_conserved():
    density = np.random.default_rng(1).uniform(1, 5, 60)
    inside = _inside()
    total, _, covered = rebin(OLD_EDGES, inside, density, density, GOOD)
    light = np.concatenate([[0], np.cumsum(density * np.diff(OLD_EDGES))])
    truth = np.diff(np.interp(inside, OLD_EDGES, light))
    assert total == pytest.approx(truth)
    assert covered == pytest.approx(1)


def test_partly_covered_bins_are_scaled_to_full_ones():
    total, variance, covered = rebin(
        np.array([0, 1, 2.0]),
        np.array([-2, -1, 0.5, 1.5, 4, 5]),
        np.array([4.0, 4.0]),
        np.array([1.0, 1.0]),
        np.array([True, True]),
    )
    assert covered == pytest.approx([0, 1 / 3, 1, 0.2, 0])
    assert total == pytest.approx([0, 4 * 1.5, 4, 4 * 2.5, 0])
    # 0.5 of a bin seen, taken three times; two halves; 0.5 of a bin seen, taken five times
    assert variance == pytest.approx([0, 0.25 * 9, 0.5, 0.25 * 25, 0])


def test_bad_bins_leave_no_trace():
    density, variance = np.full(60, 3.0), np.full(60, 2.0)
    good = GOOD.copy()
    good[20:23] = False
    density[20:23] = np.nan
    total, noise, covered = rebin(OLD_EDGES, OLD_EDGES, density, variance, good)
    assert covered == pytest.approx(good.astype(float))
    assert total[good] == pytest.approx(3 * np.diff(OLD_EDGES)[good])
    assert (total[~good] == 0).all()
    assert (noise[~good] == 0).all()


def test_variance_is_the_scatter_of_the_sums():
    rng = np.random.default_rng(2)
    inside = _inside()
    sigma = rng.uniform(0.5, 2, 60)
    pulls = []
    for _ in range(100):
        total, variance, _ = rebin(OLD_EDGES, inside, rng.normal(0, sigma), sigma**2, GOOD)
        pulls.append(total[::4] / np.sqrt(variance[::4]))  # apart: no shared old bins
    assert_pulls(np.array(pulls))
