"""Figures of accuracy: known errors put into known products come out as they went in."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from soxspipe.cli import accuracy
from soxspipe.datamodel.geometry import (
    DispersionSolution,
    OrderSolution,
    OrderTable,
    OrderTrace,
    PixelMap,
)
from soxspipe.datamodel.spectrum import OrderSpectra, OrderSpectrum
from soxspipe.instrument.arms import get_arm
from soxspipe.io.products import write_product

VIS, NIR = get_arm("SOXS", "VIS"), get_arm("SOXS", "NIR")
PER_PIXEL, PER_ARCSEC = 0.05, 3.5  # nm; pixels


# --------------------------------------------------------------------------------- wavelength map


def solution():
    """Two orders of 100 x 60 pixels: x = (wavelength - 1000) / 0.05, y = 30 + 3.5 slit (+ 60)."""
    series = {
        n: OrderSolution(
            x=np.array([[50.0, 0.0], [50.0, 0.0]]),
            y=np.array([[30.0 + 60 * n, 7 * PER_ARCSEC]]),
            wavelength=(1000.0, 1005.0),
            slit=(-7.0, 7.0),
            lines=(1000.0, 1005.0),
        )
        for n in (0, 1)
    }
    return DispersionSolution({10: series[0], 11: series[1]})


def pixel_map(shift=(0.0, 0.0)):
    """The map of that solution, wrong by `shift` pixels (along dispersion, along the slit)."""
    y, x = np.mgrid[0:120, 0:100].astype("f8")
    order = np.where(y < 60, 10, 11)
    wavelength = 1000 + PER_PIXEL * (x + shift[0])
    slit = (y % 60 - 30 + shift[1]) / PER_ARCSEC
    return PixelMap(wavelength, slit.astype("f4"), order.astype("i2"))


def places(n=300, seed=1, **columns):
    """True places of light, as the simulator lists them."""
    rng = np.random.default_rng(seed)
    order = rng.choice([10, 11], n)
    wavelength, slit = rng.uniform(1000.2, 1004.7, n), rng.uniform(-5, 5, n)
    x = (wavelength - 1000) / PER_PIXEL
    y = 30 + 60 * (order - 10) + PER_ARCSEC * slit
    table = {"order": order, "wavelength": wavelength, "slit": slit, "x": x, "y": y}
    table["in_lines"] = np.ones(n, dtype=bool)
    return Table(table | columns).as_array().view(fits.FITS_rec)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.2, 0.0), (0.0, -0.3), (-0.4, 0.1)])
def test_errors_of_the_map_are_told_in_pixels(shift):
    along, across = accuracy.map_errors(pixel_map(shift), places(), solution(), NIR)
    assert len(along) == len(across) > 250
    assert along == pytest.approx(np.full(len(along), shift[0]), abs=1e-3)
    assert across == pytest.approx(np.full(len(across), shift[1]), abs=1e-3)


def test_vis_disperses_along_y():
    along, across = accuracy.map_errors(pixel_map((0.2, -0.3)), places(), solution(), VIS)
    assert along == pytest.approx(np.full(len(along), -0.3), abs=1e-3)
    assert across == pytest.approx(np.full(len(across), 0.2), abs=1e-3)


def test_only_what_arc_lines_support_counts():
    in_lines = np.zeros(300, dtype=bool)
    in_lines[:40] = True
    along, _ = accuracy.map_errors(pixel_map(), places(in_lines=in_lines), solution(), NIR)
    assert len(along) <= 40


def test_light_that_the_map_has_in_another_order_is_left_out():
    off = pixel_map()
    wrong = PixelMap(off.wavelength, off.slit, np.zeros_like(off.order))
    along, across = accuracy.map_errors(wrong, places(), solution(), NIR)
    assert len(along) == len(across) == 0


# -------------------------------------------------------------------------------------- orders


def test_errors_of_traces_are_those_put_in():
    traces = OrderTable({10: OrderTrace((0.0, 99.0), np.array([30.25, 5.0]), np.array([3.0]))}, "x")
    pixel = np.arange(-20, 120)
    centre = 30.0 + 5.0 * (2 * pixel - 99.0) / 99.0
    truth = Table({"order": np.full(140, 10), "pixel": pixel, "centre": centre})
    errors = accuracy.centre_errors(traces, truth.as_array(), "centre")
    assert len(errors) == 100  # beyond its domain a trace promises nothing
    assert errors == pytest.approx(np.full(100, 0.25))


# ------------------------------------------------------------------------------------- spectra


def spectrum_files(folder, *, scale=1.0, error=1.0, claimed=1.0, flagged=0, flux=900.0, n=4000):
    """A spectrum `scale` times the truth, with `error` times the ideal noise, of which `claimed`
    is told; and the path of the truth.
    """
    rng = np.random.default_rng(1)
    wavelength = np.linspace(1000, 1100, n)
    true = np.full(n, flux)
    sigma = np.full(n, 30.0)
    zero = np.zeros(n)
    flags = zero.astype("u2")
    flags[:flagged] = 1
    measured = scale * true + error * rng.normal(0, sigma)
    measured[:flagged] = 1e9
    width = np.full(n, wavelength[1] - wavelength[0])
    order = OrderSpectrum(
        wavelength=wavelength,
        bin_width=width,
        flux=measured,
        variance=(claimed * sigma) ** 2,
        boxcar=measured,
        boxcar_variance=sigma**2,
        boxcar_robust=measured,
        sky=zero,
        blaze=zero + 1,
        flags=flags,
        x=zero,
        y=zero,
    )
    path = folder / "20260510T234431_NIR_3_STARE_OBJ_EXTRACTED_ORDERS.fits"
    header = fits.Header({"HIERARCH ESO PRO REC1 RAW1 NAME": "SOXS.raw.fits"})
    write_product(path, OrderSpectra({10: order}), header)
    truth = {
        "order": np.full(n, 10),
        "wavelength": wavelength,
        "flux": true,
        "bin_width": width,
        "ideal_snr": true / sigma,
    }
    return path, Table(truth)


def figures_of(path, truth):
    compared = accuracy.compare_spectrum(path, truth.as_array())
    return {f.quantity: f for f in accuracy.spectrum_figures("NIR", "science", compared)}


def test_a_perfect_extraction_reaches_every_goal(tmp_path):
    found = figures_of(*spectrum_files(tmp_path))
    assert all(f.reached for f in found.values())
    assert found["extracted / true, median"].value == pytest.approx(1, abs=0.003)
    assert found["S/N over ideal, median"].value == pytest.approx(1, abs=0.05)
    assert found["pull width"].value == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(
    ("fault", "quantity", "value"),
    [
        ({"scale": 1.05}, "extracted / true, median", 1.05),
        ({"scale": 0.97}, "extracted / true, median", 0.97),
        ({"error": 1.3, "claimed": 1.3}, "S/N over ideal, median", 1 / 1.3),
        ({"claimed": 0.8}, "pull width", 1 / 0.8),
        ({"claimed": 1.2}, "pull width", 1 / 1.2),
    ],
)
def test_a_fault_misses_its_goal(tmp_path, fault, quantity, value):
    found = figures_of(*spectrum_files(tmp_path, **fault))
    assert found[quantity].value == pytest.approx(value, rel=0.04)
    assert not found[quantity].reached


def test_claiming_too_much_or_too_little_does_not_change_the_signal_to_noise(tmp_path):
    # what counts is the scatter that is there
    found = figures_of(*spectrum_files(tmp_path, claimed=0.5))
    assert found["S/N over ideal, median"].value == pytest.approx(1, abs=0.05)


def test_flagged_bins_are_left_out(tmp_path):
    path, truth = spectrum_files(tmp_path, flagged=1500)
    assert len(accuracy.compare_spectrum(path, truth.as_array()).flux) < 2500
    assert all(f.reached for f in figures_of(path, truth).values())


def test_the_truth_in_other_bins_is_the_same_truth(tmp_path):
    path, truth = spectrum_files(tmp_path)
    coarse = truth[::4].copy()
    coarse["bin_width"] *= 4
    coarse["flux"] *= 4
    found = figures_of(path, coarse)
    assert found["extracted / true, median"].value == pytest.approx(1, abs=0.003)


# ------------------------------------------------------------------------------------ workspace


def workspace(root, **fault):
    folder = root / "reduced" / "2026-05-10" / "soxs-stare"
    folder.mkdir(parents=True)
    (root / "truth").mkdir()
    _, truth = spectrum_files(folder, **fault)
    truth.write(root / "truth" / "SOXS.raw_spectrum.fits")
    Table(places()).write(root / "truth" / "NIR_geometry.fits")
    Table({"order": [10], "pixel": [0], "centre": [0.0]}).write(root / "truth" / "NIR_edges.fits")


def test_a_workspace_is_compared_with_the_truth_beside_it(tmp_path):
    workspace(tmp_path)
    found = accuracy.figures(tmp_path)
    assert {(f.arm, f.frame) for f in found} == {("NIR", "science")}
    rows = accuracy.report(tmp_path)
    assert [len(row) for row in rows] == [len(accuracy.HEADINGS)] * 3
    assert rows[0][:3] == ("NIR", "science", "extracted / true, median")
    assert rows[0][4] == "0.99 to 1.01"


def test_a_workspace_without_truth_has_no_figures(tmp_path):
    workspace(tmp_path)
    (tmp_path / "truth" / "NIR_geometry.fits").unlink()
    assert accuracy.figures(tmp_path) == []


def test_nothing_measured_reaches_no_goal():
    for goal, reached in accuracy.GOALS.values():
        assert goal
        assert not reached(float("nan"))
