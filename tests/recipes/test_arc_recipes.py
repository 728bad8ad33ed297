"""disp_solution and spat_solution on simulated arcs: binnings, options, the slit arc."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from benchmarks.in_memory import Day

from soxspipe.datamodel.flat import MasterFlat
from soxspipe.datamodel.frame import Frame
from soxspipe.errors import InputError
from soxspipe.recipes import load
from soxspipe.simulator.conditions import Conditions
from soxspipe.simulator.exposure import Night

pytestmark = pytest.mark.slow


class Binned(Day):
    """A VIS day read out with another binning."""

    def __init__(self, seed, binning=(1, 1)):
        super().__init__("VIS", seed)
        self.night = Night.make("VIS", seed, binning, "sn")
        self.arm = self.night.arm


@cache
def day():
    return Binned(4)


def spat(day, first, changes=None, **inputs):
    """spat_solution with some settings changed."""
    recipe = load("spat_solution")
    settings = recipe.settings.defaults("VIS").model_copy(update=changes or {})
    arc = day.raw("multi_pinhole")
    nothing = {
        i.name: () if i.name in ("off", "slit_arc") else None for i in recipe.declared_inputs()
    }
    given = {"arc": arc, **day.masters(60.0), "solution": first, "orders": day.true_orders}
    return recipe.function(recipe.inputs(**nothing | given | inputs), settings, day.arm)


@cache
def first_solution():
    return day().disp_solution().products["DISP_MAP"].solution


def off_truth(day, solution):
    """rms of the solution's places along and across dispersion, binned pixels, inside the orders."""
    bx, by = day.arm.binning
    found = []
    for number, part in solution.orders.items():
        w, s = (a.ravel() for a in np.meshgrid(np.linspace(*part.lines, 40), np.linspace(-5, 5, 9)))
        x, y = day.night.optics.position(number, w, s)
        u, v = part.predict(w, s)
        found.append([u - ((x + 0.5) / bx - 0.5), v - ((y + 0.5) / by - 0.5)])
    return np.sqrt(np.mean(np.concatenate(found, axis=1) ** 2, axis=1))


@pytest.mark.parametrize("binning", [(1, 1), (1, 2), (2, 1), (2, 2)])
def test_all_binnings(binning):
    day = Binned(5, binning)
    first = day.disp_solution()
    assert not [m for m in first.measurements if m.failed]
    full = spat(day, first.products["DISP_MAP"].solution, orders=binned_orders(day))
    assert not [m for m in full.measurements if m.failed]
    off = off_truth(day, full.products["SPAT_SOL"].solution)
    assert (off * binning < 0.05).all()


def binned_orders(day):
    """True order table at the binning of the day."""
    table = Binned(5).true_orders
    bx, by = day.arm.binning
    shift = {}
    for number, trace in table.orders.items():
        series = {}
        for name in ("centre", "lower", "upper"):
            c = getattr(trace, name) / bx
            c = c.copy()
            c[0] += 0.5 / bx - 0.5
            series[name] = c
        domain = tuple((p + 0.5) / by - 0.5 for p in trace.domain)
        shift[number] = type(trace)(domain, width=trace.width, **series)
    return type(table)(shift, table.dispersion_axis)


def test_a_slit_arc_gives_the_resolution_through_the_slit():
    night = day().night
    slit = day().raw("slit_arc")
    result = spat(day(), first_solution(), slit_arc=slit)
    table = result.products["DISP_MAP_LINES"]
    width = np.asarray(table["fwhm_slit_px"])
    assert np.isfinite(width).mean() > 0.3
    for number, path in night.paths.items():
        own = np.isfinite(width) & (np.asarray(table["order"]) == number)
        # a box of 1 arcsec, wider than the blur: half-light is at its ends
        assert np.median(width[own]) == pytest.approx(path.pixels_per_arcsec, rel=0.06)
    assert np.isnan(spat(day(), first_solution()).products["DISP_MAP_LINES"]["R_slit"]).all()


def test_scattered_light_is_taken_off_if_wanted():
    glow = 40.0
    arc = tuple(
        replace(raw, data=raw.data + np.float32(glow)) for raw in day().raw("multi_pinhole")
    )
    result = spat(day(), first_solution(), {"subtract_background": True}, arc=arc)
    electrons = glow * arc[0].info.gain
    assert np.median(result.products["BKGROUND"].data) == pytest.approx(electrons, rel=0.05)
    assert abs(np.median(result.products["DISP_MAP_LINES"]["sky"])) < 0.1 * electrons
    assert "BKGROUND" not in plain().products
    assert "BKGROUND_PLOT" not in plain().figures
    figure = result.figures["BKGROUND_PLOT"]()
    assert "arc - model" in " ".join(panel.get_title(loc="left") for panel in figure.axes)


@cache
def plain():
    return spat(day(), first_solution())


def test_the_flat_is_divided_out_if_wanted():
    arm = day().arm
    half = np.where(np.arange(arm.shape[0]) < 2000, 0.5, 1.0)[:, None] * np.ones(arm.shape)
    flat = MasterFlat(Frame(half, np.full(arm.shape, 1e-6), np.zeros(arm.shape)), {})
    with pytest.raises(InputError):
        spat(day(), first_solution(), {"use_flat": True})
    divided = spat(day(), first_solution(), {"use_flat": True}, flat=flat)
    tables = [r.products["DISP_MAP_LINES"] for r in (divided, plain())]
    levels = []
    for table in tables:
        low = np.asarray(table["observed_y"]) < 1990
        levels.append(np.median(np.asarray(table["flux"])[low]))
    assert levels[0] == pytest.approx(2 * levels[1], rel=0.1)


def test_the_atlas_makes_up_for_lines_that_do_not_shine():
    dim = Day("VIS", 5, Conditions(lines_missing=0.4))
    few, many = (dim.disp_solution(bootstrap_dispersion_solution=on) for on in (False, True))
    tables = [r.products["DISP_MAP_LINES"] for r in (few, many)]
    used, more = ((~table["sigma_clipped"]).sum() for table in tables)
    assert more > 2 * used
    assert tables[0]["listed"].all()
    assert used == pytest.approx((tables[1]["listed"] & ~tables[1]["sigma_clipped"]).sum(), abs=10)
    before, after = (dim.errors(r.products["DISP_MAP"].solution, 0.0).rms for r in (few, many))
    assert after < 0.7 * before
    assert after < 0.008
    # quality values count what the list promises, whatever else is used
    for keyword in ("DETLINES TOT", "DETLINES NUM", "DETLINES FRAC"):
        one, other = (
            next(m.value for m in r.measurements if m.metric.keyword == keyword)
            for r in (few, many)
        )
        assert one == pytest.approx(other, abs=1e-9 if keyword.endswith("TOT") else 0.02 * one)


def test_the_atlas_leaves_a_good_full_solution_as_good():
    result = spat(day(), first_solution(), {"bootstrap_dispersion_solution": True})
    table = result.products["DISP_MAP_LINES"]
    assert (~table["listed"] & ~table["sigma_clipped"]).sum() > 1000
    assert not [m for m in result.measurements if m.failed]
    assert (off_truth(day(), result.products["SPAT_SOL"].solution) < 0.01).all()
