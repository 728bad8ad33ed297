"""From raw frames to sets: which exposures are reduced together, by which recipe. Pure."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from soxspipe.instrument.headers import FrameKind
from soxspipe.recipes.recipe import Raw, Recipe
from soxspipe.workspace.names import sof_stem

#: Least number of exposures of a flat set; biases and darks must be as many as their template says.
LEAST_FLATS = 5

_PINHOLES = (FrameKind.PINHOLE_ARC, FrameKind.PINHOLE_FLAT, FrameKind.MULTI_PINHOLE_ARC)
_HIDDEN = (FrameKind.LAMP_OFF, FrameKind.SLIT_ARC)


@dataclass(frozen=True)
class RawRecord:
    """One raw frame as the database knows it. `path` is relative to the workspace."""

    path: str
    instrument: str
    arm: str
    kind: FrameKind | None
    dpr_catg: str
    dpr_type: str
    dpr_tech: str
    date_obs: datetime
    mjd: float
    night: str
    exptime: float
    binning: str
    read_mode: str
    gain: float
    slit: str
    slit_mask: str
    lamp: str
    object: str
    template: str
    template_start: str
    exposures_in_template: int
    ob_id: str
    ob_name: str
    ignored: bool
    file_size: int

    @property
    def name(self) -> str:
        """File name without folder."""
        return self.path.rpartition("/")[2]

    @property
    def tag(self) -> str:
        """SOF tag: `<DPR TYPE>_<ARM>`."""
        return f"{self.dpr_type}_{self.arm}"

    @property
    def is_single(self) -> bool:
        """True if each exposure is reduced alone: on-sky stare and pinhole exposures."""
        return "STARE" in self.dpr_tech or self.kind in _PINHOLES


@dataclass(frozen=True)
class FrameSet:
    """Raw frames that one run of one recipe takes, in order of time; deuterium flats after halogen.

    recipe  "" if no recipe of this version takes the set
    stem    name of its SOF file, without `.sof`
    flaw    why the set cannot be reduced whatever calibrations there are, or ""
    """

    frames: tuple[RawRecord, ...]
    recipe: str
    stem: str
    flaw: str = ""

    @property
    def first(self) -> RawRecord:
        """The earliest frame of the main lamp; its facts are those of the set."""
        return self.frames[0]


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


def template_key(record: RawRecord) -> tuple[str, str, str]:
    """What the exposures of one template share. Without a template start, a frame stands alone."""
    return (record.instrument, record.arm, record.template_start or record.path)


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
    records: Iterable[RawRecord], recipes: Mapping[str, Recipe], flats: Flats | None = None
) -> tuple[FrameSet, ...]:
    """All sets, in order of cascade and time; the flawed ones too, so that they can be named."""
    flats = flats or Flats()
    by_kind = {kind: name for name, recipe in recipes.items() for kind in recipe.type_codes}
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
            groups[_set_key(record)].append(record)
    order = {name: position for position, name in enumerate(recipes)}
    sets = [_make_set(frames, by_kind, recipes, templates) for frames in groups.values()]
    sets = [
        _with_slit_arc(s, slit_arcs) if _takes_slit_arc(recipes.get(s.recipe)) else s
        for s in with_deuterium(sets)
    ]
    return tuple(sorted(sets, key=lambda s: (order.get(s.recipe, len(order)), s.first.mjd, s.stem)))


def _takes_slit_arc(recipe: Recipe | None) -> bool:
    markers = [i.marker for i in recipe.raw_inputs()] if recipe is not None else []
    return any(isinstance(m, Raw) and FrameKind.SLIT_ARC in m.kinds for m in markers)


def _with_slit_arc(frames: FrameSet, arcs: Sequence[RawRecord]) -> FrameSet:
    """The set with the slit arc nearest in time at its end, if one was taken alike."""
    first = frames.first
    alike = [
        arc
        for arc in arcs
        if all(
            getattr(arc, fact) == getattr(first, fact)
            for fact in ("instrument", "arm", "binning", "read_mode", "gain")
        )
    ]
    if not alike:
        return frames
    nearest = min(alike, key=lambda arc: (abs(arc.mjd - first.mjd), arc.path))
    return replace(frames, frames=(*frames.frames, nearest))


def _set_key(record: RawRecord) -> tuple:
    return (
        template_key(record),
        record.path if record.is_single else "",
        record.kind,
        record.dpr_catg,
        record.dpr_tech,
        record.dpr_type,
        record.exptime,
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


def with_deuterium(sets: Sequence[FrameSet]) -> list[FrameSet]:
    """Sets in which halogen flats (QTH) have the deuterium flats nearest in time that were taken alike.

    One flat is made of both. A deuterium set without halogen flats like it stands alone.
    """
    whole = [s for s in sets if s.first.kind is FrameKind.SLIT_FLAT and not s.flaw]
    deuterium = [s for s in whole if s.first.lamp == "D"]
    partner: dict[str, FrameSet] = {}
    for main in (s for s in whole if s.first.lamp == "QTH"):
        alike = [s for s in deuterium if _flat_key(s.first) == _flat_key(main.first)]
        if alike:
            partner[main.stem] = min(alike, key=lambda s: abs(s.first.mjd - main.first.mjd))
    gone = {s.stem for s in partner.values()}
    return [
        replace(s, frames=(*s.frames, *partner[s.stem].frames)) if s.stem in partner else s
        for s in sets
        if s.stem not in gone
    ]


def _flat_key(record: RawRecord) -> tuple:
    """What flats of two lamps must share to be reduced together."""
    facts = (record.arm, record.dpr_type, record.slit, record.binning, record.read_mode)
    return (record.instrument, *facts, record.gain, record.night)


#: TYPE field of the SOF name of sets that this version has no recipe for.
_OTHER_TYPES = {
    FrameKind.FLUX_STANDARD_NODDING: "NOD_STD_FLUX",
    FrameKind.TELLURIC_STANDARD_NODDING: "NOD_STD_TELL",
    FrameKind.SCIENCE_NODDING: "NOD_OBJ",
    FrameKind.FLUX_STANDARD_OFFSET: "OFFSET_STD_FLUX",
    FrameKind.TELLURIC_STANDARD_OFFSET: "OFFSET_STD_TELL",
    FrameKind.SCIENCE_OFFSET: "OFFSET_OBJ",
}


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
    code = recipes[recipe].type_codes[kind] if recipe else _OTHER_TYPES.get(kind, kind.upper())
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
    flaw = _flaw(frames, templates[template_key(first)], recipes.get(recipe))
    return FrameSet(tuple(frames), recipe, stem, flaw)


def _flaw(frames: Sequence[RawRecord], in_template: int, recipe: Recipe | None) -> str:
    """Why the set is not complete in itself, or ""."""
    first, count = frames[0], len(frames)
    expected = first.exposures_in_template
    if not first.is_single and not _template_is_complete(first, in_template):
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
    half = math.isclose(in_template, expected / 2)
    pairs = ("NODDING" in first.dpr_tech or "OFFSET" in first.dpr_tech) and in_template % 2 == 0
    return half or pairs
