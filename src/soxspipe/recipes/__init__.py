"""One page each: inputs declared, steps named, a Result returned.

`from soxspipe.recipes import soxs_mbias` gives the documented class interface; it is handed on lazily.
"""

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from soxspipe.recipes.recipe import Recipe

#: Module of each command, in the order of the cascade.
MODULES = {
    "mbias": "mbias",
    "mdark": "mdark",
    "disp_solution": "disp_solution",
    "order_centres": "order_centres",
    "mflat": "mflat",
    "spat_solution": "spat_solution",
    "stare_std": "stare",
    "nod_std": "nod",
    "offset_std": "offset",
    "stare": "stare",
    "nod": "nod",
    "offset": "offset",
    "straighten": "straighten",
    "extract": "extract",
}


def load(name: str) -> "Recipe":
    """The recipe of that command name. KeyError if there is none."""
    module = MODULES[name]
    importlib.import_module(f"soxspipe.recipes.{module}")
    from soxspipe.recipes.recipe import registered

    return registered()[name]


def load_all() -> Mapping[str, "Recipe"]:
    """All recipes by command name, in the order of the cascade."""
    return {name: load(name) for name in MODULES}


def __getattr__(name: str) -> Any:
    if name.startswith("soxs_") or name == "base_recipe":
        from soxspipe import classic

        return getattr(classic, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
