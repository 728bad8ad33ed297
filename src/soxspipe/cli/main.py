"""Entry point: parse, call one function, report errors, exit status."""

import gc
import importlib
import logging
import os
import sys
from collections.abc import Sequence

from soxspipe import __version__
from soxspipe.cli.arguments import build_parser, sorted_words
from soxspipe.cli.status import INTERRUPTED
from soxspipe.errors import SoxspipeError

#: The matrices of a recipe are small: a second thread only waits, and takes a core to do so.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def main(words: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit status.

    Errors raised on purpose become a message with advice on stderr; anything else is a fault of
    soxspipe and keeps its traceback.
    """
    parser = build_parser(__version__)
    given = sys.argv[1:] if words is None else list(words)
    if not given:
        parser.print_help()
        return 0
    args = parser.parse_args(sorted_words(given))
    terminal = logging.StreamHandler(sys.stderr)
    terminal.setLevel(logging.INFO if args.verbose else logging.WARNING)
    logging.basicConfig(level=terminal.level, format="%(message)s", handlers=[terminal])
    for name in _THREADS:  # before numpy is imported
        os.environ.setdefault(name, "1")
    # modules and plots are many objects that are no garbage: looking for some takes seconds
    gc.set_threshold(100_000, 50, 100)
    try:
        command = importlib.import_module(f"soxspipe.cli.{args.module}")
        return int(command.run(args))
    except SoxspipeError as error:
        print(f"soxspipe {args.command}: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print(
            "\nsoxspipe: stopped. What was finished is kept; the same command goes on from there.",
            file=sys.stderr,
        )
        return INTERRUPTED
    except BrokenPipeError:
        # the reader of our output has closed, e.g. `soxspipe plan | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
