"""Errors of order centres and edges are those put in."""

import numpy as np
import pytest
from astropy.table import Table

from soxspipe.cli.accuracy.geometry import trace_errors
from soxspipe.datamodel.geometry import OrderTable, OrderTrace


def made(n=140):
    """A table of two orders, off by 0.25 px in the middle and -0.5 and 1 px at the ends; its truth."""
    slope = np.array([30.0, 5.0])
    wrong = {"centre": 0.25, "lower": -20.5, "upper": 21.0}
    series = {name: slope + np.array([off, 0.0]) for name, off in wrong.items()}
    trace = OrderTrace((0.0, 99.0), width=np.array([3.0]), **series)
    pixel = np.arange(-20, n - 20)
    centre = 30.0 + 5.0 * (2 * pixel - 99.0) / 99.0
    parts = {"order": np.full(n, 10), "pixel": pixel, "centre": centre}
    parts |= {"lower": centre - 20.0, "upper": centre + 20.0}
    return OrderTable({10: trace}, "x"), Table(parts).as_array()


def test_errors_of_traces_are_those_put_in():
    errors = trace_errors(*made(), ("centre",))
    assert errors.keys() == {10}
    assert len(errors[10]) == 100  # beyond its domain a trace promises nothing
    assert errors[10] == pytest.approx(np.full(100, 0.25))


def test_both_edges_count():
    (errors,) = trace_errors(*made(), ("lower", "upper")).values()
    assert errors == pytest.approx(np.repeat([-0.5, 1.0], 100))
