"""The detectors: their fixed pattern, cosmic rays, noise, and what the read-out writes."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from soxspipe.instrument.arms import Arm

HOT, COLD = 16, 32  # bits of the truth's FLAGS image


@dataclass(frozen=True)
class Readout:
    """Electronics: gain e-/ADU, read noise e-, pedestal ADU, full well e-, last count ADU."""

    gain: float
    read_noise: float
    pedestal: float
    full_well: float
    last_count: float = np.inf

    @property
    def most_electrons(self) -> float:
        """Electrons at which an unbinned pixel saturates: well or converter, which is first."""
        return min(self.full_well, (self.last_count - self.pedestal) * self.gain)


READOUT = {
    "VIS": Readout(
        gain=1.1, read_noise=3.8, pedestal=1000.0, full_well=200_000.0, last_count=65_535.0
    ),
    "NIR": Readout(gain=2.3, read_noise=7.3, pedestal=0.0, full_well=100_000.0),
}


@dataclass(frozen=True, eq=False)
class Detector:
    """The fixed pattern of tonight's detector, on the trimmed, binned window (ny, nx).

    bias e-, without the pedestal; dark e-/s; response relative; flags HOT and COLD bits. `large_scale`
    is the part of the response that varies over hundreds of pixels.
    """

    arm: Arm
    bias: np.ndarray
    dark: np.ndarray
    response: np.ndarray
    flags: np.ndarray
    large_scale: np.ndarray

    @classmethod
    def make(cls, arm: Arm, rng: np.random.Generator) -> "Detector":
        """Draw the detector of a night at the arm's binning."""
        response = 1.0 + 0.006 * rng.standard_normal(arm.shape, dtype="f4")
        large_scale = 1.0 + 0.006 * _smooth_field(arm.shape, rng)
        response *= large_scale
        flags = np.zeros(arm.shape, dtype="u2")
        bias, dark = (_ccd if arm.name == "VIS" else _infrared)(arm, rng)
        cold, hot = _defects(arm, rng)
        response[cold] *= rng.uniform(0.0, 0.4, int(cold.sum())).astype("f4")
        rate = np.exp(rng.normal(1.0 if arm.name == "NIR" else 0.3, 1.0, int(hot.sum())))
        dark[hot] += np.clip(rate, 0.4, 60.0).astype("f4")
        flags[cold] |= COLD
        flags[hot] |= HOT
        return cls(arm, bias, dark, response, flags, large_scale)

    def with_dead(self, rows: int, columns: int, rng: np.random.Generator) -> "Detector":
        """The same detector, so many rows and columns of the inner half of which see no light."""
        ny, nx = self.arm.shape
        response, flags = self.response.copy(), self.flags.copy()
        across = ny // 4 + rng.permutation(ny // 2)[:rows]
        along = nx // 4 + rng.permutation(nx // 2)[:columns]
        for dead in (np.s_[across, :], np.s_[:, along]):
            response[dead] = 0.0
            flags[dead] |= COLD
        return replace(self, response=response, flags=flags)


def _smooth_field(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A field of unit scatter that varies over some hundred pixels."""
    coarse = rng.standard_normal((9, 9))
    field = ndimage.zoom(coarse, (shape[0] / 9.0, shape[1] / 9.0), order=3, mode="nearest")
    return np.asarray(field / field.std(), dtype="f4")


def _ccd(arm: Arm, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    ny, nx = arm.shape
    rows = np.linspace(-1.0, 1.0, ny)[:, None]
    bias = 0.5 * rows + 0.3 * np.sin(9.0 * rows + rng.uniform(0.0, 6.0))
    bias = bias + 0.08 * rng.standard_normal(nx)[None, :]
    bias += np.where(np.arange(nx) < nx // 2, 0.0, 0.3)  # two halves of the serial register
    dark = np.full((ny, nx), 1e-5 * arm.binning[0] * arm.binning[1], dtype="f4")
    return bias.astype("f4"), dark


def _infrared(arm: Arm, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    ny, nx = arm.shape
    channels = np.repeat(rng.normal(0.0, 3.0, 32), 64)[4 : 4 + nx]
    bias = channels[None, :] + 0.8 * rng.standard_normal(ny)[:, None]
    y, x = np.ogrid[0:ny, 0:nx]
    edge = np.minimum(np.minimum(x, nx - 1 - x), np.minimum(y, ny - 1 - y))
    dark = 0.004 * (1.0 + 0.3 * _smooth_field((ny, nx), rng)) + 0.03 * np.exp(-edge / 25.0)
    return bias.astype("f4"), np.clip(dark, 5e-4, None).astype("f4")


def _defects(arm: Arm, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(cold, hot): single pixels, a few clusters, and in the CCD one partly blocked column."""
    ny, nx = arm.shape
    share = (2e-4, 2e-5) if arm.name == "VIS" else (1.2e-3, 1.5e-3)
    cold, hot = (rng.random(arm.shape, dtype="f4") < s for s in share)
    for _ in range(4 if arm.name == "VIS" else 25):
        y, x = rng.integers(3, ny - 3), rng.integers(3, nx - 3)
        cold[y - 1 : y + 2, x - 1 : x + 2] |= rng.random((3, 3)) < 0.7
    if arm.name == "VIS":
        cold[: rng.integers(ny // 8, ny // 3), rng.integers(0, nx)] = True
    return cold, hot & ~cold


@dataclass(frozen=True, eq=False)
class CosmicRays:
    """Pixels hit by cosmic rays: y, x on the trimmed, binned window, electrons."""

    y: np.ndarray
    x: np.ndarray
    electrons: np.ndarray

    @classmethod
    def shower(
        cls, arm: Arm, seconds: float, rate: float, rng: np.random.Generator
    ) -> "CosmicRays":
        """Hits during `seconds`, `rate` per s and cm2: dots, and tracks as long as the angle of
        incidence makes them.
        """
        ny, nx = arm.shape
        bx, by = arm.binning
        square_cm = ny * by * nx * bx * (arm.pixel_size * 1e-4) ** 2
        n = rng.poisson(rate * square_cm * seconds)
        pieces: list[np.ndarray] = []
        for _ in range(n):
            x, y = rng.uniform(0.0, nx * bx), rng.uniform(0.0, ny * by)
            length = min(1.2 * np.tan(np.arccos(rng.uniform(0.02, 1.0) ** 0.5)), 60.0)
            angle = rng.uniform(0.0, 2.0 * np.pi)
            steps = max(int(3.0 * length), 1)
            along = np.linspace(0.0, length, steps)
            charge = (
                rng.lognormal(6.6, 0.7) * np.hypot(length, 1.2) * rng.gamma(6.0, 1 / 6.0, steps)
            )
            where = (y + along * np.sin(angle)) / by, (x + along * np.cos(angle)) / bx
            pieces.append(np.array([*where, charge / steps]))
        hits = np.concatenate(pieces, axis=1) if pieces else np.empty((3, 0))
        y_px, x_px = np.floor(hits[0]).astype(int), np.floor(hits[1]).astype(int)
        inside = (x_px >= 0) & (x_px < nx) & (y_px >= 0) & (y_px < ny)
        flat = y_px[inside] * nx + x_px[inside]
        pixel, inverse = np.unique(flat, return_inverse=True)
        electrons = np.bincount(inverse, weights=hits[2][inside], minlength=pixel.size)
        return cls(pixel // nx, pixel % nx, electrons)


def expose(
    detector: Detector,
    light: np.ndarray | None,
    cosmics: CosmicRays,
    seconds: float,
    rng: np.random.Generator,
    broken: np.ndarray | None = None,
) -> np.ndarray:
    """Raw counts (ADU) of the whole detector, margins or reference pixels included.

    `light` (ny, nx) electrons expected on the trimmed, binned window; None: no light. `broken`
    (ny, nx) True where the count is not a number.
    """
    arm = detector.arm
    electronics = READOUT[arm.name]
    expected = detector.dark * np.float32(seconds)
    if light is not None:
        expected = expected + light * detector.response
    electrons = rng.poisson(expected).astype("f4") if seconds > 0 else np.zeros(arm.shape, "f4")
    electrons[cosmics.y, cosmics.x] += cosmics.electrons.astype("f4")
    np.minimum(electrons, electronics.full_well * arm.binning[0] * arm.binning[1], out=electrons)
    electrons += detector.bias
    if broken is not None:
        electrons[broken] = np.nan
    return _read_out(arm, electronics, electrons, rng)


def _read_out(
    arm: Arm, electronics: Readout, electrons: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Put the window in its place on the chip, add noise and digitise."""
    bx, by = arm.binning
    if arm.name == "VIS":
        full = np.zeros((arm.rows[1] // by, arm.margin_columns[-1][1] // bx), dtype="f4")
        full += np.linspace(-5.0, 5.0, full.shape[0], dtype="f4")[:, None]
    else:
        full = np.zeros((2048, 2048), dtype="f4")
    x0, y0 = arm.columns[0] // bx, arm.rows[0] // by
    full[y0 : y0 + arm.shape[0], x0 : x0 + arm.shape[1]] = electrons
    full += np.float32(electronics.read_noise) * rng.standard_normal(full.shape, dtype="f4")
    counts = np.rint(full / np.float32(electronics.gain) + np.float32(electronics.pedestal))
    if arm.name == "VIS":
        counts = np.clip(counts, 0, electronics.last_count)
        return counts if np.isnan(counts).any() else counts.astype("u2")
    return np.asarray(counts, dtype="f4")
