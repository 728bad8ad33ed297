"""The documented class interface: `soxs_mbias(log=log, inputFrames=sof).produce_product()`.

One thin layer over the runner. Each class stands for one recipe.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from soxspipe import errors
from soxspipe.io.sof import workspace_of
from soxspipe.workspace.runner import RunOutcome, RunRequest, run_recipe

Settings = Mapping[str, Any] | str | Path | None
Frames = str | Path | Sequence[str | Path]


class base_recipe:
    """A recipe with its input and options, ready to run.

    log          a logger; None: that of the package
    settings     settings file, or its content as nested dictionaries; None: those of the workspace
    inputFrames  a SOF, a folder of FITS files, or a list of paths
    verbose      tell more
    overwrite    replace existing products
    command      accepted and not used: the log holds the command that repeats the run
    debug        show the plots on the screen
    turnOffMP    accepted and not used: one recipe runs in one process
    recipeName   command name of the recipe, for the classes that stand for two
    """

    recipe: ClassVar[str] = ""
    #: Other recipes the class can stand for.
    variants: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        log: logging.Logger | None = None,
        settings: Settings = None,
        inputFrames: Frames = (),
        verbose: bool = False,
        overwrite: bool = False,
        command: str | bool = False,
        debug: bool = False,
        turnOffMP: bool = False,
        recipeName: str | bool = False,
    ) -> None:
        self.log = log or logging.getLogger("soxspipe")
        self.settings, self.verbose, self.overwrite = settings, verbose, overwrite
        self.inputFrames, self.command, self.debug = inputFrames, command, debug
        self.turnOffMP = turnOffMP
        self.recipeName = self._name(recipeName)
        self.outcome: RunOutcome | None = None

    def produce_product(self) -> str:
        """Run the recipe; returns the path of its main product.

        The product is returned also if a QC value is out of range: `outcome` has the verdicts.
        Raises SettingsError, InputError, DataError or OutputError as the recipe does.
        """
        if self.verbose:
            self.log.setLevel(logging.INFO)
        self.outcome = run_recipe(self._request(), log=self.log)
        if not self.outcome.products:
            raise _error(self.outcome)
        return str(self.outcome.products[0].path)

    def _name(self, wanted: str | bool) -> str:
        if not isinstance(wanted, str):
            return self.recipe
        name = wanted.removeprefix("soxs-").removeprefix("soxs_").replace("-", "_")
        if name not in (self.recipe, *self.variants):
            raise errors.InputError(
                f"{type(self).__name__} does not run the recipe {wanted}",
                hint=f"recipeName may be {', '.join((self.recipe, *self.variants))}",
            )
        return name

    def _request(self) -> RunRequest:
        frames = self.inputFrames
        inputs = Path(frames) if isinstance(frames, str | Path) else tuple(map(Path, frames))
        start = inputs if isinstance(inputs, Path) else next(iter(inputs), Path())
        settings = self.settings
        return RunRequest(
            recipe=self.recipeName,
            inputs=inputs,
            root=workspace_of(start) or Path(),
            settings=Path(settings) if isinstance(settings, str) else settings,
            overwrite=self.overwrite,
            debug=self.debug,
        )


class soxs_mbias(base_recipe):
    """Master bias."""

    recipe = "mbias"


class soxs_mdark(base_recipe):
    """Master dark."""

    recipe = "mdark"


class soxs_disp_solution(base_recipe):
    """First dispersion solution."""

    recipe = "disp_solution"


class soxs_order_centres(base_recipe):
    """Order centres."""

    recipe = "order_centres"


class soxs_mflat(base_recipe):
    """Master flat and order edges."""

    recipe = "mflat"


class soxs_spatial_solution(base_recipe):
    """Dispersion and spatial solution."""

    recipe = "spat_solution"


class soxs_stare(base_recipe):
    """Object in stare mode; `recipeName="soxs-stare-std"` for a standard star."""

    recipe = "stare"
    variants = ("stare_std",)


class soxs_nod(base_recipe):
    """Object in nodding mode; `recipeName="soxs-nod-std"` for a standard star."""

    recipe = "nod"
    variants = ("nod_std",)


class soxs_offset(base_recipe):
    """Object in offset mode; `recipeName="soxs-offset-std"` for a standard star."""

    recipe = "offset"
    variants = ("offset_std",)


class soxs_straighten(base_recipe):
    """Rectified images of the orders."""

    recipe = "straighten"


class soxs_extract(base_recipe):
    """Extraction from a two-dimensional product; positions and apertures are in the settings."""

    recipe = "extract"


def _error(outcome: RunOutcome) -> errors.SoxspipeError:
    """The error a run ended with."""
    kinds: tuple[type[errors.SoxspipeError], ...] = (
        errors.SettingsError,
        errors.InputError,
        errors.DataError,
        errors.OutputError,
        errors.WorkspaceError,
    )
    kind = next((k for k in kinds if k.exit_status == outcome.exit_status), errors.SoxspipeError)
    return kind(outcome.message, hint=outcome.hint)
