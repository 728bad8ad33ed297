"""The documented polynomials give back what they were made from."""

import numpy as np
import pytest

from soxspipe.datamodel.geometry import DispersionSolution, OrderSolution, OrderTable, OrderTrace
from soxspipe.science.wavelength import export

ORDERS = range(10, 16)


def position(order, wavelength, slit):
    """A spectrograph whose x and y are polynomials in order, wavelength and slit position."""
    n, w, s = order - 12.0, (wavelength - 1200.0) / 300, slit / 6
    x = 1000 + 700 * w + 90 * n + 12 * w * n + 8 * w**2 - 3 * n**2 + 6 * s + 0.8 * s * w
    y = 500 - 60 * n + 40 * w + 9 * w**2 + 20 * s - 0.4 * s**2 * w + 0.5 * n * s
    return x, y


@pytest.fixture(scope="module")
def solution():
    orders = {}
    t, s = (z.ravel() for z in np.meshgrid(np.linspace(-1, 1, 9), np.linspace(-1, 1, 5)))
    matrix = np.polynomial.chebyshev.chebvander2d(t, s, (3, 2))
    for number in ORDERS:
        centre = 14400 / number
        x, y = position(number, centre + 50 * t, 6 * s)
        series = [np.linalg.lstsq(matrix, z)[0].reshape(4, 3) for z in (x, y)]
        domain = (centre - 50, centre + 50)
        orders[number] = OrderSolution(*series, domain, (-6.0, 6.0), domain)
    return DispersionSolution(orders)


def test_dispersion_polynomials_evaluate_to_the_solution(solution):
    tables = export.dispersion_polynomials(
        solution,
        order_deg=(2, 1), wavelength_deg=(2, 2), slit_deg=(1, 2), slits=np.linspace(-5.5, 5.5, 9),
    )  # fmt: skip
    assert [t.axis for t in tables] == ["x", "y"]
    assert [(t.order_deg, t.wavelength_deg, t.slit_deg) for t in tables] == [(2, 2, 1), (1, 2, 2)]
    rng = np.random.default_rng(1)
    for number in ORDERS:
        w = rng.uniform(*solution.orders[number].wavelength, 50)
        s = rng.uniform(-5.5, 5.5, 50)
        for table, truth in zip(tables, solution.predict(number, w, s), strict=True):
            assert table.evaluate(number, w, s) == pytest.approx(truth, abs=1e-3)


def test_degrees_are_held_to_what_orders_and_holes_can_tell(solution):
    few = DispersionSolution({n: solution.orders[n] for n in (10, 11)})
    x, y = export.dispersion_polynomials(
        few, order_deg=(5, 5), wavelength_deg=(3, 3), slit_deg=(2, 2), slits=np.zeros(1)
    )
    assert (x.order_deg, x.slit_deg) == (y.order_deg, y.slit_deg) == (1, 0)
    w = np.linspace(*few.orders[10].wavelength, 20)
    truth_x, truth_y = few.predict(10, w, 0.0)
    assert x.evaluate(10, w, 0.0) == pytest.approx(truth_x, abs=1e-3)
    assert y.evaluate(10, w, 0.0) == pytest.approx(truth_y, abs=1e-3)


@pytest.mark.parametrize("which", ["centre", "width"])
def test_trace_polynomials_evaluate_to_the_traces(which):
    traces = {
        n: OrderTrace(
            (10.0 * (n - 9), 2000.0),
            np.array([300 + 60 * (n - 12) + 2 * (n - 12) ** 2, 0, 0, 0.0]),
            np.array([1.5 + 0.1 * (n - 12), 0.0]),
        )
        for n in ORDERS
    }
    # a curve in detector pixels, the same polynomial in all orders
    for n, trace in traces.items():
        pixel = np.linspace(*trace.domain, 30)
        t = np.linspace(-1, 1, 30)
        extra = 1e-5 * (pixel - 1000) ** 2 + 1e-3 * (n - 12) * pixel
        trace.centre[:] += np.polynomial.chebyshev.chebfit(t, extra, 3)
    table = OrderTable(traces, "x")
    fitted = export.trace_polynomial(table, which, order_deg=2, axis_deg=3)
    assert fitted.coefficients.shape == (3, 4)
    for n, trace in traces.items():
        pixel = np.linspace(*trace.domain, 17)
        assert fitted.evaluate(n, pixel) == pytest.approx(trace.at(which, pixel), abs=1e-4)
