"""Medians of groups, against numpy's."""

import numpy as np
import pytest

from soxspipe.maths.grouped import medians, row_medians


@pytest.mark.parametrize("ties", [True, False])
def test_medians_of_groups(ties: bool) -> None:
    rng = np.random.default_rng(5)
    key = rng.integers(0, 40, 900)
    key[key == 7] = 8
    value = rng.normal(size=900)
    value = np.round(value) if ties else value
    before = value.copy()
    found, count = medians(key, value, 41)
    lower, _ = medians(key, value, 41, side=-1)
    upper, _ = medians(key, value, 41, side=1)
    assert np.array_equal(value, before)
    for k in range(41):
        own = np.sort(value[key == k])
        assert count[k] == len(own)
        assert found[k] == (np.median(own) if len(own) else 0.0)
        assert lower[k] == (own[(len(own) - 1) // 2] if len(own) else 0.0)
        assert upper[k] == (own[len(own) // 2] if len(own) else 0.0)


def test_nothing_has_no_median() -> None:
    found, count = medians(np.zeros(0, dtype="i8"), np.zeros(0), 3)
    assert not found.any()
    assert not count.any()


@pytest.mark.parametrize("width", [1, 2, 6, 35])
def test_medians_of_rows(width: int) -> None:
    values = np.random.default_rng(6).normal(size=(50, width))
    assert np.array_equal(row_medians(values), np.median(values, axis=1))
