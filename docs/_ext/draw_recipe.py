"""Draw the page of a recipe from what it declares, so that the two cannot disagree."""

import inspect
import re
from collections.abc import Iterable, Iterator
from typing import Any

from soxspipe.datamodel.metric import Limits, Metric
from soxspipe.instrument.arms import ARMS as INSTRUMENT_ARMS
from soxspipe.recipes.recipe import Calibration, Input, Product, Recipe
from soxspipe.settings.options import Options, type_name

ARMS = tuple(name for _, name in INSTRUMENT_ARMS)
SECTION = re.compile(r"^(\w[\w ]*)\n-{3,}$", re.MULTILINE)


def _cell(value: object) -> str:
    text = " ".join(str(value).split())
    return re.sub(r"([|*<])", r"\\\1", text) or "-"


def _code(value: object) -> str:
    return f"`{value}`" if str(value) else "-"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines)


def _purpose(recipe: Recipe) -> str:
    """The docstring of the recipe up to its first numpy section."""
    text = inspect.getdoc(recipe.function) or recipe.title
    return SECTION.split(text)[0].strip()


def _input_row(item: Input) -> tuple[str, str, str, str]:
    marker = item.marker
    if isinstance(marker, Calibration):
        name = f"`{marker.tag}_<ARM>`" if marker.tag else "an image of orders, such as that"
        what = f"{name}, made by [{marker.made_by}]({marker.made_by}.md)"
        needed = [arm for arm in marker.arms if marker.required_in(arm)]
        required = "yes" if needed == list(marker.arms) else ", ".join(needed) or "no"
        return _code(item.name), what, ", ".join(marker.arms), required
    kinds = ", ".join(_code(kind.value) for kind in marker.kinds)
    number = f"at least {marker.least}" if marker.least else "no"
    return _code(item.name), f"raw: {kinds}", ", ".join(ARMS), number


def _inputs(recipe: Recipe) -> str:
    return _table(("input", "what", "arms", "required"), map(_input_row, recipe.declared_inputs()))


_SIGNS = (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤"))


def _limits(metadata: Iterable[object]) -> str:
    found = [
        f"{sign} {getattr(item, name):g}"
        for item in metadata
        for name, sign in _SIGNS
        if getattr(item, name, None) is not None
    ]
    return ", ".join(found)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(str, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _setting_rows(
    kind: type[Options], defaults: dict[str, dict[str, Any]], prefix: str = ""
) -> Iterator[tuple[str, ...]]:
    """One row per option; `defaults` holds the values of this block by arm."""
    for name, info in kind.model_fields.items():
        if name == "qc_acceptable_ranges":
            continue
        label = prefix + kind.documented(name)
        nested = kind.nested(name)
        if nested is not None:
            inner = {arm: values.get(name, {}) for arm, values in defaults.items()}
            yield from _setting_rows(nested, inner, f"{label} / ")
            continue
        limits = _limits(info.metadata)
        sort = type_name(info.annotation) + (f", {limits}" if limits else "")
        values = (_value(defaults[arm].get(name, info.default)) for arm in defaults)
        yield _code(label), _cell(sort), *map(_cell, values), _cell(info.description or "")


def _settings(recipe: Recipe) -> str:
    defaults = {arm: recipe.settings.default_options(arm) for arm in ARMS}
    rows = list(_setting_rows(recipe.settings, defaults))
    table = _table(("option", "type", *ARMS, "meaning"), rows)
    if "background_subtraction" in recipe.settings.model_fields:
        table += (
            "\n\nThe block `background-subtraction` may also stand at the top level of the file, "
            "where it holds for all recipes."
        )
    if "bootstrap_dispersion_solution" in recipe.settings.model_fields:
        table += (
            "\n\nThe switch `bootstrap_dispersion_solution` stands at the top level of the file, where "
            "it holds for both recipes that find a dispersion solution."
        )
    return table


def _product_row(product: Product) -> tuple[str, ...]:
    category = f"{product.category}_<ARM>" if product.category else ""
    file = _code(f"<stem>{product.suffix}")
    if product.replace is not None:
        before, after = product.replace
        file += f", `{before}` replaced by `{after}`"
    codes = (_code(product.label), file, _code(category), _code(product.tech))
    return *codes, product.group, _cell(product.meaning)


def _products(recipe: Recipe) -> str:
    head = ("label", "file", "PRO CATG", "PRO TECH", "folder", "content")
    return _table(head, map(_product_row, recipe.products))


def _range(limits: Limits | None) -> str:
    if limits is None:
        return "not judged"
    low, high = limits
    if low is None or high is None:
        return f"≤ {high:g}" if low is None else f"≥ {low:g}"
    return f"{low:g} to {high:g}"


def _metric_row(metric: Metric) -> tuple[str, ...]:
    ranges = (_range(metric.limits.get(arm)) for arm in ARMS)
    return _code(metric.keyword), _cell(metric.unit), _cell(metric.meaning), *ranges


def _metrics(recipe: Recipe) -> str:
    return _table(("metric", "unit", "meaning", *ARMS), map(_metric_row, recipe.metrics))


def _plots(recipe: Recipe) -> str:
    rows = ((_code(p.label), _code(f"<stem>{p.suffix}"), _cell(p.meaning)) for p in recipe.plots)
    return _table(("plot", "file", "shows"), rows)


def _names(recipe: Recipe) -> str:
    if not recipe.type_codes:
        return (
            "It is run by hand: `soxspipe prep` writes no SOF for it, files can be named directly."
        )
    stems = ", ".join(_code(code) for code in dict.fromkeys(recipe.type_codes.values()))
    return f"The type field of its SOF names is {stems}."


def page(recipe: Recipe) -> str:
    """The page of one recipe as MyST Markdown."""
    parts = [
        f"# {recipe.name}: {recipe.title}",
        _purpose(recipe),
        f"```console\n$ soxspipe {recipe.name} sof/NAME.sof\n```",
        f"{_names(recipe)} Products go to "
        f"`reduced/<night>/{recipe.folder}/`, plots and tables for quality control to "
        f"`qc/<night>/{recipe.folder}/`; `<stem>` is the name of the SOF without `.sof`"
        f"{'' if recipe.type_codes else ', or that of the input without `.fits`'}.",
        "## Input\n\n" + _inputs(recipe),
        f"## Settings\n\nBlock `{recipe.folder}` of `soxspipe.yaml`. A value in its sub-block "
        "`vis` or `nir` holds for that arm only.\n\n" + _settings(recipe),
        "## Products\n\n" + _products(recipe),
        "## Quality control\n\nThe acceptable ranges are defaults; the sub-block "
        "`qc-acceptable-ranges` changes them.\n\n" + _metrics(recipe),
    ]
    if recipe.plots:
        parts.append("## Plots\n\n" + _plots(recipe))
    return "\n\n".join(parts) + "\n"
