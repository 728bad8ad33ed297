"""mdark: combine dark frames of one exposure time into a master dark; find hot pixels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from soxspipe.datamodel.frame import Frame, PixelFlag
from soxspipe.datamodel.metric import Metric
from soxspipe.instrument.arms import Arm
from soxspipe.instrument.headers import FrameKind
from soxspipe.maths.robust import clipped
from soxspipe.qc import plot_detector
from soxspipe.recipes.prepare import electrons
from soxspipe.recipes.quality import TEMPERATURES, judged, temperatures
from soxspipe.recipes.recipe import Plot, Product, Raw, RawFrame, Result, recipe
from soxspipe.science.detector import combine, defects, monitor
from soxspipe.settings import MdarkSettings


@dataclass(frozen=True)
class Inputs:
    """What mdark takes."""

    dark: Annotated[tuple[RawFrame, ...], Raw((FrameKind.DARK,), least=3)]


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
    """Combine dark exposures, rejecting cosmic rays, and flag hot pixels."""
    frames = [electrons(raw, arm) for raw in inputs.dark]
    read_noise = _read_noise(frames)
    measured = [electrons(raw, arm, read_noise) for raw in inputs.dark]
    stack = combine.clipped_mean(
        measured,
        sigma=settings.stacked_clipping_sigma,
        rounds=settings.stacked_clipping_iterations,
        photon_noise=True,
    )
    master = defects.deviating(
        stack,
        sigma=settings.frame_clipping_sigma,
        rounds=settings.frame_clipping_iterations,
        flag=PixelFlag.HOT,
    )
    hot = int(np.count_nonzero(master.flags & PixelFlag.HOT))
    values = {
        "HOTPIX FRAC": hot / master.data.size,
        "HOTPIX NUM": hot,
        "MDARK MEDIAN": float(np.median(master.data)),
        "RAW RON": read_noise,
        **temperatures([raw.info for raw in inputs.dark]),
    }
    return Result(
        products={"MDARK": master},
        measurements=judged(METRICS, values, settings, arm),
        figures={"MDARK_PLOT": lambda: plot_detector.master(master, arm, "Master dark")},
    )


def _read_noise(frames: Sequence[Frame]) -> float:
    """Read noise from the scatter between two darks, without the shot noise of the dark current."""
    scatter = monitor.noise_of_pair(frames[0].data, frames[1].data)
    keep = clipped(frames[0].data.ravel(), sigma=4.0, rounds=3)
    level = float(frames[0].data.ravel()[keep].mean())
    return float(np.sqrt(max(scatter**2 - max(level, 0.0), 1.0)))
