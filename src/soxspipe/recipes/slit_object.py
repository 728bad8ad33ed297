"""Flag what neither sky nor objects explain; objects are modelled in `slit_models`."""

from dataclasses import replace

import numpy as np

from soxspipe.datamodel.frame import PixelFlag
from soxspipe.recipes.slit_frame import SlitFrame
from soxspipe.recipes.slit_models import model_sources
from soxspipe.recipes.slit_orders import Orders
from soxspipe.recipes.slit_sources import Sources
from soxspipe.science.detector import defects

__all__ = ["USUAL_SEEING", "model_sources", "reject_cosmics"]

#: FWHM assumed where neither object nor header tell, arcsec.
USUAL_SEEING = 1.0


def reject_cosmics(
    ready: SlitFrame,
    orders: Orders,
    sources: Sources,
    *,
    sigma: float | None,
    clip: float,
    both_signs: bool = False,
) -> tuple[SlitFrame, Orders]:
    """Flag cosmic rays against sky and objects.

    sigma : L.A.Cosmic limit, None to leave it out. clip : pixels this many sigma above the model, with
    the profile's own error allowed for, are flagged as well. both_signs : hits below the model, too, as
    in difference frames.
    """
    frame = ready.frame
    updated = {
        n: replace(
            o,
            variance=o.expected_variance(ready, np.maximum(o.sky, 0.0) + sources.brightness(n)),
        )
        for n, o in orders.items()
    }
    total, variance = np.zeros(frame.shape), np.array(frame.variance, dtype="f8")
    excess = np.zeros(frame.shape, dtype="f4")
    for n, o in updated.items():
        light, bright = sources.light(n), sources.brightness(n)
        total.ravel()[o.pixels.index] = o.sky + light
        variance.ravel()[o.pixels.index] = o.variance + (0.1 * bright) ** 2
        noise = np.sqrt(o.variance + (0.15 * bright) ** 2 + (0.05 * o.sky) ** 2)
        excess.ravel()[o.pixels.index] = np.where(o.good, (o.light - light) / noise, 0.0)
    for sign in (1.0, -1.0) if both_signs else (1.0,):
        if sigma is not None:
            turned = replace(frame, data=sign * frame.data)
            found = defects.cosmic_rays(turned, sign * total, variance, sigma=sigma)
            frame = replace(frame, flags=found.flags)
        hit = defects.stands_out(sign * excess, sigma=clip)
        frame = frame.flagged(hit, PixelFlag.COSMIC_RAY)
    flags = frame.flags.ravel()
    return (
        replace(ready, frame=frame),
        {n: replace(o, flags=flags[o.pixels.index]) for n, o in updated.items()},
    )
