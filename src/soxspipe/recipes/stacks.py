"""What mbias and mdark share: exposures in electrons, those left out, read noise, older masters."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from soxspipe.datamodel.frame import Frame
from soxspipe.errors import InputError
from soxspipe.instrument.arms import Arm
from soxspipe.io.provenance import raw_files_of
from soxspipe.recipes.prepare import READ_NOISE_CARD, electrons
from soxspipe.recipes.quality import temperatures
from soxspipe.recipes.recipe import RawFrame
from soxspipe.science.detector import combine, darks, monitor
from soxspipe.science.detector.exposures import misfits

log = logging.getLogger(__name__)

#: Fewest exposures of a stack; with two there is no majority.
LEAST = 3

#: Read noises that differ by more than this part are told.
_READ_NOISE_TOLERANCE = 0.2


@dataclass(frozen=True, eq=False)
class Exposures:
    """The exposures of a set that go into the stack, in electrons.

    read_noise  e-, measured on them; their variance is its square
    left_out    names of the files that differ too much from the rest
    """

    frames: tuple[Frame, ...]
    read_noise: float
    left_out: tuple[str, ...] = ()

    @property
    def cards(self) -> dict[str, tuple[Any, str]]:
        """What the header of the product tells of them."""
        cards: dict[str, tuple[Any, str]] = {"NCOMBINE": (len(self.frames), "exposures combined")}
        for number, name in enumerate(self.left_out, start=1):
            cards[f"ESO PRO REC1 LEFT{number} NAME"] = (name, "raw frame left out, see the log")
        return cards


def exposures(raws: Sequence[RawFrame], arm: Arm, *, bias: Frame | None = None) -> Exposures:
    """The frames that belong together, in electrons without `bias`, and their read noise.

    An exposure that clearly differs from the rest is named in the log and left out, as long as three
    others remain. Raises InputError if the frames show no noise at all.
    """
    frames = [electrons(raw, arm) for raw in raws]
    odd = misfits(frames)
    enough = len(frames) - len(odd) >= LEAST
    for k, reason in odd.items():
        fate = "is left out" if enough else "is kept, there are too few others"
        log.warning("%s %s: %s", raws[k].info.file, fate, reason)
    if enough:
        frames = [f for k, f in enumerate(frames) if k not in odd]
    if bias is not None:
        frames = [replace(f, data=f.data - bias.data) for f in frames]
    scatter = monitor.noise_of_pair(frames[0].data, frames[1].data)
    if not scatter > 0:
        raise InputError(
            f"{raws[0].info.file}: the frames are corrupt: they show no read noise",
            hint="look at the raw frames; copies of one exposure are no set",
        )
    read_noise = _without_shot_noise(scatter, frames[0])
    declared = raws[0].info.read_noise
    if abs(read_noise / declared - 1.0) > _READ_NOISE_TOLERANCE:
        log.warning(
            "the read noise measured on the frames is %.2f e-, declared are %.2f e-: "
            "the measured value is used",
            read_noise,
            declared,
        )
    variance = np.broadcast_to(np.float32(read_noise**2), frames[0].shape)
    ready = tuple(replace(f, variance=variance) for f in frames)
    return Exposures(ready, read_noise, tuple(raws[k].info.file for k in odd) if enough else ())


def _without_shot_noise(scatter: float, frame: Frame) -> float:
    """Read noise, given the scatter of an exposure and its electrons.

    Light that is more than half of the variance is not dark current of a healthy detector but a
    pedestal, which has no shot noise.
    """
    values = frame.data[::4, ::4]
    centre = np.median(values)
    # a mean: the median of whole counts comes in steps
    light = max(float(values[np.abs(values - centre) < 4.0 * scatter].mean()), 0.0)
    return float(np.sqrt(scatter**2 - (light if light < 0.5 * scatter**2 else 0.0)))


def with_masters(stack: Frame | None, masters: Sequence[Frame]) -> Frame:
    """The new stack and older masters, combined by the inverse of their variances.

    Raises InputError if there is nothing to combine, or exposure times differ.
    """
    frames = [*([stack] if stack is not None else []), *masters]
    if stack is None and len(masters) < 2:
        raise InputError(
            f"{len(masters)} independent master frames and no raw frames: nothing to combine",
            hint="give at least 3 raw frames, or at least 2 master frames made of different ones",
        )
    if len(frames) == 1:
        return frames[0]
    times = [float(m.header["EXPTIME"]) for m in masters if "EXPTIME" in m.header]
    if times and max(times) - min(times) >= darks.SAME_TIME:
        raise InputError(
            f"the master frames have the exposure times {', '.join(f'{t:g}' for t in times)} s",
            hint="combine masters of one exposure time",
        )
    return combine.weighted_mean(frames)


def independent(masters: Sequence[Frame]) -> list[Frame]:
    """The masters without those whose raw frames others hold; shared raw frames are told."""
    kept: list[Frame] = []
    seen: set[str] = set()
    made_of = [{used.datamd5 or used.name for used in raw_files_of(m.header)} for m in masters]
    for index in sorted(range(len(masters)), key=lambda k: -len(made_of[k])):
        shared = made_of[index] & seen
        if shared:
            fate = "is left out" if shared == made_of[index] else "counts them twice"
            log.warning(
                "a master frame shares %d raw frames with another and %s", len(shared), fate
            )
        if not shared or shared != made_of[index]:
            kept.append(masters[index])
        seen |= made_of[index]
    return kept


def combined_cards(seen: Exposures | None, masters: Sequence[Frame]) -> dict[str, tuple[Any, str]]:
    """Cards of a product that was combined with older masters, or made of them alone."""
    cards = {} if seen is None else seen.cards
    if masters:
        older = sum(int(m.header.get("NCOMBINE", 0)) for m in masters)
        cards["NCOMBINE"] = (older + (len(seen.frames) if seen else 0), "exposures combined")
    return cards


def of_masters(masters: Sequence[Frame], keyword: str, pick: Any = np.mean) -> float:
    """A QC value as the headers of older masters have it, summed up by `pick`; NaN if none has it."""
    found = [m.header.get(f"ESO QC {keyword}") for m in masters]
    numbers = [float(v) for v in found if isinstance(v, int | float) and not isinstance(v, bool)]
    return float(pick(numbers)) if numbers else float("nan")


def read_noise_of(masters: Sequence[Frame]) -> float:
    """Mean read noise measured on the raw frames of older masters, e-."""
    return of_masters(masters, READ_NOISE_CARD.removeprefix("ESO QC "))


def mean_temperatures(raws: Sequence[RawFrame], masters: Sequence[Frame]) -> Mapping[str, float]:
    """Temperatures of the raw frames; without any, those of the masters."""
    if raws:
        return temperatures([raw.info for raw in raws])
    return {key: of_masters(masters, key) for key in ("DETECTOR TEMP", "CPATH TEMP")}
