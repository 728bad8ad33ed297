"""The way out: products written aside and renamed together, then the plots."""

import glob
import io
import logging
import os
import sys
import webbrowser
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from soxspipe.datamodel.spectrum import OrderSpectra, Spectrum
from soxspipe.errors import OutputError, SoxspipeError
from soxspipe.instrument.arms import Arm
from soxspipe.io.frames import RawFrame
from soxspipe.io.products import product_bytes
from soxspipe.io.provenance import Provenance, product_header
from soxspipe.io.sof import FITS_SUFFIXES
from soxspipe.io.writing import Staged, write_bytes
from soxspipe.recipes.prepare import prepared
from soxspipe.recipes.recipe import Recipe, Result
from soxspipe.workspace.names import product_path
from soxspipe.workspace.run_inputs import Gathered
from soxspipe.workspace.run_record import Written

#: Variables that name a screen.
_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY")


class ProductExistsError(OutputError):
    """A product of the run is there already, and may not be replaced."""


@dataclass(frozen=True)
class Target:
    """Where the files of a run go: below `root`, named after `stem`."""

    root: Path
    night: str
    stem: str
    recipe: Recipe

    @property
    def folder(self) -> Path:
        """Folder of the products and the log."""
        return self.root / "reduced" / self.night / self.recipe.folder

    def products(self) -> dict[str, Path]:
        """Label -> path of everything the recipe can make."""
        return {
            p.label: self.root / product_path(self.stem, self.night, self.recipe, p)
            for p in self.recipe.products
        }

    def plot(self, suffix: str) -> Path:
        """Path of a plot."""
        return self.root / "qc" / self.night / self.recipe.folder / f"{self.stem}{suffix}"


def refuse_to_replace(target: Target) -> None:
    """ProductExistsError if a product of the run is there already."""
    for path in _existing(target):
        raise ProductExistsError(
            f"the product {path} exists already",
            hint="use -x to overwrite it, or -o for another folder",
        )


def _existing(target: Target) -> Iterator[Path]:
    """Products of the run that are there already."""
    for path in target.products().values():
        before, several, after = path.name.partition("{n}")
        if several:
            yield from sorted(path.parent.glob(f"{glob.escape(before)}*{glob.escape(after)}"))
        elif path.exists():
            yield path


def refuse_to_eat(target: Target, inputs: Iterable[Path]) -> None:
    """OutputError if a product would replace a file it is made of, -x or not."""
    taken = {path.resolve() for path in inputs}
    for path in _existing(target):
        if path.resolve() in taken:
            raise OutputError(
                f"the product {path} would replace a file it is made of",
                hint="name the SOF otherwise, or use -o for another folder",
            )


def write_prepared(
    target: Target, frames: Iterable[RawFrame], provenance: Provenance, arm: Arm
) -> list[Path]:
    """Write the prepared frames, `<raw name>_pre.fits` in the folder of the products.

    Raises OutputError if they cannot be written.
    """
    paths = []
    with Staged() as stage:
        for raw in frames:
            own = replace(
                provenance,
                raw=[u for u in provenance.raw if u.name == raw.info.file],
                calibrations=[],
            )
            header = product_header(raw.header, own, tech=raw.info.dpr_tech)
            header["HIERARCH ESO PRO TYPE"] = "PREPARED"
            path = target.folder / f"{without_suffix(raw.info.file)}_pre.fits"
            stage.write(path, product_bytes(path, prepared(raw, arm), header))
            paths.append(path)
    return paths


def without_suffix(name: str) -> str:
    """The name of a FITS file without `.fits`, `.fits.gz` and so on."""
    ending = next((s for s in sorted(FITS_SUFFIXES, key=len, reverse=True) if name.endswith(s)), "")
    return name.removesuffix(ending)


def write_products(
    target: Target, result: Result, provenance: Provenance, gathered: Gathered
) -> tuple[Written, ...]:
    """Write all products of a result, or none.

    Raises OutputError if they cannot be written; KeyError if the recipe did not declare a label.
    """
    paths, arm = target.products(), gathered.arm.name
    for label in result.products:
        paths[label]
    written = []
    with Staged() as stage:
        for product in target.recipe.products:
            if product.label not in result.products:
                continue
            category = f"{product.category}_{arm}" if product.category else ""
            for path, value in _members(paths[product.label], result.products[product.label]):
                header = product_header(
                    gathered.first.header,
                    provenance,
                    category=category,
                    tech=product.tech,
                    extracted=isinstance(value, OrderSpectra | Spectrum),
                    measurements=result.measurements,
                    extra=result.headers.get(product.label),
                )
                stage.write(path, product_bytes(path, value, header))
                written.append(
                    Written(product.label, path, category, product.group, product.meaning)
                )
    return tuple(written)


def _members(path: Path, value: Any) -> Iterator[tuple[Path, Any]]:
    """Path and content of each file: one, or as many as a mapping of names to contents holds."""
    if "{n}" not in path.name:
        yield path, value
        return
    for name, content in value.items():
        yield path.with_name(path.name.replace("{n}", name)), content


def draw(target: Target, result: Result, log: logging.Logger) -> tuple[Written, ...]:
    """Draw the plots of a result as PDF. One that fails is told in the log; no product is lost."""
    drawn = []
    for plot in target.recipe.plots:
        function = result.figures.get(plot.label)
        if function is None:
            continue
        several = function if isinstance(function, Mapping) else {"": function}
        for name, one in several.items():
            path = target.plot(plot.suffix.format(**{"n": name, **result.names}))
            if _drawn(path, one, plot.label, log):
                drawn.append(Written(plot.label, path, "", "qc", plot.meaning))
    return tuple(drawn)


def _drawn(path: Path, function: Callable[[], Any], label: str, log: logging.Logger) -> bool:
    try:
        write_bytes(path, _pdf(function()), overwrite=True)
    except SoxspipeError as error:
        log.warning("plot %s: %s", label, error.message)
    except Exception:
        log.warning("plot %s could not be drawn", label, exc_info=True)
    else:
        return True
    return False


def show(plots: Iterable[Written], log: logging.Logger) -> None:
    """Open plots in the viewer of the desktop; where there is none, say where they are."""
    desktop = sys.platform in ("darwin", "win32") or any(map(os.environ.get, _DISPLAYS))
    for plot in plots:
        # without a desktop a browser of the terminal would open, and wait
        if not (desktop and webbrowser.open(plot.path.absolute().as_uri())):
            log.warning("no viewer to show the plot %s", plot.path)


def _pdf(figure: Any) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="pdf", metadata={"CreationDate": None})
    return stream.getvalue()


def use_no_screen() -> None:
    """Make matplotlib draw to files only, wherever it is called from."""
    import matplotlib as mpl

    mpl.use("Agg")


def close_figures() -> None:
    """Let go of figures that pyplot keeps."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        pyplot.close("all")
