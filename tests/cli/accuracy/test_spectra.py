"""Figures of spectra: known errors put into known products come out as they went in."""

from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from soxspipe.cli import accuracy
from soxspipe.cli.accuracy.on_sky import Observed
from soxspipe.cli.accuracy.spectra import compare_spectrum, special_figures, spectrum_figures
from soxspipe.datamodel.spectrum import OrderSpectra, OrderSpectrum
from soxspipe.io.products import write_product
from tests.cli.accuracy.made_up import places


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
    compared = compare_spectrum(path, known(truth))
    return {f.quantity: f for f in spectrum_figures("NIR", "science", compared)}


def known(truth, **told):
    """The truth as it is read from its file."""
    columns = {name: np.asarray(truth[name]) for name in truth.colnames}
    nothing = np.full(len(truth), np.nan)
    return Observed(**{"throughput": nothing, "slit": nothing} | columns | told)


def test_a_perfect_extraction_reaches_every_goal(tmp_path):
    found = figures_of(*spectrum_files(tmp_path))
    assert [f.quantity for f in found.values() if not f.reached] == []
    assert found["reduced chi2"].value == pytest.approx(1, abs=0.05)
    assert found["reduced chi2, sums of 10 bins"].value == pytest.approx(1, abs=0.2)
    assert found["share beyond 5 sigma"].value == 0.0
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
        ({"claimed": 1.2}, "reduced chi2", 1 / 1.44),
        ({"claimed": 0.8}, "reduced chi2, worst order", 1 / 0.64),
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
    assert len(compare_spectrum(path, known(truth)).flux) < 2500
    found = figures_of(path, truth)
    assert found["extracted / true, median"].reached
    assert found["share beyond 5 sigma"].reached


def test_an_offset_that_neighbours_share_shows_in_their_sums(tmp_path):
    """A third of a sigma in every bin hardly changes chi2, and doubles that of sums of ten."""
    found = figures_of(*spectrum_files(tmp_path, scale=1.0 + 0.33 * 30.0 / 900.0))
    assert found["reduced chi2"].value == pytest.approx(1.0 + 0.33**2, abs=0.06)
    assert found["reduced chi2, sums of 10 bins"].value == pytest.approx(2.1, abs=0.3)


def test_wild_bins_are_counted(tmp_path):
    path, truth = spectrum_files(tmp_path)
    truth["flux"][100:140] += 300.0
    assert figures_of(path, truth)["share beyond 5 sigma"].value == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize(
    ("told", "quantity", "value"),
    [({"extent": 4.0}, "flux lost, extended object", 0.06), ({}, "flux bias, faint object", -0.06)],
)
def test_extended_and_faint_objects_are_judged_by_their_light(tmp_path, told, quantity, value):
    path, truth = spectrum_files(tmp_path, scale=0.94, flux=90.0)
    compared = compare_spectrum(path, known(truth))
    product = SimpleNamespace(name="science", truth=known(truth, **told))
    (found,) = special_figures("NIR", product, compared)
    assert found.quantity == quantity
    assert found.value == pytest.approx(value, abs=0.012)
    assert not found.reached


def test_the_truth_in_other_bins_is_the_same_truth(tmp_path):
    path, truth = spectrum_files(tmp_path)
    coarse = truth[::4].copy()
    coarse["bin_width"] *= 4
    coarse["flux"] *= 4
    found = figures_of(path, coarse)
    assert found["extracted / true, median"].value == pytest.approx(1, abs=0.003)


def test_the_upper_limits_of_an_empty_slit_are_judged_by_their_errors(tmp_path):
    path, truth = spectrum_files(tmp_path, flux=0.0)
    found = figures_of(path, truth)
    assert found["reduced chi2"].value == pytest.approx(1.0, abs=0.06)
    assert np.isnan(found["extracted / true, median"].value)
    product = SimpleNamespace(name="science", truth=known(truth))
    assert list(special_figures("NIR", product, compare_spectrum(path, known(truth)))) == []


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
    assert [len(row) for row in rows] == [len(accuracy.HEADINGS)] * 8
    assert rows[0][:3] == ("NIR", "science", "extracted / true, median")
    assert rows[0][4] == "0.997 to 1.003"


def test_a_workspace_without_truth_has_no_figures(tmp_path):
    workspace(tmp_path)
    (tmp_path / "truth" / "NIR_geometry.fits").unlink()
    assert accuracy.figures(tmp_path) == []
