"""Work that makes empty products at once, or fails as a file in the workspace says."""

import os
import time
from pathlib import Path

from soxspipe.datamodel.metric import Metric
from soxspipe.workspace.names import product_path
from soxspipe.workspace.runner import RunOutcome, RunRequest, Written
from tests.workspace.cascade import RECIPES

LEVEL = Metric("LEVEL", "electron", "how bright it is", {"VIS": (0, 10), "NIR": (0, 10)})


def misbehave(root: Path, part: str, how: str) -> None:
    """Runs with `part` in their stem end `how`: failed, error, bug, die, slow, fine."""
    (root / f"{part}.how.log").write_text(how)


def work(request: RunRequest) -> RunOutcome:
    """Do as if the recipe had run; missing inputs are noticed."""
    assert isinstance(request.inputs, Path)
    stem, root = request.inputs.stem, request.root
    with (root / "done.log").open("a") as log:
        log.write(f"{stem} {os.getpid()}\n")
    lines = request.inputs.read_text().splitlines()
    paths = [line.split()[0] for line in lines if not line.startswith("#")]
    for path in paths:
        assert (root / path).is_file(), path
    how = _how(root, stem)
    if how == "error":
        return RunOutcome(
            request.recipe, stem, "VIS", "error", message="too few lines", exit_status=5
        )
    if how == "full disk":
        return RunOutcome(request.recipe, stem, "VIS", "error", message="disk full", exit_status=6)
    recipe = RECIPES[request.recipe]
    night = paths[0].split("/")[2]
    written = []
    for product in recipe.products:
        path = root / product_path(stem, night, recipe, product)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(stem)
        written.append(Written(product.label, path, product.category, "reduced", ""))
    value = 99.0 if how == "failed" else 5.0
    return RunOutcome(
        request.recipe,
        stem,
        "VIS",
        "failed" if how == "failed" else "passed",
        products=tuple(written),
        measurements=(LEVEL.judge(value, (0, 10)),),
        message="out of range: LEVEL = 99" if how == "failed" else "",
        exit_status=8 if how == "failed" else 0,
    )


def _how(root: Path, stem: str) -> str:
    how = "fine"
    for path in root.glob("*.how.log"):
        if path.name.removesuffix(".how.log") in stem:
            how = path.read_text()
    if how == "bug":
        raise ZeroDivisionError("a fault in the code")
    if how == "die":
        os._exit(9)
    if how == "slow":
        _take_long(root)
    return how


def _take_long(root: Path) -> None:
    part = root / "half-written.part"
    part.touch()
    (root / "busy.log").touch()
    try:
        time.sleep(60)
    finally:
        part.unlink()
