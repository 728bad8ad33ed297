"""mdark: combine dark frames of one exposure time into a master dark; find hot pixels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np

from soxspipe.datamodel.frame import Frame, PixelFlag
from soxspipe.datamodel.metric import Metric
from soxspipe.instrument.arms import Arm
from soxspipe.instrument.headers import FrameKind
from soxspipe.maths.blocks import smooth_level
from soxspipe.qc import plot_detector
from soxspipe.recipes import stacks
from soxspipe.recipes.quality import TEMPERATURES, judged
from soxspipe.recipes.recipe import (
    Calibration,
    Plot,
    Product,
    Raw,
    RawFrame,
    Result,
    recipe,
)
from soxspipe.science.detector import combine, defects
from soxspipe.settings import MdarkSettings

#: Side of the blocks, pixels, over which dark current and glow are smooth.
_SMOOTH = 32


@dataclass(frozen=True)
class Inputs:
    """What mdark takes. The bias is taken off CCD darks; without it the master dark holds it."""

    dark: Annotated[tuple[RawFrame, ...], Raw((FrameKind.DARK,), least=stacks.LEAST)]
    bias: Annotated[
        Frame | None, Calibration("MASTER_BIAS", "mbias", arms=("VIS",), required=False)
    ] = None
    masters: Annotated[
        tuple[Frame, ...],
        Calibration("MASTER_DARK", "mdark", required=False, by_hand=("VIS", "NIR")),
    ] = ()


METRICS = (
    Metric("HOTPIX FRAC", "", "fraction of hot pixels"),
    Metric("HOTPIX NUM", "px", "number of hot pixels"),
    Metric("MDARK MEDIAN", "e-", "median of the master dark", {"VIS": (-15, 50), "NIR": (-15, 50)}),
    Metric("RAW RON", "e-", "read noise of one raw dark", {"VIS": (0, 30), "NIR": (0, 30)}),
    *TEMPERATURES,
)


@recipe(
    "mdark",
    folder="soxs-mdark",
    title="Master dark",
    inputs=Inputs,
    settings=MdarkSettings,
    products=(Product("MDARK", ".fits", "MASTER_DARK", "IMAGE", "master dark"),),
    plots=(Plot("MDARK_PLOT", ".pdf", "master dark and its collapsed profiles"),),
    metrics=METRICS,
    type_codes={FrameKind.DARK: "MDARK"},
)
def mdark(inputs: Inputs, settings: MdarkSettings, arm: Arm) -> Result:
    """Combine dark exposures of one time, rejecting cosmic rays, and flag hot pixels.

    Master darks given along with the exposures, or in their place, are combined with them, weighted by
    the inverse of their variances.
    """
    stack, seen = None, None
    masters = stacks.independent(inputs.masters)
    if inputs.dark:
        seen = stacks.exposures(inputs.dark, arm, bias=inputs.bias)
        stack = _stacked(seen.frames, inputs.bias, settings, arm)
    master = defects.deviating(
        stacks.with_masters(stack, masters),
        sigma=settings.frame_clipping_sigma,
        rounds=settings.frame_clipping_iterations,
        flag=PixelFlag.HOT,
    )
    hot = int(np.count_nonzero(master.flags & PixelFlag.HOT))
    values = {
        "HOTPIX FRAC": hot / master.data.size,
        "HOTPIX NUM": hot,
        "MDARK MEDIAN": float(np.median(master.data)),
        "RAW RON": seen.read_noise if seen else stacks.read_noise_of(masters),
        **stacks.mean_temperatures(inputs.dark, masters),
    }
    return Result(
        products={"MDARK": master},
        measurements=judged(METRICS, values, settings, arm),
        figures={"MDARK_PLOT": lambda: plot_detector.master(master, arm, "Master dark")},
        headers={"MDARK": stacks.combined_cards(seen, masters)},
    )


def _stacked(
    frames: Sequence[Frame], bias: Frame | None, settings: MdarkSettings, arm: Arm
) -> Frame:
    """Clipped mean; the electrons of the dark, not those of a pedestal, make photon noise."""
    total = frames[0].data.copy()
    for frame in frames[1:]:
        total += frame.data
    light = smooth_level(total / np.float32(len(frames)), _SMOOTH)
    pedestal = np.float32(0.0)
    if bias is None and arm.name == "VIS":
        pedestal = np.float32(np.median(light))
    stack = combine.clipped_mean(
        [replace(f, data=f.data - pedestal) for f in frames] if pedestal else frames,
        sigma=settings.stacked_clipping_sigma,
        rounds=settings.stacked_clipping_iterations,
        photon_noise=True,
        light=light - pedestal,
    )
    stack = replace(stack, data=stack.data + pedestal) if pedestal else stack
    if bias is None:
        return stack
    return replace(stack, variance=stack.variance + bias.variance, flags=stack.flags | bias.flags)
