"""The light of all orders, collapsed along the slit."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from soxspipe.recipes.slit_orders import Orders, OrderState, slit_range
from soxspipe.science.extraction import collapse
from soxspipe.science.extraction.collapse import Cells

#: Chunks along an order in which objects are looked for.
CHUNKS = 16
#: Share of the slit at each end in which nothing is looked for.
END = 0.025
#: The sky may be off by this share of itself, and of its change from one native bin to the next.
_SKY_LEVEL, _SKY_SLOPE = 0.02, 0.15


@dataclass(frozen=True, eq=False)
class CollapsedSlit:
    """Collapsed light of all orders: `cells` for continua, `boxes` for lines; per order.

    twin : of difference frames, in which case both hold each object's images together.
    """

    cells: Mapping[int, Cells]
    boxes: Mapping[int, Cells]
    twin: float | None = None

    def paired(self, twin: float) -> "CollapsedSlit":
        """The light of both images of each object together."""
        return CollapsedSlit(
            {n: collapse.with_twin(c, twin) for n, c in self.cells.items()},
            {n: collapse.with_twin(c, twin) for n, c in self.boxes.items()},
            twin,
        )


def collapsed_slit(orders: Orders, *, edge: float) -> CollapsedSlit:
    """The light of all orders along the slit, without a small part (`edge` at most) at each end."""
    low, high = slit_range(orders)
    margin = min(edge, END) * (high - low)
    ends = (low + margin, high - margin)
    cells, boxes = {}, {}
    for n, o in orders.items():
        light = (o.pixels, o.light, o.variance, o.good)
        cells[n] = collapse.collapse(*light, slit_range=ends, chunks=CHUNKS)
        boxes[n] = collapse.line_boxes(*light, slit_range=ends, doubt=_sky_doubt(o))
    return CollapsedSlit(cells, boxes)


def _sky_doubt(order: OrderState) -> np.ndarray:
    """Electrons (n,) by which the sky may be off: what is left of its lines is no object."""
    bins, n = order.pixels.nearest, len(order.pixels.grid)
    level = np.bincount(bins, order.sky, n) / np.maximum(np.bincount(bins, minlength=n), 1)
    doubt = _SKY_LEVEL * np.abs(level) + _SKY_SLOPE * np.abs(np.gradient(level))
    return np.asarray(doubt[bins])
