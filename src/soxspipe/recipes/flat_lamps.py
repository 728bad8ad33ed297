"""One flat from those of two lamps: halogen (QTH), and deuterium (D) for the blue end."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from soxspipe.datamodel.flat import MasterFlat
from soxspipe.datamodel.geometry import OrderTable
from soxspipe.errors import InputError
from soxspipe.instrument.arms import Arm
from soxspipe.instrument.spectral_format import nominal
from soxspipe.recipes.flat_steps import LampFlat, finished
from soxspipe.recipes.order_shapes import tilts
from soxspipe.recipes.recipe import RawFrame
from soxspipe.science.orders import two_lamps
from soxspipe.science.orders.edges import EdgeSamples
from soxspipe.science.orders.flat_field import Separated

log = logging.getLogger(__name__)

DEUTERIUM = "D"


@dataclass(frozen=True, eq=False)
class Combined:
    """The flat, order table and edge samples of both lamps; `cards` tell which lamp made which order."""

    master: MasterFlat
    table: OrderTable
    samples: Mapping[int, EdgeSamples]
    cards: Mapping[str, Any]


def by_lamp(raws: Sequence[RawFrame]) -> list[tuple[RawFrame, ...]]:
    """The exposures of the main lamp, and of deuterium if it was taken besides.

    Raises InputError for another mix of lamps.
    """
    lamps = {raw.info.lamp: None for raw in raws}
    main = [name for name in lamps if name != DEUTERIUM]
    if len(main) > 1:
        raise InputError(
            f"the flats are of several lamps: {', '.join(name or 'none' for name in lamps)}",
            hint="give flats of one lamp, and of deuterium (D) besides if you like",
        )
    wanted = [*main, DEUTERIUM] if DEUTERIUM in lamps else main
    return [tuple(raw for raw in raws if raw.info.lamp == name) for name in wanted]


def combine(main: LampFlat, other: LampFlat, arm: Arm, *, scale: bool) -> Combined:
    """Average the responses of both lamps; each order's edges come from the lamp that shows more."""
    chosen = {}
    for number in main.table.orders:
        seen = [float(np.sum(f.samples[number].used)) for f in (main, other)]
        chosen[number] = other if seen[1] > seen[0] else main
    table = OrderTable(
        {n: f.table.orders[n] for n, f in chosen.items()}, main.table.dispersion_axis
    )
    one, two = main.measured, other.measured
    joined = two_lamps.join(one.flat, two.flat, table, tilts(nominal(arm), arm), scale=scale)
    cards: dict[str, Any] = {}
    for number, share in joined.share.items():
        label = arm.orders[number].label
        log.info("order %s: %.0f %% of the weight from lamp %s", label, 100 * share, other.lamp)
        cards[f"ESO PRO FLAT O{number} DSHARE"] = (round(share, 3), f"weight of deuterium, {label}")
    # the lamp that gives more light knows the illumination of the slit better
    usual = np.where(joined.second, two.usual, one.usual)
    master = finished(Separated(joined.flat, usual), table, arm)
    return Combined(master, table, {n: f.samples[n] for n, f in chosen.items()}, cards)
