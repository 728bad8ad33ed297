"""Master flat and pixel map of a simulated night as they are, for runs that test the spectra alone."""

import numpy as np
from numpy.polynomial import chebyshev

from benchmarks.in_memory import Day
from soxspipe.datamodel.flat import MasterFlat
from soxspipe.datamodel.frame import Frame, PixelFlag
from soxspipe.datamodel.geometry import DispersionSolution, OrderSolution, PixelMap
from soxspipe.science.wavelength import pixel_map
from soxspipe.simulator.throughput import efficiency

#: Degrees along wavelength and slit that carry the optics to better than 1e-4 px.
_DEGREES = (12, 5)
_SLIT = (-7.0, 7.0)


def true_solution(day: Day) -> DispersionSolution:
    """Where light lands."""
    found = {}
    for order in day.arm.orders:
        domain = day.night.optics.light_range(order)
        t, s = (np.cos(np.pi * (np.arange(n) + 0.5) / n) for n in (60, 14))
        grid_t, grid_s = (a.ravel() for a in np.meshgrid(t, s, indexing="ij"))
        wavelength = 0.5 * (domain[0] + domain[1] + grid_t * (domain[1] - domain[0]))
        unbinned = day.night.optics.position(order, wavelength, _SLIT[1] * grid_s)
        places = [(p + 0.5) / n - 0.5 for p, n in zip(unbinned, day.arm.binning, strict=True)]
        basis = chebyshev.chebvander2d(grid_t, grid_s, list(_DEGREES))
        shape = tuple(n + 1 for n in _DEGREES)
        x, y = (np.linalg.lstsq(basis, axis)[0].reshape(shape) for axis in places)
        found[order] = OrderSolution(x, y, domain, _SLIT, domain)
    return DispersionSolution(found)


def true_map(day: Day) -> PixelMap:
    """Wavelength and slit position of every pixel."""
    ranges = {order: day.arm.orders[order].full for order in day.arm.orders}
    made, _ = pixel_map.make(
        true_solution(day), day.true_orders, day.arm.shape, ranges=ranges, tolerance=1e-3
    )
    return made


def true_flat(day: Day, error: float = 0.002) -> MasterFlat:
    """Pixel response, known to `error` (relative), cold pixels flagged, and the lamp's spectrum."""
    detector = day.night.detector
    draw = np.random.default_rng([day.night.seed, 8]).standard_normal(day.arm.shape)
    response = detector.response / detector.large_scale * (1.0 + error * draw)
    flags = np.where(detector.flags & 32, int(PixelFlag.COLD), 0)
    frame = Frame(response, np.full(day.arm.shape, error**2), flags, unit="")
    lamp = {}
    for order, path in day.night.paths.items():
        centre, sides = path.column_wavelength()
        per_pixel = np.abs(np.diff(sides)) / path.pixels_per_arcsec
        light = efficiency(day.arm, order, np.nan_to_num(centre, nan=1000.0)) * per_pixel
        lamp[order] = np.where(np.isfinite(centre), light, np.nan).astype("f4")
    return MasterFlat(frame, lamp)
