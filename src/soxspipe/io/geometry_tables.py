"""Dispersion solutions and order tables: documented polynomial tables, and our own series.

Extension 1 holds what the documentation promises. Our readers use the per-order Chebyshev series,
which lose nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.io.fits import Header

from soxspipe.datamodel.geometry import DispersionSolution, OrderSolution, OrderTable, OrderTrace
from soxspipe.datamodel.polynomial_table import PolynomialTable, TracePolynomial
from soxspipe.io.tables import empty_primary

#: Field of OrderTrace -> (name in the documented columns, prefix of its coefficients).
TRACES = {
    "centre": ("cent", "cent_"),
    "width": ("std", "std_"),
    "lower": ("edgelow", "edgelow_c"),
    "upper": ("edgeup", "edgeup_c"),
}

#: Fields of OrderSolution that hold covariances; products of older versions lack them.
COVARIANCES = ("x_covariance", "y_covariance")


@dataclass(frozen=True, eq=False)
class DispersionProduct:
    """A dispersion solution, and the documented global polynomials for x and y."""

    solution: DispersionSolution
    polynomials: tuple[PolynomialTable, ...]


@dataclass(frozen=True, eq=False)
class OrderTableProduct:
    """An order table with its global polynomials by field ("centre", "width", "lower", "upper").

    light  by order, electrons per pixel of the flat that showed the edges: highest and lowest level at
           which an edge was looked for, and light in the middle of the slit; None without edges
    """

    table: OrderTable
    polynomials: Mapping[str, TracePolynomial]
    light: Mapping[int, tuple[float, float, float]] | None = None


def solution_hdus(product: DispersionProduct, header: Header) -> fits.HDUList:
    """Empty primary, the documented table, and ORDER_SOLUTIONS."""
    return fits.HDUList(
        [
            empty_primary(header),
            _documented_solution(product.polynomials),
            _series(product.solution),
        ]
    )


def read_solution(hdus: fits.HDUList) -> DispersionSolution:
    """The dispersion solution of a product."""
    orders = {}
    hdu = hdus["ORDER_SOLUTIONS"]
    for row in hdu.data:
        values: dict[str, Any] = {
            name: (float(row[f"{name}_low"]), float(row[f"{name}_high"]))
            for name in ("wavelength", "slit", "lines")
        }
        values |= {axis: np.array(row[axis], dtype="f8") for axis in ("x", "y")}
        values |= {
            name: _read_covariance(row, name) for name in COVARIANCES if name in hdu.columns.names
        }
        orders[int(row["order"])] = OrderSolution(**values)
    return DispersionSolution(orders)


def table_hdus(product: OrderTableProduct, header: Header) -> fits.HDUList:
    """Empty primary, the documented tables (1: polynomials, 2: ORDER_LIMITS), and ORDER_TRACES."""
    return fits.HDUList(
        [
            empty_primary(header),
            _documented_traces(product.table, product.polynomials),
            _limits(product),
            _traces(product.table),
        ]
    )


def read_table(hdus: fits.HDUList) -> OrderTable:
    """The order table of a product."""
    hdu = hdus["ORDER_TRACES"]
    orders = {}
    for row in hdu.data:
        series = {name: np.array(row[name], dtype="f8") for name in TRACES}
        known: dict[str, Any] = {n: None if np.isnan(c).all() else c for n, c in series.items()}
        if "error" in hdu.columns.names:  # products of older versions lack it
            known["error"] = None if np.isnan(row["error"]).all() else np.array(row["error"], "f8")
        domain = (float(row["domain_low"]), float(row["domain_high"]))
        orders[int(row["order"])] = OrderTrace(domain=domain, **known)
    return OrderTable(orders, str(hdu.header["DISPAXIS"]).lower())


def _documented_solution(polynomials: tuple[PolynomialTable, ...]) -> fits.BinTableHDU:
    shape = np.max([p.coefficients.shape for p in polynomials], axis=0)
    columns = [
        fits.Column("axis", "1A", array=[p.axis for p in polynomials]),
        fits.Column("order_deg", "I", array=[p.order_deg for p in polynomials]),
        fits.Column("wavelength_deg", "I", array=[p.wavelength_deg for p in polynomials]),
        fits.Column("slit_deg", "I", array=[p.slit_deg for p in polynomials]),
    ]
    for index in np.ndindex(*shape):
        values = [
            p.coefficients[index] if np.all(np.less(index, p.coefficients.shape)) else np.nan
            for p in polynomials
        ]
        columns.append(fits.Column("c" + "".join(map(str, index)), "D", array=values))
    hdu = fits.BinTableHDU.from_columns(columns, name="POLYNOMIALS")
    hdu.header["COMMENT"] = "pixel = sum c<ijk> order**i wavelength**j slit**k; nm, arcsec, 0-based"
    return hdu


def _series(solution: DispersionSolution) -> fits.BinTableHDU:
    numbers = sorted(solution.orders)
    rows = [solution.orders[n] for n in numbers]
    shape = np.max([s.shape for r in rows for s in (r.x, r.y)], axis=0)
    columns = [fits.Column("order", "I", array=numbers)]
    for name, unit in (("wavelength", "nm"), ("slit", "arcsec"), ("lines", "nm")):
        for end, suffix in enumerate(("low", "high")):
            values = [getattr(r, name)[end] for r in rows]
            columns.append(fits.Column(f"{name}_{suffix}", "D", unit=unit, array=values))
    for axis in ("x", "y"):
        padded = np.zeros((len(rows), *shape))  # a Chebyshev series does not mind zeros at its end
        for out, row in zip(padded, rows, strict=True):
            series = getattr(row, axis)
            out[: series.shape[0], : series.shape[1]] = series
        columns.append(
            fits.Column(
                axis,
                f"{shape[0] * shape[1]}D",
                unit="pixel",
                dim=f"({shape[1]},{shape[0]})",
                array=padded,
            )
        )
    columns += [column for name in COVARIANCES for column in _covariances(name, rows)]
    hdu = fits.BinTableHDU.from_columns(columns, name="ORDER_SOLUTIONS")
    hdu.header["COMMENT"] = "Chebyshev series in wavelength (rows) and slit (columns), per order"
    return hdu


def _covariances(name: str, rows: list[OrderSolution]) -> list[fits.Column]:
    """A column of covariances (w, s, w, s), padded with zeros; NaN for an order without. No column if no
    order has one.
    """
    known = [c for c in (getattr(row, name) for row in rows) if c is not None]
    if not known:
        return []
    n, m = np.max([c.shape[:2] for c in known], axis=0)
    padded = np.zeros((len(rows), n, m, n, m))
    for out, row in zip(padded, rows, strict=True):
        covariance = getattr(row, name)
        if covariance is None:
            out[:] = np.nan
        else:
            i, k = covariance.shape[:2]
            out[:i, :k, :i, :k] = covariance
    dim = f"({m},{n},{m},{n})"
    return [fits.Column(name, f"{(n * m) ** 2}D", unit="pixel2", dim=dim, array=padded)]


def _read_covariance(row: fits.FITS_record, name: str) -> np.ndarray | None:
    covariance = np.array(row[name], dtype="f8")
    return None if np.isnan(covariance).any() else covariance


def _documented_traces(
    table: OrderTable, polynomials: Mapping[str, TracePolynomial]
) -> fits.BinTableHDU:
    letter = table.dispersion_axis
    columns = []
    for which, (name, prefix) in TRACES.items():
        if which not in polynomials:
            continue
        c = polynomials[which].coefficients
        columns += [
            fits.Column(f"degorder_{name}", "I", array=[c.shape[0] - 1]),
            fits.Column(f"deg{letter}_{name}", "I", array=[c.shape[1] - 1]),
            *(fits.Column(f"{prefix}{i}{j}", "D", array=[c[i, j]]) for i, j in np.ndindex(c.shape)),
        ]
    hdu = fits.BinTableHDU.from_columns(columns, name="POLYNOMIALS")
    hdu.header["COMMENT"] = f"pixel across = sum c<ij> order**i {letter}**j; 0-based"
    return hdu


#: Columns of `OrderTableProduct.light`.
_LIGHT = ("maxThreshold", "minThreshold", "maxvalue")


def _limits(product: OrderTableProduct) -> fits.BinTableHDU:
    """One row per order: the pixel box that holds it, and the light by which its edges were found."""
    table = product.table
    numbers = sorted(table.orders)
    along, across = ("x", "y") if table.dispersion_axis == "x" else ("y", "x")
    box: dict[str, list[float]] = {f"{a}{end}": [] for a in "yx" for end in ("min", "max")}
    for number in numbers:
        trace = table.orders[number]
        pixel = np.linspace(*trace.domain, 200)
        low = trace.at("centre" if trace.lower is None else "lower", pixel)
        high = trace.at("centre" if trace.upper is None else "upper", pixel)
        box[f"{along}min"].append(trace.domain[0])
        box[f"{along}max"].append(trace.domain[1])
        box[f"{across}min"].append(float(np.min(low)))
        box[f"{across}max"].append(float(np.max(high)))
    columns = [fits.Column("order", "I", array=numbers)]
    columns += [fits.Column(k, "D", unit="pixel", array=v) for k, v in box.items()]
    if product.light is not None:
        unknown = (np.nan,) * len(_LIGHT)
        values = np.array([product.light.get(n, unknown) for n in numbers]).T
        columns += [
            fits.Column(name, "D", unit="count", array=v)
            for name, v in zip(_LIGHT, values, strict=True)
        ]
    return fits.BinTableHDU.from_columns(columns, name="ORDER_LIMITS")


def _traces(table: OrderTable) -> fits.BinTableHDU:
    numbers = sorted(table.orders)
    rows = [table.orders[n] for n in numbers]
    columns = [
        fits.Column("order", "I", array=numbers),
        fits.Column("domain_low", "D", unit="pixel", array=[r.domain[0] for r in rows]),
        fits.Column("domain_high", "D", unit="pixel", array=[r.domain[1] for r in rows]),
    ]
    for name in (*TRACES, "error"):
        series = [getattr(r, name) for r in rows]
        n = max(1, *(0 if c is None else len(c) for c in series))
        padded = np.zeros((len(rows), n))
        for out, c in zip(padded, series, strict=True):
            if c is None:
                out[:] = np.nan
            else:
                out[: len(c)] = c
        columns.append(fits.Column(name, f"{n}D", unit="pixel", array=padded))
    hdu = fits.BinTableHDU.from_columns(columns, name="ORDER_TRACES")
    hdu.header["DISPAXIS"] = (table.dispersion_axis, "detector axis along dispersion")
    hdu.header["COMMENT"] = "Chebyshev series over the domain, per order; error: 1 sigma, of centre"
    return hdu
