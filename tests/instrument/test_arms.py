"""The declared facts of both arms hang together."""

from itertools import pairwise

import numpy as np
import pytest

from soxspipe.errors import InputError
from soxspipe.instrument.arms import ARMS, get_arm

VIS, NIR = get_arm("SOXS", "VIS"), get_arm("SOXS", "NIR")
BOTH = pytest.mark.parametrize("arm", [VIS, NIR], ids=lambda arm: arm.name)


def test_all_arms_can_be_had():
    assert [get_arm(*names) for names in ARMS] == [VIS, NIR]
    assert (VIS.tag, NIR.tag) == ("soxs_vis", "soxs_nir")
    assert get_arm("soxs", "vis") == VIS


@pytest.mark.parametrize("names", [("SOXS", "UVB"), ("HARPS", "VIS"), ("SOXS", "ACQ")])
def test_other_arms_are_refused(names):
    with pytest.raises(InputError, match=f"no spectrograph arm {names[0]} {names[1]}"):
        get_arm(*names)


def test_format_of_the_detectors():
    assert VIS.shape == (4096, 808)
    assert NIR.shape == (2040, 2040)
    assert (VIS.dispersion_axis, NIR.dispersion_axis) == ("y", "x")
    assert (VIS.gain_from_header, NIR.gain_from_header) == (True, False)
    assert NIR.gain == 2.3


@pytest.mark.parametrize(
    ("binning", "shape"),
    [((1, 1), (4096, 808)), ((2, 1), (4096, 404)), ((1, 2), (2048, 808)), ((2, 2), (2048, 404))],
)
def test_binning_is_x_by_y(binning, shape):
    arm = VIS.binned(binning)
    assert arm.shape == shape
    assert arm.binning == binning
    assert arm.orders == VIS.orders


@pytest.mark.parametrize(("arm", "binning"), [(NIR, (2, 2)), (VIS, (4, 4)), (VIS, (0, 1))])
def test_unknown_binning_is_refused(arm, binning):
    with pytest.raises(InputError, match="has no binning"):
        arm.binned(binning)


def test_dispersion_comes_to_lie_along_rows():
    image = np.arange(6.0).reshape(2, 3)
    assert np.array_equal(VIS.along_rows(image), image.T)
    assert np.array_equal(NIR.along_rows(image), image)
    assert np.shares_memory(VIS.along_rows(image), image)


@BOTH
def test_dispersion_and_slit_is_its_own_inverse(arm):
    x, y = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    along, across = arm.dispersion_and_slit(x, y)
    assert np.array_equal(along, x if arm.dispersion_axis == "x" else y)
    assert np.array_equal(arm.dispersion_and_slit(along, across), (x, y))


@BOTH
def test_orders_have_sensible_ranges(arm):
    assert all(number == order.number for number, order in arm.orders.items())
    for order in arm.orders.values():
        assert order.full[0] <= order.useful[0] < order.useful[1] <= order.full[1]
    ranges = sorted(order.full for order in arm.orders.values())
    gaps = [after[0] - before[1] for before, after in pairwise(ranges)]
    # the two reddest NIR orders leave 10 nm between them; all others overlap
    assert [round(gap, 1) for gap in gaps if gap > 0] == ([9.9] if arm is NIR else [])


def test_orders_of_both_arms():
    assert {n: o.label for n, o in VIS.orders.items()} == {1: "r", 2: "u", 3: "g", 4: "i"}
    assert list(NIR.orders) == list(range(10, 25))
    assert NIR.orders[17].label == "17"
    assert (VIS.orders[2].full[0], VIS.orders[4].full[1]) == (347.0, 853.0)
    assert (NIR.orders[24].full[0], NIR.orders[10].full[1]) == (795.0, 2032.9)


@BOTH
def test_nine_evenly_spaced_pinholes_within_the_slit(arm):
    holes = np.array(arm.pinholes)
    assert len(holes) == 9
    assert holes[4] == 0
    assert np.diff(holes) == pytest.approx(holes[5], abs=1e-5)
    assert np.abs(holes).max() < arm.slit_length / 2


@BOTH
def test_margins_see_no_science_pixel(arm):
    for low, high in arm.margin_columns:
        assert high <= arm.columns[0] or low >= arm.columns[1]
