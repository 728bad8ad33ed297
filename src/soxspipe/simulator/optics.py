"""Forward optical model: where the simulated instrument of tonight puts each wavelength.

The design is evaluated here from its published coefficients, term by term; on top of it comes a
departure drawn from the seed, as a real instrument departs from its design.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from typing import Any

import numpy as np

from soxspipe.instrument.arms import Arm

#: How far light is followed beyond the design's range of diffraction angles (NIR), order times nm.
_ANGLE_MARGIN = 30.0


def _cosines(n_terms: int, z: np.ndarray) -> np.ndarray:
    """Chebyshev polynomials T_0 .. T_(n-1) at `z` by recurrence; (n_terms, *z.shape)."""
    basis = [np.ones_like(z), z]
    while len(basis) < n_terms:
        basis.append(2.0 * z * basis[-1] - basis[-2])
    return np.array(basis[:n_terms])


def _scaled(value: np.ndarray, low: float, high: float) -> np.ndarray:
    return (value - 0.5 * (low + high)) / (0.5 * (high - low))


def _sum_terms(terms: list[list[int]], values: list[float], *bases: np.ndarray) -> np.ndarray:
    """Sum of value times the product of one basis polynomial per variable."""
    total = np.zeros(bases[0].shape[1:])
    for powers, value in zip(terms, values, strict=True):
        product = np.full_like(total, value)
        for basis, power in zip(bases, powers, strict=True):
            product *= basis[power]
        total += product
    return total


@dataclass(frozen=True, eq=False)
class Departure:
    """How tonight's instrument differs from its design. Pixels are unbinned.

    shift           (x, y) px of the whole detector
    rotation        rad, about the detector's centre; `scale` is relative
    order_shift     order -> (x, y) px on top of `shift`; only VIS bands move independently
    bend            (2, 4, 4) px, two-dimensional Chebyshev coefficients over the detector
    slit            order -> (tilt, change of tilt along the order, bow, change of bow): px along
                    dispersion at the end of the slit
    """

    shift: tuple[float, float]
    rotation: float
    scale: float
    order_shift: dict[int, tuple[float, float]]
    bend: np.ndarray
    slit: dict[int, tuple[float, float, float, float]]

    @classmethod
    def none(cls, arm: Arm) -> "Departure":
        """The instrument as designed."""
        return cls(
            (0.0, 0.0),
            0.0,
            0.0,
            dict.fromkeys(arm.orders, (0.0, 0.0)),
            np.zeros((2, 4, 4)),
            dict.fromkeys(arm.orders, (0.0, 0.0, 0.0, 0.0)),
        )

    @classmethod
    def draw(cls, arm: Arm, rng: np.random.Generator) -> "Departure":
        """A plausible departure: shift below 8 px per axis, bends of some tenths of a pixel."""
        free = arm.bands_move_independently
        common = rng.uniform(-4.5, 4.5, 2) if free else rng.uniform(-8.0, 8.0, 2)
        own = {m: tuple(rng.uniform(-3.5, 3.5, 2)) if free else (0.0, 0.0) for m in arm.orders}
        bend = rng.normal(0.0, 0.12, (2, 4, 4))
        degree = np.add.outer(np.arange(4), np.arange(4))
        bend[:, (degree < 2) | (degree > 3)] = (
            0.0  # shift, rotation and scale have their own places
        )
        base, slope = rng.normal(0.0, 0.15, 4), rng.normal(0.0, 0.08, 4)
        base[2] += rng.choice([-1.0, 1.0]) * rng.uniform(0.25, 0.5)  # every slit image is bowed
        place = {m: 2.0 * i / (len(arm.orders) - 1) - 1.0 for i, m in enumerate(arm.orders)}
        slit = {m: base + slope * (rng.normal(0.0, 1.0) if free else place[m]) for m in arm.orders}
        return cls(
            (float(common[0]), float(common[1])),
            float(np.deg2rad(rng.choice([-1.0, 1.0]) * rng.uniform(0.03, 0.15))),
            float(rng.uniform(-1e-3, 1e-3)),
            {m: (float(x), float(y)) for m, (x, y) in own.items()},
            bend,
            {m: (float(a), float(b), float(c), float(d)) for m, (a, b, c, d) in slit.items()},
        )


@dataclass(frozen=True, eq=False)
class Optics:
    """The optical path of one arm on one night, on unbinned pixels of the science window."""

    arm: Arm
    departure: Departure

    @cached_property
    def _design(self) -> dict[str, Any]:
        folder = resources.files("soxspipe.instrument").joinpath("data", "soxs")
        name = f"{self.arm.name.lower()}_format.json"
        return dict(json.loads(folder.joinpath(name).read_text(encoding="utf-8")))

    @property
    def window(self) -> tuple[int, int]:
        """(nx, ny) of the unbinned science window."""
        return self.arm.columns[1] - self.arm.columns[0], self.arm.rows[1] - self.arm.rows[0]

    @property
    def along_x(self) -> bool:
        """True if light is dispersed along x."""
        return self.arm.dispersion_axis == "x"

    @property
    def pixels_along(self) -> int:
        """Number of unbinned pixels along dispersion."""
        return self.window[0 if self.along_x else 1]

    @property
    def pixels_across(self) -> int:
        """Number of unbinned pixels across dispersion."""
        return self.window[1 if self.along_x else 0]

    def light_range(self, order: int) -> tuple[float, float]:
        """Wavelengths (nm) between which the order carries light that is followed."""
        if self._design["kind"] == "per_order":
            return self.arm.orders[order].full
        low, high = self._design["u_domain"]
        blue = (low - _ANGLE_MARGIN) / order
        return max(blue, 789.0), (high + _ANGLE_MARGIN) / order

    def charted_range(self, order: int) -> tuple[float, float]:
        """Wavelengths (nm) of the first and last arc line the design knows in the order."""
        first, last = self._design["line_range"][str(order)]
        return float(first), float(last)

    def _as_designed(
        self, order: int, wavelength: np.ndarray, slit: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        design = self._design
        across_slit = _cosines(4, _scaled(slit, *design["slit_domain"]))
        if design["kind"] == "per_order":
            part = design["per_order"][str(order)]
            along = _cosines(7, _scaled(wavelength, *self.arm.orders[order].full))
            x = _sum_terms(part["terms_x"], part["x"], along, across_slit)
            y = _sum_terms(part["terms_y"], part["y"], along, across_slit)
            return x, y
        angle = _cosines(7, _scaled(order * wavelength, *design["u_domain"]))
        number = _scaled(np.full_like(wavelength, float(order)), *design["v_domain"])
        bases = (angle, _cosines(7, number), across_slit)
        x0, y0 = design["order_zero"][str(order)]
        x = x0 + _sum_terms(design["terms"], design["x"], *bases)
        y = y0 + _sum_terms(design["terms"], design["y"], *bases)
        return x, y

    def position(
        self, order: int, wavelength: np.ndarray | float, slit: np.ndarray | float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Detector (x, y) of `wavelength` (nm, air) at `slit` (arcsec): unbinned px, 0-based."""
        wavelength, slit = np.broadcast_arrays(
            np.asarray(wavelength, dtype="f8"), np.asarray(slit, dtype="f8")
        )
        x, y = self._as_designed(order, wavelength, slit)
        tilt, tilt_slope, bow, bow_slope = self.departure.slit[order]
        along = _scaled(wavelength, *self.arm.orders[order].full)
        end = slit / 6.0
        lean = (tilt + tilt_slope * along) * end + (bow + bow_slope * along) * end**2
        x, y = (x + lean, y) if self.along_x else (x, y + lean)
        return self._departed(order, x, y)

    def _departed(self, order: int, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Move designed positions by rotation, scale, bends and shifts."""
        gone = self.departure
        nx, ny = self.window
        u, v = x - 0.5 * (nx - 1), y - 0.5 * (ny - 1)
        cos, sin = np.cos(gone.rotation), np.sin(gone.rotation)
        tu, tv = _cosines(4, 2.0 * u / nx), _cosines(4, 2.0 * v / ny)
        bend = np.einsum("aij,i...,j...->a...", gone.bend, tu, tv)
        own = gone.order_shift[order]
        new_x = x + (cos - 1.0) * u - sin * v + gone.scale * u + bend[0] + gone.shift[0] + own[0]
        new_y = y + sin * u + (cos - 1.0) * v + gone.scale * v + bend[1] + gone.shift[1] + own[1]
        return new_x, new_y

    def along_and_across(
        self, order: int, wavelength: np.ndarray | float, slit: np.ndarray | float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Position as (pixel along dispersion, pixel across)."""
        x, y = self.position(order, wavelength, slit)
        return (x, y) if self.along_x else (y, x)

    def pixels_per_arcsec(self, order: int) -> float:
        """Scale along the slit at the middle of the order, px per arcsec."""
        middle = float(np.mean(self.light_range(order)))
        ends = self.position(order, middle, np.array([-3.0, 3.0]))
        return float(np.hypot(*(np.diff(axis)[0] for axis in ends))) / 6.0
