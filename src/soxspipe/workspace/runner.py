"""One run of one recipe: the one door in to the recipes, and the one door out."""

import logging
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path

from soxspipe import recipes
from soxspipe.datamodel.metric import Measurement
from soxspipe.errors import InputError, SettingsError, SoxspipeError
from soxspipe.io.provenance import Provenance
from soxspipe.io.sof import FileSet, file_set
from soxspipe.recipes.recipe import Recipe
from soxspipe.settings import RecipeSettings, SettingsFile, check_settings, read_settings
from soxspipe.workspace.names import sof_stem
from soxspipe.workspace.run_inputs import Gathered, gather
from soxspipe.workspace.run_log import (
    Listener,
    aligned,
    listening,
    product_table,
    quality_table,
    write_log,
)
from soxspipe.workspace.run_outputs import (
    ProductExistsError,
    Target,
    close_figures,
    draw,
    refuse_to_eat,
    refuse_to_replace,
    show,
    use_no_screen,
    without_suffix,
    write_prepared,
    write_products,
)
from soxspipe.workspace.run_record import (
    ERROR,
    EXISTS,
    FAILED,
    PASSED,
    QC_STATUS,
    RunOutcome,
    RunRequest,
    Written,
    command_line,
    night_of,
    peak_memory_mb,
)
from soxspipe.workspace.run_values import load

__all__ = ["QC_STATUS", "RunOutcome", "RunRequest", "Written", "run_recipe"]


def run_recipe(request: RunRequest, *, log: logging.Logger) -> RunOutcome:
    """Run one recipe and write what it makes: all products, or none.

    Errors soxspipe raises on purpose end up in the outcome and in `<stem>_ERROR.log`; anything
    else is a bug and is raised. Raises InputError if there is no such recipe.
    """
    if request.recipe not in recipes.MODULES:
        raise InputError(
            f"there is no recipe {request.recipe}", hint=f"recipes are {', '.join(recipes.MODULES)}"
        )
    run = _Run(request, recipes.load(request.recipe))
    with listening(log) as listener:
        return run.carry_out(log, listener)


class _Run:
    """What is known so far of a run, so that an error can be filed in the right place."""

    def __init__(self, request: RunRequest, recipe: Recipe) -> None:
        self.request, self.recipe = request, recipe
        self.started, self._clock = datetime.now(UTC), time.perf_counter()
        self.stem = self.arm = self.observed = ""
        self.target: Target | None = None
        self.raw_files: tuple[str, ...] = ()
        self.calibration_files: tuple[str, ...] = ()

    def carry_out(self, log: logging.Logger, listener: Listener) -> RunOutcome:
        log.info("command: %s", command_line(self.request))
        try:
            outcome = self._reduce(log)
        except SoxspipeError as error:
            state = EXISTS if isinstance(error, ProductExistsError) else ERROR
            outcome = self._outcome(
                state, message=error.message, hint=error.hint, status=error.exit_status
            )
        except Exception:
            listener.lines.append(traceback.format_exc())
            self._file(listener, failed=True)
            raise
        self._tell(outcome, log)
        if outcome.state != EXISTS:
            self._file(listener, failed=outcome.state == ERROR)
        return replace(outcome, warnings=tuple(listener.warnings))

    def _reduce(self, log: logging.Logger) -> RunOutcome:
        request, recipe = self.request, self.recipe
        root = _product_root(request)
        files = self._files()
        gathered = gather(recipe, files)
        self._remember(gathered, files, root)
        assert self.target is not None
        if not request.overwrite:
            refuse_to_replace(self.target)
        options, settings = _settings(request, recipe, gathered)
        for line in _frame_table(gathered):
            log.info("input: %s", line)
        general = options.general
        maps = request.root / general.bad_pixel_maps if general.bad_pixel_maps else None
        loaded = load(recipe, gathered, extension=general.data_extension, maps=maps)
        if request.plots:
            use_no_screen()
        result = recipe.function(loaded.inputs, settings, gathered.arm)
        provenance = Provenance(
            recipe.folder, loaded.raw, loaded.calibrations, settings.flattened(), loaded.cards
        )
        products = write_products(self.target, result, provenance, gathered)
        if general.save_intermediate_products:
            for path in write_prepared(self.target, loaded.frames, provenance, gathered.arm):
                log.info("prepared frame: %s", path)
        del loaded
        plots = draw(self.target, result, log) if request.plots else ()
        if request.plots:
            close_figures()
        if request.debug:
            show(plots, log)
        failed = [m for m in result.measurements if m.failed]
        outcome = self._outcome(FAILED if failed else PASSED, status=QC_STATUS if failed else 0)
        message, hint = _verdict(failed)
        return replace(
            outcome,
            products=products,
            plots=plots,
            measurements=tuple(result.measurements),
            message=message,
            hint=hint,
        )

    def _files(self) -> FileSet:
        inputs = self.request.inputs
        if isinstance(inputs, Path) and inputs.suffix == ".sof" and inputs.exists():
            self.stem = inputs.stem
        return file_set(inputs, root=self.request.root)

    def _remember(self, gathered: Gathered, files: FileSet, root: Path) -> None:
        first = gathered.first.info
        self.arm, self.observed = first.arm, first.date_obs.isoformat(timespec="seconds")
        self.stem = files.stem or _stem(self.recipe, gathered)
        self.target = Target(root, first.night, self.stem, self.recipe)
        self.raw_files = tuple(str(f.path) for f in gathered.frames)
        self.calibration_files = tuple(str(c.path) for c in gathered.products)
        refuse_to_eat(self.target, [c.path for c in gathered.products])

    def _outcome(
        self, state: str, *, message: str = "", hint: str = "", status: int = 0
    ) -> RunOutcome:
        return RunOutcome(
            self.recipe.name,
            self.stem,
            self.arm,
            state,
            message=message,
            hint=hint,
            exit_status=status,
            seconds=time.perf_counter() - self._clock,
            peak_memory_mb=peak_memory_mb(),
            raw_files=self.raw_files,
            calibration_files=self.calibration_files,
            started=self.started,
            observed=self.observed,
        )

    def _tell(self, outcome: RunOutcome, log: logging.Logger) -> None:
        files = product_table((*outcome.products, *outcome.plots), outcome.observed)
        for line in (*quality_table(outcome.measurements), *files):
            log.info("%s", line)
        if outcome.message:
            log.info("%s: %s; hint: %s", outcome.state, outcome.message, outcome.hint)
        log.info("command: %s", command_line(self.request))
        log.info("run time: %.1f s, peak memory %.0f MB", outcome.seconds, outcome.peak_memory_mb)

    def _file(self, listener: Listener, *, failed: bool) -> None:
        if not self.stem:
            return
        root = self.request.output or self.request.root
        if self.target is not None:
            folder = self.target.folder
        elif root.is_dir():
            folder = root / "reduced" / night_of(self.stem) / self.recipe.folder
        else:
            return
        write_log(folder, self.stem, listener.text(), failed=failed)


def _product_root(request: RunRequest) -> Path:
    if request.output is None:
        return request.root
    if not request.output.is_dir():
        raise InputError(
            f"the output folder {request.output} does not exist",
            hint="make it first, or leave -o out",
        )
    return request.output


def _settings(
    request: RunRequest, recipe: Recipe, gathered: Gathered
) -> tuple[SettingsFile, RecipeSettings]:
    source = request.settings
    if source is None and (request.root / "soxspipe.yaml").is_file():
        source = request.root / "soxspipe.yaml"
    content = (
        check_settings(source, source="settings")
        if isinstance(source, Mapping)
        else read_settings(source)
    )
    settings = content.recipe(recipe.folder, gathered.arm.name)
    keys = [m.key for m in recipe.metrics]
    for key in settings.qc_acceptable_ranges:
        if key not in keys:
            near = get_close_matches(key, keys, n=1)
            raise SettingsError(
                f"{content.source}: {recipe.folder} / qc-acceptable-ranges / {key}: no such metric",
                hint=f"did you mean {near[0]}?" if near else f"metrics are {', '.join(keys)}",
            )
    if request.poly is not None:
        settings = settings.with_poly(request.poly)
    return content, settings.with_options(request.options) if request.options else settings


def _stem(recipe: Recipe, gathered: Gathered) -> str:
    """Name of the SOF that `prep` would have written; of masters combined, with an ending; that of the
    product a recipe works on.
    """
    info, arm = gathered.first.info, gathered.arm
    if info.kind not in recipe.type_codes:  # no SOF that `prep` writes
        return without_suffix(gathered.first.path.name)
    assert info.kind is not None
    stem = sof_stem(
        start=info.date_obs,
        arm=info.arm,
        binning="{}x{}".format(*info.binning) if len(arm.binnings) > 1 else "",
        read_mode=info.read_mode,
        type_code=recipe.type_codes[info.kind],
        lamp=info.lamp,
        slit=info.slit,
        exptime=info.exptime,
        instrument=info.instrument,
        target=info.object if info.dpr_catg == "SCIENCE" else "",
    )
    return stem if gathered.frames else f"{stem}_COMBINED"


def _frame_table(gathered: Gathered) -> list[str]:
    rows: list[Sequence[str]] = [("file", "tag", "slit", "exptime", "date-obs")]
    for file in gathered.frames:
        info = file.info
        rows.append(
            (info.file, info.tag, info.slit, f"{info.exptime:g}", info.date_obs.isoformat())
        )
    rows += [(c.path.name, c.category, "", "", "") for c in gathered.products]
    return aligned(rows)


def _verdict(failed: Sequence[Measurement]) -> tuple[str, str]:
    if not failed:
        return "", ""
    values = [f"{m.metric.keyword} = {m.value:.4g}" for m in failed]
    return (
        "out of range: " + ", ".join(dict.fromkeys(values)),
        "look at the raw frames and plots; ranges can be changed in the settings file",
    )
