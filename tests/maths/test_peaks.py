"""Peaks and how far they stand out, against scipy's."""

import numpy as np
import pytest
from scipy import signal

from soxspipe.maths.peaks import peaks


@pytest.mark.parametrize("steps", [0, 2, 10])
def test_peaks_and_prominences(steps: int) -> None:
    values = np.random.default_rng(steps).normal(size=300).cumsum()
    if steps:
        values = np.round(values * steps / 5)
    at, out = peaks(values)
    expected, properties = signal.find_peaks(values, prominence=0.0)
    assert len(at) > 10
    assert np.array_equal(at, expected)
    assert out == pytest.approx(properties["prominences"])


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_no_peaks(n: int) -> None:
    at, out = peaks(np.ones(n))
    assert not len(at)
    assert not len(out)
