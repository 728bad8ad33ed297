"""Scenes on sky for `python -m benchmarks.science`: what is observed, and in which mode."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from soxspipe.simulator.conditions import ORDINARY, Conditions
from soxspipe.simulator.observation import Observation

MODES = ("stare", "nod", "offset")
#: Median S/N per native bin of the targets, one exposure.
SNR = (3.0, 10.0, 30.0, 100.0, 300.0)


@dataclass(frozen=True)
class Scene:
    """One science template."""

    name: str
    mode: str = "stare"
    target: str = "sn"
    observation: Observation = field(default_factory=Observation)
    conditions: Conditions = ORDINARY


def targets(modes: Sequence[str] = MODES, snr: Sequence[float] = SNR) -> list[Scene]:
    """Targets of some S/N in some modes."""
    return [
        Scene(f"{mode}, S/N {n:g}", mode, observation=Observation(snr=n))
        for mode in modes
        for n in snr
    ]


#: What else a night may hold, by the name it is asked for with.
SPECIAL = {
    "several": Scene("three exposures", observation=Observation(snr=10.0, exposures=3)),
    "two": Scene(
        "two objects, 5:1",
        observation=Observation(snr=30.0, position=-1.5, companions=((3.5, 0.2),)),
    ),
    "two-nod": Scene(
        "two objects, 5:1, nod",
        "nod",
        observation=Observation(snr=30.0, throw=4.0, position=-1.0, companions=((3.5, 0.2),)),
    ),
    "extended": Scene("extended object", observation=Observation(snr=10.0, extent=4.0)),
    "extended-offset": Scene(
        "extended object, offset", "offset", observation=Observation(snr=10.0, extent=4.0)
    ),
    "sharp": Scene("seeing 0.4 arcsec", observation=Observation(snr=100.0, seeing=0.4)),
    "faint": Scene("S/N 2", observation=Observation(snr=2.0)),
    "lines": Scene("emission lines only", target="lines"),
    "bluepoor": Scene("dark in the blue", target="bluepoor"),
    "empty": Scene("no object", target="none"),
    "end": Scene("object at the slit's end", observation=Observation(snr=30.0, position=5.2)),
    "saturated": Scene(
        "saturated star", target="standard", observation=Observation(brightness=300)
    ),
    "storm": Scene(
        "cosmic-ray storm",
        observation=Observation(snr=30.0),
        conditions=Conditions(cosmic_rate=0.9),
    ),
    "jitter": Scene("nod with jitter", "nod", observation=Observation(snr=10.0, jitter=1.0)),
    "seven": Scene(
        "seven of ABBAABBA", "nod", observation=Observation(snr=10.0, cycles=2, missing=(5,))
    ),
    "unequal": Scene(
        "unequal exposure times",
        "nod",
        observation=Observation(snr=10.0, pattern="AB", seconds=(600.0, 300.0)),
    ),
    "generic": Scene("generic offset", "generic", observation=Observation(snr=10.0)),
    "map": Scene("mapping", "mapping", observation=Observation(snr=10.0, extent=4.0)),
}
