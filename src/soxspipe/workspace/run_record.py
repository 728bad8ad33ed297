"""What is asked of a run, and what became of it."""

import resource
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from soxspipe.datamodel.metric import Measurement
from soxspipe.instrument.headers import NIGHT_START_OFFSET


@dataclass(frozen=True)
class Written:
    """A product on disk. `category` is PRO CATG with its arm, "" for files nobody takes."""

    label: str
    path: Path
    category: str
    group: str
    meaning: str

    @property
    def kind(self) -> str:
        """PROD, or QC for what only serves to judge."""
        return "QC" if self.group == "qc" else "PROD"


#: Exit status of a run whose products are there, but a QC value is out of its range.
QC_STATUS = 8

PASSED, FAILED, ERROR, EXISTS = "passed", "failed", "error", "exists"


@dataclass(frozen=True)
class RunRequest:
    """What to run.

    inputs     a SOF, a folder of FITS files, or paths
    root       workspace, or the current folder: products go below it, SOF paths start there
    output     folder for the products instead of `root`; must exist
    settings   file or nested options; None: `soxspipe.yaml` of `root`, else the defaults
    poly       digits of --poly
    options    options of the recipe that go before those of `settings`, by attribute name
    debug      show the plots on the screen as well
    """

    recipe: str
    inputs: Path | tuple[Path, ...]
    root: Path
    output: Path | None = None
    settings: Path | Mapping[str, Any] | None = None
    overwrite: bool = False
    poly: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    plots: bool = True
    debug: bool = False


@dataclass(frozen=True)
class RunOutcome:
    """What became of a run.

    state        "passed"; "failed": products are there, a QC value is out of range; "error": no
                 product; "exists": products were there already and nothing was done
    exit_status  0, QC_STATUS, or that of the error
    observed     UTC of the first raw frame, "" if none was read
    """

    recipe: str
    sof_stem: str
    arm: str
    state: str
    products: tuple[Written, ...] = ()
    plots: tuple[Written, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    message: str = ""
    hint: str = ""
    exit_status: int = 0
    seconds: float = 0.0
    peak_memory_mb: float = 0.0
    raw_files: tuple[str, ...] = ()
    calibration_files: tuple[str, ...] = ()
    started: datetime | None = None
    observed: str = ""
    warnings: tuple[str, ...] = ()

    @classmethod
    def error(cls, recipe: str, sof_stem: str, arm: str, message: str) -> "RunOutcome":
        """A run that made no product."""
        return cls(recipe, sof_stem, arm, ERROR, message=message, exit_status=1)


def command_line(request: RunRequest) -> str:
    """The command that repeats the run."""
    inputs = request.inputs if isinstance(request.inputs, tuple) else (request.inputs,)
    words = ["soxspipe", request.recipe, *map(str, inputs), "-x"]
    if isinstance(request.settings, Path):
        words += ["-s", str(request.settings)]
    if request.output is not None:
        words += ["-o", str(request.output)]
    if request.poly is not None:
        words.append(f"--poly={request.poly}")
    for name, value in request.options.items():
        values = value if isinstance(value, tuple | list) else (value,)
        words += [f"--{name.replace('_', '-')}", *map(str, values)]
    return shlex.join(words)


def peak_memory_mb() -> float:
    """Largest memory this process has held so far."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kilobytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def night_of(stem: str) -> str:
    """Night of a SOF by its name, "" if the name does not tell."""
    try:
        start = datetime.strptime(stem.partition("_")[0], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return ""
    return (start - NIGHT_START_OFFSET).date().isoformat()
