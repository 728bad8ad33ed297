"""Arc lines: air wavelengths, in the orders that can show them."""

from types import SimpleNamespace

import numpy as np
import pytest

from soxspipe.instrument.arms import get_arm
from soxspipe.instrument.line_lists import arc_lines, line_atlas

# Argon, neon and mercury, air, nm (NIST). Vacuum wavelengths are 0.1 to 0.3 nm larger.
KNOWN = {
    "VIS": [(2, 405.2921), (3, 500.9334), (1, 648.3082), (4, 747.1164), (4, 789.1075)],
    "NIR": [(24, 811.5311), (22, 912.2967), (20, 1013.976), (18, 1067.3565), (17, 1152.2746)],
}
ARMS = pytest.mark.parametrize("name", ["VIS", "NIR"])


@ARMS
def test_lines_lie_in_their_orders(name):
    arm = get_arm("SOXS", name)
    lines = arc_lines(arm)
    assert lines.order.shape == lines.wavelength.shape == lines.suspect.shape
    assert set(lines.order) == set(arm.orders)
    for number, order in arm.orders.items():
        own = lines.wavelength[lines.order == number]
        # the format ends where the detector does; order 24 has lines beyond the range that is kept
        assert own.min() > order.full[0] - 0.3
        assert own.max() < order.full[1] + (7 if number == 24 else 0)
        assert len(np.unique(own)) == len(own)


@ARMS
def test_every_order_has_lines_enough_that_fit(name):
    lines = arc_lines(get_arm("SOXS", name))
    for number in np.unique(lines.order):
        assert ((lines.order == number) & ~lines.suspect).sum() >= 7


def test_numbers_of_lines():
    vis, nir = (arc_lines(get_arm("SOXS", name)) for name in ("VIS", "NIR"))
    assert (len(nir.order), nir.suspect.sum()) == (767, 211)
    assert len(vis.order) == 134


@ARMS
def test_wavelengths_are_those_in_air(name):
    lines = arc_lines(get_arm("SOXS", name))
    found = 0
    for order, wavelength in KNOWN[name]:
        own = lines.wavelength[lines.order == order]
        nearest = own[np.argmin(np.abs(own - wavelength))]
        found += bool(nearest == pytest.approx(wavelength, abs=0.004))
    assert found == len(KNOWN[name])


# Argon and neon in air, nm: NIST ASD.
IN_ATLAS = {"VIS": [420.0674, 458.9898, 763.5106], "NIR": [813.6406, 842.4648, 865.4383]}


@ARMS
def test_the_atlas_holds_lines_of_the_lamps_in_air(name):
    arm, atlas = get_arm("SOXS", name), line_atlas(get_arm("SOXS", name))
    assert (np.diff(atlas.wavelength) > 0.002).all()
    assert all(np.abs(atlas.wavelength - w).min() < 0.0006 for w in IN_ATLAS[name])
    low = min(order.full[0] for order in arm.orders.values())
    high = max(order.full[1] for order in arm.orders.values())
    assert low < atlas.wavelength[0] < atlas.wavelength[-1] < high
    elements = {str(ion).rstrip("IV") for ion in atlas.ion}
    assert all(any(e in lamp for lamp in arm.arc_lamps) for e in elements)


@ARMS
def test_the_atlas_has_lines_that_the_list_has_not(name):
    """And agrees with the list where both have a line: VIS to 0.0002 nm, NIR to 0.003 nm."""
    atlas, listed = line_atlas(get_arm("SOXS", name)), arc_lines(get_arm("SOXS", name))
    away = np.abs(atlas.wavelength[:, None] - listed.wavelength).min(axis=1)
    assert (away > 0.05).sum() > (200 if name == "VIS" else 100)
    same = away < 0.01
    assert same.sum() > 20
    assert np.median(away[same]) < (0.0002 if name == "VIS" else 0.003)


def test_a_list_knows_which_lines_it_holds():
    listed = arc_lines(get_arm("SOXS", "VIS"))
    some = np.array([0, 5, 70])
    lines = SimpleNamespace(order=listed.order[some].copy(), wavelength=listed.wavelength[some])
    assert listed.holds(lines).all()
    lines.order[1] += 1
    assert listed.holds(lines).tolist() == [True, False, True]
