"""Nominal spectral format: where the optical design puts each (order, wavelength, slit).

The package holds compact Chebyshev coefficients per arm. For NIR they follow the grating equation:
u = order * wavelength fixes the diffraction angle, v = order the position across. For one order v is a
constant and u linear in wavelength, so the global series collapses exactly to one two-dimensional
series per order, which is what the pipeline evaluates.
"""

import json
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.polynomial import chebyshev

from soxspipe.datamodel.geometry import DispersionSolution, OrderSolution, unit
from soxspipe.instrument.arms import Arm


@cache
def _coefficients(tag: str) -> dict[str, Any]:
    instrument, arm = tag.split("_")
    source = resources.files("soxspipe.instrument").joinpath(
        "data", instrument, f"{arm}_format.json"
    )
    return dict(json.loads(source.read_text(encoding="utf-8")))


def _grid(terms: list[list[int]], values: np.ndarray) -> np.ndarray:
    """Dense (n_wavelength, n_slit) coefficients from a list of (i, k) terms."""
    shape = tuple(np.max(terms, axis=0) + 1)
    dense = np.zeros(shape)
    np.add.at(dense, tuple(np.transpose(terms)), values)
    return dense


def _collapse(model: dict[str, Any], order: int) -> tuple[np.ndarray, np.ndarray]:
    """Global NIR series at one order: (n_wavelength, n_slit) coefficients of x and of y."""
    terms = np.array(model["terms"])
    v = unit(order, tuple(model["v_domain"]))
    across = np.array([chebyshev.chebval(v, np.eye(j + 1)[j]) for j in terms[:, 1]])
    reduced = terms[:, [0, 2]].tolist()
    x, y = (_grid(reduced, np.asarray(model[axis]) * across) for axis in "xy")
    zero = model["order_zero"][str(order)]
    x[0, 0] += zero[0]
    y[0, 0] += zero[1]
    return x, y


def _per_order(model: dict[str, Any], order: int) -> tuple[np.ndarray, np.ndarray]:
    part = model["per_order"][str(order)]
    return (
        _grid(part["terms_x"], np.asarray(part["x"])),
        _grid(part["terms_y"], np.asarray(part["y"])),
    )


def _binned(coefficients: np.ndarray, factor: int) -> np.ndarray:
    """Unbinned pixel series to binned ones: x_b = (x + 0.5) / n - 0.5."""
    scaled = coefficients / factor
    scaled[0, 0] += 0.5 / factor - 0.5
    return scaled


def nominal(arm: Arm) -> DispersionSolution:
    """The design's (order, wavelength, slit) -> (x, y) at the arm's binning.

    Good to some tenths of a pixel in shape; the zero point of a real night is off by several pixels.
    """
    model = _coefficients(arm.tag)
    solutions = {}
    for number, order in arm.orders.items():
        if model["kind"] == "per_order":
            x, y = _per_order(model, number)
            domain = order.full
        else:
            x, y = _collapse(model, number)
            low, high = model["u_domain"]
            domain = (low / number, high / number)
        solutions[number] = OrderSolution(
            x=_binned(x, arm.binning[0]),
            y=_binned(y, arm.binning[1]),
            wavelength=domain,
            slit=tuple(model["slit_domain"]),
            lines=tuple(model["line_range"][str(number)]),
        )
    return DispersionSolution(solutions)
