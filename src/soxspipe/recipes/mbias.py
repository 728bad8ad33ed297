"""mbias: combine bias frames into a master bias."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from soxspipe.datamodel.frame import Frame, PixelFlag
from soxspipe.datamodel.metric import Metric
from soxspipe.instrument.arms import Arm
from soxspipe.instrument.headers import FrameKind
from soxspipe.qc import plot_detector
from soxspipe.recipes import stacks
from soxspipe.recipes.quality import DETECTOR_TEMPERATURE_VIS, judged, temperature_metrics
from soxspipe.recipes.recipe import (
    Calibration,
    Plot,
    Product,
    Raw,
    RawFrame,
    Result,
    recipe,
)
from soxspipe.science.detector import combine, defects, monitor
from soxspipe.settings import MbiasSettings


@dataclass(frozen=True)
class Inputs:
    """What mbias takes."""

    bias: Annotated[tuple[RawFrame, ...], Raw((FrameKind.BIAS,), least=stacks.LEAST)]
    masters: Annotated[
        tuple[Frame, ...],
        Calibration("MASTER_BIAS", "mbias", required=False, by_hand=("VIS", "NIR")),
    ] = ()


METRICS = (
    Metric("BADPIX FRAC", "", "fraction of bad pixels"),
    Metric("BADPIX NUM", "px", "number of bad pixels"),
    Metric("MBIAS MEDIAN", "e-", "median of the master bias", {"VIS": (0, 2000), "NIR": (0, 2000)}),
    Metric("RAW RON", "e-", "read noise of one raw bias", {"VIS": (0, 15), "NIR": (0, 15)}),
    Metric("MASTER RON", "e-", "noise of the master bias", {"VIS": (0, 10), "NIR": (0, 10)}),
    Metric(
        "FPN FRACMAX",
        "",
        "largest periodic-pattern ratio over the raw frames; 1 for white noise",
        {"VIS": (0, 3), "NIR": (0, 3)},
    ),
    Metric(
        "STRUCTX",
        "e-/kpx",
        "slope of the bias along x, per 1000 unbinned pixels",
        {"VIS": (-3, 1), "NIR": (-3, 1)},
    ),
    Metric(
        "STRUCTY",
        "e-/kpx",
        "slope along y, per 1000 unbinned pixels",
        {"VIS": (-0.01, 0.6), "NIR": (-0.01, 0.6)},
    ),
    # the documented range holds for both arms
    *temperature_metrics(nir=DETECTOR_TEMPERATURE_VIS),
)


@recipe(
    "mbias",
    folder="soxs-mbias",
    title="Master bias",
    inputs=Inputs,
    settings=MbiasSettings,
    products=(Product("MBIAS", ".fits", "MASTER_BIAS", "IMAGE", "master bias"),),
    plots=(Plot("MBIAS_PLOT", ".pdf", "master bias and its collapsed profiles"),),
    metrics=METRICS,
    type_codes={FrameKind.BIAS: "MBIAS"},
)
def mbias(inputs: Inputs, settings: MbiasSettings, arm: Arm) -> Result:
    """Combine bias exposures, rejecting cosmic rays, and flag deviating pixels.

    Master biases given along with the exposures, or in their place, are combined with them, weighted by
    the inverse of their variances.
    """
    stack, seen = None, None
    masters = stacks.independent(inputs.masters)
    if inputs.bias:
        seen = stacks.exposures(inputs.bias, arm)
        stack = combine.clipped_mean(
            seen.frames,
            sigma=settings.stacked_clipping_sigma,
            rounds=settings.stacked_clipping_iterations,
            photon_noise=False,
        )
    master = defects.deviating(
        stacks.with_masters(stack, masters),
        sigma=settings.frame_clipping_sigma,
        rounds=settings.frame_clipping_iterations,
        flag=PixelFlag.BAD,
    )
    bad = int(np.count_nonzero(master.flags))
    values = {
        "BADPIX FRAC": bad / master.data.size,
        "BADPIX NUM": bad,
        "MBIAS MEDIAN": float(np.median(master.data)),
        "MASTER RON": monitor.neighbour_noise(master.data),
        "STRUCTX": monitor.slope(master.data, axis=1) / arm.binning[0],
        "STRUCTY": monitor.slope(master.data, axis=0) / arm.binning[1],
        **_of_single_frames(seen, masters),
        **stacks.mean_temperatures(inputs.bias, masters),
    }
    return Result(
        products={"MBIAS": master},
        measurements=judged(METRICS, values, settings, arm),
        figures={"MBIAS_PLOT": lambda: plot_detector.master(master, arm, "Master bias")},
        headers={"MBIAS": stacks.combined_cards(seen, masters)},
    )


def _of_single_frames(seen: stacks.Exposures | None, masters: Sequence[Frame]) -> dict[str, float]:
    """What is measured on single exposures; without any, what the masters say of theirs."""
    if seen is None:
        return {
            "RAW RON": stacks.read_noise_of(masters),
            "FPN FRACMAX": stacks.of_masters(masters, "FPN FRACMAX", max),
        }
    return {
        "RAW RON": seen.read_noise,
        "FPN FRACMAX": max(monitor.pattern_ratio(f.data) for f in seen.frames),
    }
