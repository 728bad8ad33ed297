"""What is subtracted from what in nod and offset mode."""

from collections.abc import Sequence

from soxspipe.simulator.templates import Exposure


def partners(plan: Sequence[Exposure]) -> dict[int, tuple[Exposure, bool]]:
    """What is subtracted from each exposure of a target in nod and offset mode, by its number.

    A nod exposure has one at the other end of the slit, an exposure of an object one of empty sky: the
    earliest that is still free, else (False: not a pair) the one nearest in time.
    """
    found: dict[int, tuple[Exposure, bool]] = {}
    for block in sorted({e.block for e in plan if e.target}):
        template = [e for e in plan if e.block == block]
        found |= _pairs(template)
        found |= _leftovers(template, found)
    return found


def _side(exposure: Exposure) -> bool | None:
    """True for A and for the object, False for B and for empty sky, None without differences."""
    if exposure.offset is not None:
        return exposure.on_target
    if exposure.nod is not None and exposure.throw > 0.0:
        return exposure.nod > 0.0
    return None


def _pairs(template: Sequence[Exposure]) -> dict[int, tuple[Exposure, bool]]:
    found: dict[int, tuple[Exposure, bool]] = {}
    free: list[Exposure] = []
    for exposure in template:
        side = _side(exposure)
        if side is None:
            continue
        mate = next((e for e in free if _side(e) != side), None)
        if mate is None:
            free.append(exposure)
            continue
        free.remove(mate)
        for one, other in ((exposure, mate), (mate, exposure)):
            if one.on_target:
                found[one.number] = other, True
    return found


def _leftovers(
    template: Sequence[Exposure], paired: dict[int, tuple[Exposure, bool]]
) -> dict[int, tuple[Exposure, bool]]:
    found: dict[int, tuple[Exposure, bool]] = {}
    for one in template:
        side = _side(one)
        others = [e for e in template if _side(e) is not None and _side(e) != side]
        if one.on_target and side is not None and one.number not in paired and others:
            away = [abs((e.start - one.start).total_seconds()) for e in others]
            found[one.number] = others[away.index(min(away))], False
    return found
