"""The geometry of a map: along and across the slit, what is sky, which rows a cube has."""

import logging
import math
from dataclasses import replace

import numpy as np
import pytest

from soxspipe.recipes import map_places
from soxspipe.recipes.places import Shot
from tests.recipes.frames import info

NAN = math.nan


def a_map(offsets, along=None, **changes):
    """Facts and shots of exposures at (RA, DEC) offsets."""
    infos, exposures = [], []
    for k, (ra, dec) in enumerate(offsets):
        own = NAN if along is None else along[k]
        told = {
            "mjd_obs": 61000.0 + 0.01 * k,
            "exptime": 300.0,
            "cumulative_ra": ra,
            "cumulative_dec": dec,
            "offset_along_slit": own,
            "slit": "SLIT1.0",
        }
        infos.append(info(**(told | changes)))
        exposures.append(Shot(61000.0 + 0.01 * k, 300.0, own, ra, dec))
    return infos, tuple(exposures)


def rotated(along, across, angle):
    """(RA, DEC) of offsets along a slit of that position angle, and across it."""
    t = math.radians(angle)
    return (
        along * math.sin(t) + across * math.cos(t),
        along * math.cos(t) - across * math.sin(t),
    )


@pytest.mark.parametrize("angle", [0.0, 30.0, 90.0, 200.0, -75.0])
def test_offsets_along_and_across_follow_from_the_position_angle(angle):
    truth = [(a, b) for a in (-5.0, 5.0) for b in (-1.0, 0.0, 1.0)]
    found = map_places.layout(*a_map([rotated(*t, angle) for t in truth], position_angle=angle))
    assert found.source == "header"
    assert found.angle == angle
    for place, (along, across) in zip(found.places, truth, strict=True):
        assert (place.along, place.across) == pytest.approx((along, across), abs=1e-9)
        assert place.moved == pytest.approx(-along)
    assert found.turned().places[0].moved == pytest.approx(truth[0][0])


@pytest.mark.parametrize("angle", [0.0, 25.0, -60.0])
def test_without_an_angle_the_pattern_tells(angle):
    offsets = [rotated(0.0, x, angle) for x in (-2.0, -1.0, 0.0, 1.0, 2.0)]
    found = map_places.layout(*a_map(offsets))
    assert found.source == "pattern"
    assert found.angle == pytest.approx(angle)
    assert [p.across for p in found.places] == pytest.approx([-2, -1, 0, 1, 2])


def test_the_offset_along_the_slit_is_where_the_target_goes():
    offsets = [(0.0, -4.0), (0.0, 4.0)]
    found = map_places.layout(*a_map(offsets, along=[4.0, -4.0], position_angle=0.0))
    assert [p.moved for p in found.places] == [4.0, -4.0]
    assert found.sense == 1
    other = map_places.layout(*a_map(offsets, along=[-4.0, 4.0], position_angle=0.0))
    assert [p.moved for p in other.places] == [-4.0, 4.0]
    assert other.sense == -1


def test_offsets_of_the_slit_stand_in_for_those_on_the_sky():
    infos, _ = a_map([(NAN, NAN)] * 3)
    infos = [
        replace(i, offset_across_slit=x, offset_along_slit=0.0)
        for i, x in zip(infos, (-1.0, 0.0, 1.0), strict=True)
    ]
    exposures = map_places.map_shots(infos)
    assert [e.ra for e in exposures] == [-1.0, 0.0, 1.0]
    assert map_places.layout(infos, exposures).source == "slit offsets"


def test_sky_is_what_is_far_from_the_map():
    steps = [(-2.0, 0.0), (20.0, 15.0), (-1.0, 0.0), (0.0, 0.0), (1.0, 0.0), (2.0, 0.0)]
    found = map_places.layout(*a_map(steps, position_angle=0.0))
    assert found.sky == (1,)
    assert [p.across for p in found.places] == [-2, -1, 0, 1, 2]
    several = [*steps, (-25.0, 10.0), (10.0, -30.0)]
    assert map_places.layout(*a_map(several, position_angle=0.0)).sky == (1, 6, 7)


def test_a_gap_and_a_sparse_map_are_no_sky():
    gap = [(float(x), 0.0) for x in (0, 1, 2, 6, 7)]
    assert map_places.layout(*a_map(gap, position_angle=0.0)).sky == ()
    sparse = [(30.0 * x, 0.0) for x in range(4)]
    assert map_places.layout(*a_map(sparse, position_angle=0.0)).sky == ()


def test_exposures_of_one_position_and_such_without_offset():
    offsets = [(0.0, 0.0), (1.0, 0.0), (0.02, 0.0), (NAN, NAN), (2.0, 0.0)]
    found = map_places.layout(*a_map(offsets, position_angle=0.0), width=1.0)
    assert [p.members for p in found.places] == [(0, 2), (1,), (4,)]
    assert found.lost == (3,)
    # half-arcsec steps of a narrow slit are steps
    narrow = a_map([(0.5 * x, 0.0) for x in range(4)], position_angle=0.0)
    assert len(map_places.layout(*narrow, width=0.5).places) == 4


def rows_of(offsets, width=1.0):
    places = map_places.layout(*a_map(offsets, position_angle=0.0), width=width).places
    return map_places.rows(places, width=width)


def test_rows_of_a_cube():
    rows = rows_of([(x, 0.0) for x in (-2.0, -1.0, 0.0, 1.0, 2.0)])
    assert (rows.first, rows.step, rows.number, rows.index) == (-2.0, 1.0, 5, (0, 1, 2, 3, 4))
    assert rows.empty == ()
    # a raster: two places along the slit share a row
    raster = rows_of([(x, y) for y in (-5.0, 5.0) for x in (0.0, 1.0, 2.0)])
    assert raster.index == (0, 1, 2, 0, 1, 2)


def test_a_missing_position_leaves_an_empty_row():
    rows = rows_of([(x, 0.0) for x in (0.0, 1.0, 3.0, 4.0)])
    assert (rows.number, rows.empty, rows.step) == (5, (2,), 1.0)


def test_pointing_errors_do_not_change_the_rows():
    scatter = np.random.default_rng(1).normal(0.0, 0.05, 9)
    rows = rows_of([(x + dx, 0.0) for x, dx in zip(np.arange(9.0), scatter, strict=True)])
    assert rows.index == tuple(range(9))
    assert rows.step == pytest.approx(1.0, abs=0.03)
    assert 0.0 < rows.worst < 0.15


@pytest.mark.parametrize(
    ("offsets", "width"),
    [
        ([(1.5 * x, 0.0) for x in range(5)], 1.0),  # farther apart than the slit is wide
        ([(0.0, 5.0 * y) for y in range(4)], 1.0),  # along the slit only
        ([(float(x), 0.0) for x in range(5)], NAN),
    ],
)
def test_no_cube(offsets, width):
    assert rows_of(offsets, width) is None


def wanted(*made):
    return map_places.is_wanted(*made)


MAPPING = {"dpr_tech": "ECHELLE,SLIT,MAPPING"}


def test_what_is_a_map(caplog):
    pattern = [(float(x), 0.0) for x in range(3)]
    assert wanted(*a_map(pattern, **MAPPING))
    assert not wanted(*a_map(pattern))  # two skies beside a target
    with caplog.at_level(logging.WARNING):
        assert not wanted(*a_map([(0.0, 0.0)] * 2, **MAPPING))
        assert "all exposures are at one position" in caplog.text
        assert not wanted(*a_map([(NAN, NAN)] * 3, **MAPPING))
        assert "no exposure tells its offset" in caplog.text
