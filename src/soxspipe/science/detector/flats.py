"""Stack flat exposures whose lamp drifts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from soxspipe.datamodel.frame import Frame
from soxspipe.errors import DataError
from soxspipe.science.detector.combine import clipped_mean

#: Mean light of a strip that may be remnants of bias and dark, electrons per pixel.
_DARK = 2.0
#: An exposure with less light than this share of the usual, or with more than its inverse, is deviant.
_LEAST_SHARE = 0.5
#: So is one whose light is distributed otherwise than in the mean by more than this.
_MOST_CHANGE = 0.1
#: Side of the squares in which that is judged, pixels, and the light they must hold, electrons.
_SQUARE, _LEAST_LIGHT = 64, 2e4


@dataclass(frozen=True, eq=False)
class FlatStack:
    """The mean flat, electrons of an average exposure, the levels of the exposures in units of their
    mean (NaN if left out), and the indices of those left out.
    """

    frame: Frame
    levels: np.ndarray
    left_out: tuple[int, ...]


def exposure_level(frame: Frame, inside: np.ndarray) -> float:
    """Mean lamp light of the good pixels in the strip along the order centres, electrons; 0 if none."""
    values = frame.data[inside & frame.good]
    return max(float(np.mean(values)), 0.0) if values.size else 0.0


def stack(frames: Sequence[Frame], inside: np.ndarray, *, sigma: float, rounds: int) -> FlatStack:
    """Mean flat of an average exposure; lamp drifts are taken out first.

    Two passes: levels along the centres, then levels of each exposure over the first mean, which no
    longer depend on the spectrum of the lamp. Between them, exposures with the lamp off, or whose light
    falls elsewhere, are left out.

    frames : electrons, variance that of the read-out. inside : (ny, nx) strip along the order centres.

    Raises
    ------
    DataError : fewer than three exposures show the same light.
    """
    levels = np.array([exposure_level(f, inside) for f in frames])
    usual = float(np.median(levels))
    lit = (levels > _LEAST_SHARE * usual) & (levels * _LEAST_SHARE < usual) & (levels > _DARK)
    _require_three(lit)
    used = [k for k, shines in enumerate(lit) if shines]
    shares = levels[used] / levels[used].mean()
    first = _scaled_mean([frames[k] for k in used], shares, sigma, rounds)
    used = [k for k in used if _change(frames[k], first, inside) < _MOST_CHANGE]
    _require_three(np.isin(np.arange(len(frames)), used))
    kept = [frames[k] for k in used]
    ratios = np.array([_ratio(f, first, inside) for f in kept])
    ratios /= ratios.mean()
    relative = np.full(len(frames), np.nan)
    relative[used] = ratios
    left_out = tuple(int(i) for i in np.flatnonzero(~np.isfinite(relative)))
    return FlatStack(_scaled_mean(kept, ratios, sigma, rounds), relative, left_out)


def _require_three(usable: np.ndarray) -> None:
    if usable.sum() < 3:
        raise DataError(
            "the flats show no light along the order centres"
            if not usable.any()
            else f"only {usable.sum()} of {len(usable)} flats show the same light",
            hint="check the lamp and the slit of the raw frames, or leave some out of the SOF",
        )


def _ratio(frame: Frame, mean: Frame, inside: np.ndarray) -> float:
    both = inside & frame.good & mean.good
    return float(np.sum(frame.data[both], dtype="f8") / np.sum(mean.data[both], dtype="f8"))


def _change(frame: Frame, mean: Frame, inside: np.ndarray) -> float:
    """Scatter of the ratio of an exposure to the mean over squares of the frame, relative."""
    both = inside & frame.good & mean.good
    light, usual = (_in_squares(np.where(both, f.data, 0.0)) for f in (frame, mean))
    bright = usual > _LEAST_LIGHT
    if bright.sum() < 2:
        return 0.0
    ratio = light[bright] / usual[bright]
    return float(np.std(ratio) / max(np.mean(ratio), 1e-9))


def _in_squares(image: np.ndarray) -> np.ndarray:
    rows, columns = (np.arange(0, n, _SQUARE) for n in image.shape)
    total = np.add.reduceat(np.add.reduceat(image, rows, axis=0, dtype="f8"), columns, axis=1)
    return np.asarray(total)


def _scaled_mean(frames: Sequence[Frame], factors: np.ndarray, sigma: float, rounds: int) -> Frame:
    scaled = [replace(f, data=f.data / np.float32(k)) for f, k in zip(frames, factors, strict=True)]
    return clipped_mean(scaled, sigma=sigma, rounds=rounds, photon_noise=True)
