"""Cosmic rays in one frame, against the model of sky and objects."""

from dataclasses import replace

import numpy as np
from scipy import ndimage

from soxspipe.datamodel.frame import Frame, PixelFlag
from soxspipe.instrument.arms import Arm
from soxspipe.recipes.slit_frame import SlitFrame
from soxspipe.recipes.slit_orders import Orders
from soxspipe.recipes.slit_sources import Source, Sources
from soxspipe.science.detector import cosmic_rays

#: Share of the object's or the header's FWHM below which no light along the slit can be: seeing wanders.
_STEADY = 0.7
#: Least FWHM along the slit, pixels.
_LEAST = 1.4


def reject(
    ready: SlitFrame,
    orders: Orders,
    sources: Sources,
    arm: Arm,
    *,
    seeing: float,
    lacosmic: float | None,
    both_signs: bool = False,
) -> tuple[SlitFrame, Orders]:
    """Flag cosmic rays: what neither sky nor objects explain, and what is sharper than light can be.

    seeing : FWHM to expect, arcsec. lacosmic : limit of L.A.Cosmic, which adds pixels between orders and
    those that touch a hit; None leaves it out. both_signs : hits below the model, too, as in difference
    frames.
    """
    updated = {
        n: replace(
            o,
            variance=o.expected_variance(ready, np.maximum(o.sky, 0.0) + sources.brightness(n)),
        )
        for n, o in orders.items()
    }
    frame = ready.frame
    for sign in (1.0, -1.0) if both_signs else (1.0,):
        hit = _hits(frame, updated, sources, arm, sign, _blur(updated, sources, seeing))
        if lacosmic is not None:
            hit |= _by_laplacian(frame, updated, sources, sign, lacosmic, hit)
        frame = frame.flagged(hit, PixelFlag.COSMIC_RAY)
    flags = frame.flags.ravel()
    return (
        replace(ready, frame=frame),
        {n: replace(o, flags=flags[o.pixels.index]) for n, o in updated.items()},
    )


def _blur(orders: Orders, sources: Sources, seeing: float) -> tuple[float, float]:
    """Least FWHM of light along dispersion and along the slit, pixels."""
    widths = [s.fwhm for s in sources.each if s.found is not None and np.isfinite(s.fwhm)]
    scale = float(np.median([np.median(o.pixels.area) for o in orders.values()]))
    least = min([seeing, *widths])
    return cosmic_rays.LEAST_BLUR, max(_STEADY * least / scale, _LEAST)


def _judge(sources: Sources, sign: float) -> Source:
    """The brightest image of that sign: what lines of light look like along the slit."""
    return next((s for s in sources.each if s.sign == sign), sources.target)


def _hits(
    frame: Frame,
    orders: Orders,
    sources: Sources,
    arm: Arm,
    sign: float,
    blur: tuple[float, float],
) -> np.ndarray:
    """(ny, nx) bool: hits of the exposure that has this sign in the frame."""
    excess = cosmic_rays.Excess.nothing(frame.shape)
    judge = _judge(sources, sign)
    for n, o in orders.items():
        excess.put_order(
            o.pixels,
            light=sign * (o.light - sources.light(n, but=judge)),
            sky=np.abs(o.sky),
            variance=o.variance,
            good=o.good,
            share=judge.share[n],
        )
    return cosmic_rays.find(excess, dispersion_axis=arm.dispersion_axis, blur=blur)


def _by_laplacian(
    frame: Frame, orders: Orders, sources: Sources, sign: float, sigma: float, hit: np.ndarray
) -> np.ndarray:
    """(ny, nx) bool: what L.A.Cosmic finds between the orders or beside a hit.

    Inside orders it takes sharp light whose model is not perfect for hits, so it does not judge alone.
    """
    model, variance = np.zeros(frame.shape), np.array(frame.variance, dtype="f8")
    outside = np.ones(frame.shape, dtype=bool)
    for n, o in orders.items():
        index = o.pixels.index
        model.ravel()[index] = sign * (o.sky + sources.light(n))
        variance.ravel()[index] = o.variance + (0.1 * sources.brightness(n)) ** 2
        outside.ravel()[index] = False
    turned = replace(frame, data=sign * frame.data)
    found = cosmic_rays.lacosmic(turned, model, variance, sigma=sigma).flags & ~frame.flags
    seen = (found & np.uint16(PixelFlag.COSMIC_RAY)) != 0
    beside = ndimage.binary_dilation(hit, structure=np.ones((3, 3), dtype=bool))
    return np.asarray(seen & (outside | beside))
