"""Rectified orders and exposures become one image: no step, no bias, true errors, gaps kept."""

from dataclasses import replace

import numpy as np
import pytest

from soxspipe.datamodel.frame import PixelFlag
from soxspipe.errors import DataError, InputError
from soxspipe.science.extraction.footprints import relative_throughput
from soxspipe.science.extraction.merge_images import ImagePart, merge_images, throughput_on
from soxspipe.science.extraction.rectify import Values, rectify
from tests.science.extraction.one_order import gaussian_share, order_pixels

N = 300
STEPS = {"columns": N, "step": 0.06, "slit_step": 0.25}
#: Two orders that overlap from 1018 to 1030 nm, of different dispersion, and one beyond a gap.
ORDERS = {1: (1000.0, 0.1), 2: (1018.0, 0.12), 3: (1060.0, 0.1)}


@pytest.fixture(scope="module")
def orders():
    return {
        n: order_pixels(N, number=n, low=low, tilt=0.6 - 0.2 * n, step=step)
        for n, (low, step) in ORDERS.items()
    }


def blaze(pixels, wavelength):
    """Throughput of an order: high in its middle, a twentieth at its ends."""
    t = (wavelength - pixels.grid[0]) / (pixels.grid[-1] - pixels.grid[0])
    return 0.05 + 0.95 * np.sin(np.pi * np.clip(t, 0, 1)) ** 2


def lamp(pixels):
    """What a flat lamp of one electron per nm and arcsec leaves in a pixel of each native bin."""
    return blaze(pixels, pixels.grid) * pixels.width * np.median(pixels.area)


def seen(pixels, density, profile=None):
    """Electrons in the pixels for `density`(wavelength) per nm, spread over the slit."""
    width = np.interp(pixels.wavelength, pixels.grid, pixels.width)
    share = pixels.area / 12.0 if profile is None else profile
    return density(pixels.wavelength) * width * blaze(pixels, pixels.wavelength) * share


def parts_of(orders, light, variance=None, flags=None, **more):
    throughput = relative_throughput(orders, {n: lamp(p) for n, p in orders.items()})
    found = []
    for n, pixels in orders.items():
        noise = np.maximum(light[n], 1.0) if variance is None else variance[n]
        bits = np.zeros(len(noise), dtype="u2") if flags is None else flags[n]
        image = rectify(pixels, Values(light[n], noise, bits, noise), **STEPS, **more)
        found.append(ImagePart(image, throughput_on(image.grid, pixels, throughput[n])))
    return found


def continuum(wavelength):
    return 1000.0 + 20.0 * (wavelength - 1000.0)


def best_blaze(orders, wavelength):
    return np.max(
        [
            np.where(
                (wavelength >= p.grid[0]) & (wavelength <= p.grid[-1]), blaze(p, wavelength), 0.0
            )
            for p in orders.values()
        ],
        axis=0,
    )


def test_orders_join_without_a_step(orders):
    light = {n: seen(p, continuum) for n, p in orders.items()}
    merged = merge_images(parts_of(orders, light))
    middle = slice(10, 36)
    level = merged.flux[middle].mean(axis=0)
    truth = (
        continuum(merged.wavelength) * 0.06 * 0.25 / 12.0 * best_blaze(orders, merged.wavelength)
    )
    # a bin or two from the ends of the orders, where the blaze of the tests is cut off
    inside = np.zeros(len(truth), dtype=bool)
    for low, high in ((1003, 1050), (1063, 1087)):
        inside |= (merged.wavelength > low) & (merged.wavelength < high)
    # pixels are flat within: where the blaze of these short orders is steep, bins show it
    assert level[inside] == pytest.approx(truth[inside], rel=1e-2)
    assert np.median(level[inside] / truth[inside]) == pytest.approx(1.0, abs=5e-4)
    # joins: where an order comes in (its blaze passes a tenth of the best) or ends
    ratio = level / np.where(truth > 0, truth, np.nan)
    for join in (1019.5, 1021.0, 1023.5, 1026.0, 1029.5):
        before = (merged.wavelength > join - 1.2) & (merged.wavelength < join)
        after = (merged.wavelength > join) & (merged.wavelength < join + 1.2)
        assert np.mean(ratio[before]) == pytest.approx(np.mean(ratio[after]), rel=1e-3)


def test_gaps_stay_gaps(orders):
    light = {n: seen(p, continuum) for n, p in orders.items()}
    merged = merge_images(parts_of(orders, light))
    gap = (merged.wavelength > 1055.5) & (merged.wavelength < 1058.5)
    assert np.isnan(merged.flux[:, gap]).all()
    assert (merged.flags[:, gap] == PixelFlag.NOTHING_LEFT).all()
    assert merged.grid.step == 0.06
    assert np.isfinite(merged.sky[:, ~gap]).any()


def test_errors_of_sums_are_true(orders):
    rng = np.random.default_rng(5)
    expected = {n: seen(p, continuum) for n, p in orders.items()}
    variance = {n: e + 20.0 for n, e in expected.items()}
    pulls = {"bins": [], "overlap": [], "alone": []}
    for _ in range(60):
        noise = {n: rng.normal(0.0, np.sqrt(v)) for n, v in variance.items()}
        merged = merge_images(parts_of(orders, noise, variance))
        pulls["bins"].append((merged.flux / merged.error)[10:36:5, 60:1000:11].ravel())
        for name, low, high in (("overlap", 1021.0, 1026.0), ("alone", 1035.0, 1040.0)):
            at = (merged.wavelength > low) & (merged.wavelength < high)
            for rows in (slice(10, 20), slice(22, 34)):
                weights = np.zeros(merged.grid.shape)
                weights[rows, at] = 1.0
                covariance = merged.covariance(weights)
                error = np.sqrt(covariance[0].sum() + 2.0 * covariance[1:].sum())
                pulls[name].append(merged.flux[rows, at].sum() / error)
    every = np.concatenate(pulls["bins"])
    assert np.nanstd(every) == pytest.approx(1.0, abs=0.02)
    for name in ("overlap", "alone"):
        assert np.std(pulls[name]) == pytest.approx(1.0, abs=0.2)


def test_two_exposures_are_brought_together(orders):
    """A star at -2 and at +2 arcsec, as after nodding: one star, with half of the variance."""
    parts, single = [], []
    for position in (-2.0, 2.0):
        light = {n: seen(p, continuum, gaussian_share(p, position, 1.0)) for n, p in orders.items()}
        constant = {n: np.full(len(v), 9.0) for n, v in light.items()}
        found = parts_of(orders, light, constant, slit_offset=-position)
        parts += found
        single.append(merge_images(found))
    merged = merge_images(parts)
    rows = np.abs(merged.slit) < 2.0
    column = np.argmin(np.abs(merged.wavelength - 1040.0))
    profile = merged.flux[rows, column]
    assert (profile * merged.slit[rows]).sum() / profile.sum() == pytest.approx(0.0, abs=0.03)
    truth = continuum(1040.0) * 0.06 * best_blaze(orders, np.array([1040.0]))[0]
    assert profile.sum() == pytest.approx(truth, rel=5e-3)
    noise = []
    for image in (*single, merged):
        weights = np.zeros(image.grid.shape)
        weights[np.ix_(np.abs(image.slit) < 2.0, np.abs(image.wavelength - 1040.0) < 3.0)] = 1.0
        covariance = image.covariance(weights)
        noise.append(covariance[0].sum() + 2.0 * covariance[1:].sum())
    assert noise[2] == pytest.approx(0.25 * (noise[0] + noise[1]), rel=0.02)


def test_a_change_of_seeing_loses_no_light(orders):
    """A bright star, sharp in one exposure and blurred in the other, with photon noise."""
    bright = {1: orders[1]}
    parts = []
    for fwhm in (0.7, 1.8):
        share = gaussian_share(orders[1], 0.4, fwhm)
        light = {1: seen(orders[1], continuum, 100.0 * share)}
        parts += parts_of(bright, light, {1: light[1] + 9.0})
    merged = merge_images(parts)
    total = np.nansum(merged.flux, axis=0)
    truth = 100.0 * continuum(merged.wavelength) * 0.06 * best_blaze(bright, merged.wavelength)
    middle = slice(150, -150)
    assert total[middle] / truth[middle] == pytest.approx(np.ones_like(truth)[middle], rel=5e-3)


def test_a_flagged_bin_counts_only_where_nothing_is_better(orders):
    light = {n: seen(p, continuum) for n, p in orders.items()}
    flags = {n: np.zeros(len(p.index), dtype="u2") for n, p in orders.items()}
    flags[2][(orders[2].wavelength > 1022) & (orders[2].wavelength < 1040)] = PixelFlag.COSMIC_RAY
    parts = parts_of(orders, light, flags=flags)
    merged = merge_images(parts)
    rows = slice(12, 34)
    overlap = (merged.wavelength > 1023) & (merged.wavelength < 1026)
    assert (merged.flags[rows, overlap] == 0).all()
    assert np.isfinite(merged.flux[rows, overlap]).all()
    alone = (merged.wavelength > 1032) & (merged.wavelength < 1039)
    assert (merged.flags[rows, alone] & PixelFlag.NOTHING_LEFT).all()


def test_a_response_calibrates(orders):
    light = {n: seen(p, continuum) for n, p in orders.items()}
    parts = parts_of(orders, light)
    plain = merge_images(parts)
    factor = np.linspace(1.0, 3.0, plain.grid.shape[1])
    merged = merge_images(parts, response=factor, unit="erg / (s cm2 Angstrom)")
    assert np.allclose(merged.flux, plain.flux * factor, rtol=1e-6, equal_nan=True)
    assert np.allclose(merged.error, plain.error * factor, rtol=1e-6, equal_nan=True)
    assert merged.unit == "erg / (s cm2 Angstrom)"
    with pytest.raises(InputError, match="response"):
        merge_images(parts, response=factor[1:])


def test_what_cannot_be_merged_is_refused(orders):
    with pytest.raises(DataError, match="no rectified order"):
        merge_images([])
    light = {n: seen(p, continuum) for n, p in orders.items()}
    parts = parts_of(orders, light)
    other = replace(parts[0].image, grid=replace(parts[0].image.grid, step=0.05))
    with pytest.raises(InputError, match="different steps"):
        merge_images([ImagePart(other, parts[0].throughput), parts[1]])
