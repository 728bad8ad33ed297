"""The command line as argparse sees it. Nothing heavy is imported here: `--help` must be quick."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

#: Commands that run one recipe by hand, with what they do; order of the cascade.
RECIPES = {
    "mbias": "master bias",
    "mdark": "master dark",
    "disp_solution": "first dispersion solution, from a single-pinhole arc",
    "order_centres": "order centres, from a single-pinhole flat",
    "mflat": "master flat and order edges",
    "spat_solution": "full dispersion solution and pixel map, from a multi-pinhole arc",
    "stare_std": "standard star in stare mode",
    "stare": "science in stare mode",
}
#: Other spellings.
ALIASES = {"disp_sol": "disp_solution", "spat_sol": "spat_solution"}

#: Options that are followed by a value, for putting options behind the sub-command.
_TAKE_VALUE = {
    *("--settings", "--output", "--batch", "--poly", "--workers"),
    *("--arm", "--seed", "--target", "--mode", "--binning", "--conditions"),
}
_SHORT_TAKE_VALUE = "sob"

EPILOG = """\
Options may stand before or after the sub-command. Exit statuses: 0 done; 2 wrong usage;
3 settings; 4 input files; 5 data that cannot be reduced; 6 output; 7 workspace;
8 done in part; 130 interrupted."""


def sorted_words(words: Sequence[str]) -> list[str]:
    """Commands and files first, options behind: so options may stand anywhere."""
    places: list[str] = []
    options: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--":
            return [*places, *options, "--", *rest]
        if len(word) < 2 or not word.startswith("-"):
            places.append(word)
            continue
        options.append(word)
        short = not word.startswith("--") and word[-1] in _SHORT_TAKE_VALUE
        if word in _TAKE_VALUE or short:
            options.extend(value for value in [next(rest, None)] if value is not None)
    return [*places, *options]


@dataclass(frozen=True)
class _Builder:
    """Adds sub-commands that share the options every command has."""

    commands: "argparse._SubParsersAction[argparse.ArgumentParser]"

    def add(self, name: str, text: str, module: str, **more: str) -> argparse.ArgumentParser:
        parser = self.commands.add_parser(name, help=text, description=text, epilog=EPILOG)
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.add_argument("-V", "--verbose", action="store_true", help="tell more")
        parser.set_defaults(module=module, command=name, **more)
        return parser


def build_parser(version: str) -> argparse.ArgumentParser:
    """The parser. The namespace names the `module` of soxspipe.cli that carries the command out."""
    parser = argparse.ArgumentParser(
        prog="soxspipe",
        description="Reduce data of the SOXS spectrograph: from raw frames to calibrated spectra.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-v", "--version", action="version", version=f"v{version}")
    builder = _Builder(parser.add_subparsers(title="commands", metavar="COMMAND", required=True))
    _add_workspace_commands(builder)
    _add_recipes(builder)
    _add_simulation(builder)
    return parser


def _add_workspace_commands(builder: _Builder) -> None:
    prep = builder.add("prep", "prepare a folder of raw frames", "prep")
    _add_folder(prep)
    prep.add_argument("-r", "--refresh", action="store_true", help="build the database anew")
    prep.add_argument("--vlt", action="store_true", help="use the folders of a VLT workstation")

    reduce = builder.add("reduce", "reduce a prepared folder, or one science SOF", "reduce")
    what = reduce.add_subparsers(title="what", metavar="all|sof", required=True)
    everything = what.add_parser("all", help="everything not yet reduced", epilog=EPILOG)
    _add_folder(everything)
    _add_reduce_options(everything)
    everything.set_defaults(what="all", sof=None)
    one = what.add_parser("sof", help="one SOF with the calibrations it needs", epilog=EPILOG)
    one.add_argument("sof", metavar="SOF", help="a file of the folder sof/")
    _add_folder(one)
    _add_reduce_options(one)
    one.set_defaults(what="sof")

    plan = builder.add("plan", "show what would be reduced, from what", "listing")
    _add_folder(plan)
    plan.set_defaults(what="plan", settings=None)
    listing = builder.add("list", "list observing blocks or SOF files of the science", "listing")
    listing.add_argument("what", choices=("ob", "obs", "sof"))
    _add_folder(listing)
    _add_settings(listing)
    raw = builder.add("raw", "copy the raw frames behind a science SOF into exported/", "raw")
    raw.add_argument("what", choices=("sof",))
    raw.add_argument("sof", metavar="SOF", help="a file of the folder sof/")
    _add_folder(raw)
    _add_settings(raw)
    session = builder.add("session", "list, make or switch reduction sessions", "session")
    session.add_argument("what", metavar="ls|new|SESSION", help="list, create, or a name")
    session.add_argument("name", nargs="?", metavar="NAME", help="name of the new session")


def _add_recipes(builder: _Builder) -> None:
    for name, text in RECIPES.items():
        _add_recipe(builder, name, name, text)
    for name, recipe in ALIASES.items():
        _add_recipe(builder, name, recipe, f"the same as {recipe}")


def _add_recipe(builder: _Builder, name: str, recipe: str, text: str) -> None:
    parser = builder.add(name, text, "recipe", recipe=recipe)
    parser.add_argument(
        "inputs", nargs="+", metavar="INPUT", help="a SOF file, a folder of frames, or frames"
    )
    parser.add_argument(
        "-o", "--output", metavar="DIR", help="put products under DIR, which exists"
    )
    parser.add_argument("-x", "--overwrite", action="store_true", help="replace existing products")
    parser.add_argument("-d", "--debug", action="store_true", help="draw debugging plots")
    _add_settings(parser)
    if recipe in ("disp_solution", "order_centres", "spat_solution"):
        parser.add_argument(
            "--poly", metavar="DIGITS", help="degrees of the polynomials, e.g. 3355"
        )


def _add_simulation(builder: _Builder) -> None:
    simulate = builder.add("simulate", "write a simulated night of raw frames", "simulate")
    simulate.add_argument("folder", metavar="FOLDER", help="is made if it does not exist")
    simulate.add_argument("--arm", choices=("vis", "nir", "both"), default="both")
    simulate.add_argument(
        "--seed", type=int, default=1, metavar="N", help="another N, another night"
    )
    simulate.add_argument(
        "--target",
        default="sn",
        metavar="sn|standard|faint|smooth|lines|bluepoor|none|FILE",
        help="what the science shows",
    )
    simulate.add_argument(
        "--mode", choices=("stare", "nod", "offset", "generic", "mapping"), default="stare"
    )
    simulate.add_argument("--snr", type=float, metavar="N", help="median S/N per bin of the target")
    simulate.add_argument(
        "--observation", metavar="FILE", help="YAML file: pattern, jitter, more objects, seeing ..."
    )
    simulate.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="one value of the observation, such as extent=4 or companions=[[3.5,0.2]]",
    )
    simulate.add_argument("--binning", choices=("1x1", "2x1", "2x2"), default="1x1", help="of VIS")
    simulate.add_argument(
        "--conditions", metavar="FILE", help="YAML file of what is out of the ordinary: a bad day"
    )
    demo = builder.add("demo", "simulate a night, reduce it, and compare with the truth", "demo")
    demo.add_argument("folder", nargs="?", default="demo-night", metavar="FOLDER")
    demo.add_argument("--arm", choices=("vis", "nir", "both"), default="both")
    demo.add_argument("--seed", type=int, default=1, metavar="N", help="another N, another night")
    _add_workers(demo)


def _add_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", nargs="?", default=".", metavar="FOLDER", help="the workspace")


def _add_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-s", "--settings", metavar="FILE", help="default: the session's")


def _add_workers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--workers", type=int, default=2, metavar="N", help="recipes side by side (default 2)"
    )


def _add_reduce_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-q", "--quitOnFail", action="store_true", help="stop at the first failure")
    parser.add_argument("-x", "--overwrite", action="store_true", help="do again what is done")
    parser.add_argument("-V", "--verbose", action="store_true", help="tell more")
    parser.add_argument("-m", "--multiprocess", action="store_true", help="the default; accepted")
    parser.add_argument("-p", "--prep", action="store_true", help="prepare the workspace first")
    parser.add_argument(
        "-w", "--watch", action="store_true", help="look for new frames every 15 s, until Ctrl-C"
    )
    parser.add_argument("-b", "--batch", type=int, metavar="N", help="stop after N recipes")
    _add_settings(parser)
    _add_workers(parser)
