"""From raw frames to sets: which exposures are reduced together, by which recipe. Pure."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from soxspipe.instrument.headers import FrameKind
from soxspipe.recipes.recipe import Raw, Recipe
from soxspipe.workspace.companions import (
    takes_slit_arc,
    with_deuterium,
    with_partners,
    with_slit_arc,
)
from soxspipe.workspace.frame_set import FrameSet, RawRecord, template_key
from soxspipe.workspace.names import sof_stem

__all__ = [
    "Flats",
    "FrameSet",
    "RawRecord",
    "group",
    "is_to_be_ignored",
    "template_key",
    "with_deuterium",
]

#: Least number of exposures of a flat set; biases and darks must be as many as their template says.
LEAST_FLATS = 5

_HIDDEN = (FrameKind.LAMP_OFF, FrameKind.SLIT_ARC)


def is_to_be_ignored(record: RawRecord, *, simulated: bool) -> bool:
    """True for frames that no set may hold: no known type, no slit, a mechanism in simulation."""
    calibration = record.dpr_catg == "CALIB"
    is_flat = "FLAT" in record.dpr_type
    return (
        record.kind is None
        or (calibration and simulated)
        or record.slit == "UNDEFINED"
        or (is_flat and record.slit == "BLANK")
    )


@dataclass(frozen=True)
class Flats:
    """Which flats are taken besides those of the halogen lamp.

    Deuterium shows many lines in the orders, and a dome flat has a gradient.
    """

    deuterium: bool = False
    dome: bool = False

    def leave_out(self, record: RawRecord) -> bool:
        """True for a flat that is not wanted."""
        if "FLAT" not in record.dpr_type:
            return False
        is_dome = record.dpr_type == "DOME,FLAT"
        is_deuterium = record.lamp == "D" or record.dpr_type == "LAMP,DFLAT"
        return (is_dome and not self.dome) or (is_deuterium and not self.deuterium)


def group(
    records: Iterable[RawRecord],
    recipes: Mapping[str, Recipe],
    flats: Flats | None = None,
    *,
    stack_stare: bool = False,
) -> tuple[FrameSet, ...]:
    """All sets, in order of cascade and time; the flawed ones too, so that they can be named.

    `stack_stare`: stare exposures of one template are one set, not one each.
    """
    flats = flats or Flats()
    by_kind = {
        kind: name
        for name, recipe in recipes.items()
        if recipe.raw_inputs()
        for kind in recipe.type_codes
    }
    templates: dict[tuple, int] = defaultdict(int)
    groups: dict[tuple, list[RawRecord]] = defaultdict(list)
    slit_arcs: list[RawRecord] = []
    for record in sorted(records, key=lambda r: (r.mjd, r.path)):
        if record.ignored or flats.leave_out(record):
            continue
        templates[template_key(record)] += 1
        if record.kind is FrameKind.SLIT_ARC:
            slit_arcs.append(record)
        if record.kind not in _HIDDEN:
            alone = record.is_single and not (stack_stare and "STARE" in record.dpr_tech)
            groups[_set_key(record, alone=alone)].append(record)
    order = {name: position for position, name in enumerate(recipes)}
    sets = [_make_set(frames, by_kind, recipes, templates) for frames in groups.values()]
    sets = [
        with_slit_arc(s, slit_arcs) if takes_slit_arc(recipes.get(s.recipe)) else s
        for s in with_partners(with_deuterium(sets))
    ]
    return tuple(sorted(sets, key=lambda s: (order.get(s.recipe, len(order)), s.first.mjd, s.stem)))


def _set_key(record: RawRecord, *, alone: bool) -> tuple:
    """What the exposures of a set share. Those of a pattern of positions may differ in exposure time."""
    return (
        template_key(record),
        record.path if alone else "",
        record.kind,
        record.dpr_catg,
        record.dpr_tech,
        record.dpr_type,
        0.0 if record.is_pattern else record.exptime,
        record.read_mode,
        record.slit,
        record.gain,
        record.binning,
        record.night,
        record.lamp,
        record.template,
        record.exposures_in_template,
        record.ob_id,
        record.ob_name,
        record.object,
    )


def _make_set(
    frames: Sequence[RawRecord],
    by_kind: Mapping[FrameKind, str],
    recipes: Mapping[str, Recipe],
    templates: Mapping[tuple, int],
) -> FrameSet:
    first = frames[0]
    kind = first.kind
    if kind is None:
        raise ValueError(f"{first.path} is of no known kind and cannot be in a set")
    recipe = by_kind.get(kind, "")
    code = recipes[recipe].type_codes[kind] if recipe else kind.upper()
    stem = sof_stem(
        start=first.date_obs,
        arm=first.arm,
        binning=first.binning,
        read_mode=first.read_mode,
        type_code=code,
        lamp=first.lamp,
        slit=first.slit,
        exptime=first.exptime,
        instrument=first.instrument,
        target=first.object if kind.startswith("science") else "",
    )
    in_template = templates[template_key(first)]
    flaw = _flaw(frames, in_template, recipes.get(recipe))
    return FrameSet(tuple(frames), recipe, stem, flaw, _lack(first, in_template))


def _lack(first: RawRecord, in_template: int) -> str:
    """What is missing from a pattern of positions, which is reduced all the same."""
    expected = first.exposures_in_template
    if not first.is_pattern or in_template >= expected:
        return ""
    return f"{in_template} of the {expected} exposures of its template are here"


def _flaw(frames: Sequence[RawRecord], in_template: int, recipe: Recipe | None) -> str:
    """Why the set is not complete in itself, or "". On the sky each exposure is worth something."""
    first, count = frames[0], len(frames)
    expected = first.exposures_in_template
    on_sky = first.is_pattern or first.is_single
    if not on_sky and not _template_is_complete(first, in_template):
        return f"{in_template} of the {expected} exposures of its template are here"
    if first.kind in (FrameKind.BIAS, FrameKind.DARK) and count < expected:
        return f"{count} of the {expected} exposures of its template are alike"
    least = LEAST_FLATS if first.kind is FrameKind.SLIT_FLAT else 1
    if recipe is not None:
        markers = [i.marker for i in recipe.raw_inputs() if isinstance(i.marker, Raw)]
        marked = [marker.least for marker in markers if first.kind in marker.kinds]
        least = max([least, *marked])
    return f"{count} exposures, at least {least} are needed" if count < least else ""


def _template_is_complete(first: RawRecord, in_template: int) -> bool:
    expected = first.exposures_in_template
    if in_template >= expected:
        return True
    if first.kind in (FrameKind.BIAS, FrameKind.DARK):
        return False
    # half of it: lamp-on frames whose lamp-off partners were not taken along
    return math.isclose(in_template, expected / 2)
