"""What a recipe is: inputs, settings, products and metrics, declared once.

The declaration validates the SOF, draws the reduction graph, names products, writes headers, fills the
database and makes the manual's tables. A recipe function opens no file: it takes an `Inputs` value, its
settings and the arm, and returns a `Result`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, get_type_hints

from soxspipe.datamodel.metric import Measurement, Metric
from soxspipe.instrument.arms import Arm
from soxspipe.instrument.headers import FrameKind
from soxspipe.io.frames import RawFrame
from soxspipe.settings import RecipeSettings

__all__ = [
    "Calibration",
    "Figure",
    "Input",
    "Plot",
    "Product",
    "Raw",
    "RawFrame",
    "Recipe",
    "Result",
    "recipe",
    "registered",
]


@dataclass(frozen=True)
class Raw:
    """Marks an Inputs field filled by raw frames of these kinds, at `least` so many."""

    kinds: tuple[FrameKind, ...]
    least: int = 1


@dataclass(frozen=True)
class Calibration:
    """Marks an Inputs field filled by one product of an earlier recipe.

    `tag` is the product category without its arm (`MASTER_BIAS`). `arms` limits it to some arms. Not
    `required`: used when the SOF names it. `by_hand`: arms in which the organiser does not look for it,
    so that only a SOF written by hand names it. `by_time`: several, of different exposure times, become
    one for that of the frames. `leads`: what the run is about: where there is no raw frame it names the
    products and lends its header. With the tag "" any product that no other input takes.
    """

    tag: str
    made_by: str
    arms: tuple[str, ...] = ("VIS", "NIR")
    required: bool = True
    by_hand: tuple[str, ...] = ()
    by_time: bool = False
    leads: bool = False

    def required_in(self, arm: str) -> bool:
        """True if frames of that arm cannot be reduced without it."""
        return self.required and arm in self.arms and arm not in self.by_hand


@dataclass(frozen=True)
class Input:
    """One field of a recipe's Inputs with its marker."""

    name: str
    marker: Raw | Calibration


@dataclass(frozen=True)
class Product:
    """One file a recipe makes.

    label      as printed (`MBIAS`); key into Result.products
    suffix     appended to the SOF's stem, extension included (`_IMAGE.fits`); with `{n}` in it there
               may be several such files, and Result.products holds a mapping of names to values
    category   PRO CATG without arm; "" for files that nobody takes as input
    tech       PRO TECH
    group      "reduced" or "qc": the folder
    replace    (old, new) in the stem: the flat's order table turns MFLAT into OLOC
    lamps      made only if the frames are of so many lamps
    """

    label: str
    suffix: str
    category: str
    tech: str
    meaning: str
    group: str = "reduced"
    replace: tuple[str, str] | None = None
    lamps: int = 1

    @property
    def is_family(self) -> bool:
        """True if there may be several such files, one for each object or pair of exposures."""
        return "{n}" in self.suffix


@dataclass(frozen=True)
class Plot:
    """One picture a recipe draws, as PDF in the qc folder; key into Result.figures.

    A {field} in the suffix is filled in from Result.names. With `{n}` in it there may be several such
    plots, and Result.figures holds a mapping of names to functions.
    """

    label: str
    suffix: str
    meaning: str


Figure = Any  # matplotlib.figure.Figure, not imported here: imports cost start-up time


@dataclass(frozen=True, eq=False)
class Result:
    """What a recipe returns.

    products      label -> value; the kinds of value that io.products can write
    measurements  QC values with verdicts
    figures       label -> function that draws, or names of several -> functions; called after the
                  products are on disk
    headers       label -> extra cards for that product
    names         what stands for the {fields} in the suffixes of plots
    """

    products: Mapping[str, Any]
    measurements: tuple[Measurement, ...] = ()
    figures: Mapping[str, Callable[[], Figure] | Mapping[str, Callable[[], Figure]]] = field(
        default_factory=dict
    )
    headers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Recipe:
    """A registered recipe. `name` is the command, `folder` the settings block and product folder."""

    name: str
    folder: str
    title: str
    inputs: type
    settings: type[RecipeSettings]
    products: tuple[Product, ...]
    plots: tuple[Plot, ...]
    metrics: tuple[Metric, ...]
    type_codes: Mapping[FrameKind, str]  # TYPE field of the SOF name, by kind of raw frame
    function: Callable[[Any, Any, Arm], Result]

    def declared_inputs(self) -> Iterator[Input]:
        """The fields of Inputs with their markers, in order of declaration."""
        hints = get_type_hints(self.inputs, include_extras=True)
        for item in fields(self.inputs):
            for marker in getattr(hints[item.name], "__metadata__", ()):
                if isinstance(marker, Raw | Calibration):
                    yield Input(item.name, marker)

    def raw_inputs(self) -> tuple[Input, ...]:
        """Inputs filled by raw frames."""
        return tuple(i for i in self.declared_inputs() if isinstance(i.marker, Raw))

    def calibrations(self, arm: str) -> tuple[Input, ...]:
        """Inputs filled by products, for one arm."""
        return tuple(
            i
            for i in self.declared_inputs()
            if isinstance(i.marker, Calibration) and arm in i.marker.arms
        )

    def metric(self, keyword: str) -> Metric:
        """The declared metric of that name. KeyError if the recipe does not declare it."""
        return next(m for m in self.metrics if m.keyword == keyword)


_REGISTRY: dict[str, Recipe] = {}


def recipe(
    name: str,
    *,
    folder: str,
    title: str,
    inputs: type,
    settings: type[RecipeSettings],
    products: tuple[Product, ...],
    metrics: tuple[Metric, ...],
    type_codes: Mapping[FrameKind, str],
    plots: tuple[Plot, ...] = (),
) -> Callable[[Callable[[Any, Any, Arm], Result]], Callable[[Any, Any, Arm], Result]]:
    """Register the decorated function `(inputs, settings, arm) -> Result` as a recipe."""

    def register(function: Callable[[Any, Any, Arm], Result]) -> Callable[[Any, Any, Arm], Result]:
        _REGISTRY[name] = Recipe(
            name, folder, title, inputs, settings, products, plots, metrics, type_codes, function
        )
        return function

    return register


def registered() -> Mapping[str, Recipe]:
    """All recipes known so far, by name. Use `soxspipe.recipes.load` to import them all first."""
    return _REGISTRY
