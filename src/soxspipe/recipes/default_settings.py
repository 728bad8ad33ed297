"""The commented `soxspipe.yaml`, drawn from the declarations of options and metrics."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from soxspipe.datamodel.metric import Limits
from soxspipe.recipes import load_all
from soxspipe.recipes.recipe import Recipe
from soxspipe.settings import (
    ARMS,
    BLOCKS,
    SHARED,
    BackgroundSubtraction,
    GeneralSettings,
    Options,
)

_HEAD = """\
# Settings of soxspipe. Every option stands here with its default; delete or change what you like.
# Names may be written with hyphens, underscores or blanks. Values below `vis` or `nir` hold for
# that arm and go before those of the block. A mistake here stops a recipe before it reads a pixel.
"""
_INDENT = "    "


def default_yaml(instrument: str = "soxs", recipes: Iterable[Recipe] | None = None) -> str:
    """Text of the settings file; the acceptable ranges are those of `recipes`, else of all."""
    known = load_all().values() if recipes is None else recipes
    limits = {recipe.folder: _limits(recipe) for recipe in known}
    general = GeneralSettings(instrument=instrument)  # type: ignore[arg-type]
    lines = [_HEAD, *_options(GeneralSettings, general.model_dump(), "")]
    for folder, kind in BLOCKS.items():
        lines += ["", f"# {_sentence(kind)}", f"{folder}:"]
        lines += _recipe_block(kind, limits.get(folder, {}))
    lines += ["", f"# {_sentence(BackgroundSubtraction)}", "background-subtraction:"]
    lines += _options(BackgroundSubtraction, BackgroundSubtraction().model_dump(), _INDENT)
    return "\n".join(lines) + "\n"


def _limits(recipe: Recipe) -> dict[str, dict[str, Limits]]:
    """Acceptable ranges of a recipe: arm -> metric key -> limits."""
    return {arm: {m.key: m.limits[arm] for m in recipe.metrics if arm in m.limits} for arm in ARMS}


def _recipe_block(kind: type[Options], limits: Mapping[str, Mapping[str, Limits]]) -> Iterator[str]:
    """Options that are alike in all arms, then one sub-block per arm with the rest."""
    by_arm = {arm: kind.default_options(arm) for arm in ARMS}
    common, own = _split(by_arm)
    skip = {*SHARED, "qc_acceptable_ranges"}
    shared = {name: value for name, value in common.items() if name not in skip}
    yield from _options(kind, shared, _INDENT)
    for arm in ARMS:
        ranges = limits.get(arm, {})
        rest = {name: value for name, value in own[arm].items() if name not in skip}
        if not (rest or ranges):
            continue
        yield f"{_INDENT}{arm.lower()}:"
        yield from _options(kind, rest, 2 * _INDENT)
        if ranges:
            yield f"{2 * _INDENT}# acceptable ranges [lowest, highest]; null is open"
            yield f"{2 * _INDENT}qc-acceptable-ranges:"
            yield from (f"{3 * _INDENT}{key}: {_plain(pair)}" for key, pair in ranges.items())


def _split(
    by_arm: Mapping[str, dict[str, Any]],
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Defaults that all arms share, and those of each arm that differ. Blocks are kept whole."""
    first = by_arm[ARMS[0]]
    alike = {n for n, value in first.items() if all(by_arm[arm][n] == value for arm in ARMS)}
    common = {n: v for n, v in first.items() if n in alike}
    return common, {a: {n: v for n, v in by_arm[a].items() if n not in alike} for a in ARMS}


def _options(kind: type[Options], values: Mapping[str, Any], indent: str) -> Iterator[str]:
    for name, value in values.items():
        meaning = kind.model_fields[name].description
        if meaning:
            yield f"{indent}# {meaning}"
        nested = kind.nested(name)
        if nested is None:
            yield f"{indent}{kind.documented(name)}: {_plain(value)}"
        else:
            yield f"{indent}{kind.documented(name)}:"
            yield from _options(nested, value, indent + _INDENT)


def _plain(value: Any) -> str:
    """A value as YAML."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(_plain, value))}]"
    plain = {None: "null", True: "true", False: "false"}
    if value is None or isinstance(value, bool):
        return plain[value]
    return repr(value) if isinstance(value, int | float) else str(value) or '""'


def _sentence(kind: type[Options]) -> str:
    return (kind.__doc__ or "").strip().splitlines()[0]
