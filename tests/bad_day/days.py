"""Reduce the arcs and flats of a bad day; refusals as text, results with their errors."""

from dataclasses import dataclass

import numpy as np
from benchmarks.in_memory import Day, Errors

from soxspipe.errors import SoxspipeError
from soxspipe.simulator.conditions import Conditions

SEED = 11


@dataclass(frozen=True)
class Outcome:
    """What a step delivered: its errors, or why it refused to."""

    refusal: str
    errors: Errors | None = None

    @property
    def right(self) -> bool:
        """True if it was delivered, and is within a tenth of a pixel of the truth."""
        return not self.refusal and self.errors.rms < 0.1 and self.errors.worst < 1.0

    def __str__(self) -> str:
        if self.errors is None:
            return self.refusal
        return f"{self.refusal} rms {self.errors.rms:.3f} px, worst {self.errors.worst:.2f} px"


def solve(arm: str, seed: int = SEED, *, full: bool, **conditions: object) -> Outcome:
    """Solve the single-pinhole arc of a day, and if `full` the multi-pinhole arc as well."""
    day = Day(arm, seed, Conditions(**conditions))
    try:
        first = day.disp_solution()
        solution = first.products["DISP_MAP"].solution
        if _out_of_range(first) or not full:
            return Outcome(_out_of_range(first), day.errors(solution, 0.0))
        whole = day.spat_solution(solution, day.true_orders)
    except SoxspipeError as error:
        return Outcome(error.message)
    solution = whole.products["SPAT_SOL"].solution
    return Outcome(_out_of_range(whole), day.errors(solution, 0.45 * day.arm.slit_length))


def _out_of_range(result) -> str:
    """Names of the quality values that mark a result as failed."""
    return ", ".join(m.metric.keyword for m in result.measurements if m.failed)


@dataclass(frozen=True)
class Flat:
    """Order centres and master flat of a day, `refusal` "" if all quality values are in range."""

    day: Day
    refusal: str
    centres: object
    orders: object
    master: object


def flatten(arm: str, **conditions: object) -> Flat:
    """Reduce arc, pinhole flat and three slit flats of a day; errors are raised."""
    day = Day(arm, SEED, Conditions(**conditions))
    first = day.disp_solution()
    pinhole, slit = day.raw("pinhole_flat"), day.raw("flat", most=3)
    traced = day.run(
        "order_centres",
        flat=pinhole,
        solution=first.products["DISP_MAP"].solution,
        **day.masters(pinhole[0].info.exptime),
    )
    centres = traced.products["ORDER_CENTRES"].table
    made = day.run("mflat", flat=slit, centres=centres, **day.masters(slit[0].info.exptime))
    refusal = ", ".join(filter(None, (_out_of_range(traced), _out_of_range(made))))
    products = made.products
    return Flat(day, refusal, centres, products["ORDER_LOC"].table, products["MFLAT"])


def trace_errors(day: Day, table, which: str) -> dict[int, float]:
    """Rms error of `which` ("centre", "lower", "upper") by order, pixels."""
    errors = {}
    for number, true in day.true_orders.orders.items():
        found = table.orders[number]
        low, high = max(found.domain[0], true.domain[0]), min(found.domain[1], true.domain[1])
        pixel = np.arange(np.ceil(low), high)
        off = found.at(which, pixel) - true.at(which, pixel)
        errors[number] = float(np.sqrt(np.mean(off**2)))
    return errors
