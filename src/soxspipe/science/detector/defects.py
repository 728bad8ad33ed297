"""Pixels that are not to be trusted: hot, deviating, hit by cosmic rays."""

import numpy as np
from scipy import ndimage

from soxspipe.datamodel.frame import UNUSABLE, Frame, PixelFlag
from soxspipe.maths.robust import clipped, mad_sigma, median_around

#: A single deviating pixel in four million is no news below this significance.
LEAST_SIGNIFICANCE = 5.0


def deviating(frame: Frame, *, sigma: float, rounds: int, flag: PixelFlag) -> Frame:
    """Flag pixels that stand out of the whole frame *and* out of their own noise.

    A pixel must be `sigma` MAD scales from the frame's median (clipped over `rounds` rounds) and
    LEAST_SIGNIFICANCE of its own noise from its surroundings: the first alone flags the tail of the
    noise, the second alone flags gradients.
    """
    if rounds == 0:
        return frame
    keep = clipped(frame.data.ravel(), sigma=sigma, rounds=rounds)
    usable = frame.data.ravel()[keep]
    away = np.abs(frame.data - np.median(usable)) > sigma * mad_sigma(usable)
    rows, columns = np.nonzero(away)
    level = median_around(frame.data, frame.flags == 0, rows, columns, (2, 2))
    noise = np.sqrt(np.maximum(frame.variance[rows, columns], 1e-6))
    excess = np.abs(frame.data[rows, columns] - level)
    found = np.zeros(frame.shape, dtype=bool)
    found[rows, columns] = excess > max(sigma, LEAST_SIGNIFICANCE) * noise
    return frame.flagged(found, flag)


def cosmic_rays(
    frame: Frame, model: np.ndarray, variance: np.ndarray, *, sigma: float, rounds: int = 1
) -> Frame:
    """Flag cosmic rays by L.A.Cosmic (van Dokkum 2001, PASP 113, 1420; astroscrappy) on what a model
    of sky and object leaves.

    With sky lines and object gone and the true variance given, sharp lines and traces are not taken for
    hits.

    Parameters
    ----------
    model : (ny, nx) electrons of sky and object. variance : (ny, nx) expected noise of the frame.
    sigma : Laplacian significance of a hit.
    """
    from astroscrappy import detect_cosmics  # compiled, slow to import, needed by few recipes

    bad = (frame.flags & UNUSABLE) != 0
    # in units of the noise: a noise image given as such is median-filtered, which understates it on
    # lines two pixels wide
    noise = np.sqrt(np.maximum(variance, 1e-3))
    rest = np.where(bad, 0.0, (frame.data - model) / noise).astype("f4")
    mask, _ = detect_cosmics(
        rest,
        inmask=bad,
        invar=np.ones_like(rest),
        sigclip=sigma,
        sigfrac=0.3,
        objlim=2.0,
        gain=1.0,
        readnoise=1.0,
        satlevel=np.inf,
        niter=rounds,
        sepmed=True,
        cleantype="medmask",
    )
    return frame.flagged(mask, PixelFlag.COSMIC_RAY)


def stands_out(excess: np.ndarray, *, sigma: float) -> np.ndarray:
    """(ny, nx) bool: pixels `sigma` above a model, with touching ones above half of that.

    excess : (ny, nx) data minus model over noise, 0 where nothing is known.
    """
    core = excess > sigma
    if not core.any():
        return core
    touching = ndimage.binary_dilation(core, structure=np.ones((3, 3), dtype=bool))
    return np.asarray(core | (touching & (excess > 0.5 * sigma)))
