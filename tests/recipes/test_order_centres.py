"""order_centres on a pinhole flat that lies where we put it."""

import logging
from dataclasses import replace

import numpy as np
import pytest
from astropy.io.fits import Header
from scipy.special import ndtr

from soxspipe.datamodel.frame import Frame
from soxspipe.errors import DataError
from soxspipe.instrument.arms import get_arm
from soxspipe.instrument.spectral_format import nominal
from soxspipe.io.frames import RawFrame
from soxspipe.recipes import load
from tests.recipes.frames import info

VIS = get_arm("SOXS", "VIS")
DESIGN = nominal(VIS)
SHIFT, SIGMA = 0.7, 0.8
U, G = 2, 3


def true_centre(order, pixel):
    """Column of the trace at each row; the flat lies SHIFT beside the design."""
    x, y = DESIGN.predict(order, np.linspace(*VIS.orders[order].full, 400))
    sort = np.argsort(y)
    return np.interp(pixel, y[sort], x[sort]) + SHIFT


def pinhole_flat(counts):
    """A raw frame with that many counts per row in each order."""
    rng, light = np.random.default_rng(1), np.zeros(VIS.shape)
    rows, near = np.arange(VIS.shape[0]), np.arange(-6, 7)
    for order, number in counts.items():
        centre = true_centre(order, rows)
        column = np.rint(centre).astype(int)[:, None] + near
        edge = (column - centre[:, None]) / SIGMA
        share = ndtr(edge + 0.5 / SIGMA) - ndtr(edge - 0.5 / SIGMA)
        light[rows[:, None], column] += number * share
    noise = rng.normal(0.0, np.sqrt(light + 9.0))
    facts = replace(info(), gain=1.0, read_noise=3.0)
    return RawFrame((light + noise).astype("f4"), np.empty(0), facts, Header())


def run(counts, **options):
    recipe, nothing = load("order_centres"), np.zeros(VIS.shape)
    settings = recipe.settings.defaults("VIS")
    detect = settings.detect_continuum.model_copy(update=options)
    inputs = recipe.inputs(
        flat=(pinhole_flat(counts),), solution=DESIGN, off=(), dark=None,
        bias=Frame(nothing, np.full(VIS.shape, 1.0), nothing),
    )  # fmt: skip
    changed = settings.model_copy(update={"detect_continuum": detect})
    return recipe.function(inputs, changed, VIS)


@pytest.fixture(scope="module")
def bright():
    return run(dict.fromkeys(VIS.orders, 2000.0))


@pytest.fixture(scope="module")
def faint():
    return run({**dict.fromkeys(VIS.orders, 2000.0), U: 14.0})


def values(result, order="-1"):
    return {m.metric.keyword: m.value for m in result.measurements if m.order == order}


def errors(result, order):
    trace = result.products["ORDER_CENTRES"].table.orders[order]
    pixel = np.arange(*trace.domain, 10.0)
    return trace.at("centre", pixel) - true_centre(order, pixel)


def test_centres_and_values(bright):
    for order in VIS.orders:
        assert np.sqrt(np.mean(errors(bright, order) ** 2)) < 0.005
    found = values(bright)
    assert found["N ORDERS"] == 4
    assert 390 <= found["SAMPLES TOT NUM"] <= 400
    assert found["SAMPLES DET FRAC"] > 0.98
    assert found["X RES SD"] < 0.05
    assert found["TRACE FWHM MEDIAN"] == pytest.approx(2.355 * SIGMA, rel=0.02)
    assert not any(m.failed for m in bright.measurements if m.metric.keyword != "DETECTOR TEMP")
    for order in VIS.orders.values():
        own = values(bright, order.label)
        assert own["SAMPLES TOT NUM"] <= 100
        assert own["X RES SD"] < 0.1
        assert "N ORDERS" not in own


def test_documented_polynomials_and_names(bright):
    assert bright.names == {"degrees": "35"}
    centre = bright.products["ORDER_CENTRES"].polynomials["centre"].coefficients
    assert centre.shape == (4, 6)
    pixel = np.array([500.0, 2000.0, 3500.0])
    at = np.polynomial.polynomial.polyval2d(np.full(3, float(G)), pixel, centre)
    assert at == pytest.approx(true_centre(G, pixel), abs=0.1)


def test_a_faint_u_band(faint):
    assert np.sqrt(np.mean(errors(faint, U) ** 2)) < 0.08
    assert values(faint)["N ORDERS"] == 4


def test_a_dark_order_is_named(caplog):
    with caplog.at_level(logging.WARNING):
        result = run({**dict.fromkeys(VIS.orders, 2000.0), U: 0.0})
    assert "order u shows no light" in caplog.text
    assert values(result)["N ORDERS"] == 3
    failed = {m.metric.keyword for m in result.measurements if m.failed}
    assert "SAMPLES DET FRAC" in failed


def test_too_little_light_fails_with_advice():
    with pytest.raises(DataError, match=r"only \d+% of the slices; no light in order") as caught:
        run({G: 2000.0})
    assert "slice-width" in caught.value.hint


def test_wider_slices_find_fainter_light(faint):
    wider = run({**dict.fromkeys(VIS.orders, 2000.0), U: 14.0}, slice_width=9)
    assert values(wider, "u")["SAMPLES DET FRAC"] > values(faint, "u")["SAMPLES DET FRAC"] + 0.2


def test_options_have_their_effect():
    lit = dict.fromkeys(VIS.orders, 2000.0)
    result = run(lit, order_sample_count=40, disp_axis_deg=2, order_deg=2)
    assert values(result)["SAMPLES TOT NUM"] <= 160
    assert result.names == {"degrees": "22"}
    with pytest.raises(DataError, match="only 0%"):
        run(lit, peak_sigma_limit=1e4)
