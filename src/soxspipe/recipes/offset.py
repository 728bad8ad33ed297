"""offset, offset_std: target and sky in different exposures, subtracted from each other; maps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from soxspipe.instrument.arms import Arm
from soxspipe.instrument.headers import FrameKind
from soxspipe.recipes import (
    map_places,
    pairs,
    slit_differences,
    slit_maps,
    slit_metrics,
    slit_products,
    slit_steps,
)
from soxspipe.recipes.places import Shot
from soxspipe.recipes.recipe import Raw, RawFrame, Result, recipe
from soxspipe.settings import OffsetSettings, OffsetStdSettings

_TECH = "ECHELLE,SLIT,OFFSET"
_NAMES = ("ON", "OFF")
_PRODUCTS = (
    *slit_products.difference_images(_TECH, ("DIFFERENCE_ONOFF", "_ONOFF_{n}.fits")),
    *slit_products.spectra(_TECH),
    *slit_products.two_dimensional(_TECH)[1:],
    *slit_products.single_extractions(_TECH),
    *slit_maps.PRODUCTS,
)
_PLOTS = (*slit_products.DIFFERENCE_PLOTS, *slit_maps.PLOTS)


@dataclass(frozen=True)
class Inputs(slit_steps.DifferenceInputs):
    """What offset takes."""

    target: Annotated[tuple[RawFrame, ...], Raw((FrameKind.SCIENCE_OFFSET,))]


@dataclass(frozen=True)
class StandardInputs(slit_steps.DifferenceInputs):
    """What offset_std takes."""

    target: Annotated[
        tuple[RawFrame, ...],
        Raw((FrameKind.FLUX_STANDARD_OFFSET, FrameKind.TELLURIC_STANDARD_OFFSET)),
    ]


@recipe(
    "offset_std",
    folder="soxs-offset-std",
    title="Standard star in offset mode",
    inputs=StandardInputs,
    settings=OffsetStdSettings,
    products=_PRODUCTS,
    plots=_PLOTS,
    metrics=slit_metrics.METRICS,
    type_codes={
        FrameKind.FLUX_STANDARD_OFFSET: "OFFSET_STD_FLUX",
        FrameKind.TELLURIC_STANDARD_OFFSET: "OFFSET_STD_TELL",
    },
)
def offset_std(inputs: StandardInputs, settings: OffsetStdSettings, arm: Arm) -> Result:
    """Extract a standard star.

    Exposures that map an area are reduced position by position, as `offset` tells.
    """
    return _reduce(inputs, inputs.target, settings, arm)


@recipe(
    "offset",
    folder="soxs-offset",
    title="Science in offset mode",
    inputs=Inputs,
    settings=OffsetSettings,
    products=_PRODUCTS,
    plots=_PLOTS,
    metrics=slit_metrics.METRICS,
    type_codes={FrameKind.SCIENCE_OFFSET: "OFFSET_OBJ"},
)
def offset(inputs: Inputs, settings: OffsetSettings, arm: Arm) -> Result:
    """Extract a science target.

    Exposures that map an area give spectra of every position, a table of the positions, and a cube where
    they tile the sky.
    """
    return _reduce(inputs, inputs.target, settings, arm)


def _reduce(
    inputs: slit_steps.DifferenceInputs,
    frames: tuple[RawFrame, ...],
    settings: OffsetSettings | OffsetStdSettings,
    arm: Arm,
) -> Result:
    infos = [raw.info for raw in frames]
    shots = map_places.map_shots(infos)
    if map_places.is_wanted(infos, shots):
        return slit_maps.reduce(inputs, frames, shots, settings, arm, metrics=slit_metrics.METRICS)
    jitter = float(np.nan_to_num(frames[0].info.jitter_width))

    def pair(shots: Sequence[Shot]) -> pairs.Pairing:
        return pairs.offset(shots, jitter=jitter)

    return slit_differences.reduce(
        inputs,
        frames,
        pair,
        settings,
        arm,
        names=_NAMES,
        twins=False,
        metrics=slit_metrics.METRICS,
    )
