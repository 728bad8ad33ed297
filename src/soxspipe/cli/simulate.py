"""`soxspipe simulate`: write a night of raw frames with known truth."""

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from soxspipe.simulator.conditions import Conditions
    from soxspipe.simulator.observation import Observation

ARMS = {"vis": ("VIS",), "nir": ("NIR",), "both": ("VIS", "NIR")}


def run(args: argparse.Namespace) -> int:
    """Simulate the night that the options describe."""
    folder = Path(args.folder)
    from soxspipe.simulator.conditions import ORDINARY, read_conditions
    from soxspipe.simulator.observation import read_observation

    told = [*args.set, *([] if args.snr is None else [f"snr={args.snr}"])]
    x, y = args.binning.split("x")
    simulate(
        folder,
        arms=ARMS[args.arm],
        seed=args.seed,
        target=args.target,
        mode=args.mode,
        binning=(int(x), int(y)),
        conditions=read_conditions(Path(args.conditions)) if args.conditions else ORDINARY,
        observation=read_observation(
            Path(args.observation) if args.observation else None, tuple(told)
        ),
    )
    print(f"raw frames are in {folder}; next: soxspipe prep {folder}")
    return 0


def simulate(
    folder: Path,
    *,
    arms: tuple[str, ...],
    seed: int,
    target: str = "sn",
    mode: str = "stare",
    binning: tuple[int, int] = (1, 1),
    conditions: "Conditions | None" = None,
    observation: "Observation | None" = None,
) -> None:
    """Simulate with a progress bar on a terminal."""
    from soxspipe.simulator.conditions import ORDINARY
    from soxspipe.simulator.night import simulate_night
    from soxspipe.simulator.observation import USUAL

    with _progress() as progress:
        simulate_night(
            folder,
            arms=arms,
            seed=seed,
            target=target,
            mode=mode,
            binning=binning,
            progress=progress,
            conditions=conditions or ORDINARY,
            observation=observation or USUAL,
        )


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None] | None]:
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("simulating")
        yield lambda what, done, total: bar.update(
            task, description=f"simulating {what}", completed=done, total=total
        )
