"""The dark for the frames of a run: of their exposure time, or made for it, and never silently."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from soxspipe.datamodel.frame import Frame
from soxspipe.science.detector import darks

log = logging.getLogger(__name__)

Cards = dict[str, tuple[Any, str]]

_STEM = "ESO PRO REC1 DARK"


@dataclass(frozen=True, eq=False)
class NamedDark:
    """A master dark and the name of its file."""

    file: str
    frame: Frame

    @property
    def seconds(self) -> float:
        """Exposure time, s; NaN if the header has none."""
        value = self.frame.header.get("EXPTIME")
        return float(value) if isinstance(value, int | float) else float("nan")


def for_time(given: Sequence[NamedDark], seconds: float, bias: Frame | None) -> tuple[Frame, Cards]:
    """The dark of an exposure of `seconds`, and cards for the products that tell how it was made.

    Darks of a CCD are freed of the bias first. Any other time than that of the frames is told in the
    log. Raises InputError if the darks have different shapes.
    """
    times = [d.seconds for d in given]
    how = darks.mix(times, seconds)
    factor = how.weights[0][1]
    frames = [
        d.frame if bias is None else darks.without_bias(d.frame, bias, scale=factor) for d in given
    ]
    made = darks.at_time(frames, times, seconds)
    if how.how != darks.EQUAL:
        log.warning("%s", _in_words(given, how, seconds))
    elif len(given) == 1 and not times[0] > 0:
        log.warning("%s does not tell its exposure time: it is taken as it is", given[0].file)
    header = made.header.copy()
    header["EXPTIME"] = seconds
    return replace(made, header=header), _cards(given, how)


def _in_words(given: Sequence[NamedDark], how: darks.Mix, seconds: float) -> str:
    parts = [f"{given[i].seconds:g} s ({given[i].file}) times {w:.4g}" for i, w in how.weights]
    return f"there is no dark of {seconds:g} s; it is {how.how} from that of {' and '.join(parts)}"


def _cards(given: Sequence[NamedDark], how: darks.Mix) -> Cards:
    cards: Cards = {f"{_STEM} HOW": (how.how, "how the dark was made for the time of the frames")}
    for number, (index, weight) in enumerate(how.weights, start=1):
        cards[f"{_STEM}{number} NAME"] = (given[index].file, "dark that was taken")
        cards[f"{_STEM}{number} EXPTIME"] = (given[index].seconds, "[s] its exposure time")
        cards[f"{_STEM}{number} SCALE"] = (round(weight, 6), "factor it was multiplied by")
    return cards
