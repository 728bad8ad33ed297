"""Nights that are out of the ordinary: what the conditions ask for is on the frames and in the truth."""

import json

import numpy as np
import pytest
from astropy.io import fits

from soxspipe.errors import InputError, SettingsError
from soxspipe.instrument.headers import FrameKind, observation_info
from soxspipe.simulator import scene
from soxspipe.simulator.conditions import Conditions, read_conditions
from soxspipe.simulator.detector import READOUT
from soxspipe.simulator.exposure import Night, illuminate, take
from soxspipe.simulator.headers import raw_header
from soxspipe.simulator.night import simulate_night
from soxspipe.simulator.plan import EXTRA_GROUPS, night_plan
from soxspipe.simulator.tables import arc_lines
from soxspipe.simulator.truth import line_span

WINDOW = {"VIS": np.s_[0:4096, 50:858], "NIR": np.s_[4:2044, 4:2044]}


def made(arm="NIR", seed=4, **conditions):
    return Night.make(arm, seed, (1, 1), "sn", Conditions(**conditions))


def plan_of(night, group):
    plan = night_plan(night.arm.name, "stare", night.star_positions)
    return next(e for e in plan if e.group == group)


def counts(night, group):
    exposure = plan_of(night, group)
    raw = take(night, exposure, illuminate(night, exposure))
    return raw.counts[WINDOW[night.arm.name]]


def test_an_ordinary_night_is_the_default(tmp_path):
    (one,) = simulate_night(tmp_path / "a", arms=("VIS",), only=("pinhole_flat",))
    ordinary = Conditions(lamp_level=1.0, dead_rows=0)
    (two,) = simulate_night(
        tmp_path / "b", arms=("VIS",), only=("pinhole_flat",), conditions=ordinary
    )
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize("arm", ["VIS", "NIR"])
def test_the_detector_is_where_it_is_told_to_be(arm):
    usual, moved = made(arm), made(arm, shift=(9.0, -14.0), rotation=0.5, scale=0.003)
    gone, base = moved.optics.departure, usual.optics.departure
    assert gone.shift == (9.0, -14.0)
    assert gone.order_shift == base.order_shift
    order = sorted(usual.arm.orders)[1]
    wavelength = np.linspace(*usual.arm.orders[order].useful, 9)
    x, y = usual.optics.position(order, wavelength, 0.0)
    nx, ny = usual.optics.window
    u, v = x - 0.5 * (nx - 1), y - 0.5 * (ny - 1)
    turn, stretch = np.deg2rad(0.5) - base.rotation, 0.003 - base.scale
    found = moved.optics.position(order, wavelength, 0.0)
    assert np.allclose(found[0] - x, 9.0 - base.shift[0] + stretch * u - turn * v, atol=0.2)
    assert np.allclose(found[1] - y, -14.0 - base.shift[1] + stretch * v + turn * u, atol=0.2)


def test_some_lines_are_missing():
    lines, usual = made(lines_missing=0.4).arc_lines, arc_lines("NIR")
    assert np.mean(lines.strength == 0.0) == pytest.approx(0.4, abs=0.001)
    shining = lines.strength > 0.0
    assert np.array_equal(lines.strength[shining], usual.strength[shining])
    assert np.array_equal(shining, made(lines_missing=0.4).arc_lines.strength > 0.0)


def test_a_lamp_that_is_off_gives_no_line_and_the_truth_knows(tmp_path):
    conditions = Conditions(lamps_off={"ARGO"}, lamp_level=0.5)
    (path,) = (
        p
        for p in simulate_night(tmp_path, arms=("NIR",), only=("arc",), conditions=conditions)
        if fits.getheader(p)["ESO DPR TECH"] == "ECHELLE,PINHOLE"
    )
    assert "ESO INS ARGO NAME" in fits.getheader(path)
    told = json.loads((tmp_path / "truth" / "NIR_truth.json").read_text(encoding="utf-8"))
    assert told["conditions"]["lamps_off"] == ["ARGO"]
    assert told["conditions"]["lamp_level"] == 0.5
    lines = arc_lines("NIR")
    argon = np.char.startswith(lines.ion, "Ar") & lines.listed
    assert told["dark_lines_nm"] == lines.wavelength[argon].tolist()
    night = made(lamps_off={"ARGO"})
    assert np.isin(line_span(night, 10), lines.wavelength[argon]).sum() == 0


def test_lamps_are_as_bright_as_told():
    for group in ("arc", "flat"):
        usual, bright = made("VIS"), made("VIS", lamp_level=3.0)
        exposure = plan_of(usual, group)
        ratio = illuminate(bright, exposure).total.sum() / illuminate(usual, exposure).total.sum()
        assert ratio == pytest.approx(3.0, rel=1e-6)
    off = made("VIS", lamps_off={"QTH"})
    assert illuminate(off, plan_of(off, "flat")).total.sum() == 0.0


@pytest.mark.parametrize(("arm", "most"), [("VIS", 65535.0), ("NIR", 100_000.0 / 2.3)])
def test_bright_lines_saturate_where_the_detector_does(arm, most):
    night = made(arm, lamp_level=50.0)
    image = counts(night, "arc").astype("f8")
    top = image > 0.995 * most
    assert top.sum() > 100
    assert image.max() < 1.005 * most
    if arm == "VIS":
        assert (image == 65535.0).sum() > 100
    order = sorted(night.arm.orders)[1]
    wavelength, electrons = scene.arc_electrons(night.arm, order, 60.0, night.arc_lines)
    at_end = np.isin(wavelength, line_span(night, order))
    peak = electrons[at_end] / (2.0 * np.pi * scene.optics_blur(night.arm, order) ** 2)
    assert np.all(peak < READOUT[arm].most_electrons)


def test_the_u_band_of_a_flat_has_the_counts_asked_for():
    night = made("VIS", u_flat_counts=160.0)
    exposure = plan_of(night, "flat")
    faint, usual = illuminate(night, exposure).total, illuminate(made("VIS"), exposure).total
    x, y = night.optics.position(2, 389.75, 0.0)  # the middle of its useful range
    row, column = round(float(y)), round(float(x))
    at = np.s_[row - 2 : row + 3, column - 2 : column + 3]
    scattered = 2.0 * np.percentile(faint, 5)
    assert faint[at].mean() / 1.1 == pytest.approx(160.0, abs=8.0 + scattered)
    x, y = night.optics.position(4, 760.0, 0.0)
    red = round(float(y)), round(float(x))
    assert faint[red] == pytest.approx(usual[red], rel=0.02)


@pytest.mark.parametrize("arm", ["VIS", "NIR"])
def test_pixels_die_and_are_no_numbers(arm):
    night = made(arm, nan_share=0.01, dead_rows=2, dead_columns=3)
    image = counts(night, "flat")
    assert np.isnan(image).mean() == pytest.approx(0.01, rel=0.05)
    assert np.array_equal(np.isnan(image), night.broken)
    dead = night.detector.response == 0.0
    assert (dead.all(axis=1).sum(), dead.all(axis=0).sum()) == (2, 3)
    assert np.all(night.detector.flags[dead] & 32)
    assert np.nanstd(image[dead] * READOUT[arm].gain) < 300.0  # cosmic rays and hot pixels remain


def test_cosmic_rays_come_as_often_as_told():
    many, few = (made(cosmic_rate=rate) for rate in (0.6, 0.03))
    exposure = plan_of(few, "arc")
    hits = [take(night, exposure, None).cosmics.electrons.size for night in (many, few)]
    assert hits[0] / hits[1] == pytest.approx(20.0, rel=0.4)


@pytest.mark.parametrize("arm", ["VIS", "NIR"])
def test_extra_groups_are_made_when_asked_for_and_change_nothing(arm, tmp_path):
    plan = night_plan(arm, "stare", (0.0, 0.0))
    extra = [e for e in plan if e.group in EXTRA_GROUPS]
    assert {e.number for e in extra} == set(range(len(plan) - len(extra), len(plan)))
    night = made(arm)
    arc, dome = plan_of(night, "slit_arc"), plan_of(night, "flat_dome")
    kinds = {arc: FrameKind.SLIT_ARC, dome: FrameKind.SLIT_FLAT}
    for exposure, kind in kinds.items():
        header = raw_header(exposure, night.arm, "", night.atmosphere(exposure))
        info = observation_info(header, "frame")
        assert info.kind is kind
        assert "ESO INS DOME NAME" not in header
    assert info.dpr_type == "DOME,FLAT"
    assert info.lamp == ""


def test_a_slit_arc_shows_the_lines_of_the_pinhole_along_the_whole_slit():
    night = made("VIS")
    path = night.paths[1]
    (slit,) = scene.slit_arc(night.arm, path, 1.0, 60.0)
    (hole,) = scene.pinhole_arc(night.arm, path, (0.0,), 60.0)
    per_arcsec, per_hole = slit.spectrum.columns(), hole.spectrum.columns()
    assert per_arcsec.sum() == pytest.approx(5.0 * per_hole.sum(), rel=1e-3)  # 0.2 arcsec2
    assert per_arcsec.max() < 5.0 * per_hole.max()
    assert slit.slit.min() < -5.9
    assert slit.slit.max() > 5.9


def test_the_dome_is_lit_unevenly():
    night = made("VIS")
    path = night.paths[4]
    (dome,) = scene.slit_flat(night.arm, path, 1.0, 60.0, night.continuum_lamp("DOME"))
    (lamp,) = scene.slit_flat(night.arm, path, 1.0, 60.0, night.continuum_lamp("QTH"))
    assert np.ptp(dome.weight[:, 0]) / dome.weight.mean() == pytest.approx(0.12, rel=0.02)
    assert np.ptp(lamp.weight) == 0.0


def test_deuterium_rises_to_the_blue_and_has_lines_in_the_red():
    night = made("VIS")
    u_band, r_band = night.paths[2], night.paths[1]
    deuterium, halogen = night.continuum_lamp("DEUT"), night.continuum_lamp("QTH")
    gain = READOUT["VIS"].gain
    ratio = [
        scene.flat_counts(night.arm, path, deuterium, gain)
        / scene.flat_counts(night.arm, path, halogen, gain)
        for path in (u_band, r_band)
    ]
    assert ratio[0] > 3.0
    assert ratio[1] < 1.0
    places, strength = deuterium.lines()
    assert np.ptp(places) > 100.0
    assert np.all(strength > 0.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"shift": (25.0, 0.0)},
        {"rotation": 3.0},
        {"lines_missing": 1.2},
        {"lamps_off": {"XYZ"}},
        {"lamp_level": 0.0},
        {"nan_share": -0.1},
    ],
)
def test_impossible_nights_are_refused(wrong):
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        Conditions(**wrong)


def test_conditions_are_read_from_a_file(tmp_path):
    path = tmp_path / "day.yaml"
    path.write_text("shift: [15, -15]\nlamps_off: [MERC]\nlamp_level: 0.2\n")
    told = Conditions(shift=(15, -15), lamps_off={"MERC"}, lamp_level=0.2)
    assert read_conditions(path) == told
    for text in ("rain: 1", "shift", "{", "lamp_level: faint", "shift: 3"):
        path.write_text(text)
        with pytest.raises(InputError, match=r"day\.yaml"):
            read_conditions(path)
    with pytest.raises(InputError, match="nowhere"):
        read_conditions(tmp_path / "nowhere.yaml")
    path.write_text("lamp_level: -1")
    with pytest.raises(SettingsError, match="lamp_level"):
        read_conditions(path)
