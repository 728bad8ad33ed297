"""Spatial profiles fitted to made-up stars."""

import numpy as np
import pytest
from scipy.integrate import quad

from soxspipe.science.extraction import profile, profile_fit
from soxspipe.science.extraction.profile import Light
from tests.science.extraction.one_order import READ_NOISE, SCALE, order_pixels

SKY = 60.0
ORDERS = {n: order_pixels(number=n, low=600.0 + 45 * n) for n in (1, 2, 3)}
DISTANCE = np.linspace(-20, 20, 8001)


def gaussian(distance, fwhm):
    sigma = fwhm / 2.3548
    return np.exp(-0.5 * (distance / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))


def star(rng, shape, flux, *, hits=0):
    """Light of a star of `flux` electrons per bin on all orders, at slit 0.4."""
    light = {}
    for number, pixels in ORDERS.items():
        distance = pixels.slit - 0.4
        scale = np.full(len(distance), flux * SCALE)
        expected = scale * shape(distance, pixels.wavelength)
        variance = expected + SKY + READ_NOISE**2
        data = rng.normal(expected, np.sqrt(variance))
        good = np.ones(len(data), dtype=bool)
        bad = rng.choice(len(data), hits, replace=False)
        data[bad], good[bad] = 1e5, False
        light[number] = Light(distance, pixels.wavelength, data, variance, scale, good)
    return light


def fitted(light, degree=2, fwhm=1.2):
    return profile_fit.fit(light, fwhm=fwhm, degree=degree)


def shapes(profiles, number=2):
    """Profile at both ends and the middle of an order, over a fine grid."""
    low, high = profiles[number].domain
    for wavelength in (low, 0.5 * (low + high), high):
        yield wavelength, profiles[number].at(DISTANCE, np.full(len(DISTANCE), wavelength))


def seeing(distance, wavelength, fwhm=1.0, beta=3.0):
    """A Moffat whose width goes as wavelength to the -0.2."""
    stretch = (wavelength / 740) ** 0.2
    return profile.moffat(distance * stretch, fwhm, beta) * stretch


@pytest.mark.parametrize(("fwhm", "beta"), [(0.7, 2.2), (1.0, 3.0), (2.0, 4.5)])
def test_a_moffat_has_unit_integral_and_its_fwhm(fwhm, beta):
    area = 2 * quad(lambda d: float(profile.moffat(np.array(d), fwhm, beta)), 0, np.inf)[0]
    assert area == pytest.approx(1, abs=1e-6)
    at = profile.moffat(np.array([0.0, fwhm / 2]), fwhm, beta)
    assert at[1] / at[0] == pytest.approx(0.5)


@pytest.mark.parametrize("flux", [100, 2000, 100000])
def test_every_profile_has_unit_integral(flux):
    profiles = fitted(star(np.random.default_rng(1), seeing, flux))
    for number in ORDERS:
        for _, shape in shapes(profiles, number):
            # what a Moffat holds beyond 20 arcsec is below 1e-3
            assert np.trapezoid(shape, DISTANCE) == pytest.approx(1, abs=0.004)
            assert (shape >= 0).all()


def test_a_bright_moffat_comes_back():
    profiles = fitted(star(np.random.default_rng(2), seeing, 50000))
    assert profiles[1].beta == pytest.approx(3.0, abs=0.3)
    for wavelength, shape in shapes(profiles):
        true = seeing(DISTANCE, wavelength)
        assert np.abs(shape - true).max() < 0.01 * true.max()


def test_a_bright_star_that_is_no_moffat_is_followed():
    profiles = fitted(star(np.random.default_rng(3), lambda d, w: gaussian(d, 1.0), 50000))
    for _, shape in shapes(profiles):
        true = gaussian(DISTANCE, 1.0)
        assert np.abs(shape - true).max() < 0.03 * true.max()


def test_a_shape_that_changes_along_the_order_is_followed():
    def shape(distance, wavelength):
        return gaussian(distance, 1.0 + 0.002 * (wavelength - 740))

    profiles = fitted(star(np.random.default_rng(4), shape, 50000))
    for number in ORDERS:
        for wavelength, found in shapes(profiles, number):
            true = shape(DISTANCE, wavelength)
            assert np.abs(found - true).max() < 0.05 * true.max()


def test_a_faint_star_gets_a_smooth_and_common_profile():
    # 60 electrons per bin: signal to noise below 1 in a pixel
    worst = []
    for seed in range(5):
        profiles = fitted(star(np.random.default_rng(seed), seeing, 60))
        curves = [shape for number in ORDERS for _, shape in shapes(profiles, number)]
        true = seeing(DISTANCE, 740.0)
        worst.append(max(np.abs(c - true).max() for c in curves) / true.max())
        for curve in curves:
            core = curve[np.abs(DISTANCE) < 3]
            rising = np.diff(core) > 1e-6 * true.max()
            assert np.count_nonzero(np.diff(rising.astype(int))) <= 3  # one peak, no ripples
    assert np.median(worst) < 0.15


def test_the_fit_begins_from_any_width_near_the_right_one():
    light = star(np.random.default_rng(5), seeing, 5000)
    widths = [
        profile_fit.fit_width(light, fwhm=start, reference=740.0).fwhm for start in (0.6, 1.0, 1.8)
    ]
    assert widths == pytest.approx([1.0, 1.0, 1.0], abs=0.03)


def test_bad_pixels_have_no_say():
    clean = fitted(star(np.random.default_rng(6), seeing, 5000))
    hit = fitted(star(np.random.default_rng(6), seeing, 5000, hits=500))
    for (_, one), (_, other) in zip(shapes(clean), shapes(hit), strict=True):
        assert np.abs(one - other).max() < 0.02 * one.max()


def test_without_light_the_width_is_the_one_expected():
    rng = np.random.default_rng(7)
    light = {
        n: Light(p.distance, p.wavelength, p.data, p.variance, p.scale, np.zeros(len(p.data), bool))
        for n, p in star(rng, seeing, 100).items()
    }
    assert profile_fit.fit_width(light, fwhm=1.4, reference=740.0).fwhm == 1.4
    for _, shape in shapes(fitted(light, fwhm=1.4)):
        assert shape.max() == pytest.approx(profile.moffat(np.zeros(1), 1.4, 3.0)[0], rel=0.02)


def test_seeing_is_better_in_the_red():
    breaks = np.linspace(-6.0, 6.0, 9)
    plain = profile.Profile(1.0, 3.0, 500.0, breaks, np.zeros((11, 1)), (400.0, 1000.0))
    for wavelength in (350.0, 500.0, 2000.0):
        shape = plain.at(DISTANCE, np.full(len(DISTANCE), wavelength))
        wide = DISTANCE[shape > 0.5 * shape.max()]
        assert np.ptp(wide) == pytest.approx((wavelength / 500) ** -0.2, abs=0.02)
        assert np.trapezoid(shape, DISTANCE) == pytest.approx(1, abs=0.001)


def absorbed(light, share):
    """The same light after a sky that took `share` of it per arcsec."""
    return {
        n: Light(p.distance, p.wavelength, p.data - share * p.scale, p.variance, p.scale, p.good)
        for n, p in light.items()
    }


@pytest.mark.parametrize("share", [0.0, 3e-4, 2e-3])
@pytest.mark.parametrize("beta", [2.5, 4.0])
def test_wings_that_the_sky_holds_are_given_back(share, beta):
    def shape(distance, wavelength):
        return seeing(distance, wavelength, 1.1, beta)

    light = absorbed(star(np.random.default_rng(9), shape, 20000), share)
    pixels = ORDERS[2]
    fit = fitted(light)[2]
    distance = pixels.slit - 0.4
    whole, _ = profile.slit_shares(fit, distance, pixels.slit, pixels.wavelength)
    ends = np.linspace(pixels.slit.min(), pixels.slit.max(), 2001)
    true = shape(distance, pixels.wavelength) / np.trapezoid(shape(ends - 0.4, 740.0), ends)
    # what an extraction with this profile would make of the true light
    assert (whole * true).sum() / (whole**2).sum() == pytest.approx(1, abs=0.002)
    assert fit.missing == pytest.approx(share, abs=1e-4)


def test_of_a_faint_star_the_error_of_the_sky_is_no_wing():
    light = star(np.random.default_rng(10), seeing, 60)
    off = {
        n: Light(p.distance, p.wavelength, p.data + 0.3, p.variance, p.scale, p.good)
        for n, p in light.items()
    }
    for n, fit in fitted(off).items():
        assert abs(fit.missing) < 2e-3, n
        assert fit.fwhm == pytest.approx(1.0, abs=0.1)


def test_a_wide_source_gets_back_what_the_sky_took():
    def shape(distance, wavelength):
        return gaussian(distance, 4.0)

    light = absorbed(star(np.random.default_rng(11), shape, 3000), 0.02)
    for fit in fitted(light, fwhm=4.3).values():
        assert fit.fwhm == pytest.approx(4.0, rel=0.03)
        assert fit.missing == pytest.approx(0.02, abs=0.002)


@pytest.mark.parametrize("place", [0.0, 4.0, 5.8])
def test_shares_are_of_what_the_slit_lets_pass(place):
    pixels = ORDERS[1]
    breaks = np.linspace(-6.0, 6.0, 9)
    plain = profile.Profile(1.0, 3.0, 740.0, breaks, np.zeros((11, 1)), (600.0, 800.0))
    share, seen = profile.slit_shares(plain, pixels.slit - place, pixels.slit, pixels.wavelength)
    per_bin = np.bincount(pixels.nearest, share * pixels.area)[20:-20]
    assert per_bin.mean() == pytest.approx(1, abs=0.02)
    assert np.array_equal(share, seen)
