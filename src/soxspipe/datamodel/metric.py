"""Quality-control metrics: what is measured, in which unit, and what is acceptable."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

Limits = tuple[float | None, float | None]

#: `order` of a measurement that belongs to the whole frame.
WHOLE_FRAME = "-1"


@dataclass(frozen=True)
class Metric:
    """A quantity declared once: header card, database row, manual and verdict come from here.

    `keyword` becomes the card HIERARCH ESO QC <keyword>. `limits` holds the acceptable range by arm
    ("VIS": (0, 10)); limits are inclusive, None is open, an arm not named is measured but not judged.
    Limits of a metric `in_pixels` hold for unbinned frames; binned ones are measured, not judged.
    """

    keyword: str
    unit: str
    meaning: str
    limits: Mapping[str, Limits] = field(default_factory=dict)
    in_pixels: bool = False

    @property
    def key(self) -> str:
        """The name of the metric in settings: `fwhm-pin-median`."""
        return self.keyword.lower().replace(" ", "-")

    def judge(self, value: float, limits: Limits | None, order: str = WHOLE_FRAME) -> "Measurement":
        """The verdict on `value`: pass, fail, or "not measured" for NaN, which is never a pass."""
        if not math.isfinite(value):
            verdict = "not measured"
        else:
            low, high = limits or (None, None)
            inside = (low is None or value >= low) and (high is None or value <= high)
            verdict = "pass" if inside else "fail"
        return Measurement(self, float(value), verdict, limits, order)


@dataclass(frozen=True)
class Measurement:
    """A metric with its value and verdict."""

    metric: Metric
    value: float
    verdict: str  # "pass", "fail" or "not measured"
    limits: Limits | None = None
    order: str = WHOLE_FRAME

    @property
    def failed(self) -> bool:
        """True if the value is outside its range, or is judged but could not be measured."""
        return self.verdict == "fail" or (
            self.verdict == "not measured" and self.limits is not None
        )
