"""nod, nod_std: the object moves along the slit; exposures at A and B are subtracted from each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from soxspipe.instrument.arms import Arm
from soxspipe.instrument.headers import FrameKind
from soxspipe.recipes import pairs, slit_differences, slit_metrics, slit_products, slit_steps
from soxspipe.recipes.places import Shot
from soxspipe.recipes.recipe import Raw, RawFrame, Result, recipe
from soxspipe.recipes.standard_limits import limited
from soxspipe.settings import NodSettings, NodStdSettings

_TECH = "ECHELLE,SLIT,NODDING"
_NAMES = ("A", "B")
_PRODUCTS = (
    *slit_products.difference_images(
        _TECH, ("DIFFERENCE_AB", "_AB_{n}.fits"), ("DIFFERENCE_BA", "_BA_{n}.fits")
    ),
    *slit_products.spectra(_TECH),
    *slit_products.two_dimensional(_TECH)[1:],
    *slit_products.single_extractions(_TECH),
)
STD_METRICS = limited(slit_metrics.METRICS)


@dataclass(frozen=True)
class Inputs(slit_steps.DifferenceInputs):
    """What nod takes."""

    target: Annotated[tuple[RawFrame, ...], Raw((FrameKind.SCIENCE_NODDING,))]


@dataclass(frozen=True)
class StandardInputs(slit_steps.DifferenceInputs):
    """What nod_std takes."""

    target: Annotated[
        tuple[RawFrame, ...],
        Raw((FrameKind.FLUX_STANDARD_NODDING, FrameKind.TELLURIC_STANDARD_NODDING)),
    ]


@recipe(
    "nod_std",
    folder="soxs-nod-std",
    title="Standard star in nodding mode",
    inputs=StandardInputs,
    settings=NodStdSettings,
    products=_PRODUCTS,
    plots=slit_products.DIFFERENCE_PLOTS,
    metrics=STD_METRICS,
    type_codes={
        FrameKind.FLUX_STANDARD_NODDING: "NOD_STD_FLUX",
        FrameKind.TELLURIC_STANDARD_NODDING: "NOD_STD_TELL",
    },
)
def nod_std(inputs: StandardInputs, settings: NodStdSettings, arm: Arm) -> Result:
    """Extract a standard star."""
    return slit_differences.reduce(
        inputs,
        inputs.target,
        _pairing(inputs.target),
        settings,
        arm,
        names=_NAMES,
        twins=True,
        metrics=STD_METRICS,
    )


@recipe(
    "nod",
    folder="soxs-nod",
    title="Science in nodding mode",
    inputs=Inputs,
    settings=NodSettings,
    products=_PRODUCTS,
    plots=slit_products.DIFFERENCE_PLOTS,
    metrics=slit_metrics.METRICS,
    type_codes={FrameKind.SCIENCE_NODDING: "NOD_OBJ"},
)
def nod(inputs: Inputs, settings: NodSettings, arm: Arm) -> Result:
    """Extract a science target."""
    return slit_differences.reduce(
        inputs,
        inputs.target,
        _pairing(inputs.target),
        settings,
        arm,
        names=_NAMES,
        twins=True,
        metrics=slit_metrics.METRICS,
    )


def _pairing(frames: Sequence[RawFrame]) -> slit_differences.Pair:
    info = frames[0].info
    jitter = float(np.nan_to_num(info.jitter_width))

    def pair(shots: Sequence[Shot]) -> pairs.Pairing:
        return pairs.nodding(shots, throw=info.nod_throw, jitter=jitter)

    return pair
