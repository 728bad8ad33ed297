"""The header of a product: where it comes from, how it was made, how good it is."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from astropy.io.fits import Card, Header, VerifyError

from soxspipe import __version__
from soxspipe.datamodel.metric import WHOLE_FRAME, Measurement

CARD_LENGTH = 80
PIPELINE = f"soxspipe/v{__version__}"

#: Of the first raw frame, not true of a product: layout, checksums, classification, raw pixel grid.
_DROPPED = re.compile(
    r"(SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|PCOUNT|GCOUNT|BSCALE|BZERO|BLANK|BUNIT|EXTNAME|EXTVER"
    r"|CHECKSUM|DATASUM|DATAMD5|DATE|ARCFILE|INHERIT|COMMENT|HISTORY|CONTINUE|"
    r"|C(TYPE|RVAL|RPIX|DELT|UNIT|ROTA)\d|CD\d_\d|PC\d_\d|DATAM(IN|AX)"
    r"|ESO DPR (CATG|TYPE|TECH)|ESO (PRO|QC) .*)"
)
_OF_TABLES = re.compile(r"ESO DET (READ CURID|OUT1 CONAD|OUT1 GAIN|CHIP RON)")
_RENAMED = {"RADECSYS": "RADESYS", "ESO TEL TARG EQUINOX": "EQUINOX"}


@dataclass(frozen=True)
class Used:
    """A file that went into a product: name, category (SOF tag) and MD5 of its data."""

    name: str
    category: str
    datamd5: str = ""


@dataclass(frozen=True)
class Provenance:
    """What all products of one run have in common.

    recipe       settings block name, `soxs-mflat`
    parameters   every setting by its documented name
    cards        further cards, keyword -> (value, comment)
    """

    recipe: str
    raw: Sequence[Used] = ()
    calibrations: Sequence[Used] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    cards: Mapping[str, tuple[Any, str]] = field(default_factory=dict)


def raw_files_of(header: Header) -> list[Used]:
    """The raw files a product was made of, as its header names them."""
    stem = "ESO PRO REC1 RAW"
    found: list[Used] = []
    while f"{stem}{len(found) + 1} NAME" in header:
        facts = (header.get(f"{stem}{len(found) + 1} {k}", "") for k in ("NAME", "CATG", "DATAMD5"))
        found.append(Used(*map(str, facts)))
    return found


def product_header(
    first: Header,
    provenance: Provenance,
    *,
    category: str = "",
    tech: str = "",
    extracted: bool = False,
    measurements: Iterable[Measurement] = (),
    extra: Mapping[str, Any] | None = None,
) -> Header:
    """Header of a product; `first` is that of the first raw frame.

    `category` is PRO CATG with its arm, "" for products nobody takes as input. `extracted` drops
    the detector keywords that say nothing of a spectrum. Values too long for one card are cut.
    """
    cards = dict(_inherited(first, extracted=extracted))
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "")
    cards["SXSPRE"] = (now, "UTC of the reduction")
    cards["ESO PRO TYPE"] = ("REDUCED", "type of product")
    if category:
        cards["ESO PRO CATG"] = (category, "category of product")
    if tech:
        cards["ESO PRO TECH"] = (tech, "technique")
    cards |= _provenance(provenance)
    cards |= _quality(measurements)
    for key, value in (extra or {}).items():
        cards[key.upper()] = value if isinstance(value, tuple) else (value, "")
    header = Header()
    for key in sorted(cards, key=_natural):
        header.append(fitted(key, *cards[key]), end=True)
    return header


def fitted(keyword: str, value: Any, comment: str = "") -> Card:
    """A card that fits 80 characters: text and comment are cut, NaN becomes undefined."""
    name = keyword if len(keyword) <= 8 and " " not in keyword else f"HIERARCH {keyword}"
    if isinstance(value, float) and not math.isfinite(value):
        value = None
    if isinstance(value, str):
        value = re.sub(r"[^\x20-\x7e]", "?", value)
        room = CARD_LENGTH - max(len(name), 8) - len(" = ''")
        while len(value.replace("'", "''")) > room:
            value = value[:-1]
    comment = re.sub(r"[^\x20-\x7e]", "?", comment)
    taken = len(str(Card(name, value)).rstrip()) + (value is None)
    room = CARD_LENGTH - taken - len(" / ")
    return Card(name, value, comment[:room] if room > 0 else "")


def _inherited(first: Header, *, extracted: bool) -> Iterable[tuple[str, tuple[Any, str]]]:
    for card in first.cards:
        try:
            keyword, value, comment = card.keyword.upper(), card.value, card.comment
        except VerifyError:  # a card no FITS reader understands is of no use in a product
            continue
        if _DROPPED.fullmatch(keyword) or (extracted and _OF_TABLES.fullmatch(keyword)):
            continue
        if keyword in _RENAMED:
            keyword = _RENAMED[keyword]
            if keyword in first:
                continue
        yield keyword, (value, comment)


def _provenance(of: Provenance) -> dict[str, tuple[Any, str]]:
    stem = "ESO PRO REC1"
    cards: dict[str, tuple[Any, str]] = {
        f"{stem} ID": (of.recipe, "recipe"),
        f"{stem} PIPE ID": (PIPELINE, "pipeline"),
    }
    for kind, files in (("RAW", of.raw), ("CAL", of.calibrations)):
        for number, used in enumerate(files, start=1):
            cards[f"{stem} {kind}{number} NAME"] = (used.name, "file")
            cards[f"{stem} {kind}{number} CATG"] = (used.category, "category")
            if used.datamd5:
                cards[f"{stem} {kind}{number} DATAMD5"] = (used.datamd5, "MD5 of its data")
    for number, (name, value) in enumerate(of.parameters.items(), start=1):
        cards[f"{stem} PARAM{number} NAME"] = (name, "")
        text = ", ".join(map(str, value)) if isinstance(value, tuple) else value
        cards[f"{stem} PARAM{number} VALUE"] = (text, "")
    return cards | dict(of.cards)


def _quality(measurements: Iterable[Measurement]) -> dict[str, tuple[Any, str]]:
    """Values of the whole frame; those of single orders go to the database."""
    cards: dict[str, tuple[Any, str]] = {}
    failed: list[str] = []
    for m in measurements:
        failed += [m.metric.keyword] if m.failed else []
        if m.order == WHOLE_FRAME:
            unit = f"[{m.metric.unit}] " if m.metric.unit else ""
            cards[f"ESO QC {m.metric.keyword}"] = (m.value, f"{unit}{m.metric.meaning}")
    if cards:
        cards["ESO QC VERDICT"] = ("fail" if failed else "pass", "all metrics in their ranges")
    if failed:
        cards["ESO QC FAILED"] = (", ".join(dict.fromkeys(failed)), "metrics out of range")
    return cards


def _natural(keyword: str) -> list[tuple[int, str]]:
    """RAW2 before RAW10."""
    parts = re.split(r"(\d+)", keyword)
    return [(int(p), "") if p.isdigit() else (0, p) for p in parts]
