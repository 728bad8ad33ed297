"""A denser list: the listed lines, and those of the atlas that stand alone."""

from dataclasses import replace

import numpy as np
import pytest

from soxspipe.datamodel.arc_lines import LineList
from soxspipe.science.wavelength import atlas, dispersion, solve
from tests.science.wavelength.made_arcs import (
    HOLES,
    RANGES,
    SHAPE,
    arc_frame,
    distances,
    line_list,
    truth,
)


def atlas_of(wavelength):
    n = len(wavelength)
    return LineList(
        order=np.zeros(n, dtype=int),
        wavelength=np.asarray(wavelength, dtype="f8"),
        suspect=np.zeros(n, dtype=bool),
        ion=np.full(n, "ThI"),
        strength=np.ones(n),
    )


def test_lines_that_stand_alone_are_added():
    listed = replace(
        atlas_of([510.0, 520.0, 460.0]), order=np.array([5, 5, 6]), ion=np.array(["ArI"] * 3)
    )
    more = atlas_of([510.1, 515.0, 530.0, 530.2, 545.0, 470.0, 460.0])
    found = atlas.denser(listed, more, truth(), ranges=RANGES, dispersion_axis="x")
    # 0.1 nm is one pixel: a neighbour of a listed line, a pair, one out of range, one listed already
    assert list(zip(found.order, found.wavelength, strict=True)) == [
        (5, 510.0), (5, 520.0), (6, 460.0), (5, 515.0), (6, 470.0),
    ]  # fmt: skip
    assert found.ion.tolist() == ["ArI"] * 3 + ["ThI"] * 2


def test_every_order_that_holds_a_line_gets_it():
    ranges = {5: (480.0, 540.0), 6: (450.0, 490.0)}
    none = atlas_of([])
    found = atlas.denser(none, atlas_of([485.0]), truth(), ranges=ranges, dispersion_axis="x")
    assert found.order.tolist() == [5, 6]


@pytest.mark.parametrize("shines", [True, False])
def test_a_solution_with_the_lines_of_the_atlas(shines):
    rng = np.random.default_rng(2)
    every = line_list(25, seed=1, least=0.8)
    some = np.arange(50) % 3 == 0
    listed = LineList(*(getattr(every, f)[some] for f in LineList.__dataclass_fields__))
    rest = atlas_of(every.wavelength[~some] if shines else np.linspace(451, 539, 40))
    mask = solve.Mask(tuple(HOLES), tuple(range(9)))
    frame = arc_frame(every if shines else listed, truth(), rng)
    steps = {"dispersion_axis": "x", "independent": True, "sigma_limit": 5.0}
    steps["options"] = dispersion.FitOptions(4, 2, sigma=5.0, rounds=5)
    first = solve.refine(frame, solve.listed(listed, mask, truth(), SHAPE), truth(), **steps)
    denser = atlas.denser(listed, rest, first.solution, ranges=RANGES, dispersion_axis="x")
    found = solve.refine_with(frame, first, denser, mask, **steps)
    assert not found.problems
    assert np.sqrt(np.mean(distances(found.solution, truth(), inside=2.0) ** 2)) < 0.02
    if shines:
        assert found.fit.used.sum() > 2 * first.fit.used.sum()
