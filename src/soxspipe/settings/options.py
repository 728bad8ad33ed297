"""How an option is declared: meaning, type, limits and default by arm, in one line."""

import types
import typing
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from soxspipe.errors import SettingsError

ARMS = ("VIS", "NIR")
Range = tuple[float | None, float | None]


class _ByArm(dict):
    """A default that differs from arm to arm."""


def by_arm(**values: Any) -> Any:
    """A default by arm, for use in `block`: `by_arm(VIS=70, NIR=50)`."""
    return _ByArm(values)


def _spread(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, _ByArm) else dict.fromkeys(ARMS, value)


def option(
    meaning: str,
    default: Any = None,
    *,
    VIS: Any = None,
    NIR: Any = None,
    underscores: bool = False,
    **limits: Any,
) -> Any:
    """Declare an option: one default, or one by arm, or none (then the enclosing block gives it).

    `underscores`: the documented name has underscores; otherwise it has hyphens. `limits` are those
    of pydantic: gt, ge, lt, le.
    """
    extra: dict[str, Any] = {"underscores": underscores}
    given = by_arm(VIS=VIS, NIR=NIR) if VIS is not None and NIR is not None else default
    if given is None:
        return Field(description=meaning, json_schema_extra=extra, **limits)
    extra["defaults"] = _spread(given)
    if isinstance(given, _ByArm) and VIS != NIR:
        return Field(description=meaning, json_schema_extra=extra, **limits)
    common = VIS if isinstance(given, _ByArm) else given
    return Field(common, description=meaning, json_schema_extra=extra, **limits)


def block(meaning: str, **defaults: Any) -> Any:
    """Declare a nested block; `defaults` complete or replace those of its class."""
    spread: Any = {name: _spread(value) for name, value in defaults.items()}
    return Field(description=meaning, json_schema_extra={"defaults": spread})


class Options(BaseModel):
    """A checked, frozen group of options. Unknown names and wrong types are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @classmethod
    def nested(cls, name: str) -> type["Options"] | None:
        """The class of a nested block, None if `name` is a plain option."""
        kind = cls.model_fields[name].annotation
        return kind if isinstance(kind, type) and issubclass(kind, Options) else None

    @classmethod
    def documented(cls, name: str) -> str:
        """The name of an option as written in the settings file."""
        extra = cls.model_fields[name].json_schema_extra
        keep = isinstance(extra, Mapping) and bool(extra.get("underscores"))
        return name if keep else name.replace("_", "-")

    @classmethod
    def default_options(cls, arm: str) -> dict[str, Any]:
        """All options that have a default, by attribute name, nested blocks as dictionaries."""
        found: dict[str, Any] = {}
        for name, info in cls.model_fields.items():
            extra = info.json_schema_extra
            given: Any = extra.get("defaults", {}) if isinstance(extra, Mapping) else {}
            kind = cls.nested(name)
            if kind is not None:
                own = {key: value[arm] for key, value in given.items()}
                found[name] = {**kind.default_options(arm), **own}
            elif given:
                found[name] = given[arm]
        return found

    def flattened(self) -> dict[str, Any]:
        """Documented name -> value; names of nested blocks are joined with a blank."""
        flat: dict[str, Any] = {}
        for name in type(self).model_fields:
            value, label = getattr(self, name), self.documented(name)
            if isinstance(value, Options):
                flat |= {f"{label} {key}": inner for key, inner in value.flattened().items()}
            elif name != "qc_acceptable_ranges":
                flat[label] = value
        return flat


class RecipeSettings(Options):
    """What the block of any recipe may hold."""

    #: Where the digits of `--poly` go: (attribute, index) or (nested block, attribute).
    poly_digits: ClassVar[tuple[tuple[str, int | str], ...]] = ()

    qc_acceptable_ranges: dict[str, Range] = Field(
        default_factory=dict,
        description="acceptable ranges of QC metrics, [lowest, highest]; null is open",
    )

    @field_validator("qc_acceptable_ranges")
    @classmethod
    def _ordered(cls, ranges: dict[str, Range]) -> dict[str, Range]:
        for key, (low, high) in ranges.items():
            if low is not None and high is not None and low > high:
                raise ValueError(f"{key}: the lowest value {low} is above the highest {high}")
        return ranges

    @classmethod
    def defaults(cls, arm: str) -> Self:
        """The settings of one arm ("VIS", "NIR") when no file changes them."""
        return cls.model_validate(cls.default_options(arm))

    def with_poly(self, digits: str) -> Self:
        """The same settings with the degrees of `--poly`. SettingsError if they misfit."""
        places = self.poly_digits
        if not places:
            raise SettingsError(
                "this recipe has no --poly",
                hint="--poly belongs to disp_solution, order_centres and spat_solution",
            )
        if len(digits) != len(places) or not digits.isdecimal():
            meaning = ", ".join(f"{block} {part}".replace("_", "-") for block, part in places)
            raise SettingsError(
                f"--poly={digits}: {len(places)} digits are needed",
                hint=f"they stand for {meaning}",
            )
        options = self.model_dump()
        for (name, part), digit in zip(places, digits, strict=True):
            if isinstance(part, str):
                options[name][part] = int(digit)
            else:
                degrees = list(options[name])
                degrees[part] = int(digit)
                options[name] = tuple(degrees)
        try:
            return type(self).model_validate(options)
        except ValidationError as error:
            raise SettingsError(
                f"--poly={digits}: " + "; ".join(e["msg"] for e in error.errors()),
                hint="degrees are 1 to 9, those along the slit 0 to 9",
            ) from error

    def with_options(self, given: Mapping[str, Any]) -> Self:
        """The same settings with those of the command line, by attribute name.

        Raises SettingsError for an option the recipe does not have, or a value out of its limits.
        """
        names = {name: f"--{name.replace('_', '-')}" for name in given}
        alien = [flag for name, flag in names.items() if name not in type(self).model_fields]
        if alien:
            raise SettingsError(
                f"this recipe has no {', '.join(alien)}",
                hint="these options belong to recipes that extract objects",
            )
        try:
            return type(self).model_validate(self.model_dump() | dict(given))
        except ValidationError as error:
            raise SettingsError(
                "; ".join(
                    f"{names.get(str(e['loc'][0]), e['loc'][0])}: {e['msg']}".replace(
                        "Input should be", "must be"
                    ).replace("Value error, ", "")
                    + f", got {e['input']!r}"
                    for e in error.errors()
                ),
                hint="positions are within 10 arcsec of the slit's middle, apertures up to 20 wide",
            ) from error


def type_name(annotation: Any) -> str:
    """A type as a user would say it: `number`, `whole number`, `true or false`, `list of ...`."""
    plain = {bool: "true or false", int: "whole number", float: "number", str: "text"}
    if annotation in plain:
        return plain[annotation]
    if typing.get_origin(annotation) in (tuple, list):
        return "list of " + type_name(typing.get_args(annotation)[0]) + "s"
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return " or ".join(type_name(a) for a in typing.get_args(annotation) if a is not type(None))
    if typing.get_origin(annotation) is typing.Annotated:
        return type_name(typing.get_args(annotation)[0])
    return "text"
