"""Order centres and edges."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from astropy.io import fits

from soxspipe.cli.accuracy.figure import Figure, figure, rms
from soxspipe.cli.accuracy.truth import ONE_OF_TWO, Truth
from soxspipe.datamodel.geometry import OrderTable
from soxspipe.io.products import read_product


def geometry_figures(root: Path, truth: Truth) -> Iterator[Figure]:
    """Figures of the order tables of one arm: of all orders, and of the worst order."""
    name = truth.arm.name
    for path in sorted(root.glob(f"reduced/*/soxs-order-centres/*_{name}_*.fits")):
        errors = trace_errors(read_product(path), truth.edges, ("centre",))
        yield from _figures(name, "order centres", errors)
    for path in sorted(root.glob(f"reduced/*/soxs-mflat/*_{name}_*_OLOC_*.fits")):
        if path.stem.endswith(ONE_OF_TWO):
            continue
        errors = trace_errors(read_product(path), truth.edges, ("lower", "upper"))
        yield from _figures(name, "order edges", errors)


def _figures(name: str, what: str, errors: dict[int, np.ndarray]) -> Iterator[Figure]:
    yield figure(name, "", f"{what}, rms [px]", rms(np.concatenate(list(errors.values()))))
    yield figure(name, "", f"{what}, worst order [px]", max(rms(e) for e in errors.values()))


def trace_errors(
    table: OrderTable, truth: fits.FITS_rec, which: tuple[str, ...]
) -> dict[int, np.ndarray]:
    """Measured minus true ("centre", "lower", "upper"), pixels, where the table holds; by order."""
    errors = {}
    for number, trace in table.orders.items():
        part = truth[truth["order"] == number]
        low, high = trace.domain
        part = part[(part["pixel"] >= low) & (part["pixel"] <= high)]
        pixel = part["pixel"].astype("f8")
        errors[number] = np.concatenate([trace.at(w, pixel) - part[w] for w in which])
    return errors
