"""Which calibration serves which frames: the policy as a table, and the choice made by it. Pure."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from soxspipe.instrument.headers import slit_width
from soxspipe.science.detector import darks
from soxspipe.workspace.frame_set import FrameSet


@dataclass(frozen=True)
class Rule:
    """How the product of one recipe is chosen for the frames of another.

    made_by    recipe whose product is wanted
    taken_by   recipes the rule is for; empty: all that no other rule names
    same       facts that must agree in every arm, as attributes of RawRecord
    same_vis   facts that must agree in VIS as well (NIR has one binning and one gain)
    slit       slit the calibration must have been taken with, whatever that of the frame
    target     what the calibration must show: start of the name of its kind, e.g. "flux_standard"
    stand_ins  (arm, slit of the frame) -> another slit whose calibration serves as well
    near_slit  where there is neither, one of any slit width serves, and it is said so
    nearest    what decides, first to last: "slit" (its own, a stand-in, the nearest width), "lamp" (one
               with a continuum over the whole range before deuterium alone), "exptime", "time"
    by_time    where no exposure time agrees, two calibrations are taken from which that of the frame
               can be interpolated, if there are such
    """

    made_by: str
    taken_by: tuple[str, ...] = ()
    same: tuple[str, ...] = ()
    same_vis: tuple[str, ...] = ()
    slit: str = ""
    target: str = ""
    stand_ins: Mapping[tuple[str, str], str] = field(default_factory=dict)
    near_slit: bool = False
    nearest: tuple[str, ...] = ("time",)
    by_time: bool = False


#: Arm is always the same. There is no limit on the time between frame and calibration.
POLICY = (
    Rule("mbias", same=("read_mode", "binning", "gain")),
    Rule(
        "mdark",
        same=("read_mode",),
        same_vis=("binning",),
        nearest=("exptime", "time"),
        by_time=True,
    ),
    Rule("disp_solution"),
    Rule("order_centres", nearest=("lamp", "time")),
    Rule(
        "mflat",
        taken_by=("spat_solution",),
        same_vis=("binning", "gain"),
        nearest=("lamp", "time"),
    ),
    Rule(
        "mflat",
        same=("slit", "read_mode"),
        same_vis=("binning", "gain"),
        stand_ins={("NIR", "SLIT5.0"): "SLIT1.5"},
        near_slit=True,
        nearest=("slit", "lamp", "time"),
    ),
    Rule("spat_solution"),
    # a star's light passes the wide slit whole
    Rule("stare_std", slit="SLIT5.0", target="flux_standard"),
    Rule("nod_std", slit="SLIT5.0", target="flux_standard"),
    Rule("offset_std", slit="SLIT5.0", target="flux_standard"),
)


def rule_for(made_by: str, taken_by: str) -> Rule:
    """The rule for that pair: one that names the taker, else the general one."""
    rules = [r for r in POLICY if r.made_by == made_by]
    named = [r for r in rules if taken_by in r.taken_by]
    general = [r for r in rules if not r.taken_by]
    return next(iter(named + general), Rule(made_by))


def fits(rule: Rule, calibration: FrameSet, wanted: FrameSet) -> bool:
    """True if the policy lets `calibration` serve `wanted`."""
    have, need = calibration.first, wanted.first
    if (have.instrument, have.arm) != (need.instrument, need.arm):
        return False
    if rule.slit and have.slit != rule.slit:
        return False
    if not (have.kind or "").startswith(rule.target):
        return False
    keys = (*rule.same, *(rule.same_vis if need.arm == "VIS" else ()))
    for key in keys:
        if key == "slit" and math.isfinite(_slit_distance(rule, calibration, wanted)):
            continue
        if getattr(have, key) != getattr(need, key):
            return False
    return True


def _slit_distance(rule: Rule, calibration: FrameSet, wanted: FrameSet) -> float:
    """0 for the slit of the frame, 1 for its declared stand-in, beyond 2 for another width, the more
    the less alike; infinite for what cannot serve.
    """
    have, need = calibration.first, wanted.first
    if have.slit == need.slit:
        return 0.0
    if have.slit == rule.stand_ins.get((need.arm, need.slit)):
        return 1.0
    ratio = slit_width(have.slit) / (slit_width(need.slit) or math.nan)
    return 2.0 + abs(math.log(ratio)) if rule.near_slit and ratio > 0 else math.inf


def remark(rule: Rule, calibration: FrameSet, wanted: FrameSet) -> str:
    """What a reader should know of a calibration that serves in the place of another, or ""."""
    have, need = calibration.first, wanted.first
    if "slit" not in rule.same or have.slit == need.slit:
        return ""
    if serves_as_well(rule.made_by, need.arm, need.slit, have.slit):
        return ""
    return f"no {rule.made_by} of {need.slit}: that of {have.slit} stands in"


def serves_as_well(made_by: str, arm: str, slit: str, other: str) -> bool:
    """True if a calibration through the `other` slit is declared to serve frames of `slit`."""
    return any(r.made_by == made_by and r.stand_ins.get((arm, slit)) == other for r in POLICY)


def ranked(rule: Rule, candidates: Iterable[FrameSet], wanted: FrameSet) -> list[FrameSet]:
    """The candidates that fit, best first; ties go to the earlier name."""
    fitting = [c for c in candidates if fits(rule, c, wanted)]
    return sorted(fitting, key=lambda c: (*_distances(rule, c, wanted), c.stem))


def chosen(
    rule: Rule, candidates: Iterable[FrameSet], wanted: FrameSet, *, several: bool = False
) -> tuple[FrameSet, ...]:
    """What serves `wanted`: the best that fits, none if none does; with `several` allowed, two darks of
    other times if one alone would have to be scaled.
    """
    best = ranked(rule, candidates, wanted)
    if not (several and rule.by_time):
        return tuple(best[:1])
    # of each exposure time the best
    times: dict[float, FrameSet] = {}
    for candidate in best:
        times.setdefault(candidate.first.exptime, candidate)
    if not times:
        return ()
    mix = darks.mix(list(times), wanted.first.exptime)
    made_of = list(times.values())
    return tuple(made_of[index] for index, _ in mix.weights)


def _distances(rule: Rule, calibration: FrameSet, wanted: FrameSet) -> tuple[float, ...]:
    have, need = calibration.first, wanted.first
    distance = {
        "slit": _slit_distance(rule, calibration, wanted),
        "lamp": float(have.lamp == "D"),
        "exptime": abs(have.exptime - need.exptime),
        "time": abs(have.mjd - need.mjd),
    }
    return tuple(distance[key] for key in rule.nearest)


def wish(rule: Rule, wanted: FrameSet) -> str:
    """What to observe or download when nothing fits: `mflat (slit SLIT1.0, binning 1x1)`."""
    need = wanted.first
    labels = {"read_mode": "read-out mode", "slit_mask": "mask"}
    keys = (*rule.same, *(rule.same_vis if need.arm == "VIS" else ()))
    facts = []
    for key in keys:
        value = getattr(need, key)
        text = f"{value:g}" if isinstance(value, float) else str(value)
        other = rule.stand_ins.get((need.arm, need.slit)) if key == "slit" else None
        facts.append(f"{labels.get(key, key)} {text}" + (f" or {other}" if other else ""))
        if key == "slit" and rule.near_slit:
            facts[-1] += " or another width"
    if rule.slit:
        facts.append(f"slit {rule.slit}")
    return rule.made_by + (f" ({', '.join(facts)})" if facts else "")
