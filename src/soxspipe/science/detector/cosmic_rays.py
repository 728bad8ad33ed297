"""Cosmic rays: what is sharper than any light that came through telescope and spectrograph.

A model of sky and object is never perfect, and light that no model knows is on the detector too: lines
of a host galaxy, a second star. A pixel is a hit if it stands out of the model *and* out of what its
neighbours allow: light is blurred along dispersion by the line spread, along the slit by the seeing, and
a hit is not.
"""

from dataclasses import astuple, dataclass

import numpy as np
from scipy.special import erf

from soxspipe.datamodel.frame import UNUSABLE, Frame, PixelFlag
from soxspipe.datamodel.order_pixels import OrderPixels
from soxspipe.science.detector import cosmic_laplacian, cosmic_loops
from soxspipe.science.detector.cosmic_expected import against_profile, along_slit

_WIDTH = 2.0 * np.sqrt(2.0 * np.log(2.0))

#: Least FWHM of light along dispersion, px: below what the optics of either arm deliver.
LEAST_BLUR = 1.6


#: Variance of what is not known at all; float32 holds it.
_MOST = 1e30


@dataclass(frozen=True, eq=False)
class Excess:
    """What a frame leaves over a model of sky and object; images (ny, nx), electrons.

    value     data minus model; NaN where nothing is known. variance: expected, model's own included
    star      light of the object in the model. step: by how much it differs from that of the next
              wavelengths. sky: light of the sky in the model
    """

    value: np.ndarray
    variance: np.ndarray
    star: np.ndarray
    step: np.ndarray
    sky: np.ndarray

    @classmethod
    def nothing(cls, shape: tuple[int, int]) -> "Excess":
        """Images to be filled: no value anywhere."""
        zero = [np.zeros(shape, dtype="f4") for _ in range(4)]
        return cls(np.full(shape, np.nan, dtype="f4"), *zero)

    def put_order(
        self,
        pixels: OrderPixels,
        *,
        light: np.ndarray,
        sky: np.ndarray,
        variance: np.ndarray,
        good: np.ndarray,
        share: np.ndarray,
        blur: float = LEAST_BLUR,
    ) -> None:
        """Fill in the pixels of one order, arrays (n,).

        light : electrons without sky. sky : its model. variance : expected, of sky and object. good :
        bool, usable. share : part of the object's light of a native bin in the pixel. blur : least
        FWHM along dispersion, px.
        """
        offset = pixels.bin - pixels.first - pixels.nearest
        star, error, step = against_profile(
            pixels.nearest, offset, share, light, variance, good, beside=sharpest(blur)[0]
        )
        good = good & np.isfinite(star)
        star = np.where(good, star, 0.0)
        level, wide = along_slit(pixels.nearest, light - star, variance + error, good)
        for image, values in (
            (self.value, np.where(good, light - star - level, np.nan)),
            (self.variance, np.minimum((variance + error) * wide, _MOST)),
            (self.star, star),
            (self.step, step),
            (self.sky, sky),
        ):
            image.ravel()[pixels.index] = values

    def __neg__(self) -> "Excess":
        """Hits of the other exposure of a difference."""
        return Excess(-self.value, self.variance, self.star, self.step, self.sky)


@dataclass(frozen=True)
class Limits:
    """When a pixel is a hit.

    sigma     it stands so far out of the model
    sharp     and so far out of what its neighbours allow
    grow      pixels that touch a hit need to stand out this far only
    star, sky share by which the model of the object (of the sky) may be off where that is alike for
              neighbours, star_step, sky_step: where it is not. The error of a profile is alike along
              dispersion, that of a sky line along the slit. edge: share by which the sky may be off
              within two pixels of the slit's ends, whose light changes from row to row. change: share of
              the step to the next wavelengths by which the object may be off, change_step: the same,
              where neighbours are compared
    """

    sigma: float = 5.0
    sharp: float = 3.0
    grow: float = 3.0
    star: float = 0.02
    sky: float = 0.02
    star_step: float = 0.15
    sky_step: float = 0.05
    edge: float = 0.3
    change: float = 0.1
    change_step: float = 0.3


def sharpest(fwhm: float) -> tuple[float, float]:
    """Least share of light beside one pixel, and beside two, over that in it: a Gaussian of `fwhm` px
    (before it is summed over pixels) that is centred there.
    """
    scale = 1.0 / (np.sqrt(2.0) * fwhm / _WIDTH)
    half, one, three = (float(erf(x * scale)) for x in (0.5, 1.0, 1.5))
    two = float(erf(2.0 * scale))
    return 0.5 * (three - half) / half, (two - one) / one


def find(
    excess: Excess,
    *,
    dispersion_axis: str,
    blur: tuple[float, float],
    limits: Limits = Limits(),
) -> np.ndarray:
    """(ny, nx) bool: pixels hit by cosmic rays.

    Whatever light there is, a pixel holds at most its neighbours' mean over `sharpest` of the blur. What
    exceeds that by `limits.sharp` of its noise, along dispersion or along the slit, and the model by
    `limits.sigma`, is a hit. From there hits grow to touching pixels, also diagonally, unless these look
    like light. No assumption is made of where lines are, how wide, or along how much of the slit.

    Parameters
    ----------
    dispersion_axis : "x" or "y". blur : least FWHM that light can have along
    dispersion and along the slit, px; too small is safe but sees fewer hits.
    """
    along, across = sharpest(blur[0]), sharpest(blur[1])
    images = [
        np.ascontiguousarray(a, dtype="f4")
        for a in (excess.value, excess.variance, excess.star, excess.step, excess.sky)
    ]
    row_wise = dispersion_axis == "x"
    return np.asarray(cosmic_loops.hits(*images, row_wise, (*along, *across), astuple(limits)))


def lacosmic(
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
    bad = (frame.flags & UNUSABLE) != 0
    # in units of the noise: a noise image given as such is median-filtered, which understates it on
    # lines two pixels wide
    noise = np.sqrt(np.maximum(variance, 1e-3))
    rest = np.where(bad, 0.0, (frame.data - model) / noise).astype("f4")
    mask = cosmic_laplacian.hits(rest, bad, sigma=sigma, rounds=rounds)
    return frame.flagged(mask, PixelFlag.COSMIC_RAY)
