"""`soxspipe demo`: simulate a night, reduce it, compare the result with the truth."""

import argparse
import time
from pathlib import Path

from soxspipe.cli.prep import prepare_folder, report
from soxspipe.cli.reduce import reduce_workspace, tell
from soxspipe.cli.simulate import ARMS, simulate
from soxspipe.cli.status import DONE, IN_PART
from soxspipe.errors import OutputError


def run(args: argparse.Namespace) -> int:
    """Do it all in one folder; a demo that was stopped goes on where it was."""
    from soxspipe.cli import accuracy
    from soxspipe.cli.tables import show
    from soxspipe.workspace.reduce import Options

    folder = Path(args.folder)
    start = time.monotonic()
    if not (folder / "soxspipe.db").exists():
        if folder.is_dir() and any(folder.iterdir()):
            raise OutputError(
                f"the folder {folder} is not empty", hint="name another one: soxspipe demo FOLDER"
            )
        print(f"simulating a night into {folder}", flush=True)
        simulate(folder, arms=ARMS[args.arm], seed=args.seed)
    simulated = time.monotonic()
    preparation = prepare_folder(folder)
    report(preparation)
    reduction = reduce_workspace(
        preparation.workspace, Options(), workers=args.workers, verbose=args.verbose
    )
    reduced = time.monotonic()
    tell(reduction)
    headings, rows = accuracy.HEADINGS, accuracy.report(preparation.workspace.root)
    show("Against the truth", headings, rows)
    for picture in _pictures(preparation.workspace.root):
        print(f"picture of a final spectrum: {picture}")
    print(f"simulated in {simulated - start:.0f} s, reduced in {reduced - simulated:.0f} s")
    return DONE if reduction.is_whole and preparation.is_whole else IN_PART


def _pictures(root: Path) -> list[Path]:
    """Pictures of the merged science spectra, in order of name."""
    return sorted((root / "qc").glob("*/soxs-stare/*_EXTRACTED_MERGED_QC_PLOT.pdf"))
