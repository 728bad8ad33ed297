"""Compare the products of a simulated night with its truth."""

from pathlib import Path

from soxspipe.cli.accuracy.detector import detector_figures
from soxspipe.cli.accuracy.figure import GOALS, Figure, Goal
from soxspipe.cli.accuracy.flat import flat_figures
from soxspipe.cli.accuracy.geometry import geometry_figures
from soxspipe.cli.accuracy.spectra import spectra_figures
from soxspipe.cli.accuracy.truth import Truth
from soxspipe.cli.accuracy.wavelength import wavelength_figures

__all__ = ["GOALS", "HEADINGS", "Figure", "Goal", "figures", "report"]

HEADINGS = ("arm", "frame", "quantity", "value", "goal")

_PARTS = (
    detector_figures,
    wavelength_figures,
    geometry_figures,
    flat_figures,
    spectra_figures,
)


def figures(root: Path) -> list[Figure]:
    """All figures of the workspace `root`, whose truth stands in `root/truth`."""
    truths = [Truth.of(root, name) for name in ("VIS", "NIR")]
    return [
        found
        for truth in truths
        if truth is not None
        for part in _PARTS
        for found in part(root, truth)
    ]


def report(root: Path) -> list[tuple[str, ...]]:
    """The figures as rows of text, one per HEADINGS."""
    return [(f.arm, f.frame, f.quantity, f"{f.value:.4f}", str(f.goal)) for f in figures(root)]
