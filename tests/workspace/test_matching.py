"""The policy of matching, rule by rule (spec 3.3)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from soxspipe.instrument.headers import FrameKind
from soxspipe.workspace.matching import chosen, fits, ranked, remark, rule_for
from soxspipe.workspace.sets import FrameSet, RawRecord

NOON = datetime(2026, 1, 11, 12, tzinfo=UTC).replace(tzinfo=None)
BASE = RawRecord(
    path="raw/2026-01-10/a.fits",
    instrument="SOXS",
    arm="VIS",
    kind=FrameKind.SLIT_FLAT,
    dpr_catg="CALIB",
    dpr_type="LAMP,FLAT",
    dpr_tech="ECHELLE,SLIT",
    date_obs=NOON,
    mjd=61051.5,
    night="2026-01-11",
    exptime=20.0,
    binning="1x1",
    read_mode="1",
    gain=1.0,
    slit="SLIT1.0",
    slit_mask="SLIT",
    lamp="QTH",
    object="",
    template="t",
    template_start="",
    exposures_in_template=1,
    ob_id="1",
    ob_name="b",
    ignored=False,
    file_size=1,
)


def one(recipe, stem="s", hours=0.0, **facts):
    record = replace(
        BASE, mjd=BASE.mjd + hours / 24, date_obs=NOON + timedelta(hours=hours), **facts
    )
    return FrameSet((record,), recipe, stem)


DIFFERENCES = {
    "read_mode": "2",
    "binning": "2x2",
    "gain": 2.0,
    "slit": "SLIT5.0",
    "exptime": 99.0,
    "lamp": "D",
}
#: (maker, taker, arm) -> facts that must agree; all others may differ.
AGREE = {
    ("mbias", "stare", "VIS"): {"read_mode", "binning", "gain"},
    ("mbias", "mflat", "VIS"): {"read_mode", "binning", "gain"},
    ("mdark", "stare", "NIR"): {"read_mode"},
    ("disp_solution", "order_centres", "VIS"): set(),
    ("order_centres", "mflat", "VIS"): set(),
    ("mflat", "spat_solution", "VIS"): {"binning", "gain"},
    ("mflat", "spat_solution", "NIR"): set(),
    ("mflat", "stare", "VIS"): {"read_mode", "binning", "gain"},
    ("mflat", "stare_std", "NIR"): {"read_mode"},
    ("spat_solution", "stare", "VIS"): set(),
}


@pytest.mark.parametrize("fact", DIFFERENCES)
@pytest.mark.parametrize("pair", AGREE, ids="-".join)
def test_what_must_agree_and_what_may_differ(pair, fact):
    maker, taker, arm = pair
    wanted = one(taker, arm=arm)
    other = one(maker, arm=arm, **{fact: DIFFERENCES[fact]})
    rule = rule_for(maker, taker)
    assert fits(rule, one(maker, arm=arm), wanted)
    assert fits(rule, other, wanted) == (fact not in AGREE[pair])


def test_the_other_arm_never_fits():
    rule = rule_for("disp_solution", "order_centres")
    assert not fits(rule, one("disp_solution", arm="NIR"), one("order_centres", arm="VIS"))


def test_a_nir_flat_of_1_5_arcsec_serves_5_arcsec_but_its_own_comes_first():
    wanted = one("stare_std", arm="NIR", slit="SLIT5.0")
    rule = rule_for("mflat", "stare_std")
    stand_in = one("mflat", "near", arm="NIR", slit="SLIT1.5")
    own = one("mflat", "far", hours=50, arm="NIR", slit="SLIT5.0")
    assert ranked(rule, [stand_in], wanted) == [stand_in]
    assert ranked(rule, [stand_in, own], wanted) == [own, stand_in]
    near = one("mflat", "a", arm="NIR", slit="SLIT2.0")
    assert ranked(rule, [near, stand_in, own], wanted) == [own, stand_in, near]
    assert remark(rule, stand_in, wanted) == ""
    assert remark(rule, near, wanted) == "no mflat of SLIT5.0: that of SLIT2.0 stands in"


def test_else_the_flat_of_the_nearest_slit_width_serves_and_it_is_said():
    rule = rule_for("mflat", "nod")
    flats = [one("mflat", name, slit=f"SLIT{name}") for name in ("0.5", "1.5", "5.0")]
    wanted = one("nod", slit="SLIT1.0")
    assert [s.stem for s in ranked(rule, flats, wanted)] == ["1.5", "0.5", "5.0"]
    assert remark(rule, flats[1], wanted) == "no mflat of SLIT1.0: that of SLIT1.5 stands in"
    assert remark(rule, one("mflat", slit="SLIT1.0"), wanted) == ""
    assert remark(rule_for("mbias", "nod"), one("mbias", slit="SLIT5.0"), wanted) == ""


@pytest.mark.parametrize("slit", ["MULTPIN", "BLANK", "", "SLIT", "SLIT0"])
def test_what_is_no_slit_has_no_width(slit):
    rule = rule_for("mflat", "stare")
    assert not fits(rule, one("mflat", slit=slit), one("stare", slit="SLIT1.0"))
    assert not fits(rule, one("mflat", slit="SLIT1.0"), one("stare", slit=slit))


def test_any_flat_serves_the_multi_pinhole_arc_without_a_word():
    rule = rule_for("mflat", "spat_solution")
    assert remark(rule, one("mflat"), one("spat_solution", slit="MULTPIN")) == ""


def test_the_nearest_in_time_before_or_after_is_taken():
    sets = [one("mbias", "before", -3), one("mbias", "after", 2), one("mbias", "later", 9)]
    best = ranked(rule_for("mbias", "stare"), sets, one("stare"))
    assert [s.stem for s in best] == ["after", "before", "later"]


def test_darks_go_by_exposure_time_before_time():
    near = one("mdark", "near", 1, arm="NIR", exptime=10.0)
    far = one("mdark", "far", 500, arm="NIR", exptime=300.0)
    wanted = one("stare", arm="NIR", exptime=290.0)
    assert ranked(rule_for("mdark", "stare"), [near, far], wanted) == [far, near]


def test_two_darks_are_taken_where_none_has_the_time():
    rule = rule_for("mdark", "stare")
    wanted = one("stare", arm="NIR", exptime=120.0)

    def taken(*times, **options):
        sets = [one("mdark", f"d{t:g}", arm="NIR", exptime=t) for t in times]
        return [s.stem for s in chosen(rule, sets, wanted, **{"several": True} | options)]

    assert taken(20.0, 60.0, 300.0, 600.0) == ["d60", "d300"]
    assert taken(20.0, 120.0, 300.0) == ["d120"]
    assert taken(20.0) == ["d20"]
    assert taken(60.0, 300.0, several=False) == ["d60"]
    assert taken() == []


def test_of_darks_of_one_time_the_nearest_is_taken():
    rule = rule_for("mdark", "stare")
    sets = [
        one("mdark", f"{t:g} {h}", h, arm="NIR", exptime=t) for t in (60.0, 300.0) for h in (9, 2)
    ]
    best = chosen(rule, sets, one("stare", arm="NIR", exptime=120.0), several=True)
    assert [s.stem for s in best] == ["60 2", "300 2"]


def test_a_flat_of_the_deuterium_lamp_alone_comes_last():
    blue, both = one("mflat", "a", 0, lamp="D"), one("mflat", "b", 9, lamp="QTHD")
    assert ranked(rule_for("mflat", "stare"), [blue, both], one("stare")) == [both, blue]


def test_a_response_comes_from_a_flux_standard_through_the_wide_slit():
    rule = rule_for("stare_std", "stare")
    flux = {"kind": FrameKind.FLUX_STANDARD_STARE, "slit": "SLIT5.0"}
    assert fits(rule, one("stare_std", **flux, binning="2x2"), one("stare"))
    assert not fits(rule, one("stare_std", **flux | {"slit": "SLIT1.0"}), one("stare"))
    telluric = flux | {"kind": FrameKind.TELLURIC_STANDARD_STARE}
    assert not fits(rule, one("stare_std", **telluric), one("stare"))


def test_equal_candidates_are_taken_in_order_of_name():
    sets = [one("mbias", "b"), one("mbias", "a")]
    assert [s.stem for s in ranked(rule_for("mbias", "stare"), sets, one("stare"))] == ["a", "b"]
