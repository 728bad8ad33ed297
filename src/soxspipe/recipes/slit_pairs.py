"""Difference frames of nodding and offset mode: who is subtracted from whom, and what is seen then."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from soxspipe.datamodel.flat import MasterFlat
from soxspipe.datamodel.order_pixels import OrderPixels
from soxspipe.errors import DataError, SoxspipeError
from soxspipe.recipes import slit_frame, slit_view
from soxspipe.recipes.pairs import Group, Pairing
from soxspipe.recipes.places import Shot
from soxspipe.recipes.recipe import RawFrame
from soxspipe.recipes.slit_frame import Detrending, Pointing
from soxspipe.recipes.slit_view import Steps, View

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Seen:
    """Difference frames and what is on them; exposures without a partner, reduced as stare.

    names  of the two sides of a difference, as in file names: ("A", "B") or ("ON", "OFF")
    """

    names: tuple[str, str]
    differences: tuple[View, ...]
    single: tuple[View, ...] = ()

    @property
    def views(self) -> tuple[View, ...]:
        """All views, those with most knowledge of the sky first."""
        return self.differences + self.single


@dataclass(frozen=True, eq=False)
class Setting:
    """What all views of a run have in common. keep: the stacked frames of both sides are wanted, too."""

    how: Detrending
    flat: MasterFlat | None
    pixels: Mapping[int, OrderPixels]
    steps: Steps
    keep: bool = False


def parted(pairing: Pairing, *, together: bool) -> tuple[Group, ...]:
    """The groups that become difference frames: alike pairs stacked, or one for each pair."""
    if together:
        return pairing.groups
    return tuple(Group((pair,)) for pair in pairing.pairs)


def see(
    frames: Sequence[RawFrame],
    shots: Sequence[Shot],
    pairing: Pairing,
    setting: Setting,
    *,
    names: tuple[str, str],
    twins: bool,
    together: bool,
) -> Seen:
    """All differences and single exposures of a run. One that fails is told, and the rest goes on.

    twins : the object is on both frames of a pair, as in nodding. together : stack what is alike first.

    Raises
    ------
    DataError : nothing could be reduced.
    """
    if pairing.doubt:
        log.warning("%s", pairing.doubt)
    groups = parted(pairing, together=together)
    pairs = [
        (
            _files(frames, (*group.first, *group.second)),
            partial(_difference, frames, shots, group, setting, number, twins),
        )
        for number, group in enumerate(groups, start=1)
    ]
    for index in pairing.unpaired:
        file = frames[index].info.file
        log.warning("%s has no partner: it is reduced as a stare exposure", file)
    alone = [
        (_files(frames, (index,)), partial(_single, frames[index], setting, number))
        for number, index in enumerate(pairing.unpaired, start=1)
    ]
    seen = Seen(names, _those_that_work(pairs), _those_that_work(alone))
    if not seen.views:
        raise DataError(
            "no pair of exposures and no single one could be reduced",
            hint="the messages above say why; look at the raw frames and the offsets in their headers",
        )
    return seen


def _files(frames: Sequence[RawFrame], members: Sequence[int]) -> str:
    return ", ".join(frames[i].info.file for i in members)


def _those_that_work(tasks: Sequence[tuple[str, Callable[[], View]]]) -> tuple[View, ...]:
    done = []
    for files, task in tasks:
        try:
            done.append(task())
        except SoxspipeError as error:
            log.warning("%s: left out: %s (%s)", files, error.message, error.hint)
    return tuple(done)


def _stacked(
    frames: Sequence[RawFrame], group: Group, how: Detrending
) -> tuple[Pointing, Pointing]:
    cancels = replace(how, cancels=True)
    on = slit_frame.pointing([frames[i] for i in group.first], cancels)
    off = slit_frame.pointing([frames[i] for i in group.second], cancels)
    return on, off


def _difference(
    frames: Sequence[RawFrame],
    shots: Sequence[Shot],
    group: Group,
    setting: Setting,
    number: int,
    twins: bool,
) -> View:
    on, off = _stacked(frames, group, setting.how)
    factor = on.seconds / off.seconds if on.seconds > 0 and off.seconds > 0 else 1.0
    if abs(factor - 1.0) > 1e-3:
        log.warning(
            "exposures of %g s and %g s are subtracted: the latter are scaled",
            on.seconds,
            off.seconds,
        )
    ready = slit_frame.flat_fielded(slit_frame.difference(on, off), setting.flat)
    whole = slit_frame.flat_fielded(slit_frame.together(on, off), setting.flat)
    steps = replace(setting.steps, search=replace(setting.steps.search, twin=None))
    if twins:
        apart = _along(shots, group.second) - _along(shots, group.first)
        noise = factor * on.exposures / off.exposures
        steps = replace(steps, search=replace(steps.search, twin=apart, twin_noise=noise))
    view = slit_view.difference_seen(
        ready,
        whole,
        setting.pixels,
        steps,
        label=str(number),
        noise=1.0 / on.exposures + factor / off.exposures,
    )
    return replace(view, sides=(on.frame, off.frame)) if setting.keep else view


def _along(shots: Sequence[Shot], members: Sequence[int]) -> float:
    return float(np.mean([shots[i].along for i in members]))


def _single(frame: RawFrame, setting: Setting, number: int) -> View:
    """One exposure without a partner, reduced as stare."""
    seen = slit_frame.pointing([frame], setting.how)
    ready = slit_frame.flat_fielded(seen, setting.flat)
    search = replace(setting.steps.search, twin=None, expected=None)
    view = slit_view.seen(ready, setting.pixels, replace(setting.steps, search=search))
    return replace(view, label=f"{number}")
