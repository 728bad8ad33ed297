"""Acceptable ranges of the quality of standard stars, as documented for nodding and offset mode."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from soxspipe.datamodel.metric import Limits, Metric

#: Metric -> arm -> (lowest, highest). The temperatures have ranges of their own in every recipe.
NOD_STD: Mapping[str, Mapping[str, Limits]] = {
    "BADPIX FRAC": {"VIS": (-0.001, 0.01), "NIR": (-0.001, 0.01)},
    "INNER ORDER PIX MEAN": {"VIS": (-40, 60), "NIR": (-40, 60)},
    "N ORDERS": {"VIS": (3, 5), "NIR": (14, 16)},
    "SAMPLES DET FRAC": {"VIS": (0.93, 1.01), "NIR": (0.7, 1.01)},
    "SAMPLES CLIP FRAC": {"VIS": (-0.01, 0.2), "NIR": (-0.01, 0.3)},
    "X RES SD": {"VIS": (-0.01, 0.2)},
    "Y RES SD": {"NIR": (-0.01, 0.5)},
    "SNR MEDIAN": {"VIS": (50, 1000), "NIR": (7, 200)},
    "EFF MEDIAN": {"VIS": (0.04, 0.3), "NIR": (0.02, 0.2)},
}


def limited(
    metrics: Sequence[Metric], limits: Mapping[str, Mapping[str, Limits]] = NOD_STD
) -> tuple[Metric, ...]:
    """The metrics with these acceptable ranges; ranges of what the recipe does not measure do nothing."""
    return tuple(
        replace(m, limits=limits[m.keyword]) if m.keyword in limits else m for m in metrics
    )
