"""The sky in the middle of the slit, as function of the native bin: spline and lines."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from soxspipe.maths import bspline
from soxspipe.science.sky import loops
from soxspipe.science.sky.line_spread import LineSpread


@dataclass(frozen=True, eq=False)
class Lines:
    """Sky lines, arrays (l,), rising: centre (native bins), height (electrons per pixel), broadening
    (bins squared: added variance of the line spread, half; unresolved doublets have some).
    """

    centre: np.ndarray
    height: np.ndarray
    broad: np.ndarray


@dataclass(frozen=True)
class Priors:
    """Standard deviations: shift of a line in one step (bins), broadening (bins squared), line spread
    (share of its height) about the boxed Gaussian.
    """

    shift: float = 0.2
    broad: float = 0.15
    spread: float = 0.03


@dataclass(frozen=True, eq=False)
class Model:
    """Sky in the middle of the slit as function of the native bin.

    low, high  range of native bins; place along the order runs from -1 to 1 between them
    """

    breaks: np.ndarray
    degree: int
    coefficients: np.ndarray
    lines: Lines
    spread: LineSpread
    low: float
    high: float

    def place(self, x: np.ndarray) -> np.ndarray:
        """-1 to 1 along the order."""
        return np.clip((2 * x - self.low - self.high) / (self.high - self.low), -1.0, 1.0)

    def of_lines(self, x: np.ndarray) -> np.ndarray:
        """(3, n) light of all lines at x, its first and second derivative; x nearly sorted."""
        out = np.zeros((3, len(x)))
        lines = self.lines
        if len(lines.centre):
            loops.add_lines(
                np.ascontiguousarray(x, dtype="f8"),
                lines.centre,
                lines.height,
                lines.broad,
                self.shapes,
                self.spread.half,
                out,
            )
        return out

    def light(self, x: np.ndarray) -> np.ndarray:
        """(n,) light of all lines at x, nearly sorted."""
        out = np.zeros(len(x))
        lines = self.lines
        if len(lines.centre):
            loops.add_light(
                np.ascontiguousarray(x, dtype="f8"),
                lines.centre,
                lines.height,
                lines.broad,
                self.shapes,
                self.spread.half,
                out,
            )
        return out

    @cached_property
    def shapes(self) -> np.ndarray:
        """(l, k) line spread of each line."""
        return self.spread.of(self.place(self.lines.centre))

    def continuum(self, x: np.ndarray) -> np.ndarray:
        """(n,) electrons of the spline."""
        knots = bspline.full_knots(self.breaks, self.degree)
        return bspline.Spline(knots, self.coefficients, self.degree)(x)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """(n,) electrons."""
        return self.continuum(x) + self.light(x)
