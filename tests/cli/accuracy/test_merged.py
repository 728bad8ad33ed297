"""Merged spectra and their joins against a truth that can be written down."""

import numpy as np
import pytest

from soxspipe.cli.accuracy.merged import (
    ComparedMerged,
    compare_merged,
    figures_of,
    merged_truth,
    snr_over_ideal,
    steps,
)
from soxspipe.cli.accuracy.on_sky import Observed
from soxspipe.datamodel.spectrum import Spectrum
from soxspipe.io.products import write_product

STEP = 0.06


def throughput(order, wavelength):
    """Two bells that cross at 1050 nm."""
    return 0.2 * np.exp(-0.5 * ((wavelength - (1080.0 if order == 10 else 1020.0)) / 30.0) ** 2)


def photons(wavelength):
    """Photons per nm, with a line."""
    return 5000.0 + 20.0 * (wavelength - 1000.0) + 4000.0 * np.exp(-0.5 * (wavelength - 1040) ** 2)


def two_orders(per_bin=0.07):
    """Orders 10 and 11, 1030 to 1100 nm and 1000 to 1070 nm, in bins that grow."""
    parts = []
    for order, low in ((10, 1030.0), (11, 1000.0)):
        sides = low + per_bin * (np.arange(1001) + 5e-5 * np.arange(1001) ** 2)
        fine = 0.5 * (sides[1:] + sides[:-1])
        width = np.diff(sides)
        # Simpson's rule over the bin
        light = [throughput(order, w) * photons(w) for w in (sides[:-1], fine, sides[1:])]
        flux = width * (light[0] + 4.0 * light[1] + light[2]) / 6.0
        snr = flux / np.sqrt(flux + 100.0)
        parts.append((np.full(1000, order), fine, width, flux, snr, throughput(order, fine)))
    order, wavelength, width, flux, snr, through = (
        np.concatenate(p) for p in zip(*parts, strict=True)
    )
    return Observed(order, wavelength, width, flux, snr, through, 0.0 * flux)


GRID = np.arange(1001.0, 1099.0, STEP)


def test_the_merged_truth_is_the_light_of_the_better_order():
    known = merged_truth(two_orders(), GRID, STEP)
    assert np.array_equal(known.best, np.where(GRID < 1050.0, 11, 10))
    best = np.maximum(throughput(10, GRID), throughput(11, GRID))
    smooth = np.abs(GRID - 1040.0) > 6.0
    assert np.allclose(known.flux[smooth], (best * photons(GRID) * STEP)[smooth], rtol=1e-5)
    total = known.flux[GRID < 1049].sum()
    fine = np.arange(GRID[0] - STEP / 2, 1049.0 - STEP, 1e-3)
    assert total == pytest.approx(np.sum(throughput(11, fine) * photons(fine)) * 1e-3, rel=2e-3)


def test_orders_that_overlap_add_their_information():
    truth = two_orders()
    known = merged_truth(truth, GRID, STEP)
    at = np.argmin(np.abs(GRID - 1050.0))
    power = 0.0
    for order in (10, 11):
        part = truth.part(order)
        k = np.argmin(np.abs(part.wavelength - 1050.0))
        power += part.ideal_snr[k] ** 2 / part.bin_width[k] * STEP
    assert known.ideal_snr[at] == pytest.approx(np.sqrt(power), rel=1e-3)


def test_bins_beyond_the_orders_are_unknown():
    known = merged_truth(two_orders(), np.arange(990.0, 1010.0, STEP), STEP)
    assert np.isnan(known.flux[:100]).all()
    assert np.all(known.best[:100] == 0)


def compared(noise=1.0, claimed=1.0, step=0.0, bright=40.0):
    truth = two_orders()
    truth = Observed(
        truth.order,
        truth.wavelength,
        truth.bin_width,
        bright * truth.flux,
        bright * truth.ideal_snr,
        truth.throughput,
        truth.slit,
    )
    known = merged_truth(truth, GRID, STEP)
    sigma = known.flux / known.ideal_snr
    draw = np.random.default_rng(5).normal(size=GRID.size)
    flux = known.flux * np.where(GRID > 1050.0, 1.0 + step, 1.0) + noise * sigma * draw
    variance = (claimed * sigma) ** 2
    place = np.arange(GRID.size)
    return ComparedMerged(place, flux, variance, known.flux, known.ideal_snr, known.best)


@pytest.mark.parametrize(("noise", "claimed"), [(1.0, 1.0), (1.3, 1.3), (1.3, 1.0), (1.0, 0.6)])
def test_the_signal_to_noise_reached_is_that_of_the_scatter(noise, claimed):
    assert snr_over_ideal(compared(noise, claimed)) == pytest.approx(1.0 / noise, rel=0.17)


def test_errors_that_are_wrong_show():
    found = {f.quantity: f.value for f in figures_of("NIR", "science", compared(1.0, 0.8))}
    assert found["merged, reduced chi2"] == pytest.approx(1.0 / 0.64, rel=0.08)
    assert found["merged, reduced chi2, sums of 10 bins"] == pytest.approx(1.0 / 0.64, rel=0.3)


def test_a_step_at_a_join_is_measured():
    ((size, error),) = steps(compared(step=0.02))
    assert size == pytest.approx(0.02, abs=4 * error)
    assert error < 0.003
    found = {f.quantity: f for f in figures_of("NIR", "science", compared(step=0.02))}
    assert not found["step at order joins over limit, worst"].reached
    even = {f.quantity: f for f in figures_of("NIR", "science", compared())}
    assert even["step at order joins over limit, worst"].reached


def test_a_product_is_compared_bin_by_bin(tmp_path):
    known = merged_truth(two_orders(), GRID, STEP)
    flags = np.zeros(GRID.size, dtype="u2")
    flags[::7] = 1
    flux = np.where(flags > 0, 1e9, known.flux)
    spectrum = Spectrum(GRID, flux, np.ones(GRID.size), 0.0 * GRID, flags, STEP)
    path = tmp_path / "x_EXTRACTED_MERGED.fits"
    from astropy.io.fits import Header

    write_product(path, spectrum, Header())
    found = compare_merged(path, two_orders())
    assert found.flux.size == np.sum(flags == 0)
    assert np.allclose(found.flux, found.true, rtol=1e-9)
