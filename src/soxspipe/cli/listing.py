"""`soxspipe list` and `soxspipe plan`: what there is and what would be done."""

import argparse
from pathlib import Path

from soxspipe.workspace.folder import get_workspace


def run(args: argparse.Namespace) -> int:
    """Print the table asked for. Nothing is changed."""
    from soxspipe.cli.tables import show
    from soxspipe.recipes import load_all
    from soxspipe.workspace.ledger import current_plan
    from soxspipe.workspace.plan import Plan

    workspace = get_workspace(Path(args.folder))
    with workspace.open_database() as db:
        plan: Plan = current_plan(db, workspace, load_all())
        if args.what == "plan":
            print(plan.describe())
            return 0
        sets = [(run.frames, run.state or "to do") for run in plan.runs.values()]
        sets += [(s.frames, "not possible") for s in plan.stuck]
        sets += [(frames, "no recipe") for frames in plan.unsupported]
    science = [(f, state) for f, state in sets if f.first.dpr_catg == "SCIENCE"]
    if args.what == "sof":
        rows = [(f.stem + ".sof", f.first.object, f.first.arm, state) for f, state in science]
        show("SOF files of the science", ("SOF", "target", "arm", "state"), rows)
        return 0
    blocks: dict[tuple, list[tuple]] = {}
    for frames, state in science:
        first = frames.first
        key = (first.ob_id, first.ob_name, first.object, first.night)
        blocks.setdefault(key, []).append((first.arm, len(frames.frames), state))
    rows = [
        (*key, "; ".join(f"{arm} {count} ({state})" for arm, count, state in parts))
        for key, parts in blocks.items()
    ]
    show("Science blocks", ("block", "name", "target", "night", "frames (state)"), rows)
    return 0
