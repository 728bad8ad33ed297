"""The command line, called as a user would: in a process of its own, warnings being errors."""

import subprocess
import sys

COMMAND = [sys.executable, "-W", "error", "-m", "soxspipe"]


def soxspipe(*words, cwd=None):
    """Status, output and error output of one command; a traceback is never an answer."""
    run = subprocess.run(
        [*COMMAND, *map(str, words)], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in run.stdout + run.stderr
    return run


def contents(folder):
    """Size and time of change of every file below `folder`, database and locks left out."""
    return {
        str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith((".soxspipe", "soxspipe.db"))
    }


def half_written(folder):
    """Files that were being written when something stopped."""
    return [path.name for path in folder.rglob("*.part*")]
