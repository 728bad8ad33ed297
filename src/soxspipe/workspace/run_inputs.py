"""The way in: files named by the user are recognised by their headers and checked against the recipe."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, get_args, get_origin, get_type_hints

from soxspipe.errors import InputError
from soxspipe.instrument.arms import Arm
from soxspipe.instrument.headers import FrameKind
from soxspipe.io.sof import FileSet
from soxspipe.recipes.recipe import Calibration, Input, Raw, Recipe
from soxspipe.workspace.run_files import BAD_PIXEL_MAP, ProductFile, RawFile, recognised
from soxspipe.workspace.run_leads import in_place_of_raw, wanted

#: Frames that see no light: their slit does not matter.
_DARK_KINDS = (FrameKind.BIAS, FrameKind.DARK)


@dataclass(frozen=True, eq=False)
class Gathered:
    """The files of a run, in agreement with the recipe's declaration. Keys are fields of Inputs.

    first           the earliest frame that the recipe is about (no lamp-off frame): names the
                    products, lends its header; where masters are combined without raw frames, the
                    earliest of them; where a recipe takes no raw frames, the product it is about
    bad_pixel_map   map of the detector's defects, if the SOF names one
    """

    raw: dict[str, tuple[RawFile, ...]]
    calibrations: dict[str, tuple[ProductFile, ...]]
    arm: Arm
    first: RawFile
    bad_pixel_map: ProductFile | None = None

    @property
    def frames(self) -> tuple[RawFile, ...]:
        """All raw frames, in order of time."""
        return tuple(sorted((f for g in self.raw.values() for f in g), key=_by_time))

    @property
    def products(self) -> tuple[ProductFile, ...]:
        """All products, in the order of the recipe's inputs, the bad-pixel map last."""
        found = tuple(f for group in self.calibrations.values() for f in group)
        return (*found, *([self.bad_pixel_map] if self.bad_pixel_map else []))


def gather(recipe: Recipe, files: FileSet) -> Gathered:
    """Recognise the files by their headers and distribute them to the recipe's inputs.

    Raises InputError if a file is damaged, foreign, or other than its tag says; if the raw frames
    are a mix; or if something is missing or unwanted: one message tells what the recipe needs.
    """
    found = [recognised(entry) for entry in files.entries]
    raw = sorted((f for f in found if isinstance(f, RawFile)), key=_by_time)
    products = [f for f in found if isinstance(f, ProductFile)]
    maps = [f for f in products if f.category.startswith(BAD_PIXEL_MAP)]
    products = [f for f in products if f not in maps]
    arms = sorted({f.info.arm for f in raw})
    if len(arms) > 1:
        raise _mixed(recipe, {"arm": _tally(raw, lambda f: f.info.arm)})
    masters = [] if raw else in_place_of_raw(recipe, products)
    if not raw and not masters:
        arms = sorted({f.category.rpartition("_")[2] for f in products})
        lead = "no raw frame is given" if recipe.raw_inputs() else "no product to work on is given"
        raise _unfit(recipe, arms[0] if arms else "VIS", [lead])
    arms = arms or sorted({f.info.arm for f in masters})
    groups, problems = _distribute_raw(recipe, raw, needed=not masters)
    calibrations, more = _distribute_products(recipe, products, arms[0])
    if [m.category for m in maps] not in ([], [f"{BAD_PIXEL_MAP}{arms[0]}"]):
        more.append(f"bad-pixel maps: {', '.join(m.category for m in maps)}; one {arms[0]} wanted")
    if problems or more:
        raise _unfit(recipe, arms[0], [*problems, *more])
    _refuse_mix(recipe, groups)
    leads = [group[0] for group in groups.values() if group] or masters
    first = next((f for f in leads if f.info.kind in recipe.type_codes), leads[0])
    arm = first.info.get_arm()
    return Gathered(groups, calibrations, arm, first, next(iter(maps), None))


def _by_time(file: RawFile) -> tuple[float, str]:
    return file.info.mjd_obs, file.path.name


def _distribute_raw(
    recipe: Recipe, raw: Iterable[RawFile], *, needed: bool = True
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
        given, least = len(groups[name]), marker.least if needed else 0
        kinds = " or ".join(marker.kinds)
        if given < least:
            problems.append(f"{kinds}: {given} given, at least {least} needed")
        elif given > 1 and not takes_many(hints[name]):
            problems.append(f"{kinds}: {given} given, only one wanted")
    return {name: tuple(files) for name, files in groups.items()}, problems


def _distribute_products(
    recipe: Recipe, products: Iterable[ProductFile], arm: str
) -> tuple[dict[str, tuple[ProductFile, ...]], list[str]]:
    hints = get_type_hints(recipe.inputs)
    found: dict[str, tuple[ProductFile, ...]] = {}
    problems = []
    for file in products:
        item = wanted(recipe, arm, file.category)
        if item is None:
            problems.append(f"not wanted: {file.path.name} ({file.category or 'no category'})")
            continue
        before = found.get(item.name, ())
        many = takes_many(hints[item.name]) or getattr(item.marker, "by_time", False)
        if before and not many:
            problems.append(f"two files {file.category}: {before[0].path.name}, {file.path.name}")
        else:
            found[item.name] = (*before, file)
    problems += [
        f"missing: {item.marker.tag}_{arm}, made by {item.marker.made_by}"
        for item in recipe.calibrations(arm)
        if isinstance(item.marker, Calibration)
        and item.marker.required_in(arm)
        and item.name not in found
    ]
    return found, problems


def _refuse_mix(recipe: Recipe, groups: dict[str, tuple[RawFile, ...]]) -> None:
    """InputError unless all frames agree in read-out, those of one input in slit and target, and those
    of one lamp in exposure time. In a pattern of positions exposure times may differ.
    """
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
        if group and group[0].info.kind not in _DARK_KINDS:
            compare("slit", group, lambda f: f.info.slit or "none")
        compare("target", [f for f in group if _shows_target(f)], lambda f: f.info.object)
        timed = [f for f in group if not _in_pattern(f)]
        for lamp in {f.info.lamp for f in timed}:
            alike = [f for f in timed if f.info.lamp == lamp]
            compare("exposure time [s]", alike, lambda f: f"{f.info.exptime:g}")
    # what is seen with the lamp off is subtracted as it is
    lit = {f.info.exptime for f in everything if f.info.kind in recipe.type_codes}
    off = [f for f in everything if f.info.kind is FrameKind.LAMP_OFF]
    if lit and any(f.info.exptime not in lit for f in off):
        mixes["exposure time, lamp off [s]"] = _tally(off, lambda f: f"{f.info.exptime:g}")
        mixes["exposure time, lamp on [s]"] = _tally(
            [f for f in everything if f not in off], lambda f: f"{f.info.exptime:g}"
        )
    if mixes:
        raise _mixed(recipe, mixes)


def _in_pattern(file: RawFile) -> bool:
    """True for nodding and offset exposures."""
    return (file.info.kind or "").endswith(("_nodding", "_offset"))


def _shows_target(file: RawFile) -> bool:
    """True for an exposure on the sky whose header names what it shows, other than the empty sky."""
    on_sky = _in_pattern(file) or (file.info.kind or "").endswith("_stare")
    return on_sky and file.info.object.upper() not in ("", "SKY")


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
    if isinstance(marker, Calibration) and not marker.tag:
        return "an image of orders, made by whatever recipe"
    if isinstance(marker, Raw):
        kinds = " or ".join(marker.kinds)
        return f"{marker.least} or more {kinds}" if marker.least else f"if you like: {kinds}"
    name = f"{marker.tag}_{arm} (made by {marker.made_by})"
    return name if marker.required_in(arm) else f"if you like: {name}"


def takes_many(hint: Any) -> bool:
    """True for the annotation of an input that is a tuple."""
    return get_origin(hint) is tuple or any(get_origin(a) is tuple for a in get_args(hint))
