"""The errors soxspipe raises on purpose. Anything else is a bug and keeps its traceback.

Each class stands for one reaction of the caller and carries the exit status of the command line.
"""

from typing import ClassVar


class SoxspipeError(Exception):
    """`message` says what is wrong, `hint` what the user can do about it."""

    exit_status: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(f"{message}\n  hint: {hint}" if hint else message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple:
        """Survive the way back from a worker process with message and hint."""
        return (_rebuild, (type(self), self.message, self.hint))


def _rebuild(kind: type["SoxspipeError"], message: str, hint: str) -> "SoxspipeError":
    return kind(message, hint=hint)


class SettingsError(SoxspipeError):
    """An option is unknown or out of range. Found before any pixel is read."""

    exit_status = 3


class InputError(SoxspipeError):
    """The files do not fit the recipe: missing, truncated, wrong arm, wrong unit, wrong shape."""

    exit_status = 4


class DataError(SoxspipeError):
    """Valid input that cannot be reduced, e.g. too few arc lines. A retry will not help."""

    exit_status = 5


class OutputError(SoxspipeError):
    """A product exists already, or cannot be written: read-only folder, full disk."""

    exit_status = 6


class WorkspaceError(SoxspipeError):
    """The folder is no workspace, holds no frames, or is in use."""

    exit_status = 7
