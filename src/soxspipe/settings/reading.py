"""The settings file: read, checked as a whole, every mistake told at once."""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from soxspipe.errors import SettingsError
from soxspipe.settings.blocks import GeneralSettings
from soxspipe.settings.declared import BLOCKS
from soxspipe.settings.options import ARMS, Options, RecipeSettings, type_name

#: Documented blocks that this version reads past: its recipes have no such options yet.
NOT_USED = (
    "soxs-response",
    "logging-settings",
)
ALIASES = {"soxs-spatial-solution": "soxs-spat-solution"}
BACKGROUND = "background_subtraction"
#: What stands at the top of the file, but steers recipes: their own block may say otherwise.
SHARED = (BACKGROUND, "bootstrap_dispersion_solution")

Path_ = tuple[str, ...]


@dataclass(frozen=True)
class SettingsFile:
    """The checked content of a settings file, or the defaults."""

    general: GeneralSettings
    blocks: Mapping[tuple[str, str], RecipeSettings]
    source: str = "defaults"

    def recipe(self, folder: str, arm: str) -> RecipeSettings:
        """Settings of the recipe with that block name ("soxs-mbias") for one arm ("VIS", "NIR")."""
        key = (_hyphenated(folder), arm.upper())
        if key not in self.blocks:
            raise SettingsError(
                f"there are no settings {folder} for arm {arm}",
                hint=f"blocks are {', '.join(dict.fromkeys(name for name, _ in self.blocks))}",
            )
        return self.blocks[key]


def read_settings(path: Path | None) -> SettingsFile:
    """Read and check a settings file; None gives the defaults.

    Raises SettingsError listing every mistake in the file with its place.
    """
    if path is None:
        return check_settings({}, source="defaults")
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise SettingsError(
            f"the settings file {path} cannot be read: {reason}",
            hint="name a readable file with -s, or leave -s out",
        ) from error
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "not valid YAML"
        raise SettingsError(
            f"{path}{place}: {problem}",
            hint="correct that line; blocks are indented with blanks, never with tabs",
        ) from error
    return check_settings({} if content is None else content, source=str(path))


def check_settings(content: Any, *, source: str) -> SettingsFile:
    """Check options given as nested dictionaries, as the file would hold them.

    Raises SettingsError listing every mistake.
    """
    if not isinstance(content, Mapping):
        raise SettingsError(
            f"{source}: holds no options", hint="write options as `name: value`, recipes as blocks"
        )
    check = _Check()
    top = {
        _spelling(content_key): (str(content_key), value) for content_key, value in content.items()
    }
    general = check.general(top)
    shared = {name: top[name] for name in SHARED if name in top}
    blocks = {}
    for name, kind in BLOCKS.items():
        label, given = _find_block(top, name)
        for arm in ARMS:
            blocks[name, arm] = check.recipe(kind, given, label, shared, arm)
    if check.mistakes:
        mistakes = list(dict.fromkeys(check.mistakes))
        count = "one mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        raise SettingsError(
            "\n  ".join([f"{source}: {count}", *mistakes]),
            hint="correct these lines; a line left out means the default",
        )
    return SettingsFile(general, blocks, source)


def _spelling(key: object) -> str:
    """Attribute spelling of a name written with hyphens, underscores or blanks, in any case."""
    plain = re.sub(r"[-_\s]+", "_", str(key).strip())
    return plain if plain == "PAE" else plain.lower()


def _hyphenated(key: object) -> str:
    return _spelling(key).replace("_", "-").lower()


def _find_block(top: Mapping[str, tuple[str, Any]], name: str) -> tuple[str, Any]:
    names = (name, *(alias for alias, real in ALIASES.items() if real == name))
    for candidate in names:
        if (key := _spelling(candidate)) in top:
            return top[key]
    return name, {}


@dataclass
class _Check:
    """Collects mistakes while options are gathered and validated."""

    mistakes: list[str] = field(default_factory=list)

    def general(self, top: Mapping[str, tuple[str, Any]]) -> GeneralSettings | Any:
        fields = {"PAE" if k == "pae" else k: v for k, v in top.items()}
        blocks = {_spelling(n) for n in (*BLOCKS, *ALIASES, *NOT_USED, BACKGROUND)}
        options: dict[str, Any] = {}
        origin: dict[Path_, Path_] = {}
        for key, (label, value) in fields.items():
            if key in GeneralSettings.model_fields:
                options[key] = value
                origin[key,] = (label,)
            elif key not in blocks:
                known = [GeneralSettings.documented(n) for n in GeneralSettings.model_fields]
                self._unknown((label,), [*known, *(_hyphenated(b) for b in blocks)])
            elif not isinstance(value, Mapping | None):
                self.mistakes.append(f"{label}: should be a block of options, got {value!r}")
        return self._validate(GeneralSettings, options, origin)

    def recipe(
        self,
        kind: type[RecipeSettings],
        given: Any,
        label: str,
        shared: Mapping[str, tuple[str, Any]],
        arm: str,
    ) -> RecipeSettings | Any:
        """Defaults, then what is shared by recipes, then the block, then the arm's sub-block."""
        options = kind.default_options(arm)
        origin: dict[Path_, Path_] = {}
        own_names = {name: entry for name, entry in shared.items() if name in kind.model_fields}
        for spelt, value in own_names.values():
            self._gather({spelt: value}, kind, (), options, origin)
        if isinstance(given, Mapping):
            arms = {str(k).lower(): v for k, v in given.items() if str(k).upper() in ARMS}
            common = {k: v for k, v in given.items() if str(k).upper() not in ARMS}
            self._gather(common, kind, (label,), options, origin)
            own = arms.get(arm.lower())
            if isinstance(own, Mapping):
                self._gather(own, kind, (label, arm.lower()), options, origin)
            elif own is not None:
                self._not_a_block((label, arm.lower()), own)
        return self._validate(kind, options, origin)

    def _gather(
        self,
        source: Mapping[Any, Any],
        kind: type[Options],
        where: Path_,
        options: dict[str, Any],
        origin: dict[Path_, Path_],
        inside: Path_ = (),
    ) -> None:
        for key, value in source.items():
            name, place = _spelling(key), (*where, str(key))
            if name not in kind.model_fields:
                known = [kind.documented(n) for n in kind.model_fields]
                self._unknown(place, known if inside else [*known, "vis", "nir"])
                continue
            origin[(*inside, name)] = place
            nested = kind.nested(name)
            if nested is None and name != "qc_acceptable_ranges":
                options[name] = tuple(value) if isinstance(value, list) else value
            elif not isinstance(value, Mapping):
                if value is not None:
                    self._not_a_block(place, value)
            elif nested is not None:
                options[name] = dict(options.get(name, {}))
                self._gather(value, nested, place, options[name], origin, (*inside, name))
            else:
                ranges = {
                    _hyphenated(k): tuple(v) if isinstance(v, list) else v for k, v in value.items()
                }
                options[name] = {**options.get(name, {}), **ranges}

    def _validate(
        self, kind: type[Options], options: dict[str, Any], origin: Mapping[Path_, Path_]
    ) -> Any:
        try:
            return kind.model_validate(options)
        except ValidationError as error:
            for problem in error.errors():
                loc = tuple(map(str, problem["loc"]))
                self.mistakes.append(_mistake(kind, loc, problem, origin))
            return None

    def _unknown(self, place: Path_, known: Iterable[str]) -> None:
        by_spelling = {_spelling(name): name for name in known}
        near = difflib.get_close_matches(_spelling(place[-1]), by_spelling, n=1)
        advice = f"did you mean {by_spelling[near[0]]}?" if near else "no such option"
        self.mistakes.append(f"{' / '.join(place)}: unknown; {advice}")

    def _not_a_block(self, place: Path_, value: object) -> None:
        self.mistakes.append(f"{' / '.join(place)}: should be a block of options, got {value!r}")


def _mistake(
    kind: type[Options], loc: Path_, problem: Mapping[str, Any], origin: Mapping[Path_, Path_]
) -> str:
    """One line: place in the file, what is wanted, what was given."""
    for length in range(len(loc), 0, -1):
        if loc[:length] in origin:
            place = (*origin[loc[:length]], *loc[length:])
            break
    else:
        place = loc
    message = problem["msg"].replace("Input should be", "must be").replace("Value error, ", "")
    if problem["type"].endswith("_type") and (wanted := _wanted(kind, loc)):
        message = f"must be a {wanted}" if not wanted.startswith("true") else f"must be {wanted}"
    return f"{' / '.join(place)}: {message}, got {problem['input']!r}"


def _wanted(kind: type[Options], loc: Path_) -> str:
    """The type of the option at `loc` in plain words; "" if it is inside a list."""
    for name in loc[:-1]:
        nested = kind.nested(name) if name in kind.model_fields else None
        if nested is None:
            return ""
        kind = nested
    return type_name(kind.model_fields[loc[-1]].annotation) if loc[-1] in kind.model_fields else ""
