"""`soxspipe session`: list, make and switch reduction sessions."""

import argparse
import sys
from pathlib import Path

from soxspipe.errors import WorkspaceError
from soxspipe.workspace.folder import find_workspace
from soxspipe.workspace.sessions import create, list_sessions, switch


def run(args: argparse.Namespace) -> int:
    """Do what the words say, in the workspace of the current folder."""
    workspace = find_workspace(Path.cwd())
    if workspace is None:
        raise WorkspaceError(
            f"{Path.cwd()} is not in a prepared workspace",
            hint="go to the workspace, or prepare one: soxspipe prep FOLDER",
        )
    if args.what == "ls":
        for name in list_sessions(workspace):
            print(_marked(name) if name == workspace.session else name)
        return 0
    from soxspipe.recipes import load_all
    from soxspipe.recipes.default_settings import default_yaml
    from soxspipe.workspace.organiser import replan

    with workspace.in_use(), workspace.open_database() as db:
        if args.what == "new":
            name = create(workspace, args.name, default_yaml(), db)
            print(f"new session {name}; options are in soxspipe.yaml")
        else:
            switch(workspace, args.what, db)
            print(f"session {args.what}")
        replan(workspace, db, load_all(), retry=False)
    return 0


def _marked(name: str) -> str:
    return f"\033[32m*{name}*\033[0m" if sys.stdout.isatty() else f"*{name}*"
