"""The templates on sky: standard and science target, exposure by exposure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from soxspipe.errors import SettingsError
from soxspipe.simulator.observation import MODES, Observation

DUSK = datetime.fromisoformat("2026-05-10T23:40:00")

_STANDARD_TEMPLATES = {
    "stare": "SOXS_slt_cal_SpecphotStdStare",
    "nod": "SOXS_slt_cal_SpecphotNod",
    "offset": "SOXS_slt_cal_SpecphotOffset",
}
_SCIENCE_TEMPLATES = {
    "stare": "SOXS_slt_obs_StareSynchro",
    "nod": "SOXS_slt_obs_AutoNodOnSlit",
    "offset": "SOXS_slt_obs_AutoOffsetOnSlit",
    "generic": "SOXS_slt_obs_GenericOffset",
    "mapping": "SOXS_slt_obs_Mapping",
}
_TECHNIQUES = {
    "stare": "STARE",
    "nod": "NODDING",
    "offset": "OFFSET",
    "generic": "OFFSET",
    "mapping": "MAPPING",
}
#: Offsets (RA, DEC) of empty sky, arcsec, taken in turn.
_SKY_POSITIONS = {
    "offset": ((20.0, 15.0),),
    "generic": ((20.0, 15.0), (-25.0, 10.0), (10.0, -30.0), (-15.0, -20.0)),
}


@dataclass(frozen=True)
class Exposure:
    """One exposure of the night.

    number        place in the night's plan; seeds the frame's own random numbers
    group         one of plan.GROUPS or plan.EXTRA_GROUPS
    lamps         keys of the lamps that are on; "DOME" is not in the instrument nor in the header
    target        "standard", "science" or "" ; `on_target` False: empty sky of an offset pair
    slit_position arcsec, where the target stands on the slit
    slit_offset   arcsec, cumulative offset across the slit: the target stands as far on the other side
    nod           arcsec, cumulative offset along the slit; None if neither nodding nor mapping
    throw, jitter arcsec, of a nod
    offset        arcsec in RA and DEC; None if not in offset mode
    """

    number: int
    arm: str
    group: str
    start: datetime
    seconds: float
    dpr: tuple[str, str, str]
    template: str
    slit: str = "BLANK"
    lamps: tuple[str, ...] = ()
    template_start: datetime = DUSK
    count: tuple[int, int] = (1, 1)
    block: int = 0
    target: str = ""
    on_target: bool = True
    slit_position: float = 0.0
    slit_offset: float = 0.0
    nod: float | None = None
    throw: float = 0.0
    jitter: float = 0.0
    offset: tuple[float, float] | None = None

    @property
    def stem(self) -> str:
        """File name without its ending: `SOXS.<start>`."""
        return f"SOXS.{self.start.isoformat(timespec='milliseconds')}"

    @property
    def slit_width(self) -> float:
        """Arcsec; 0 for masks and the blank position."""
        return float(self.slit.removeprefix("SLIT")) if self.slit.startswith("SLIT") else 0.0


def science_slit(arm: str) -> str:
    """The slit of the science exposures."""
    return "SLIT1.0" if arm == "VIS" else "SLIT1.5"


def on_sky(
    arm: str, mode: str, positions: tuple[float, float], observation: Observation, seed: int
) -> Iterator[list[Exposure]]:
    """The standard, and the science target in `mode`; `positions` of both on the slit, arcsec.

    Raises SettingsError for an unknown mode or a pattern that does not fit it.
    """
    if mode not in MODES:
        raise SettingsError(f"no observing mode {mode!r}", hint=f"use {', '.join(MODES)}")
    wander = np.random.default_rng([seed, 7])
    own = observation.standard_mode
    standard = Exposure(
        0,
        arm,
        "standard",
        DUSK,
        60.0,
        ("CALIB", "STD,FLUX", f"ECHELLE,SLIT,{_TECHNIQUES[own]}"),
        _STANDARD_TEMPLATES[own],
        "SLIT5.0",
        target="standard",
        slit_position=positions[0],
    )
    pair = Observation(pattern={"nod": "AB", "offset": "OS"}.get(own, ""))
    yield _template(standard, own, pair, wander)
    long = 900.0 if arm == "VIS" else 600.0
    science = replace(
        standard,
        group="science",
        dpr=("SCIENCE", "OBJECT", f"ECHELLE,SLIT,{_TECHNIQUES[mode]}"),
        template=_SCIENCE_TEMPLATES[mode],
        slit=science_slit(arm),
        target="science",
        slit_position=positions[1],
    )
    times = observation.seconds or ((long if mode == "stare" else 0.5 * long),)
    exposures = _template(science, mode, observation, wander)
    yield [replace(e, seconds=times[i % len(times)]) for i, e in enumerate(exposures)]


def _template(
    one: Exposure, mode: str, observation: Observation, wander: np.random.Generator
) -> list[Exposure]:
    """The exposures of a template in `mode`, all of the exposure time of `one`."""
    n = observation.number(mode)
    if mode == "stare":
        return [one] * n
    if mode == "mapping":
        steps = observation.step * (np.arange(n) - 0.5 * (n - 1))
        return [replace(one, slit_offset=float(x), nod=0.0) for x in steps]
    letters = observation.letters(mode)
    if mode == "nod":
        return _nods(one, letters, observation, wander)
    skies = iter(_SKY_POSITIONS[mode] * len(letters))
    on = replace(one, offset=(0.0, 0.0))
    return [
        on if letter == "O" else replace(one, offset=next(skies), on_target=False)
        for letter in letters
    ]


def _nods(
    one: Exposure, letters: str, observation: Observation, wander: np.random.Generator
) -> list[Exposure]:
    half = 0.5 * observation.throw
    base = observation.position or 0.0
    moved = observation.jitter * wander.uniform(-0.5, 0.5, len(letters))
    places = [(half if a == "A" else -half) + float(m) for a, m in zip(letters, moved, strict=True)]
    return [
        replace(
            one,
            nod=place,
            slit_position=place + base,
            throw=observation.throw,
            jitter=observation.jitter,
        )
        for place in places
    ]
