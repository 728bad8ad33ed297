"""Solutions moved by distortions of the detector plane."""

from dataclasses import replace

import numpy as np
import pytest

from soxspipe.datamodel.arc_lines import LineList
from soxspipe.science.wavelength import distortion
from tests.science.wavelength.made_arcs import (
    RANGES,
    SHAPE,
    distances,
    grid,
    line_list,
    measured,
    truth,
)


def test_moving_by_a_linear_map_is_exact():
    def turned(x, y):
        return x + 7.3 - 0.005 * (y - 70) + 0.001 * x, y - 5.2 + 0.005 * (x - 210)

    moved = distortion.move(truth(), turned)
    for number in RANGES:
        at = grid(number, 0.0)
        truth_there = turned(*truth().predict(number, *at))
        assert np.array(moved.predict(number, *at)) == pytest.approx(np.array(truth_there))


def test_a_distortion_of_the_plane_ties_orders_together():
    def bent(x, y):
        u, v = x / 210 - 1, y / 75 - 1
        return x + 0.6 + 0.4 * u**2 + 0.3 * u * v, y - 0.5 + 0.5 * u + 0.2 * v**3

    rng = np.random.default_rng(2)
    true = distortion.move(truth(), bent)
    lines = measured(line_list(), true, rng, error=0.02)
    # order 6 shows three lines only, and every tenth spot is wrong
    few = np.unique(lines.wavelength[lines.order == 6])[[2, 12, 22]]
    wrong = rng.random(len(lines)) < 0.1
    lines = replace(
        lines,
        x=lines.x + 3.0 * wrong,
        detected=(lines.order == 5) | np.isin(lines.wavelength, few),
    )
    solution = distortion.distort(truth(), lines, degree=3, shape=SHAPE)
    apart = distances(solution, true)
    assert np.median(distances(truth(), true)) > 0.5
    assert np.median(apart) < 0.03
    assert apart.max() < 0.2


def test_groups_of_orders_are_aligned_by_themselves():
    there = {5: (3.0, -2.0, 0.004), 6: (-5.0, 4.0, -0.003)}
    true = {}
    for number, (dx, dy, turn) in there.items():
        part = replace(truth(), orders={number: truth().orders[number]})
        moved = distortion.move(
            part, lambda x, y, dx=dx, dy=dy, turn=turn: (x + dx - turn * y, y + dy + turn * x)
        )
        true |= moved.orders
    true = replace(truth(), orders=true)
    lines = measured(line_list(), true, np.random.default_rng(1))
    found = distortion.aligned(truth(), lines, groups=[[5], [6]], shape=SHAPE)
    assert distances(found, true).max() < 0.1
    together = distortion.aligned(truth(), lines, groups=[[5, 6]], shape=SHAPE)
    assert distances(together, true).max() > 0.5


def test_a_group_without_lines_stays():
    lines = measured(line_list(), truth(), np.random.default_rng(1))
    lines = replace(lines, x=lines.x + 2.0, detected=lines.order == 5)
    found = distortion.aligned(truth(), lines, groups=[[5], [6]], shape=SHAPE)
    assert found.orders[6] is truth().orders[6] or np.array_equal(
        found.orders[6].x, truth().orders[6].x
    )
    assert found.orders[5].x[0, 0] == pytest.approx(truth().orders[5].x[0, 0] + 2, abs=0.05)


def test_one_pinhole_does_not_tell_how_the_slit_is_stretched():
    """The trace bends otherwise than the design says; holes above and below must not follow that."""

    def bent(x, y):
        return x + 4.0 + 0.002 * (x - 210), y - 3.0 + 0.002 * (y - 70) + 0.9 * (x / 210 - 1) ** 2

    part = replace(truth(), orders={5: truth().orders[5]})
    true = distortion.move(part, bent)
    of_five = LineList(
        *(getattr(line_list(), f)[line_list().order == 5] for f in LineList.__dataclass_fields__)
    )
    lines = measured(of_five, true, np.random.default_rng(3), error=0.02)
    single = lines.select((lines.order == 5) & (np.abs(lines.slit) < 0.1))
    assert 5 < len(single) < len(lines) / 4
    found = distortion.aligned(part, single, groups=[[5]], shape=SHAPE).orders[5]
    wavelength = np.linspace(*RANGES[5], 20)
    off = {
        slit: np.subtract(found.predict(wavelength, slit), true.orders[5].predict(wavelength, slit))
        for slit in (-5.0, 0.0, 5.0)
    }
    assert np.abs(off[5.0] - off[0.0]).max() < 0.1
    assert np.abs(off[-5.0] - off[0.0]).max() < 0.1
