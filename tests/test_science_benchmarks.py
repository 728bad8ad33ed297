"""Scenes are asked for, reduced in copies, and told in tables; faint targets are judged."""

from types import SimpleNamespace

import numpy as np
import pytest
from astropy.table import Table
from benchmarks import lost, report, science
from benchmarks.accuracy import summarise
from benchmarks.in_memory import Day
from benchmarks.scenes import SPECIAL, targets
from benchmarks.true_calibrations import true_flat, true_map, true_solution

from soxspipe.cli.accuracy import Figure, Goal
from soxspipe.datamodel.spectrum import OrderSpectra, OrderSpectrum
from soxspipe.simulator.observation import Observation
from soxspipe.simulator.plan import night_plan
from soxspipe.simulator.truth_on_sky import Taken, spectrum_of


def test_every_scene_can_be_planned():
    for scene in (*targets(), *SPECIAL.values()):
        for arm in ("VIS", "NIR"):
            plan = night_plan(arm, scene.mode, (0.0, 0.0), scene.observation)
            seconds = {e.seconds for e in plan if e.group == "science"}
            assert seconds
            assert arm == "VIS" or seconds <= {300.0, 600.0}, "its darks are not made"
    assert len({s.name for s in (*targets(), *SPECIAL.values())}) == 15 + len(SPECIAL)


def test_figures_are_named_after_the_scene():
    figure = Figure("NIR", "science nod, object 2", "quantity", 1.0)
    assert science.named(SPECIAL["two-nod"], figure) == "two objects, 5:1, nod, object 2"
    assert science.named(SPECIAL["map"], Figure("NIR", "science", "q", 1.0)) == "mapping"


def test_the_table_tells_what_is_reached():
    goal = Goal(high=1e-4)
    rows = summarise(
        [[Figure("NIR", "storm", "lost", 2e-5, goal)], [Figure("NIR", "storm", "lost", 3e-4, goal)]]
    )
    text = science.markdown(rows)
    assert "| storm | NIR | lost | < 0.0001 | 1.6e-04 | 3.0e-04 | 2 | no |" in text
    assert report.number(0.0) == "0.0000"
    assert report.number(1.23456, 3) == "1.235"


def test_a_copy_of_a_workspace_shares_frames_and_nothing_else(tmp_path):
    (tmp_path / "a").mkdir()
    for name in ("x.fits", "soxspipe.db"):
        (tmp_path / "a" / name).write_text("1")
        science._share(str(tmp_path / "a" / name), str(tmp_path / name))
    assert (tmp_path / "x.fits").samefile(tmp_path / "a" / "x.fits")
    (tmp_path / "soxspipe.db").write_text("2")
    assert (tmp_path / "a" / "soxspipe.db").read_text() == "1"


# ------------------------------------------------------------------------------- lost targets


@pytest.mark.parametrize(
    ("offset", "reason", "name"),
    [
        (0.02, "", "right"),
        (-0.3, "", "poor"),
        (0.9, "", "wrong"),
        (0.9, "no object", "told"),
        (np.nan, "no object", "told"),
        (np.nan, "", "wrong"),
    ],
)
def test_targets_are_judged_by_place_and_by_what_is_said(offset, reason, name):
    assert lost.judge(offset, reason) == name


def test_what_a_recipe_says_is_heard():
    def measured(keyword, value, failed):
        return SimpleNamespace(metric=SimpleNamespace(keyword=keyword), value=value, failed=failed)

    result = SimpleNamespace(
        measurements=(measured("N OBJECTS", 0.0, False), measured("SNR MEDIAN", 1.0, True))
    )
    assert lost.flagged(result) == "no object, SNR MEDIAN"
    fine = SimpleNamespace(measurements=(measured("N OBJECTS", 1.0, False),))
    assert lost.flagged(fine) == ""


@pytest.fixture(scope="module")
def day():
    return Day("NIR", 3, target="smooth", observation=Observation(brightness=0.02))


@pytest.mark.slow
def test_errors_put_into_a_spectrum_are_found(day):
    exposure = day.exposure("science")
    taken = Taken(day.night, exposure, day.light(exposure))
    orders, rows = {}, []
    for order in (12, 18):
        truth = spectrum_of(taken, 0, order)
        zero = np.zeros(truth["flux"].size)
        flags = np.zeros(zero.size, dtype="u2")
        flags[::9] = 4
        orders[order] = OrderSpectrum(
            wavelength=truth["wavelength"],
            bin_width=truth["bin_width"],
            flux=np.where(flags > 0, 1e9, 1.05 * truth["flux"]),
            variance=zero + 1.0,
            boxcar=zero,
            boxcar_variance=zero,
            boxcar_robust=zero,
            sky=zero,
            blaze=zero,
            flags=flags,
            x=zero,
            y=zero,
        )
        rows.append((np.full(zero.size, order), truth["wavelength"], truth["slit"] + 0.2))
    trace = Table([np.concatenate(c) for c in zip(*rows, strict=True)], names=_TRACE)
    products = {"OBJECT_TRACE": trace, "EXTRACTED_ORDERS_TABLE": OrderSpectra(orders)}
    offset, bias = lost.errors(day, exposure, SimpleNamespace(products=products))
    assert offset == pytest.approx(0.2, abs=1e-3)
    assert bias == pytest.approx(0.05, abs=1e-3)


_TRACE = ("order", "wavelength", "slit_position")


@pytest.mark.slow
def test_true_calibrations_are_true(day):
    solution = true_solution(day)
    wavelength, slit = np.linspace(1450.0, 1540.0, 40), np.linspace(-5.5, 5.5, 40)
    x, y = day.night.optics.position(13, wavelength, slit)
    found = solution.predict(13, wavelength, slit)
    assert np.abs(np.subtract(found, (x, y))).max() < 1e-3
    made = true_map(day)
    on = (x > 0) & (x < 2039) & (y > 0) & (y < 2039)
    at = np.rint(y[on]).astype(int), np.rint(x[on]).astype(int)
    assert np.all(made.order[at] == 13)
    assert np.abs(made.wavelength[at] - wavelength[on]).max() < 0.08
    flat = true_flat(day, error=0.0)
    bright = day.night.detector.flags == 0
    response = day.night.detector.response / day.night.detector.large_scale
    assert np.allclose(flat.frame.data[bright], response[bright], rtol=1e-5)
    assert set(flat.lamp) == set(day.arm.orders)


def test_the_summary_counts():
    verdicts = [
        lost.Verdict(1, "NIR", "right", 0.03, 0.01),
        lost.Verdict(2, "NIR", "right", -0.03, 0.03),
        lost.Verdict(3, "NIR", "wrong", 2.0, np.nan),
    ]
    assert "| NIR | 2 | 0 | 0 | 1 | 0 | 0.030 | +2.00 +- 0.71 |" in lost.summary(verdicts)
    assert list(lost.details(verdicts)) == ["- seed 3 NIR wrong, 2.00 arcsec off "]
