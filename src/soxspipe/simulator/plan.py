"""The exposures of a night: what is taken, when, through which slit. No pixel is made here."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from soxspipe.simulator.observation import USUAL, Observation
from soxspipe.simulator.templates import DUSK, Exposure, on_sky, science_slit

__all__ = ["EXTRA_GROUPS", "GROUPS", "Exposure", "night_plan", "science_slit"]

GROUPS = (
    "standard",
    "science",
    "bias",
    "dark",
    "arc",
    "pinhole_flat",
    "flat",
    "flat_standard",
    "flat_deuterium",
    "multi_pinhole",
)
#: Groups that are made only when asked for by name.
EXTRA_GROUPS = ("slit_arc", "flat_dome")

_ARCS = {"VIS": ("THAR",), "NIR": ("ARGO", "NEON", "MERC", "XENO")}
_MORNING = datetime.fromisoformat("2026-05-11T10:00:00")


@dataclass
class _Clock:
    """Gives frames their numbers and start times, template by template."""

    arm: str
    now: datetime
    number: int = 0
    block: int = 0
    frames: list[Exposure] = field(default_factory=list)

    def template(self, exposures: list[Exposure], missing: tuple[int, ...] = ()) -> None:
        """Append one template: its exposures share TPL START and the block.

        Those `missing`, counted from 1, take their time and their number and leave no frame.
        """
        self.now += timedelta(seconds=90)
        self.block += 1
        begin = self.now
        for i, exposure in enumerate(exposures, start=1):
            taken = replace(
                exposure,
                number=self.number,
                start=self.now,
                template_start=begin.replace(microsecond=0),
                count=(i, len(exposures)),
                block=self.block,
            )
            self.frames += [] if i in missing else [taken]
            self.number += 1
            self.now += timedelta(seconds=exposure.seconds + 31.123)


def _calibration(
    arm: str,
    group: str,
    seconds: float,
    dpr: tuple[str, str],
    template: str,
    slit: str = "BLANK",
    lamps: tuple[str, ...] = (),
) -> Exposure:
    full = ("CALIB", *dpr)
    return Exposure(0, arm, group, _MORNING, seconds, full, template, slit, lamps)


def _with_lamp_off(exposures: list[Exposure]) -> list[Exposure]:
    """NIR lamp templates end with as many exposures with the lamp off."""
    if exposures[0].arm != "NIR":
        return exposures
    catg, kind, _ = exposures[0].dpr
    return exposures + [replace(e, lamps=(), dpr=(catg, kind, "IMAGE")) for e in exposures]


def _in_the_morning(arm: str, exposure_times: set[float]) -> Iterator[list[Exposure]]:
    """Calibrations of the day after, templates named as in the calibration plan."""
    vis = arm == "VIS"
    if vis:
        yield [_calibration(arm, "bias", 0.0, ("BIAS", "IMAGE"), "SOXS_gen_cal_VISBias")] * 5
    for seconds in () if vis else sorted(exposure_times | {20.0, 60.0}):
        yield [_calibration(arm, "dark", seconds, ("DARK", "IMAGE"), "SOXS_gen_cal_NIRDark")] * 5
    arcs, stem = _ARCS[arm], f"SOXS_slt_cal_{arm}"
    wave, flat = "LAMP,WAVE", "LAMP,FLAT"
    pinhole, slit = "ECHELLE,PINHOLE", "ECHELLE,SLIT"
    plan = [
        ("arc", 60.0, (wave, pinhole), "ArcsPinhole", "PINHOLE", arcs, 1),
        (
            "pinhole_flat",
            60.0 if vis else 20.0,
            (flat, pinhole),
            "LampFlatPinhole",
            "PINHOLE",
            ("QTH",),
            1,
        ),
        ("flat", 60.0 if vis else 20.0, (flat, slit), "LampFlat", science_slit(arm), ("QTH",), 5),
    ]
    if vis:
        plan += [
            ("flat_standard", 12.0, (flat, slit), "LampFlat", "SLIT5.0", ("QTH",), 5),
            ("flat_deuterium", 60.0, (flat, slit), "LampFlat", "SLIT1.0", ("DEUT",), 5),
        ]
    plan.append(
        (
            "multi_pinhole",
            60.0,
            (wave, "ECHELLE,MULTI-PINHOLE"),
            "ArcsMultiplePinhole",
            "MULTPIN",
            arcs,
            1,
        )
    )
    for group, seconds, dpr, template, mask, lamps, n in plan:
        one = _calibration(arm, group, seconds, dpr, stem + template, mask, lamps)
        yield _with_lamp_off([one] * n)


def _extra(arm: str) -> Iterator[list[Exposure]]:
    """Calibrations beyond the daily ones, after all others so that these stay as they are."""
    slit = "ECHELLE,SLIT"
    arc = ("LAMP,WAVE", slit)
    yield _with_lamp_off(
        [_calibration(arm, "slit_arc", 60.0, arc, f"SOXS_slt_cal_{arm}Arcs", "SLIT1.0", _ARCS[arm])]
    )
    dome = _calibration(
        arm,
        "flat_dome",
        60.0 if arm == "VIS" else 20.0,
        ("DOME,FLAT", slit),
        f"SOXS_slt_cal_{arm}DomeFlat",
        science_slit(arm),
        ("DOME",),
    )
    yield _with_lamp_off([dome] * 5)


def night_plan(
    arm: str,
    mode: str,
    positions: tuple[float, float],
    observation: Observation = USUAL,
    seed: int = 0,
) -> list[Exposure]:
    """All exposures of one arm's night, EXTRA_GROUPS included, in time order.

    `mode` is one of observation.MODES; `positions` of standard and science target on the slit, arcsec;
    the jitter of a nod follows from `seed`.
    """
    fraction = 0.137 if arm == "VIS" else 0.642  # the two arms never share a file name
    clock = _Clock(arm, DUSK + timedelta(seconds=fraction))
    standard, science = on_sky(arm, mode, positions, observation, seed)
    clock.template(standard)
    clock.template(science, observation.missing)
    exposure_times = {e.seconds for e in clock.frames}
    clock.now = _MORNING + timedelta(seconds=fraction)
    for template in (*_in_the_morning(arm, exposure_times), *_extra(arm)):
        clock.template(template)
    return clock.frames
