"""Exit statuses of the command line; `docs/exit_status.md` is the page about them."""

DONE = 0
USAGE = 2  # argparse's own
IN_PART = 8  # something could not be taken, planned or reduced; the rest was
INTERRUPTED = 130  # Ctrl-C, as a shell reports it
