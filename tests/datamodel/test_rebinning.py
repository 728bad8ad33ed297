"""A geometry at another binning points to the same places on the detector."""

import numpy as np
import pytest

from soxspipe.datamodel.geometry import DispersionSolution, OrderSolution, OrderTable, OrderTrace
from soxspipe.datamodel.rebinning import solution_at, table_at


def test_dispersion_solution_binned():
    x = np.array([[101.5, 0.5], [40.0, 0.1]])
    y = np.array([[50.0, 20.0], [-3.0, 0.2]])
    one = DispersionSolution({3: OrderSolution(x, y, (400, 500), (-6, 6), (410, 490))})
    two = solution_at(one, (1 / 2, 1 / 3))
    wavelength, slit = np.linspace(400, 500, 7), np.linspace(-5, 5, 7)
    old, new = one.predict(3, wavelength, slit), two.predict(3, wavelength, slit)
    # distance from the edge of the detector, in unbinned pixels
    assert (new[0] + 0.5) * 2 == pytest.approx(old[0] + 0.5)
    assert (new[1] + 0.5) * 3 == pytest.approx(old[1] + 0.5)
    back = solution_at(two, (2, 3))
    assert np.array(back.predict(3, wavelength, slit)) == pytest.approx(np.array(old))
    assert x[0, 0] == 101.5


@pytest.mark.parametrize("axis", ["x", "y"])
def test_order_table_binned(axis):
    centre, width = np.array([300.0, 5.0, -2.0]), np.array([2.0, 0.1])
    trace = OrderTrace((9.5, 1999.5), centre, width, lower=centre - np.array([20, 0, 0]))
    scale = (1 / 4, 1 / 2) if axis == "x" else (1 / 2, 1 / 4)  # 4 along dispersion, 2 across
    new = table_at(OrderTable({1: trace}, axis), scale).orders[1]
    assert new.domain == (2.0, 499.5)
    pixel = np.linspace(9.5, 1999.5, 11)
    binned = (pixel + 0.5) / 4 - 0.5
    assert (new.at("centre", binned) + 0.5) * 2 == pytest.approx(trace.at("centre", pixel) + 0.5)
    assert (new.at("lower", binned) + 0.5) * 2 == pytest.approx(trace.at("lower", pixel) + 0.5)
    assert new.at("width", binned) * 2 == pytest.approx(trace.at("width", pixel))
    assert new.upper is None
