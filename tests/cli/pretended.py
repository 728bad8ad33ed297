"""The command line with recipes that only pretend: `python pretended.py reduce all FOLDER`."""

import functools
import sys

import soxspipe.recipes
import soxspipe.recipes.default_settings
from soxspipe.cli.main import main
from soxspipe.workspace import executors
from tests.workspace.cascade import RECIPES
from tests.workspace.pretend import work


def pretend() -> None:
    """Let the command line know only the pretended cascade."""
    soxspipe.recipes.load_all = lambda: RECIPES
    soxspipe.recipes.default_settings.load_all = lambda: RECIPES
    executors.Processes = functools.partial(executors.Processes, work=work)
    executors.Serial = functools.partial(executors.Serial, work=work)


if __name__ == "__main__":
    pretend()
    sys.exit(main())
