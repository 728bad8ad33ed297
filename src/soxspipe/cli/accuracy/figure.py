"""A measured figure and the goal it should reach."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Goal:
    """A range of values that are good enough; without limits there is no goal."""

    low: float = -math.inf
    high: float = math.inf

    def __bool__(self) -> bool:
        return math.isfinite(self.low) or math.isfinite(self.high)

    def __str__(self) -> str:
        if not self:
            return ""
        if not math.isfinite(self.low):
            return f"< {self.high:g}"
        if not math.isfinite(self.high):
            return f">= {self.low:g}"
        return f"{self.low:g} to {self.high:g}"

    def reached(self, value: float) -> bool:
        """True within the limits; NaN, not measured, reaches nothing."""
        return self.low <= value <= self.high

    def worst(self, values: Sequence[float]) -> float:
        """The value that does worst; NaN if there is one. Without a goal, the largest."""
        if any(math.isnan(value) for value in values):
            return math.nan
        if not math.isfinite(self.low):
            return max(values)
        if not math.isfinite(self.high):
            return min(values)
        return max(values, key=lambda value: abs(value - 0.5 * (self.low + self.high)))


NO_GOAL = Goal()

#: By quantity; by quantity and arm where the arms differ.
GOALS: Mapping[str, Goal | Mapping[str, Goal]] = {
    "error over ideal noise": Goal(high=1.03),
    "pixel pull width": Goal(0.98, 1.02),
    "hot pixels, recall": Goal(low=0.99),
    "hot pixels, precision": Goal(low=0.98),
    "cold pixels, recall": Goal(low=0.99),
    "response error over photon limit": Goal(high=1.1),
    "largest unflagged error [sigma]": Goal(high=8.0),
    "scattered light left over limit": Goal(high=1.0),
    "one pinhole, along dispersion, rms [px]": Goal(high=0.05),
    "map along dispersion, rms [px]": Goal(high=0.03),
    "map beyond the last line, rms [px]": Goal(high=0.2),
    "map along slit, rms [px]": Goal(high=0.03),
    "order centres, rms [px]": {"VIS": Goal(high=0.005), "NIR": Goal(high=0.015)},
    "order edges, rms [px]": Goal(high=0.08),
    "extracted / true, median": Goal(0.997, 1.003),
    "S/N over ideal, median": Goal(low=0.98),
    "S/N over ideal, worst order": Goal(low=0.95),
    "pull width": Goal(0.95, 1.05),
    "reduced chi2": Goal(0.95, 1.05),
    "reduced chi2, worst order": Goal(0.95, 1.05),
    "reduced chi2, sums of 10 bins": Goal(0.95, 1.05),
    "share beyond 5 sigma": Goal(high=2e-5),
    "merged, extracted / true, median": Goal(0.997, 1.003),
    "merged, S/N over ideal": Goal(low=0.98),
    "merged, reduced chi2": Goal(0.95, 1.05),
    "merged, reduced chi2, sums of 10 bins": Goal(0.95, 1.05),
    "merged, share beyond 5 sigma": Goal(high=2e-5),
    "step at order joins over limit, worst": Goal(high=1.0),
    "flux bias, faint object": Goal(-0.01, 0.01),
    "flux lost, extended object": Goal(-0.02, 0.02),
    "objects found over objects there": Goal(1.0, 1.0),
    "sky residual over noise, in lines": Goal(high=1.05),
    "sky residual over noise, between lines": Goal(high=1.01),
    "sky model, median error in lines [sigma]": Goal(-0.05, 0.05),
    "error over noise of the raw frame, between lines": Goal(high=1.03),
    "cosmic rays above 10 sigma, recall": Goal(low=0.98),
    "good pixels lost to cosmic rays": Goal(high=1e-4),
    "emission-line flux lost to cosmic rays": Goal(high=1e-3),
}


@dataclass(frozen=True)
class Figure:
    """One measured figure: `value` of `quantity` of a `frame` ("" if it is plain which), in an arm."""

    arm: str
    frame: str
    quantity: str
    value: float
    goal: Goal = NO_GOAL

    @property
    def text(self) -> str:
        """The value in a few digits."""
        small = 0.0 < abs(self.value) < 1e-3
        return f"{self.value:.1e}" if small else f"{self.value:.4f}"

    @property
    def reached(self) -> bool:
        """True if the value is within the goal, or, without a goal, measured at all."""
        return self.goal.reached(self.value)


def figure(arm: str, frame: str, quantity: str, value: float) -> Figure:
    """The figure with the goal of its quantity, if that has one."""
    goal = GOALS.get(quantity, NO_GOAL)
    return Figure(arm, frame, quantity, value, goal if isinstance(goal, Goal) else goal[arm])


def rms(values: np.ndarray) -> float:
    """Root mean square about zero; NaN of nothing."""
    return float(np.sqrt(np.mean(np.square(values, dtype="f8")))) if values.size else math.nan


def share(part: np.ndarray, whole: np.ndarray) -> float:
    """Share of the pixels True in `whole` that are True in `part` too; NaN of nothing."""
    n = np.count_nonzero(whole)
    return float(np.count_nonzero(part & whole) / n) if n else math.nan
