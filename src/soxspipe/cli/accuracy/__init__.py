"""Compare the products of a simulated night with its truth."""

from collections.abc import Callable, Iterable
from pathlib import Path

from soxspipe.cli.accuracy.cosmics import cosmic_figures
from soxspipe.cli.accuracy.detector import detector_figures
from soxspipe.cli.accuracy.figure import GOALS, Figure, Goal
from soxspipe.cli.accuracy.flat import flat_figures
from soxspipe.cli.accuracy.geometry import geometry_figures
from soxspipe.cli.accuracy.merged import merged_figures
from soxspipe.cli.accuracy.sky import sky_figures
from soxspipe.cli.accuracy.spectra import spectra_figures
from soxspipe.cli.accuracy.trace import trace_figures
from soxspipe.cli.accuracy.truth import Truth
from soxspipe.cli.accuracy.wavelength import wavelength_figures

__all__ = ["CALIBRATIONS", "GOALS", "HEADINGS", "ON_SKY", "Figure", "Goal", "figures", "report"]

HEADINGS = ("arm", "frame", "quantity", "value", "goal")

Part = Callable[[Path, Truth], Iterable[Figure]]

CALIBRATIONS: tuple[Part, ...] = (
    detector_figures,
    wavelength_figures,
    geometry_figures,
    flat_figures,
)
ON_SKY: tuple[Part, ...] = (
    spectra_figures,
    merged_figures,
    trace_figures,
    sky_figures,
    cosmic_figures,
)


def figures(root: Path, parts: Iterable[Part] = (*CALIBRATIONS, *ON_SKY)) -> list[Figure]:
    """The figures of the workspace `root`, whose truth stands in `root/truth`; all, or some `parts`."""
    truths = [Truth.of(root, name) for name in ("VIS", "NIR")]
    chosen = tuple(parts)
    return [
        found
        for truth in truths
        if truth is not None
        for part in chosen
        for found in part(root, truth)
    ]


def report(root: Path) -> list[tuple[str, ...]]:
    """The figures as rows of text, one per HEADINGS."""
    return [(f.arm, f.frame, f.quantity, f.text, str(f.goal)) for f in figures(root)]
