"""Which exposures belong together, in whole patterns and in odd ones."""

import math
from dataclasses import replace

import numpy as np
import pytest

from soxspipe.instrument.headers import observation_info
from soxspipe.recipes.pairs import (
    Pair,
    Shot,
    adjoin,
    is_map,
    nod_places,
    nodding,
    offset,
    positions,
    shots,
    sky_places,
)
from tests.raw_files import raw_header

NAN = math.nan
UP, DOWN = 2.5, -2.5


def nods(*along, seconds=300.0):
    """Exposures one after the other at these offsets along the slit."""
    times = seconds if isinstance(seconds, tuple) else (seconds,) * len(along)
    return [
        Shot(61000 + i * 400 / 86400, t, a)
        for i, (a, t) in enumerate(zip(along, times, strict=True))
    ]


def pointings(*offsets, seconds=300.0):
    """Exposures one after the other at these offsets on the sky."""
    times = seconds if isinstance(seconds, tuple) else (seconds,) * len(offsets)
    return [
        Shot(61000 + i * 400 / 86400, t, ra=ra, dec=dec)
        for i, ((ra, dec), t) in enumerate(zip(offsets, times, strict=True))
    ]


def couples(pairing):
    return [(p.first, p.second) for p in pairing.pairs]


def letters(pattern):
    return nods(*({"A": UP, "B": DOWN}[c] for c in pattern))


# --- A and B


@pytest.mark.parametrize(("high", "low"), [(2.5, -2.5), (5.0, 0.0), (0.0, -5.0), (-1.0, -6.0)])
def test_a_is_the_larger_offset_wherever_zero_is(high, low):
    assert nod_places([high, low, low, high]) == (("A", "B", "B", "A"), "")


@pytest.mark.parametrize("pattern", ["AAAB", "ABBB", "AAAAAAAB", "BAAAAAA", "AB", "BA"])
def test_however_many_there_are_of_each(pattern):
    along = [{"A": 5.0, "B": 0.0}[c] for c in pattern]
    assert "".join(nod_places(along)[0]) == pattern


def test_jitter_up_to_half_a_throw_mixes_nothing_up():
    rng = np.random.default_rng(5)
    for _ in range(300):
        throw, count = rng.uniform(2, 6), rng.integers(1, 9)
        width = 0.49 * throw
        pattern = rng.permutation(["A"] * count + ["B"] * rng.integers(1, 9))
        along = [throw * (c == "A") - 3 + rng.uniform(-width / 2, width / 2) for c in pattern]
        for known in ({}, {"throw": throw, "jitter": width}):
            assert list(nod_places(along, **known)[0]) == list(pattern)


@pytest.mark.parametrize(("along", "place"), [(0.0, "A"), (2.5, "A"), (-2.5, "B")])
def test_one_position_is_a_or_b_by_its_sign_and_said_to_be_one(along, place):
    for count in (1, 4):
        places, doubt = nod_places([along] * count)
        assert places == (place,) * count
        assert "at one position" in doubt


def test_jitter_alone_makes_no_nodding():
    assert set(nod_places([0.4, -0.9, 1.1, 0.2], throw=5.0)[0]) == {"A"}
    assert set(nod_places([0.4, -0.9, 1.1, 0.2], jitter=2.1)[0]) == {"A"}


def test_a_wide_jitter_box_in_the_header_hides_no_nodding():
    assert nod_places([2.4, -2.5, -2.1, 2.6], throw=5.0, jitter=9.0)[0] == ("A", "B", "B", "A")
    assert nod_places([2.4, -2.5], throw=0.0, jitter=NAN)[0] == ("A", "B")


def test_an_offset_that_is_missing_is_no_place():
    places, doubt = nod_places([UP, NAN, DOWN, UP])
    assert places == ("A", "", "B", "A")
    assert "missing" in doubt
    places, doubt = nod_places([NAN, NAN])
    assert places == ("", "")
    assert "no exposure tells" in doubt
    assert nod_places([]) == ((), "")


# --- pairs of nodding


@pytest.mark.parametrize(
    ("pattern", "pairs", "unpaired"),
    [
        ("AB", [(0, 1)], ()),
        ("BA", [(1, 0)], ()),
        ("ABBA", [(0, 1), (3, 2)], ()),
        ("ABAB", [(0, 1), (2, 3)], ()),
        ("AABB", [(0, 2), (1, 3)], ()),
        ("ABBAABBA", [(0, 1), (3, 2), (4, 5), (7, 6)], ()),
        ("ABBAABB", [(0, 1), (3, 2), (4, 5)], (6,)),
        ("BBAABBA", [(2, 1), (3, 4), (6, 5)], (0,)),
        ("ABAABBA", [(0, 1), (3, 4), (6, 5)], (2,)),
        ("AAAB", [(2, 3)], (0, 1)),
        ("ABA", [(0, 1)], (2,)),
        ("A", [], (0,)),
        ("B", [], (0,)),
        ("AAAA", [], (0, 1, 2, 3)),
        ("", [], ()),
    ],
)
def test_pairs_are_near_in_time_and_the_rest_is_named(pattern, pairs, unpaired):
    found = nodding(letters(pattern))
    if set(pattern) != {"B"}:
        assert "".join(found.places) == pattern
    assert couples(found) == pairs
    assert found.unpaired == unpaired


def test_many_cycles_in_any_order_of_the_list():
    whole = letters("ABBA" * 8)
    order = np.random.default_rng(1).permutation(32)
    found = nodding([whole[i] for i in order])
    assert found.unpaired == ()
    for pair in found.pairs:
        assert abs(order[pair.first] - order[pair.second]) == 1


def test_pairs_prefer_equal_exposure_times():
    mixed = nods(UP, DOWN, DOWN, UP, seconds=(300.0, 600.0, 300.0, 600.0))
    assert couples(nodding(mixed)) == [(0, 2), (3, 1)]
    unequal = nods(UP, DOWN, seconds=(300.0, 600.0))
    assert couples(nodding(unequal)) == [(0, 1)]
    longer = nods(UP, DOWN, UP, seconds=(300.0, 600.0, 600.0))
    assert couples(nodding(longer)) == [(2, 1)]
    assert couples(nodding(nods(UP, DOWN, seconds=(NAN, 300.0)))) == [(0, 1)]


def test_an_unknown_place_has_no_partner():
    found = nodding(nods(UP, NAN, DOWN))
    assert couples(found) == [(0, 2)]
    assert found.unpaired == (1,)


# --- groups


def test_without_jitter_all_pairs_are_one_stack():
    (group,) = nodding(letters("ABBAABB")).groups
    assert (group.first, group.second) == ((0, 3, 4), (1, 2, 5))


def test_with_jitter_each_pair_stands_alone():
    found = nodding(nods(2.1, -2.8, -2.2, 2.9))
    assert [(g.first, g.second) for g in found.groups] == [((0,), (1,)), ((3,), (2,))]


def test_a_twentieth_of_an_arcsec_is_no_jitter_and_a_cell_has_no_borders():
    (group,) = nodding(nods(2.46, -2.54, -2.5, 2.55)).groups
    assert group.first == (0, 3)


def test_pairs_of_other_exposure_times_are_not_stacked():
    found = nodding(nods(UP, DOWN, DOWN, UP, seconds=(300.0, 300.0, 600.0, 600.0)))
    assert [g.first for g in found.groups] == [(0,), (3,)]


# --- target and sky

ON, SKY = (0.0, 0.0), (20.0, 15.0)


@pytest.mark.parametrize(
    ("offsets", "places"),
    [
        ([ON, SKY, SKY, ON], "tsst"),
        (
            [(0, 0), (-20, 0), (0, 0), (-20, 0)],
            "tsts",
        ),  # the published rule takes the sky for the target
        ([(0, 0), (20, 0), (0, -35), (0.2, 0.1), (-60, 5)], "tssts"),  # generic, several skies
        ([(20, 15), (0, 0)], "st"),
        ([(-20, 0), (20, 0), (20, 0), (-20, 0)], "tsst"),  # the published pattern
        ([(0, 20), (0, -20)], "st"),
        ([(-20, 0), (5, 0)], "st"),  # nearer to the target, whatever the sign
        ([(0, 0), (NAN, NAN), (20, 0)], "t s"),
    ],
)
def test_target_and_sky_are_told_apart(offsets, places):
    found, _ = sky_places(pointings(*offsets))
    assert [p[:1] for p in found] == [{"t": "o", "s": "s", " ": ""}[c] for c in places]


def test_odd_offsets_are_told():
    assert sky_places(pointings(ON, SKY))[1] == ""
    assert (
        "no exposure is at zero offset: that at 20, 0" in sky_places(pointings((20, 0), (25, 0)))[1]
    )
    assert "off the target" in sky_places(pointings(ON, ON))[1]
    assert "missing" in sky_places(pointings(ON, SKY, (NAN, 0)))[1]
    assert sky_places(pointings((NAN, NAN)))[1] == "no exposure tells its offset"


def test_jitter_about_the_target_is_on_the_target():
    pattern = pointings((1.2, -0.8), (40, 1), (-1.1, 0.9), (41, -1))
    assert offset(pattern, jitter=2.5).places == ("on", "sky", "on", "sky")
    assert len(offset(pattern, jitter=2.5).groups) == 2


def test_random_offsets_wider_than_the_slit_are_no_jitter():
    assert offset(pointings(ON, SKY, ON), jitter=60.0).places == ("on", "sky", "on")
    assert offset(pointings(ON, SKY), jitter=NAN).places == ("on", "sky")


def test_each_target_takes_a_sky_of_its_own_near_in_time():
    found = offset(pointings(ON, SKY, SKY, ON, ON, SKY))
    assert couples(found) == [(0, 1), (3, 2), (4, 5)]
    assert not any(p.shared for p in found.pairs)
    assert (found.unpaired, found.idle) == ((), ())
    (group,) = found.groups
    assert (group.first, group.second) == ((0, 3, 4), (1, 2, 5))


def test_where_skies_are_few_the_nearest_is_shared_and_said_so():
    found = offset(pointings(ON, SKY, ON))
    assert found.pairs == (Pair(0, 1, shared=True), Pair(2, 1, shared=True))
    (group,) = found.groups
    assert (group.first, group.second) == ((0, 2), (1,))


def test_where_skies_are_many_the_idle_ones_are_named():
    found = offset(pointings(SKY, ON, SKY, SKY))
    assert couples(found) == [(1, 0)]
    assert found.idle == (2, 3)


def test_a_target_without_any_sky_is_named():
    found = offset(pointings(ON, ON, ON))
    assert (found.pairs, found.unpaired) == ((), (0, 1, 2))
    single = offset(pointings(SKY))
    assert single.unpaired == (0,)
    assert "no exposure is at zero offset" in single.doubt
    lost = offset(pointings(ON, (NAN, NAN), SKY))
    assert (couples(lost), lost.unpaired) == ([(0, 2)], (1,))


def test_sky_of_equal_exposure_time_goes_before_the_nearest():
    found = offset(pointings(ON, SKY, SKY, seconds=(300.0, 60.0, 300.0)))
    assert couples(found) == [(0, 2)]


# --- maps


def test_a_map_is_a_table_of_positions():
    steps = [(0, 0), (1, 0), (2, 0), (2, 0.1), (0, 0), (NAN, 0)]
    found = positions(pointings(*steps))
    assert [(p.ra, p.dec, p.members) for p in found] == [
        (0, 0, (0, 4)),
        (1, 0, (1,)),
        (2, 0, (2, 3)),
    ]


def test_positions_that_adjoin_make_an_area():
    grid = positions(pointings(*((x, y) for x in range(3) for y in range(3))))
    assert adjoin(grid, reach=1.01)
    assert not adjoin(grid, reach=0.9)
    assert not adjoin([*grid, replace(grid[0], ra=30.0)], reach=1.01)
    assert not adjoin(grid[:1], reach=5.0)


@pytest.mark.parametrize(
    ("template", "offsets", "found"),
    [
        ("SOXS_slt_obs_Mapping", [(0, 0), (0, 30)], True),
        ("SOXS_slt_obs_Mapping", [(0, 0), (0, 0)], False),
        ("SOXS_slt_obs_GenericOffset", [(n, 0) for n in range(5)], True),
        ("SOXS_slt_obs_GenericOffset", [(n, 0) for n in range(3)], False),
        ("SOXS_slt_obs_GenericOffset", [(0, 0), (1, 0), (2, 0), (3, 0), (60, 0)], False),
        ("SOXS_slt_obs_AutoOffsetOnSlit", [ON, SKY, SKY, ON], False),
        ("", [], False),
    ],
)
def test_a_map_is_known_by_its_template_or_its_small_steps(template, offsets, found):
    assert is_map(template, pointings(*offsets)) is found


# --- from headers


def infos(*cards):
    return [
        observation_info(raw_header(n, EXPTIME=300.0, **c), f"{n}.fits")
        for n, c in enumerate(cards)
    ]


def test_facts_come_from_the_headers():
    (one,) = shots(infos({"SEQ_CUMOFF_Y": 2.5, "SEQ_FIXOFF_RA": 20.0, "SEQ_FIXOFF_DEC": 15.0}))
    assert (one.seconds, one.along, one.ra, one.dec) == (300.0, 2.5, 20.0, 15.0)
    assert one.middle - one.start == pytest.approx(150 / 86400)
    (bare,) = shots(infos({}))
    assert math.isnan(bare.along)
    assert not bare.is_placed
    assert shots([]) == ()


@pytest.mark.parametrize(
    "cards",
    [
        [{"SEQ_FIXOFF_RA": r, "SEQ_FIXOFF_DEC": 0.0} for r in (0.0, 20.0, 0.0)],
        [{"SEQ_CUMOFF_RA": r, "SEQ_CUMOFF_DEC": 0.0} for r in (0.0, 20.0, 0.0)],
        [{"SEQ_RELOFF_RA": r, "SEQ_RELOFF_DEC": 0.0} for r in (0.0, 20.0, -20.0)],
        [
            {"SEQ_CUMOFF_RA": 0.0, "SEQ_CUMOFF_DEC": 0.0, "SEQ_FIXOFF_RA": r, "SEQ_FIXOFF_DEC": 0.0}
            for r in (0.0, 20.0, 0.0)
        ],
    ],
    ids=["fixed", "cumulative", "moves", "fixed with idle cumulative"],
)
def test_whichever_keyword_tells_the_offsets(cards):
    assert [s.ra for s in shots(infos(*cards))] == [0.0, 20.0, 0.0]


def test_moves_are_summed_in_order_of_time():
    taken = infos(*({"SEQ_RELOFF_RA": r, "SEQ_RELOFF_DEC": 0.0} for r in (0.0, 20.0, -20.0, 5.0)))
    assert [s.ra for s in shots(taken[::-1])] == [5.0, 0.0, 20.0, 0.0]


def test_short_exposures_of_unlike_times_are_not_stacked():
    found = nodding(nods(UP, DOWN, DOWN, UP, seconds=(0.3, 0.3, 0.4, 0.4)))
    assert len(found.groups) == 2


def test_where_the_sky_is_does_not_matter_for_the_stack():
    (group,) = offset(pointings(ON, SKY, ON, (-60.0, 5.0))).groups
    assert (group.first, group.second) == ((0, 2), (1, 3))
