"""Shapes of orders that the design tells: expected slit length, tilt, useful range; in pixels."""

import numpy as np

from soxspipe.datamodel.geometry import DispersionSolution, OrderTable
from soxspipe.instrument.arms import Arm
from soxspipe.instrument.spectral_format import nominal
from soxspipe.science.orders.flat_field import tilt_of


def _size(arm: Arm) -> int:
    """Pixels along dispersion."""
    return arm.shape[1] if arm.dispersion_axis == "x" else arm.shape[0]


def expected_half_length(arm: Arm) -> dict[int, np.ndarray]:
    """Distance of each slit end from the centre, (2, pixels along dispersion): lower, upper."""
    design = nominal(arm)
    half = 0.5 * arm.slit_length
    pixel = np.arange(_size(arm), dtype="f8")
    lengths = {}
    for number, order in arm.orders.items():
        wavelength = np.linspace(*order.full, 30)
        positions = [design.predict(number, wavelength, s) for s in (-half, 0.0, half)]
        along, across = zip(*(arm.dispersion_and_slit(x, y) for x, y in positions), strict=True)
        distance = np.sort([across[0] - across[1], across[2] - across[1]], axis=0)
        sort = np.argsort(along[1])
        lengths[number] = np.stack(
            [np.interp(pixel, along[1][sort], np.abs(d)[sort]) for d in distance]
        )
    return lengths


def tilts(solution: DispersionSolution, arm: Arm) -> dict[int, np.ndarray]:
    """Shift along dispersion per pixel across of light of one wavelength, by order, per pixel."""
    result = {}
    for number, order in arm.orders.items():
        wavelength = np.linspace(*order.full, 30)
        ends = [solution.predict(number, wavelength, s) for s in (-4.0, 4.0)]
        x, y = (np.stack([end[axis] for end in ends], axis=1) for axis in (0, 1))
        result[number] = tilt_of(x, y, arm.dispersion_axis == "x", _size(arm))
    return result


def order_mask(table: OrderTable, arm: Arm, *, useful: bool) -> np.ndarray:
    """(ny, nx) bool inside the order edges, and if `useful` inside the useful wavelength range."""
    design = nominal(arm)
    n_along = _size(arm)
    n_across = arm.shape[0] if arm.dispersion_axis == "x" else arm.shape[1]
    inside = np.zeros((n_across, n_along), dtype=bool)
    pixel = np.arange(n_along, dtype="f8")
    row = np.arange(n_across)[:, None]
    for number, trace in table.orders.items():
        low, high = trace.domain
        if useful:
            x, y = design.predict(number, np.array(arm.orders[number].useful))
            ends = np.sort(arm.dispersion_and_slit(x, y)[0])
            low, high = max(low, ends[0]), min(high, ends[1])
        edges = np.sort([trace.at("lower", pixel), trace.at("upper", pixel)], axis=0)
        inside |= (row >= edges[0]) & (row <= edges[1]) & (pixel >= low) & (pixel <= high)
    return arm.along_rows(inside)
