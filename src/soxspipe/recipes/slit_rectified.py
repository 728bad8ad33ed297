"""Two-dimensional spectra of an object recipe: the light of all images of the target, rectified."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from soxspipe.datamodel.rectified import RectifiedSpectrum
from soxspipe.instrument.arms import Arm
from soxspipe.recipes import rectified_steps
from soxspipe.recipes.rectified_steps import Straightened
from soxspipe.recipes.slit_merge import Image
from soxspipe.science.extraction.rectify import Values


def rectified(
    images: Sequence[Image], lamp: Mapping[int, np.ndarray], settings: Any, arm: Arm
) -> tuple[list[Straightened], RectifiedSpectrum]:
    """Images of the orders for every image of the target, and all of them as one.

    The target of each image comes to the slit position it has in the first.
    """
    first = images[0]
    pixels = {n: o.pixels for n, o in first.view.orders.items()}
    along = settings.rectified_step_slit or rectified_steps.slit_step(pixels)
    step = settings.rectified_step_wavelength or settings.merged_step or arm.merged_step
    place = _place(first)
    made = [
        rectified_steps.straightened(
            pixels,
            _values(image),
            arm,
            step=step,
            along_slit=along,
            slit_offset=0.0 if image is first else place - _place(image),
        )
        for image in images
    ]
    return made, rectified_steps.joined(made, lamp)


def _place(image: Image) -> float:
    """Slit position of the target, arcsec, in the middle of the arm."""
    trace = image.source.trace
    return float(trace.at(np.array([np.mean(trace.domain)]))[0])


def _values(image: Image) -> dict[int, Values]:
    """What the pixels hold when the target is a positive image: all objects, no sky."""
    found = {}
    for n, order in image.view.orders.items():
        values = Values(
            image.source.sign * order.light,
            order.variance,
            order.flags,
            image.view.sky[n],
            np.sqrt(np.maximum(order.sky_variance, 0.0)),
        )
        found[n] = rectified_steps.stretched(order.pixels, values)
    return found
