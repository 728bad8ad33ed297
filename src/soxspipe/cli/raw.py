"""`soxspipe raw sof`: copy every raw frame that feeds a science SOF."""

import argparse
import shutil
from pathlib import Path

from soxspipe.errors import InputError
from soxspipe.workspace.folder import cannot_write, find_workspace, get_workspace


def run(args: argparse.Namespace) -> int:
    """Copy the frames into `exported/` of the workspace; frames there already are kept."""
    from soxspipe.recipes import load_all
    from soxspipe.workspace.ledger import current_plan

    found = find_workspace(Path(args.sof)) if args.folder == "." else None
    workspace = found or get_workspace(Path(args.folder))
    stem = Path(args.sof).name.removesuffix(".sof")
    with workspace.open_database() as db:
        plan = current_plan(db, workspace, load_all())
    if stem not in plan.runs:
        raise InputError(
            f"there is no SOF {stem} in {workspace.root}", hint="soxspipe list sof shows them"
        )
    paths = sorted({f.path for name in plan.upstream(stem) for f in plan.runs[name].frames.frames})
    target = workspace.root / "exported"
    try:
        target.mkdir(exist_ok=True)
        for path in paths:
            copy = target / Path(path).name
            if not copy.exists():
                part = copy.with_name(f".{copy.name}.part")
                shutil.copy2(workspace.root / path, part)
                part.replace(copy)
    except FileNotFoundError as error:
        raise InputError(
            f"the raw frame {error.filename} is gone", hint="put it back, or run soxspipe prep"
        ) from error
    except OSError as error:
        raise cannot_write(target, error) from error
    print(f"{len(paths)} raw frames in {target}")
    return 0
