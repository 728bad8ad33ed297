"""How the science target is observed: what stands on the slit, in which pattern, under which sky."""

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from soxspipe.errors import InputError, SettingsError

MODES = ("stare", "nod", "offset", "generic", "mapping")
STANDARD_MODES = ("stare", "nod", "offset")

#: Exposures by mode: A and B are the ends of a nod, O is on the object, S on the sky.
PATTERNS = {"nod": "ABBA", "offset": "OSSO", "generic": "OSSOSO"}

#: Relative change of the sky from one exposure to the next, where a target has several.
_SKY_CHANGE = 0.03
_MAP_POSITIONS = 5


@dataclass(frozen=True)
class Observation:
    """The science template of a night; the defaults are the usual night.

    standard_mode the flux standard's: "stare", "nod" or "offset"
    pattern       letters of one cycle: A, B (nod), O, S (offset, generic); "": PATTERNS
    cycles        how often the pattern is repeated
    exposures     number of exposures in stare, of positions in mapping; None: 1 and 5
    seconds       exposure times, taken in turn; (): 900 (VIS) and 600 (NIR) in stare, else half of it
    missing       exposures of the template, counted from 1, that are not there
    throw, jitter arcsec, between the nod positions; width of the box the positions are moved in
    step          arcsec, across the slit between the positions of mapping
    position      arcsec, of the target on the slit (nod: from the nod position); None: as the seed
                  draws it, 0 if nodding
    extent        arcsec, full width at half maximum of the target itself, a round Gaussian; 0: a star
    companions    (separation along the slit in arcsec, flux over that of the target) of further stars
    brightness    factor on the target's flux
    snr           the median ideal S/N, over the useful bins of the arm, of the first exposure of the
                  target; takes the place of `brightness`
    seeing        arcsec, full width at half maximum at 500 nm and the zenith; None: from the seed
    sky_change    relative scatter of sky continuum and of sky lines, each for itself, from exposure
                  to exposure; None: 0.03 if a template has several exposures, else 0
    """

    standard_mode: str = "stare"
    pattern: str = ""
    cycles: int = 1
    exposures: int | None = None
    seconds: tuple[float, ...] = ()
    missing: tuple[int, ...] = ()
    throw: float = 5.0
    jitter: float = 0.0
    step: float = 1.0
    position: float | None = None
    extent: float = 0.0
    companions: tuple[tuple[float, float], ...] = ()
    brightness: float = 1.0
    snr: float | None = None
    seeing: float | None = None
    sky_change: float | None = None

    def __post_init__(self) -> None:
        for name in ("seconds", "missing"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        pairs = tuple((float(s), float(r)) for s, r in self.companions)
        object.__setattr__(self, "companions", pairs)
        allowed = {
            "standard_mode": self.standard_mode in STANDARD_MODES,
            "pattern": not set(self.pattern) - set("ABOS"),
            "cycles": 1 <= self.cycles <= 50,
            "exposures": self.exposures is None or 1 <= self.exposures <= 100,
            "seconds": all(0.0 < s <= 7200.0 for s in self.seconds),
            "missing": all(n >= 1 for n in self.missing),
            "throw": 0.0 < self.throw <= 12.0,
            "jitter": 0.0 <= self.jitter <= 5.0,
            "step": 0.0 < self.step <= 20.0,
            "position": abs(self.position or 0.0) <= 6.0,
            "extent": 0.0 <= self.extent <= 20.0,
            "companions": all(abs(s) <= 12.0 and r > 0.0 for s, r in self.companions),
            "brightness": self.brightness >= 0.0,
            "snr": self.snr is None or 0.0 < self.snr <= 3000.0,
            "seeing": self.seeing is None or 0.2 <= self.seeing <= 4.0,
            "sky_change": 0.0 <= (self.sky_change or 0.0) <= 0.5,
        }
        wrong = [f"{name} {getattr(self, name)!r}" for name, fine in allowed.items() if not fine]
        if wrong:
            raise SettingsError(
                f"nothing is observed with {', '.join(wrong)}",
                hint="patterns are made of A and B, or O and S; times in s, lengths in arcsec",
            )

    def letters(self, mode: str) -> str:
        """One letter for each exposure of a nod or offset template."""
        pattern = self.pattern or PATTERNS[mode]
        known = set("AB" if mode == "nod" else "OS")
        if set(pattern) - known:
            raise SettingsError(
                f"pattern {pattern!r} does not fit mode {mode!r}",
                hint="nod takes A and B, offset and generic take O (object) and S (sky)",
            )
        return pattern * self.cycles

    def number(self, mode: str) -> int:
        """Exposures in stare, positions in mapping."""
        return self.exposures or (_MAP_POSITIONS if mode == "mapping" else 1)

    def sky_scatter(self, exposures: int) -> float:
        """Scatter of the sky between the `exposures` of a template."""
        if self.sky_change is not None:
            return self.sky_change
        return _SKY_CHANGE if exposures > 1 else 0.0

    def told(self) -> dict[str, Any]:
        """The observation in plain types, for the truth."""
        return asdict(self)


USUAL = Observation()


def read_observation(path: Path | None, settings: tuple[str, ...] = ()) -> Observation:
    """An observation from a YAML file that names some of its fields, and `name=value` settings.

    Raises InputError if it cannot be read so, SettingsError if it makes no sense.
    """
    known = [field.name for field in fields(Observation)]
    hint = f"name some of {', '.join(known)}, each with its value"
    try:
        told = {} if path is None else yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        given = [text.partition("=") for text in settings]
        if isinstance(told, dict):
            told = told | {name.strip(): yaml.safe_load(value) for name, _, value in given}
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror or error}", hint="name a file"
        ) from error
    except (ValueError, yaml.YAMLError) as error:
        raise InputError("the observation cannot be read as YAML", hint=hint) from error
    if not isinstance(told, dict) or not set(told) <= set(known):
        raise InputError("what is told of the observation is not known", hint=hint)
    try:
        return Observation(**told)
    except (TypeError, ValueError) as error:
        raise InputError("a value of the observation is of the wrong kind", hint=hint) from error
