"""Traces of objects against where they stand on the slit."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from soxspipe.cli.accuracy.figure import Figure, Goal, figure, rms
from soxspipe.cli.accuracy.on_sky import Observed, products
from soxspipe.cli.accuracy.truth import Truth, table

#: Goal of the rms, px, by the least median S/N per bin that it holds for.
GOALS = ((10.0, Goal(high=0.05)), (0.0, Goal(high=0.3)))


def trace_figures(root: Path, truth: Truth) -> Iterator[Figure]:
    """Figures of the traces of one arm."""
    name = truth.arm.name
    for found in products(root, truth, "_OBJTRACE.fits"):
        error = trace_error(table(found.path), found.truth, pixels_per_arcsec(truth))
        if not error.size:
            continue
        snr = float(np.median(found.truth.ideal_snr))
        goal = next(goal for least, goal in GOALS if snr >= least)
        yield Figure(name, found.name, "trace error, rms [px]", rms(error), goal)
        yield figure(name, found.name, "trace error, median [px]", float(np.median(error)))


def trace_error(trace: np.ndarray, truth: Observed, scale: dict[int, float]) -> np.ndarray:
    """(n,) pixels across dispersion, trace minus truth, at all wavelengths of the trace that the truth
    knows. `scale`: pixels per arcsec of each order.
    """
    parts = [np.empty(0)]
    for order in np.unique(trace["order"]):
        rows, part = trace[trace["order"] == order], truth.part(int(order))
        if part.wavelength.size < 2 or int(order) not in scale:
            continue
        at = np.asarray(rows["wavelength"], dtype="f8")
        found = np.asarray(rows["slit_position"], dtype="f8")
        inside = (at >= part.wavelength[0]) & (at <= part.wavelength[-1]) & np.isfinite(found)
        true = np.interp(at[inside], part.wavelength, part.slit)
        parts.append((found[inside] - true) * scale[int(order)])
    return np.concatenate(parts)


def pixels_per_arcsec(truth: Truth) -> dict[int, float]:
    """Scale along the slit of each order, from its ends."""
    edges = truth.edges
    return {
        order: float(np.median((part["upper"] - part["lower"]) / truth.arm.slit_length))
        for order in truth.arm.orders
        if len(part := edges[edges["order"] == order])
    }
