"""A recipe small enough to test the runner with: the mean of biases, and an optional lamp-off."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from soxspipe.datamodel.frame import Frame
from soxspipe.datamodel.metric import Metric
from soxspipe.errors import DataError
from soxspipe.instrument.headers import FrameKind
from soxspipe.io.frames import RawFrame
from soxspipe.recipes.quality import TEMPERATURES, judged, temperatures
from soxspipe.recipes.recipe import Calibration, Plot, Product, Raw, Recipe, Result
from soxspipe.settings import MbiasSettings

LEVEL = Metric("MBIAS MEDIAN", "e-", "median of the master bias", {"VIS": (0, 2000)})
METRICS = (LEVEL, *TEMPERATURES)


@dataclass(frozen=True)
class Inputs:
    frames: Annotated[tuple[RawFrame, ...], Raw((FrameKind.BIAS,), least=2)]
    arc: Annotated[RawFrame | None, Raw((FrameKind.PINHOLE_ARC,), least=0)]
    older: Annotated[Frame | None, Calibration("MASTER_BIAS", "mbias", required=False)]


def mean_bias(inputs, settings, arm):
    data = np.mean([f.data for f in inputs.frames], axis=0)
    if data.max() < 0:
        raise DataError("the bias is negative", hint="look at the raw frames")
    frame = Frame(data, np.ones(data.shape), np.zeros(data.shape))
    values = {LEVEL.keyword: float(np.median(data))}
    values |= temperatures([f.info for f in inputs.frames])
    return Result(
        products={"MBIAS": frame, "COPY": frame},
        measurements=judged(METRICS, values, settings, arm),
        figures={"LEVEL": lambda: draw(data)},
        headers={"COPY": {"ESO QC EXTRA": (3, "extra card")}},
    )


def draw(data):
    from matplotlib.figure import Figure

    figure = Figure()
    figure.subplots().plot(np.median(data, axis=0)[:20])
    return figure


def recipe(function=mean_bias):
    return Recipe(
        name="mbias",
        folder="soxs-mbias",
        title="Master bias",
        inputs=Inputs,
        settings=MbiasSettings,
        products=(
            Product("MBIAS", ".fits", "MASTER_BIAS", "IMAGE", "master bias"),
            Product("COPY", "_COPY.fits", "", "IMAGE", "a copy", group="qc"),
        ),
        plots=(Plot("LEVEL", "_LEVEL.pdf", "level by column"),),
        metrics=METRICS,
        type_codes={FrameKind.BIAS: "MBIAS"},
        function=function,
    )
