"""The line spread of an order: a slit's box, blurred by the optics, seen through pixels.

It is kept as a uniform cubic B-spline whose coefficients are polynomials of the place along the order,
so that it can be learned from the sky lines themselves, starting from box and Gaussian.
"""

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy.linalg import solveh_banded
from scipy.optimize import least_squares

#: Knot spacing of the line spread, bins.
STEP = 0.4
#: Powers of the place along the order (-1 to 1) that a coefficient may follow.
POWERS = 2


@dataclass(frozen=True, eq=False)
class LineSpread:
    """box, blur    bins: full width of the slit's image, sigma of the optics; height 1 at the middle
    coefficients (POWERS, k) of cubic B-splines on knots STEP apart, centred; times t^0, t^1
    """

    box: float
    blur: float
    coefficients: np.ndarray

    @property
    def half(self) -> float:
        """Bins from the middle beyond which there is no light."""
        return 0.5 * STEP * (self.coefficients.shape[1] - 3)

    def of(self, place: np.ndarray) -> np.ndarray:
        """(n, k) coefficients at `place` (n,), -1 to 1 along the order."""
        powers = place[:, None] ** np.arange(POWERS)
        return np.ascontiguousarray(powers @ self.coefficients)

    def __call__(self, offset: np.ndarray) -> np.ndarray:
        """Values in the middle of the order at `offset` (n,) bins from the line's centre."""
        return _values(np.ascontiguousarray(offset, dtype="f8"), self.coefficients[0], self.half)


def boxed_gaussian(offset: np.ndarray, box: float, blur: float) -> np.ndarray:
    """Box convolved with a Gaussian and a pixel of one bin; height 1."""
    return _boxed_values(np.ascontiguousarray(offset, dtype="f8"), box, blur)


def boxed(box: float, blur: float) -> LineSpread:
    """The line spread of a slit `box` bins wide behind optics of sigma `blur`, alike everywhere."""
    box, blur = max(box, 0.05), max(blur, 0.25)
    half = 0.5 * box + 4.5 * blur + 0.5
    k = 2 * int(np.ceil(half / STEP)) + 3
    half = 0.5 * STEP * (k - 3)
    x = np.arange(-half + 0.025, half, 0.05)
    band, vector = np.zeros((4, k)), np.zeros(k)
    _project(x, boxed_gaussian(x, box, blur), half, band, vector)
    band[3] += 1e-6
    coefficients = np.zeros((POWERS, k))
    coefficients[0] = solveh_banded(band, vector)
    return LineSpread(box, blur, coefficients)


def nearest_boxed(spread: LineSpread) -> LineSpread:
    """The box and Gaussian most like the middle of a learned line spread."""
    x = np.arange(-spread.half, spread.half + 1e-9, 0.1)
    seen = spread(x)

    def off(p: np.ndarray) -> np.ndarray:
        return np.asarray(p[2] * boxed_gaussian(x - p[3], float(p[0]), float(p[1])) - seen)

    start = [spread.box, spread.blur, 1.0, 0.0]
    found = least_squares(off, start, bounds=([0.04, 0.24, 0.3, -1.5], [40.0, 12.0, 3.0, 1.5]))
    return boxed(float(found.x[0]), float(found.x[1]))


@njit(cache=True)
def _boxed_values(offset, box, blur):  # type: ignore[no-untyped-def]
    scale, norm = 1.0 / (blur * np.sqrt(2.0)), blur / np.sqrt(2.0 * np.pi)
    out = np.empty(len(offset))
    top = 1.0
    for i in range(-1, len(offset)):  # the middle first
        x = 0.0 if i < 0 else offset[i]
        total = 0.0
        for side, sign in ((0.5, 1.0), (-0.5, -1.0)):
            for end, way in ((0.5 * box, 1.0), (-0.5 * box, -1.0)):
                z = x + side + end  # the integral of the Gaussian's integral
                integral = z * 0.5 * math.erfc(-z * scale) + norm * np.exp(-0.5 * (z / blur) ** 2)
                total += sign * way * integral
        if i < 0:
            top = total
        else:
            out[i] = total / top
    return out


@njit(cache=True)
def value(u, c, half):  # type: ignore[no-untyped-def]
    """Line spread, its first and second derivative at `u` bins from the centre."""
    z = (u + half) / STEP
    k = int(np.floor(z))
    if k < 0 or k > c.shape[0] - 4:
        return 0.0, 0.0, 0.0
    r = z - k
    q = 1.0 - r
    a, b, d, e = c[k], c[k + 1], c[k + 2], c[k + 3]
    v = (a * q**3 + b * (3 * r**3 - 6 * r**2 + 4) + d * (3 * q**3 - 6 * q**2 + 4) + e * r**3) / 6
    s = 0.5 * (-a * q * q + b * (3 * r * r - 4 * r) + d * (4 * q - 3 * q * q) + e * r * r) / STEP
    t = (a * q + b * (3 * r - 2) + d * (3 * q - 2) + e * r) / STEP**2
    return v, s, t


@njit(cache=True)
def profile(u, c, half, broad):  # type: ignore[no-untyped-def]
    """A line: its light, and its derivatives by `u` and by the broadening `broad` (bins squared).

    A broadened line is two of equal height, sqrt(2 broad) to both sides: what doublets of OH are.
    """
    if broad < 1e-3:
        v, s, t = value(u, c, half)
        return v + broad * t, s, t
    d = np.sqrt(2.0 * broad)
    v, s, _ = value(u - d, c, half)
    w, r, _ = value(u + d, c, half)
    return 0.5 * (v + w), 0.5 * (s + r), 0.5 * (r - s) / d


@njit(cache=True)
def light(u, c, half, broad):  # type: ignore[no-untyped-def]
    """The light of `profile` alone."""
    if broad < 1e-3:
        v, _, t = value(u, c, half)
        return v + broad * t
    d = np.sqrt(2.0 * broad)
    return 0.5 * (value(u - d, c, half)[0] + value(u + d, c, half)[0])


@njit(cache=True)
def _values(u, c, half):  # type: ignore[no-untyped-def]
    out = np.empty(len(u))
    for i in range(len(u)):
        out[i] = value(u[i], c, half)[0]
    return out


@njit(cache=True)
def weights(u, half, n, out):  # type: ignore[no-untyped-def]
    """First of the four B-splines that reach `u`, or -1; their values in `out`."""
    z = (u + half) / STEP
    k = int(np.floor(z))
    if k < 0 or k > n - 4:
        return -1
    r = z - k
    q = 1.0 - r
    out[0] = q**3 / 6
    out[1] = (3 * r**3 - 6 * r**2 + 4) / 6
    out[2] = (3 * q**3 - 6 * q**2 + 4) / 6
    out[3] = r**3 / 6
    return k


@njit(cache=True)
def _project(x, y, half, band, vector):  # type: ignore[no-untyped-def]
    out = np.empty(4)
    n = vector.shape[0]
    for i in range(x.shape[0]):
        k = weights(x[i], half, n, out)
        if k < 0:
            continue
        for a in range(4):
            vector[k + a] += out[a] * y[i]
            for b in range(a, 4):
                band[3 - (b - a), k + b] += out[a] * out[b]
