"""The way in: files named by the user are recognised, checked against the recipe, and read."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from astropy.io.fits import Header

from soxspipe.datamodel.flat import MasterFlat
from soxspipe.datamodel.frame import Frame
from soxspipe.datamodel.geometry import DispersionSolution, OrderTable, PixelMap
from soxspipe.datamodel.rebinning import solution_at, table_at
from soxspipe.errors import InputError
from soxspipe.instrument.arms import Arm
from soxspipe.instrument.headers import PRODUCT_KEYWORDS, ObservationInfo, observation_info
from soxspipe.io.frames import RawFrame, read_header, read_raw
from soxspipe.io.products import read_product
from soxspipe.io.provenance import Used
from soxspipe.io.sof import FileSet, SofEntry
from soxspipe.recipes.recipe import Calibration, Input, Raw, Recipe


@dataclass(frozen=True, eq=False)
class RawFile:
    """A raw frame by its header, the pixels not read yet."""

    path: Path
    info: ObservationInfo
    header: Header


@dataclass(frozen=True, eq=False)
class ProductFile:
    """A product by its header. `category` is PRO CATG, arm included."""

    path: Path
    category: str
    datamd5: str
    binning: tuple[int, int] = (1, 1)


@dataclass(frozen=True, eq=False)
class Gathered:
    """The files of a run, in agreement with the recipe's declaration. Keys are fields of Inputs."""

    raw: dict[str, tuple[RawFile, ...]]
    calibrations: dict[str, ProductFile]
    arm: Arm

    @property
    def frames(self) -> tuple[RawFile, ...]:
        """All raw frames, in order of time."""
        return tuple(sorted((f for g in self.raw.values() for f in g), key=_by_time))

    @property
    def first(self) -> RawFile:
        """The earliest frame of the first raw input: names the products, lends its header."""
        return next(group[0] for group in self.raw.values() if group)


def gather(recipe: Recipe, files: FileSet) -> Gathered:
    """Recognise the files by their headers and distribute them to the recipe's inputs.

    Raises InputError if a file is damaged, foreign, or other than its tag says; if the raw frames
    are a mix; or if something is missing or unwanted: one message tells what the recipe needs.
    """
    found = [_recognise(entry) for entry in files.entries]
    raw = sorted((f for f in found if isinstance(f, RawFile)), key=_by_time)
    products = [f for f in found if isinstance(f, ProductFile)]
    arms = sorted({f.info.arm for f in raw})
    if len(arms) > 1:
        raise _mixed(recipe, {"arm": _tally(raw, lambda f: f.info.arm)})
    if not raw:
        arms = sorted({f.category.rpartition("_")[2] for f in products})
        raise _unfit(recipe, arms[0] if arms else "VIS", ["no raw frame is given"])
    groups, problems = _distribute_raw(recipe, raw)
    calibrations, more = _distribute_products(recipe, products, arms[0])
    if problems or more:
        raise _unfit(recipe, arms[0], [*problems, *more])
    _refuse_mix(recipe, groups)
    return Gathered(groups, calibrations, raw[0].info.get_arm())


def load(recipe: Recipe, gathered: Gathered, *, extension: int = 0) -> tuple[Any, list[Used]]:
    """The recipe's Inputs with all pixels read, and the raw files used with their MD5.

    Raises InputError if a file is damaged, or a calibration has another shape than the frames.
    """
    hints = get_type_hints(recipe.inputs)
    values: dict[str, Any] = {}
    used: list[Used] = []
    for item in recipe.declared_inputs():
        if isinstance(item.marker, Raw):
            frames = [
                read_raw(file.path, extension=extension, header=file.header)
                for file in gathered.raw[item.name]
            ]
            used += [Used(f.info.file, f.info.tag, f.datamd5) for f in frames]
            values[item.name] = _as_declared(hints[item.name], frames)
        elif item.name in gathered.calibrations:
            file = gathered.calibrations[item.name]
            values[item.name] = _fitting(read_product(file.path), file, gathered.arm)
        else:
            values[item.name] = None
    return recipe.inputs(**values), used


def _by_time(file: RawFile) -> tuple[float, str]:
    return file.info.mjd_obs, file.path.name


def _recognise(entry: SofEntry) -> RawFile | ProductFile:
    header = read_header(entry.path)
    if any(key in header for key in PRODUCT_KEYWORDS):
        tag = str(header.get("ESO PRO CATG", entry.tag)).strip()
        binning = (int(header.get("ESO DET BINX", 1)), int(header.get("ESO DET BINY", 1)))
        file: RawFile | ProductFile = ProductFile(
            entry.path, tag, str(header.get("DATAMD5", "")), binning
        )
    else:
        info = observation_info(header, entry.path.name)
        file, tag = RawFile(entry.path, info, header), info.tag
    if entry.tag and entry.tag != tag:
        raise InputError(
            f"{entry.name}: the SOF calls it {entry.tag}, its header {tag}",
            hint="correct the SOF; `soxspipe prep` writes it from the headers",
        )
    return file


def _distribute_raw(
    recipe: Recipe, raw: Iterable[RawFile]
) -> tuple[dict[str, tuple[RawFile, ...]], list[str]]:
    inputs = [(item.name, item.marker) for item in recipe.raw_inputs()]
    groups: dict[str, list[RawFile]] = {name: [] for name, _ in inputs}
    unwanted: Counter[str] = Counter()
    for file in raw:
        kind = file.info.kind
        for name, marker in inputs:
            if isinstance(marker, Raw) and kind in marker.kinds:
                groups[name].append(file)
                break
        else:
            unwanted[f"{file.info.tag} {file.info.dpr_tech}".strip()] += 1
    problems = [f"not wanted: {n} x {what}" for what, n in unwanted.items()]
    hints = get_type_hints(recipe.inputs)
    for name, marker in inputs:
        if not isinstance(marker, Raw):
            continue
        given, least = len(groups[name]), marker.least
        kinds = " or ".join(marker.kinds)
        if given < least:
            problems.append(f"{kinds}: {given} given, at least {least} needed")
        elif given > 1 and not _takes_many(hints[name]):
            problems.append(f"{kinds}: {given} given, only one wanted")
    return {name: tuple(files) for name, files in groups.items()}, problems


def _distribute_products(
    recipe: Recipe, products: Iterable[ProductFile], arm: str
) -> tuple[dict[str, ProductFile], list[str]]:
    wanted = {
        f"{item.marker.tag}_{arm}": item
        for item in recipe.calibrations(arm)
        if isinstance(item.marker, Calibration)
    }
    found: dict[str, ProductFile] = {}
    problems = []
    for file in products:
        item = wanted.get(file.category)
        if item is None:
            problems.append(f"not wanted: {file.path.name} ({file.category or 'no category'})")
        elif item.name in found:
            problems.append(
                f"two files {file.category}: {found[item.name].path.name}, {file.path.name}"
            )
        else:
            found[item.name] = file
    problems += [
        f"missing: {category}, made by {item.marker.made_by}"
        for category, item in wanted.items()
        if isinstance(item.marker, Calibration) and item.marker.required and item.name not in found
    ]
    return found, problems


def _refuse_mix(recipe: Recipe, groups: dict[str, tuple[RawFile, ...]]) -> None:
    """InputError unless all frames agree in read-out, those of one input in slit and exposure."""
    everything = [f for group in groups.values() for f in group]
    mixes: dict[str, Counter[str]] = {}

    def compare(what: str, files: Sequence[RawFile], fact: Callable[[RawFile], str]) -> None:
        tally = _tally(files, fact)
        if len(tally) > 1:
            mixes[what] = tally

    compare("binning", everything, lambda f: "{}x{}".format(*f.info.binning))
    compare("read-out mode", everything, lambda f: f.info.read_mode or "none")
    compare("gain [e-/ADU]", everything, lambda f: f"{f.info.gain:g}")
    compare("read noise [e-]", everything, lambda f: f"{f.info.read_noise:g}")
    for group in groups.values():
        compare("slit", group, lambda f: f.info.slit or "none")
        compare("exposure time [s]", group, lambda f: f"{f.info.exptime:g}")
    if mixes:
        raise _mixed(recipe, mixes)


def _tally(files: Iterable[RawFile], fact: Callable[[RawFile], str]) -> Counter[str]:
    return Counter(fact(f) for f in files)


def _mixed(recipe: Recipe, mixes: dict[str, Counter[str]]) -> InputError:
    lines = [
        f"{what}: " + ", ".join(f"{value} ({n} frames)" for value, n in tally.items())
        for what, tally in mixes.items()
    ]
    return InputError(
        "\n    ".join([f"{recipe.name}: the raw frames are a mix", *lines]),
        hint="give frames of one kind; `soxspipe prep` sorts them",
    )


def _unfit(recipe: Recipe, arm: str, problems: Iterable[str]) -> InputError:
    return InputError(
        "\n    ".join([f"{recipe.name} {arm}: the files do not fit the recipe", *problems]),
        hint=f"{recipe.name} {arm} needs {'; '.join(needs(recipe, arm))}",
    )


def needs(recipe: Recipe, arm: str) -> list[str]:
    """What a recipe takes, in words, one line per input."""
    return [_in_words(item, arm) for item in (*recipe.raw_inputs(), *recipe.calibrations(arm))]


def _in_words(item: Input, arm: str) -> str:
    marker = item.marker
    if isinstance(marker, Raw):
        kinds = " or ".join(marker.kinds)
        return f"{marker.least} or more {kinds}" if marker.least else f"if you like: {kinds}"
    name = f"{marker.tag}_{arm} (made by {marker.made_by})"
    return name if marker.required else f"if you like: {name}"


def _takes_many(hint: Any) -> bool:
    return get_origin(hint) is tuple or any(get_origin(a) is tuple for a in get_args(hint))


def _as_declared(hint: Any, frames: list[RawFrame]) -> Any:
    """A tuple, or the one frame, or None, as the field of Inputs is annotated."""
    if _takes_many(hint):
        return tuple(frames)
    return frames[0] if frames else None


def _fitting(value: Any, file: ProductFile, arm: Arm) -> Any:
    """A calibration for frames of the arm's binning: traces and solutions are moved to its pixels.

    Raises InputError for an image of another shape.
    """
    scale = (file.binning[0] / arm.binning[0], file.binning[1] / arm.binning[1])
    # A detector that is never binned may say anything in its header.
    if scale != (1.0, 1.0) and len(arm.binnings) > 1:
        if isinstance(value, DispersionSolution):
            return solution_at(value, scale)
        if isinstance(value, OrderTable):
            return table_at(value, scale)
    image = value.frame if isinstance(value, MasterFlat) else value
    shape = image.order.shape if isinstance(image, PixelMap) else getattr(image, "shape", None)
    if isinstance(image, Frame | PixelMap) and shape != arm.shape:
        raise InputError(
            f"{file.path.name}: is {shape} pixels, the frames are {arm.shape}",
            hint="use a calibration of the same binning",
        )
    return value
