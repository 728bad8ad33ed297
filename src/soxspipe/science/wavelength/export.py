"""The documented global polynomials, fitted to the final solution for those who read the products."""

from collections.abc import Sequence

import numpy as np

from soxspipe.datamodel.geometry import DispersionSolution, OrderTable
from soxspipe.datamodel.polynomial_table import PolynomialTable, TracePolynomial
from soxspipe.maths.polynomials import powers_of


def _vandermonde(values: Sequence[np.ndarray], degrees: Sequence[int]) -> np.ndarray:
    """(n, product of degrees + 1) plain powers of scaled variables."""
    matrix = np.ones((len(values[0]), 1))
    for value, degree in zip(values, degrees, strict=True):
        powers = np.vander(value, degree + 1, increasing=True)
        matrix = (matrix[:, :, None] * powers[:, None, :]).reshape(len(value), -1)
    return matrix


def _fit(variables: Sequence[np.ndarray], target: np.ndarray, degrees: Sequence[int]) -> np.ndarray:
    """Coefficients of plain powers, shape degrees + 1, fitted in scaled variables."""
    ranges = [(float(v.min() + v.max()) / 2, float(max(np.ptp(v) / 2, 1e-9))) for v in variables]
    scaled = [(v - c) / h for v, (c, h) in zip(variables, ranges, strict=True)]
    coefficients, *_ = np.linalg.lstsq(_vandermonde(scaled, degrees), target, rcond=1e-12)
    coefficients = coefficients.reshape([d + 1 for d in degrees])
    for axis, (centre, half) in enumerate(ranges):
        moved = powers_of(np.moveaxis(coefficients, axis, 0), centre, half)
        coefficients = np.moveaxis(moved, 0, axis)
    return np.asarray(coefficients)


def dispersion_polynomials(
    solution: DispersionSolution,
    *,
    order_deg: tuple[int, int],
    wavelength_deg: tuple[int, int],
    slit_deg: tuple[int, int],
    slits: np.ndarray,
) -> tuple[PolynomialTable, PolynomialTable]:
    """X and y as one polynomial each in order, wavelength and slit position, degrees [x, y].

    slits : slit positions sampled, arcsec.
    """
    columns: dict[str, list[np.ndarray]] = {k: [] for k in ("order", "w", "s", "x", "y")}
    for number, part in solution.orders.items():
        w, s = (z.ravel() for z in np.meshgrid(np.linspace(*part.lines, 40), slits))
        x, y = part.predict(w, s)
        for store, value in zip(
            columns.values(), (np.full(w.size, float(number)), w, s, x, y), strict=True
        ):
            store.append(value)
    order, wavelength, slit, *targets = (np.concatenate(c) for c in columns.values())
    variables = [order, wavelength, slit]
    return tuple(  # type: ignore[return-value]
        PolynomialTable(
            axis,
            _fit(
                variables,
                target,
                (
                    min(order_deg[n], len(solution.orders) - 1),
                    wavelength_deg[n],
                    min(slit_deg[n], len(slits) - 1),
                ),
            ),
        )
        for n, (axis, target) in enumerate(zip("xy", targets, strict=True))
    )


def trace_polynomial(
    table: OrderTable, which: str, *, order_deg: int, axis_deg: int
) -> TracePolynomial:
    """Centre, width or edge of all orders as one polynomial in order and pixel along dispersion."""
    order, pixel, value = [], [], []
    for number, trace in table.orders.items():
        along = np.linspace(*trace.domain, 60)
        order.append(np.full(60, float(number)))
        pixel.append(along)
        value.append(trace.at(which, along))
    variables = [np.concatenate(order), np.concatenate(pixel)]
    degrees = (min(order_deg, len(table.orders) - 1), axis_deg)
    return TracePolynomial(_fit(variables, np.concatenate(value), degrees))
