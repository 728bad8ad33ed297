"""Orders joined into one spectrum whose light is known."""

import numpy as np
import pytest

from soxspipe.datamodel.frame import PixelFlag
from soxspipe.datamodel.spectrum import OrderSpectra, OrderSpectrum
from soxspipe.science.extraction import merge
from tests.maths.truth import assert_pulls

STEP = 0.06


def blaze_of(wavelength, centre, width):
    x = (wavelength - centre) / width
    return np.sinc(x) ** 2 + 0.01


def order(low, high, n, *, centre, width, density=None, rng=None, noise=16.0, reverse=False):
    """An order seeing `density` electrons per nm at unit blaze; electrons per bin, blaze included."""
    wavelength = np.linspace(low, high, n)
    if reverse:
        wavelength = wavelength[::-1]
    step = np.abs(np.gradient(wavelength))
    blaze = blaze_of(wavelength, centre, width)
    light = (density or (lambda w: np.full(len(w), 1e4)))(wavelength) * step * blaze
    variance = np.abs(light) + noise
    flux = light if rng is None else rng.normal(light, np.sqrt(variance))
    zero = np.zeros(n)
    return OrderSpectrum(
        wavelength=wavelength,
        bin_width=step,
        flux=flux,
        variance=variance,
        boxcar=flux,
        boxcar_variance=variance,
        boxcar_robust=flux,
        sky=0.1 * light,
        blaze=blaze * step,  # lamp electrons per bin, like the flux
        flags=zero.astype("u2"),
        x=zero,
        y=zero,
    )


def two_orders(**more):
    """Two orders that overlap from 1040 to 1050 nm, of different blaze and dispersion."""
    return OrderSpectra(
        {
            11: order(1000, 1050, 900, centre=1020, width=45, **more),
            10: order(1040, 1100, 800, centre=1075, width=55, **more),
        }
    )


def merged(spectra, limits=(1000.0, 1100.0)):
    return merge.orders(spectra, step=STEP, limits=limits)


def expected(wavelength, density=1e4):
    """Electrons per bin on the scale of the order with the higher blaze."""
    in_11, in_10 = wavelength < 1050, wavelength > 1040
    best = np.maximum(
        blaze_of(wavelength, 1020, 45) * in_11, blaze_of(wavelength, 1075, 55) * in_10
    )
    return density * best * STEP


def test_the_grid_stands_on_multiples_of_the_step():
    grid = merge.grid(1000.01, 1001.0, 0.06)
    assert grid[0] >= 1000.01
    assert grid[-1] <= 1001.0 + 1e-9
    assert grid / 0.06 == pytest.approx(np.rint(grid / 0.06))
    assert np.diff(grid) == pytest.approx(0.06)


def test_orders_of_different_blaze_join_without_a_step():
    spectrum = merged(two_orders())
    inside = (spectrum.wavelength > 1000.3) & (spectrum.wavelength < 1099.7)
    ratio = spectrum.flux[inside] / expected(spectrum.wavelength[inside])
    near_ends = np.abs(spectrum.wavelength[inside, None] - [1040, 1050]).min(axis=1) < 0.2
    assert ratio[~near_ends] == pytest.approx(1, abs=2e-3)
    assert ratio == pytest.approx(1, abs=0.02)


def test_flux_is_conserved_where_an_order_is_alone():
    def density(wavelength):
        return 1e4 + 8e3 * np.exp(-0.5 * ((wavelength - 1020) / 0.3) ** 2)

    spectra = OrderSpectra({11: order(1000, 1050, 900, centre=1020, width=1e6, density=density)})
    spectrum = merged(spectra)
    part = (spectrum.wavelength > 1010) & (spectrum.wavelength < 1040)
    low, high = spectrum.wavelength[part][[0, -1]] + [-STEP / 2, STEP / 2]
    line = 8e3 * 0.3 * np.sqrt(2 * np.pi)
    assert spectrum.flux[part].sum() == pytest.approx(1.01 * (1e4 * (high - low) + line), rel=1e-4)
    assert spectrum.sky[part].sum() == pytest.approx(0.1 * spectrum.flux[part].sum(), rel=1e-6)


def test_errors_are_right_in_and_out_of_the_overlap():
    rng = np.random.default_rng(1)
    pulls = {"overlap": [], "alone": []}
    for _ in range(20):
        spectrum = merged(two_orders(rng=rng))
        pull = (spectrum.flux - expected(spectrum.wavelength)) / np.sqrt(spectrum.variance)
        overlap = (spectrum.wavelength > 1040.5) & (spectrum.wavelength < 1049.5)
        alone = (spectrum.wavelength > 1001) & (spectrum.wavelength < 1039)
        # neighbours share native bins: every third bin is independent
        pulls["overlap"].append(pull[overlap][::3])
        pulls["alone"].append(pull[alone][::3])
    for values in pulls.values():
        assert_pulls(np.concatenate(values))


def test_the_overlap_is_better_than_either_order():
    both = merged(two_orders())
    alone = [merged(OrderSpectra({n: o})) for n, o in two_orders().orders.items()]
    overlap = (both.wavelength > 1041) & (both.wavelength < 1049)
    for one in alone:
        assert (both.snr[overlap] >= one.snr[overlap] * 0.999).all()
    squares = sum(one.snr[overlap] ** 2 for one in alone)
    assert both.snr[overlap] ** 2 == pytest.approx(squares, rel=0.01)


def test_a_gap_stays_a_gap():
    spectra = OrderSpectra(
        {
            11: order(1000, 1040, 900, centre=1020, width=45),
            10: order(1060, 1100, 800, centre=1075, width=55),
        }
    )
    spectrum = merged(spectra, limits=(990.0, 1110.0))
    gap = (spectrum.wavelength > 1040.2) & (spectrum.wavelength < 1059.8)
    beyond = (spectrum.wavelength < 999.8) | (spectrum.wavelength > 1100.2)
    for part in (spectrum.flux, spectrum.variance, spectrum.sky, spectrum.snr):
        assert np.isnan(part[gap | beyond]).all()
    assert (spectrum.flags[gap | beyond] == PixelFlag.NOTHING_LEFT).all()
    assert np.isfinite(spectrum.flux[~(gap | beyond)]).mean() > 0.99
    assert spectrum.step == STEP


def test_flagged_bins_do_not_count():
    from dataclasses import replace

    spectra = two_orders().orders
    hurt = spectra[11]
    flux, flags = hurt.flux.copy(), hurt.flags.copy()
    bad = slice(740, 760)  # 1041.2 nm, where the other order sees as well
    flux[bad], flags[bad] = 1e9, PixelFlag.COSMIC_RAY
    spectrum = merged(OrderSpectra({11: replace(hurt, flux=flux, flags=flags), 10: spectra[10]}))
    around = (spectrum.wavelength > 1040.5) & (spectrum.wavelength < 1043)
    ratio = spectrum.flux[around] / expected(spectrum.wavelength[around])
    assert ratio == pytest.approx(1, abs=5e-3)


def test_orders_may_run_either_way():
    forth = merged(two_orders())
    back = merged(two_orders(reverse=True))
    assert back.flux == pytest.approx(forth.flux, nan_ok=True)
    assert back.variance == pytest.approx(forth.variance, nan_ok=True)


def test_an_order_without_lamp_spectrum_speaks_where_no_other_does():
    from dataclasses import replace

    spectra = two_orders().orders
    dark = replace(spectra[11], blaze=np.full(len(spectra[11].blaze), np.nan))
    spectrum = merged(OrderSpectra({11: dark, 10: spectra[10]}))
    alone = (spectrum.wavelength > 1001) & (spectrum.wavelength < 1039)
    ratio = spectrum.flux[alone] / expected(spectrum.wavelength[alone])
    assert ratio == pytest.approx(1, abs=2e-3)
