"""Master frames without the noise that they would hand on.

A master of five exposures adds a fifth of the read-out variance to every frame it is taken off. Most of
what its pixels differ by is that noise; what is pattern is known from the frame itself: a smooth level,
columns, rows, and a scatter of pixels larger than noise alone. Each pixel is drawn to what is expected of
it by the ratio of noise to pattern (Wiener); pixels that stand out keep what was measured.
"""

from dataclasses import replace

import numpy as np
from numba import njit

from soxspipe.datamodel.frame import Frame
from soxspipe.maths.blocks import smooth_level
from soxspipe.maths.robust import mad_sigma

#: Side of the blocks, pixels, whose medians are the smooth level.
_BLOCK = 64
#: Width, in units of the noise, of what pixels that are unlike the others differ by.
_BROAD = 10.0
#: Significance from which a pixel counts as unlike the others when their share is estimated.
_UNLIKE = 4.5
#: Rounds in which columns and rows are told apart.
_ROUNDS = 2


def quieter(master: Frame) -> Frame:
    """The master with its noise reduced as far as its pattern allows; variance is what is left.

    master : bias or dark (ny, nx), variance that of the mean. Flagged pixels stay as they are.
    """
    noise = np.sqrt(np.maximum(master.variance, 1e-12))
    expected = smooth_level(master.data, _BLOCK).astype("f8")
    for _ in range(_ROUNDS):
        for axis in (0, 1):
            rest = master.data - expected
            usual = master.good & (np.abs(rest) < _UNLIKE * noise)
            expected += _lines(rest, master.variance, usual, axis)
    rest = master.data - expected
    if not master.good.any():
        return master
    pull = rest / noise
    pattern = max(mad_sigma(pull[master.good]) ** 2 - 1.0, 0.0)
    keep = _kept(pull, pattern, float((np.abs(pull[master.good]) > _UNLIKE).mean()))
    keep = np.where(master.good, keep, 1.0)
    return replace(
        master, data=expected + keep * rest, variance=np.maximum(keep, 1e-3) * master.variance
    )


def _lines(rest: np.ndarray, variance: np.ndarray, usual: np.ndarray, axis: int) -> np.ndarray:
    """Pattern of columns (axis 0) or rows (axis 1), to be added to the image: means of usual pixels,
    drawn to 0 by the ratio of their noise to their scatter.
    """
    count = np.maximum(usual.sum(axis=axis, keepdims=True), 1)
    mean = np.where(usual, rest, 0.0).sum(axis=axis, keepdims=True, dtype="f8") / count
    noise = np.where(usual, variance, 0.0).sum(axis=axis, keepdims=True, dtype="f8") / count**2
    scatter = max(float(np.mean(mean**2 - noise)), 0.0)
    return np.asarray(mean * scatter / np.maximum(scatter + noise, 1e-30))


def _kept(pull: np.ndarray, pattern: float, unlike: float) -> np.ndarray:
    """Share of a pixel's departure that is kept: the expectation over two kinds of pixels, those of the
    common pattern (variance `pattern` in units of the noise) and, rarely, those unlike the others.
    """
    out = np.empty(pull.shape)
    _shares(np.ascontiguousarray(pull).ravel(), pattern, max(unlike, 1e-6), out.ravel())
    return out


@njit(cache=True)
def _shares(pull, pattern, unlike, out):  # type: ignore[no-untyped-def]
    common = pattern / (pattern + 1.0)
    for i in range(len(pull)):
        square = float(pull[i]) ** 2
        # odds of the common kind over the odd one; far out both are too small to be divided
        power = 0.5 * square * (1.0 / _BROAD**2 - 1.0 / (pattern + 1.0))
        ratio = (1.0 - unlike) / unlike * _BROAD / np.sqrt(pattern + 1.0)
        odd = 1.0 / (1.0 + ratio * np.exp(min(power, 300.0)))
        out[i] = common + (1.0 - common) * odd
