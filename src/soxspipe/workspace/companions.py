"""What goes with a set: deuterium flats, a slit arc, the exposure of the other arm. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from soxspipe.instrument.headers import FrameKind
from soxspipe.recipes.recipe import Raw, Recipe
from soxspipe.workspace.frame_set import FrameSet, RawRecord


def takes_slit_arc(recipe: Recipe | None) -> bool:
    """True if the recipe has a use for a slit arc."""
    markers = [i.marker for i in recipe.raw_inputs()] if recipe is not None else []
    return any(isinstance(m, Raw) and FrameKind.SLIT_ARC in m.kinds for m in markers)


def with_slit_arc(frames: FrameSet, arcs: Sequence[RawRecord]) -> FrameSet:
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


def with_partners(sets: Sequence[FrameSet]) -> list[FrameSet]:
    """Sets in which the exposures of a synchronised template name those of the other arm.

    Synchronised are exposures of one target whose middles agree; the nearest counts, if its middle lies
    within a quarter of the shorter exposure time.
    """
    waiting = [frame for s in sets for frame in s.frames if _is_synchronised(frame)]
    done = []
    for frames in sets:
        notes = [_partner_note(f, waiting) for f in frames.frames if _is_synchronised(f)]
        done.append(replace(frames, partners=tuple(filter(None, notes))))
    return done


def _is_synchronised(frame: RawRecord) -> bool:
    return "STARE" in frame.dpr_tech and "synchro" in frame.template.lower()


def _partner_note(frame: RawRecord, others: Iterable[RawRecord]) -> str:
    """`synchronised with NIR <file>, ...`, "" if the other arm has no such exposure."""
    days = {
        other: abs(other.mjd_middle - frame.mjd_middle)
        for other in others
        if other.arm != frame.arm
        and (other.instrument, other.object) == (frame.instrument, frame.object)
    }
    if not days:
        return ""
    partner = min(days, key=lambda other: (days[other], other.path))
    seconds = days[partner] * 86400.0
    if seconds > 0.25 * min(frame.exptime, partner.exptime):
        return ""
    return f"synchronised with {partner.arm} {partner.name}, middles {seconds:.1f} s apart"
