"""The nominal format against values that its makers published with the coefficients."""

from itertools import pairwise

import numpy as np
import pytest

from soxspipe.errors import InputError
from soxspipe.instrument.arms import get_arm
from soxspipe.instrument.spectral_format import nominal

# order, wavelength nm, slit arcsec, x, y px
PUBLISHED = {
    "VIS": [
        (1, 652.9, 3.0, 187.8106, 3228.7024),
        (1, 572.65, -4.0, 153.4732, 1133.4657),
        (4, 775.8, 0.0, 647.2175, 2283.5059),
        (4, 814.4, 3.0, 660.3942, 3157.7891),
    ],
    "NIR": [
        (10, 1963.06, 0.0, 1190.6631, 398.0427),
        (13, 1470.64, -4.0, 588.9396, 522.2478),
        (16, 1250.76, 3.0, 1606.7574, 780.2078),
        (19, 1007.73, -4.0, 587.3537, 941.3756),
        (22, 911.32, 3.0, 1604.0205, 1249.7739),
    ],
}
# order: nm/px and, along the tilted slit, arcsec/px at the middle
GEOMETRY = {
    "VIS": {1: (0.03954, 0.2751), 2: (0.02343, 0.2751), 3: (0.03127, 0.2683), 4: (0.04815, 0.2671)},
    "NIR": {
        10: (0.08636, 0.35),
        13: (0.06662, 0.3423),
        17: (0.05122, 0.3275),
        24: (0.03651, 0.2917),
    },
}
#: Orders whose wavelength falls with the pixel along dispersion, and whose slit runs backwards.
BACKWARDS = {"VIS": {2, 3}, "NIR": set()}
ARMS = pytest.mark.parametrize("name", ["VIS", "NIR"])


@ARMS
def test_published_positions(name):
    solution = nominal(get_arm("SOXS", name))
    for order, wavelength, slit, x, y in PUBLISHED[name]:
        assert np.array(solution.predict(order, wavelength, slit)) == pytest.approx(
            (x, y), abs=1e-3
        )


def test_binned_positions():
    for order, wavelength, slit, x, y in PUBLISHED["VIS"]:
        for nx, ny in ((2, 1), (1, 2), (2, 2)):
            at = nominal(get_arm("SOXS", "VIS").binned((nx, ny))).predict(order, wavelength, slit)
            truth = ((x + 0.5) / nx - 0.5, (y + 0.5) / ny - 0.5)
            assert np.array(at) == pytest.approx(truth, abs=1e-3)
    x, y = nominal(get_arm("SOXS", "VIS")).predict(*PUBLISHED["VIS"][0][:3])
    assert (x, y) == pytest.approx(PUBLISHED["VIS"][0][3:], abs=1e-3)  # and no cache was spoilt


@ARMS
def test_scales_of_dispersion_and_slit(name):
    arm = get_arm("SOXS", name)
    solution = nominal(arm)
    for order, (dispersion, scale) in GEOMETRY[name].items():
        middle = np.mean(arm.orders[order].full)
        ends = arm.dispersion_and_slit(*solution.predict(order, middle + np.array([-0.1, 0.1])))
        sign = -1 if order in BACKWARDS[name] else 1
        assert 0.2 / np.diff(ends[0])[0] == pytest.approx(sign * dispersion, rel=0.01)
        x, y = solution.predict(order, middle, np.array([-5.5, 5.5]))
        assert 11 / np.hypot(*np.ptp([x, y], axis=1)) == pytest.approx(scale, rel=0.01)
        assert np.sign(np.diff(arm.dispersion_and_slit(x, y)[1])[0]) == sign


@ARMS
@pytest.mark.parametrize("slit", [-6.0, 0.0, 6.0])
def test_dispersion_never_turns_back(name, slit):
    arm = get_arm("SOXS", name)
    for number, part in nominal(arm).orders.items():
        wavelength = np.linspace(*arm.orders[number].full, 500)
        along, _ = arm.dispersion_and_slit(*part.predict(wavelength, np.full(500, slit)))
        step = np.diff(along)
        assert (step < 0).all() if number in BACKWARDS[name] else (step > 0).all()


@ARMS
def test_orders_do_not_overlap_on_the_detector(name):
    arm = get_arm("SOXS", name)
    bands = []
    for number, part in nominal(arm).orders.items():
        w, s = np.meshgrid(np.linspace(*arm.orders[number].full, 300), np.array([-6.0, 6.0]))
        along, across = arm.dispersion_and_slit(*part.predict(w, s))
        ends = zip(along, across, strict=True)
        bands.append(sorted(np.interp(1000, *_rising(*end)) for end in ends))
    bands.sort()
    for before, after in pairwise(bands):
        assert after[0] - before[1] > 10


def _rising(along, across):
    sort = np.argsort(along)
    return along[sort], across[sort]


@ARMS
def test_every_order_says_where_lines_support_it(name):
    arm = get_arm("SOXS", name)
    solution = nominal(arm)
    assert sorted(solution.orders) == sorted(arm.orders)
    for number, part in solution.orders.items():
        low, high = arm.orders[number].full
        assert low - 1 < part.lines[0] < part.lines[1] < high + 10


def test_an_order_it_does_not_have():
    with pytest.raises(InputError, match="no order 9"):
        nominal(get_arm("SOXS", "NIR")).predict(9, 2073.36)
