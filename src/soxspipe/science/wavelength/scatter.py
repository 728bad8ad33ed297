"""How far arc lines scatter about a solution beyond the photon noise of their centroids.

Two components, both estimated from the residuals: a jitter of each spot, and an offset that all holes
of one line share (its listed wavelength, a blend in it). Offsets have long tails; they are taken as
Student's t (Lange, Little & Taylor 1989, JASA 84, 881), so lines far off count little instead of all or
nothing.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

_FEW = 20
_HELD = 0.9999  # most a line can be taken to hold the solution at its place
_UNSURE = 0.2  # px: a solution worse than this does not tell a line from its neighbours
_TAILS = (2.0, 4.0, 30.0)  # degrees of freedom tried
_MEDIAN_SQUARE = 0.4549  # median of the square of a standard normal variable


@dataclass(frozen=True)
class Scatter:
    """Widths along one axis, pixels.

    jitter   of a spot
    offset   that a line's holes share: rms, of the lines that are kept
    core     scale of the offsets' t distribution of `tail` degrees of freedom
    typical  1-sigma offset by the median, which lines far off do not change
    """

    jitter: float = 0.0
    offset: float = 0.0
    core: float = 0.0
    typical: float = 0.0
    tail: float = _TAILS[-1]

    def spot(self, error: np.ndarray) -> np.ndarray:
        """1-sigma error (n,) of a spot within its line."""
        return np.hypot(error, self.jitter)

    def total(self, error: np.ndarray) -> np.ndarray:
        """Expected scatter (n,) of a spot about the solution."""
        return np.hypot(self.spot(error), self.offset)


@dataclass(frozen=True, eq=False)
class LineMeans:
    """Weighted mean residual of each line: value, 1-sigma error, number of its spots; shape (lines,).

    A line without spots has value 0 and error infinite.
    """

    value: np.ndarray
    error: np.ndarray
    count: np.ndarray

    @classmethod
    def of(cls, residual: np.ndarray, error: np.ndarray, line: np.ndarray, n: int) -> "LineMeans":
        """Means over the spots (residual, error, line) of each of `n` lines."""
        weight = np.bincount(line, 1.0 / error**2, n)
        safe = np.where(weight > 0, weight, 1.0)
        value = np.bincount(line, residual / error**2, n) / safe
        spread = np.where(weight > 0, 1.0 / np.sqrt(safe), np.inf)
        return cls(value, spread, np.bincount(line, minlength=n))


def estimate(
    residual: np.ndarray, error: np.ndarray, line: np.ndarray, n: int, *, freedom: float
) -> Scatter:
    """Scatter that explains residuals (m,) beyond their errors (m,).

    line : (m,) int below `n`, which line a spot belongs to. freedom : coefficients that the lines
    determined.
    """
    jitter = 0.0
    for _ in range(3):
        means = LineMeans.of(residual, np.hypot(error, jitter), line, n)
        full = means.count[line] >= 3
        if len(np.unique(line[full])) < _FEW:
            jitter = 0.0
            break
        share = 1.0 - 1.0 / means.count[line][full]
        within = (residual - means.value[line])[full] ** 2 / share
        jitter = _normal_width(within, error[full] ** 2)
    means = LineMeans.of(residual, np.hypot(error, jitter), line, n)
    seen = means.count > 0
    if not seen.any():
        return Scatter(jitter)
    raw, variance = means.value[seen] ** 2, means.error[seen] ** 2
    left, core, tail = 1.0, 0.0, _TAILS[-1]
    for _ in range(2):  # lines far off weigh little: fewer hold the fit, and it follows these more
        core, tail = max(
            ((_core(raw / left, variance, tail), tail) for tail in _TAILS),
            key=lambda found: _likelihood(raw / left, variance, *found),
        )
        weight = tail / (tail + raw / np.maximum(variance + core**2, 1e-12))
        left = max(1.0 - freedom / float(weight.sum()), 0.3)
    return Scatter(
        jitter,
        0.0,
        core,
        _normal_width(raw / left, variance),
        tail,
    )


def offset_rms(
    residual: np.ndarray, error: np.ndarray, line: np.ndarray, *, freedom: float
) -> float:
    """Rms of the offsets that spots of a line share, from spots (m,) of lines that are kept."""
    n = int(line.max()) + 1 if len(line) else 0
    means = LineMeans.of(residual, error, line, n)
    seen = means.count > 0
    left = max(1.0 - freedom / max(int(seen.sum()), 1), 0.3)
    excess = np.mean(means.value[seen] ** 2 / left - means.error[seen] ** 2) if seen.any() else 0.0
    return float(np.sqrt(max(excess, 0.0)))


def _normal_width(square: np.ndarray, variance: np.ndarray) -> float:
    """Width w for which squares over (variance + w^2) have the median of normal noise; 0 if none."""
    if np.median(square / variance) <= _MEDIAN_SQUARE:
        return 0.0
    low, high = 0.0, float(np.sqrt(square.max()))
    for _ in range(30):
        middle = 0.5 * (low + high)
        more = np.median(square / (variance + middle**2)) > _MEDIAN_SQUARE
        low, high = (middle, high) if more else (low, middle)
    return high


def _core(square: np.ndarray, variance: np.ndarray, tail: float) -> float:
    """Scale of a t distribution of `tail` degrees of freedom, by maximum likelihood."""
    if not len(square):
        return 0.0

    def weighted(core: float) -> float:
        total = variance + core**2
        weight = (tail + 1.0) / (tail + square / total)
        return float(np.sum((weight * square - total) / total**2))

    low, high = 0.0, float(np.sqrt(square.max())) + 1e-9
    if weighted(low) <= 0:
        return 0.0
    for _ in range(40):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if weighted(middle) > 0 else (low, middle)
    return high


def _likelihood(square: np.ndarray, variance: np.ndarray, core: float, tail: float) -> float:
    """Log-likelihood of values whose squares are given."""
    total = variance + core**2
    constant = gammaln(0.5 * (tail + 1)) - gammaln(0.5 * tail) - 0.5 * np.log(tail * np.pi)
    body = -0.5 * np.log(total) - 0.5 * (tail + 1) * np.log1p(square / (tail * total))
    return float(np.sum(constant + body))


def offsets(
    residual: np.ndarray, error: np.ndarray, line: np.ndarray, used: np.ndarray, scatter: Scatter
) -> np.ndarray:
    """Width (n,) of the offset that each spot shares with its line, given how far the line is off.

    residual, error : (n,) of every spot, jitter included. used : (n,) spots that tell of their line.

    Weights from a t distribution know its tails only through the data; the factor makes the covariance
    of what is fitted with them right on average (expected information of t).
    """
    n = int(line.max()) + 1 if len(line) else 0
    means = LineMeans.of(residual[used], error[used], line[used], n)
    known = means.count > 0
    variance = np.where(known, means.error, 0.0) ** 2
    total = variance + scatter.core**2
    weight = (scatter.tail + 1.0) / (scatter.tail + means.value**2 / np.maximum(total, 1e-12))
    wide = total * (scatter.tail + 3.0) / (scatter.tail + 1.0) / weight
    return np.asarray(np.sqrt(np.maximum(wide - variance, 0.0)))[line]


@dataclass(frozen=True, eq=False)
class Support:
    """What a fit rests on, for each spot, shape (n,).

    used     whether it took part
    last     whether its line is the first or last of its order that did
    common   width of the offset it shared with its line, pixels
    error    1-sigma error of the fit there, pixels
    """

    used: np.ndarray
    last: np.ndarray
    common: np.ndarray
    error: np.ndarray


def off_their_line(
    residual: np.ndarray, error: np.ndarray, line: np.ndarray, used: np.ndarray, *, sigma: float
) -> np.ndarray:
    """True (n,) for spots that disagree with the other spots of their line, three at least.

    Means are taken over the spots `used` so far; every spot is judged against them.
    """
    n, wrong = int(line.max()) + 1 if len(line) else 0, np.zeros(len(line), dtype=bool)
    for _ in range(2):  # a spot far off draws the mean of its line away from the others
        some = used & ~wrong
        means = LineMeans.of(residual[some], error[some], line[some], n)
        several = means.count[line] >= 3
        wrong = several & (np.abs(residual - means.value[line]) > sigma * error)
    return wrong


def off_the_solution(
    residual: np.ndarray,
    error: np.ndarray,
    line: np.ndarray,
    fine: np.ndarray,
    scatter: Scatter,
    fitted: Support,
    *,
    sigma: float,
) -> np.ndarray:
    """True (n,) for all spots of lines whose mean over the `fine` spots is off the solution.

    The first and the last line of an order pull the solution to themselves: they are held against the
    solution without them. A line beyond those that hold the solution may be farther off it; but no
    farther than would do for a chance neighbour.
    """
    n = int(line.max()) + 1 if len(line) else 0
    means = LineMeans.of(residual[fine], error[fine], line[fine], n)
    members = np.maximum(np.bincount(line, minlength=n), 1)
    known = np.bincount(line, fitted.error**2, n) / members
    shared = np.bincount(line, fitted.common**2, n) / members
    last = np.bincount(line, fitted.used & fitted.last, n) > 0
    held = np.bincount(line, fitted.used, n) > 0
    pull = np.where(last, np.minimum(known / (means.error**2 + shared + 1e-12), _HELD), 0.0)
    unsure = np.where(held & ~last, 0.0, np.minimum(known / (1.0 - pull), _UNSURE**2))
    limit = sigma * np.sqrt(means.error**2 + scatter.typical**2 + unsure)
    far = np.abs(means.value) / (1.0 - pull) > limit
    return np.asarray((far | (means.count == 0))[line])
