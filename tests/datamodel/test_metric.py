"""A value is judged by its range; what could not be measured never passes."""

import math

import numpy as np
import pytest

from soxspipe.datamodel.metric import Metric
from soxspipe.datamodel.spectrum import OrderSpectrum, Spectrum

RON = Metric("RAW RON", "e-", "read noise", {"VIS": (2.0, 5.0)})


@pytest.mark.parametrize(
    ("value", "limits", "verdict", "failed"),
    [
        (3.0, (2.0, 5.0), "pass", False),
        (2.0, (2.0, 5.0), "pass", False),
        (5.0, (2.0, 5.0), "pass", False),
        (1.99, (2.0, 5.0), "fail", True),
        (5.01, (2.0, 5.0), "fail", True),
        (99.0, (2.0, None), "pass", False),
        (-99.0, (None, 5.0), "pass", False),
        (99.0, None, "pass", False),
        (math.nan, (2.0, 5.0), "not measured", True),
        (math.inf, (2.0, None), "not measured", True),
        (math.nan, None, "not measured", False),
    ],
)
def test_verdicts(value, limits, verdict, failed):
    measured = RON.judge(value, limits)
    assert (measured.verdict, measured.failed) == (verdict, failed)
    assert measured.order == "-1"


def test_name_in_settings():
    assert RON.key == "raw-ron"


def test_signal_to_noise():
    flux, variance = np.array([10.0, 8, 5]), np.array([4.0, 16, 0])
    columns = dict.fromkeys(OrderSpectrum.__dataclass_fields__, np.zeros(3))
    order = OrderSpectrum(**columns | {"flux": flux, "variance": variance})
    assert order.snr.tolist() == [5, 2, 0]
    merged = Spectrum(flux, flux, np.array([4, 16, np.nan]), flux, flux, 0.1)
    assert merged.snr == pytest.approx([5, 2, math.nan], nan_ok=True)
