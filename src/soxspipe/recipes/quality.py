"""From measured values to verdicts: the declared ranges, or those of the settings file."""

from collections.abc import Mapping, Sequence

import numpy as np

from soxspipe.datamodel.metric import Limits, Measurement, Metric
from soxspipe.instrument.arms import Arm
from soxspipe.instrument.headers import ObservationInfo
from soxspipe.settings import RecipeSettings

DETECTOR_TEMPERATURE_VIS = (0.0, 165.0)
DETECTOR_TEMPERATURE_NIR = (0.0, 50.0)


def temperature_metrics(nir: Limits = DETECTOR_TEMPERATURE_NIR) -> tuple[Metric, Metric]:
    """The temperatures that every recipe measures; `nir`: range of the NIR detector, K."""
    limits = {"VIS": DETECTOR_TEMPERATURE_VIS, "NIR": nir}
    return (
        Metric("DETECTOR TEMP", "K", "detector temperature", limits),
        Metric("CPATH TEMP", "C", "common-path temperature"),
    )


TEMPERATURES = temperature_metrics()


def limits_of(metric: Metric, settings: RecipeSettings, arm: Arm) -> Limits | None:
    """The acceptable range: that of the settings file, else the declared one.

    The default settings file repeats the declared ranges; for a binned frame, one that holds for unbinned
    pixels counts only if the user has changed it.
    """
    declared = metric.limits.get(arm.name)
    given = settings.qc_acceptable_ranges.get(metric.key, declared)
    unchanged = declared is None or (given is not None and tuple(given) == tuple(declared))
    if metric.in_pixels and arm.binning != (1, 1) and unchanged:
        return None
    return given


def judged(
    metrics: Sequence[Metric], values: Mapping[str, float], settings: RecipeSettings, arm: Arm
) -> tuple[Measurement, ...]:
    """Verdicts on the whole-frame `values` (by keyword), in the order of declaration."""
    return tuple(
        m.judge(values[m.keyword], limits_of(m, settings, arm))
        for m in metrics
        if m.keyword in values
    )


def per_order(
    metrics: Sequence[Metric], keyword: str, values: Mapping[int, float], arm: Arm
) -> tuple[Measurement, ...]:
    """Values of one metric by order; they are recorded, not judged."""
    metric = next(m for m in metrics if m.keyword == keyword)
    return tuple(
        metric.judge(value, None, arm.orders[number].label) for number, value in values.items()
    )


def temperatures(infos: Sequence[ObservationInfo]) -> dict[str, float]:
    """Mean temperatures of the raw frames, by keyword."""
    return {
        "DETECTOR TEMP": float(np.mean([i.detector_temperature for i in infos])),
        "CPATH TEMP": float(np.mean([i.common_path_temperature for i in infos])),
    }


def spread(name: str, values: np.ndarray) -> dict[str, float]:
    """MIN, MAX, MEDIAN of the absolute value, and SD of residuals, keyed `<name> MIN` and so on."""
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return {f"{name} {k}": float("nan") for k in ("MIN", "MAX", "MEDIAN", "SD")}
    return {
        f"{name} MIN": float(finite.min()),
        f"{name} MAX": float(finite.max()),
        f"{name} MEDIAN": float(np.median(np.abs(finite))),
        f"{name} SD": float(finite.std()),
    }
