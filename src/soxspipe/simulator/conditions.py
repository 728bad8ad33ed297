"""Conditions of a night: how far instrument, lamps and detector are from an ordinary one."""

from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from soxspipe.errors import InputError, SettingsError
from soxspipe.simulator.optics import Departure
from soxspipe.simulator.tables import ArcLines

#: Arc lamp (its key in the header) by the first letters of the ion; in VIS all lines are of one lamp.
_LAMP_OF = {"Ar": "ARGO", "Hg": "MERC", "Ne": "NEON", "Xe": "XENO"}
LAMPS = (*_LAMP_OF.values(), "THAR", "QTH", "DEUT", "DOME")


@dataclass(frozen=True)
class Conditions:
    """What is out of the ordinary tonight; the defaults are an ordinary night.

    shift, rotation, scale  of the detector against the design: (x, y) unbinned px, degrees, relative
                  (0.003 is 0.3 %). None: as the seed draws it. The VIS bands' own shifts and the
                  bends, which the seed draws, come on top
    lines_missing share of the arc lines, drawn by the seed, that do not shine
    lamps_off     keys of lamps (LAMPS) that stay dark although the header says they are on
    lamp_level    light of all lamps, relative to the usual
    u_flat_counts ADU in the middle of the u band, in a QTH flat of 60 s through 1 arcsec; None: the
                  usual lamp. The lamp is changed blueward of 550 nm only
    cosmic_rate   hits per s and cm2
    nan_share     share of the pixels that are not a number, in all frames alike; VIS frames are then
                  written as floats
    dead_rows, dead_columns  how many rows and columns of the inner half of the window see no light
    """

    shift: tuple[float, float] | None = None
    rotation: float | None = None
    scale: float | None = None
    lines_missing: float = 0.0
    lamps_off: frozenset[str] = frozenset()
    lamp_level: float = 1.0
    u_flat_counts: float | None = None
    cosmic_rate: float = 0.03
    nan_share: float = 0.0
    dead_rows: int = 0
    dead_columns: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "lamps_off", frozenset(self.lamps_off))
        allowed = {
            "shift": max(map(abs, self.shift or (0.0,))) <= 20.0,
            "rotation": abs(self.rotation or 0.0) <= 1.0,
            "scale": abs(self.scale or 0.0) <= 0.01,
            "lines_missing": 0.0 <= self.lines_missing <= 1.0,
            "lamps_off": self.lamps_off <= set(LAMPS),
            "lamp_level": 0.0 < self.lamp_level <= 100.0,
            "u_flat_counts": self.u_flat_counts is None or self.u_flat_counts > 0.0,
            "cosmic_rate": 0.0 <= self.cosmic_rate <= 10.0,
            "nan_share": 0.0 <= self.nan_share <= 0.5,
            "dead_rows": 0 <= self.dead_rows <= 100,
            "dead_columns": 0 <= self.dead_columns <= 100,
        }
        wrong = [f"{name} {getattr(self, name)}" for name, fine in allowed.items() if not fine]
        if wrong:
            raise SettingsError(
                f"a night cannot have {', '.join(wrong)}",
                hint="shift up to 20 px, rotation 1 degree, scale 0.01, shares 0 to 1; "
                f"lamps are {', '.join(LAMPS)}",
            )

    def departed(self, drawn: Departure) -> Departure:
        """The departure `drawn` from the seed, with what these conditions set in its place."""
        return replace(
            drawn,
            shift=drawn.shift if self.shift is None else self.shift,
            rotation=drawn.rotation if self.rotation is None else float(np.deg2rad(self.rotation)),
            scale=drawn.scale if self.scale is None else self.scale,
        )

    def shining(self, lines: ArcLines, arm: str, rng: np.random.Generator) -> ArcLines:
        """The arc lines of `arm` as bright as they are tonight, 0 for those that do not shine."""
        lit = np.ones(lines.strength.size)
        if self.lines_missing > 0.0:
            lit[rng.permutation(lit.size)[: round(self.lines_missing * lit.size)]] = 0.0
        lamp = np.array(
            [_LAMP_OF.get(ion[:2], "") if arm == "NIR" else "THAR" for ion in lines.ion]
        )
        lit[np.isin(lamp, sorted(self.lamps_off))] = 0.0
        return replace(lines, strength=lines.strength * lit * self.lamp_level)

    def told(self) -> dict[str, Any]:
        """The conditions in plain types, for the truth."""
        return asdict(self) | {"lamps_off": sorted(self.lamps_off)}


ORDINARY = Conditions()


def read_conditions(path: Path) -> Conditions:
    """Conditions from a YAML file that names some of their fields: `lamp_level: 0.2`.

    Raises InputError if the file cannot be read so, SettingsError if a night cannot be like that.
    """
    known = [field.name for field in fields(Conditions)]
    hint = f"name some of {', '.join(known)}, each with its value"
    try:
        told = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror or error}", hint="name a file of conditions"
        ) from error
    except (ValueError, yaml.YAMLError) as error:
        raise InputError(f"{path}: cannot be read as YAML", hint=hint) from error
    if not isinstance(told, dict) or not set(told) <= set(known):
        raise InputError(f"{path}: holds what is no condition of a night", hint=hint)
    lists = {"shift": tuple, "lamps_off": frozenset}
    try:
        return Conditions(**{k: lists.get(k, lambda v: v)(v) for k, v in told.items()})
    except TypeError as error:
        raise InputError(f"{path}: a value is of the wrong kind", hint=hint) from error
