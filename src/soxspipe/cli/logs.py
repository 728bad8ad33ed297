"""The log of a session: one line for each run, in `soxspipe.log` of the workspace."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from logging.handlers import RotatingFileHandler

from soxspipe.workspace.folder import Workspace, cannot_write

_BYTES = 102_400


@contextmanager
def session_log(workspace: Workspace) -> Iterator[None]:
    """Let the session's log hear what is planned and run. OutputError if it cannot be written."""
    path = workspace.session_folder / "soxspipe.log"
    try:
        handler = RotatingFileHandler(path, maxBytes=_BYTES, backupCount=1, encoding="utf-8")
    except OSError as error:
        raise cannot_write(path.parent, error) from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
    logger = logging.getLogger("soxspipe.workspace")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
        handler.close()
