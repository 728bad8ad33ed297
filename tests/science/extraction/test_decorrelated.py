"""A spectrum made from pixels of overlapping, tilted orders whose light is known."""

from dataclasses import replace

import numpy as np
import pytest

from soxspipe.datamodel.frame import PixelFlag
from soxspipe.errors import DataError
from soxspipe.science.extraction.decorrelated import merge_pixels
from soxspipe.science.extraction.footprints import as_part, footprints, relative_throughput
from tests.science.extraction.one_order import SCALE, gaussian_share, order_pixels

N, STEP = 400, 0.06
#: Two orders that overlap from 1032 to 1040 nm, and one beyond a gap from 1068 to 1075 nm.
ORDERS = {3: (1000.0, 0.1), 2: (1032.0, 0.09), 1: (1075.0, 0.05)}
SKY_LINES = (1010.0, 1010.9, 1021.0, 1036.0, 1050.0, 1085.0)
EDGES = np.arange(996.0, 1100.0, STEP)
centres = 0.5 * (EDGES[1:] + EDGES[:-1])


def blaze(number, wavelength):
    low, step = ORDERS[number]
    return 0.05 + np.sinc((wavelength - low - 0.5 * N * step) / (1.3 * N * step)) ** 2


def smooth(wavelength):
    """Electrons per nm at a blaze of 1."""
    return 3000.0 + 1500.0 * np.sin(wavelength / 4.0)


def sky_lines(wavelength):
    """1 at the peaks."""
    off = (wavelength[:, None] - np.array(SKY_LINES)) / 0.1
    return np.exp(-0.5 * off**2).sum(axis=1)


def seen(density, pixels, along, across):
    """Mean of `density` over pixels: 12 x 4 points in each."""
    total = np.zeros(len(pixels.wavelength))
    for a in (np.arange(12) + 0.5) / 12 - 0.5:
        for b in (np.arange(4) + 0.5) / 4 - 0.5:
            total += density(pixels.wavelength + a * along + b * across)
    return total / 48


class Bench:
    """All orders, without noise: expected light and true variance of the pixels."""

    def __init__(self, density=smooth, *, contrast=100.0, tilt=0.4, only=tuple(ORDERS)):
        self.pixels = {
            n: order_pixels(N, number=n, low=ORDERS[n][0], step=ORDERS[n][1], tilt=tilt, rows=25)
            for n in only
        }
        lamp = {n: blaze(n, p.grid) * p.width * SCALE for n, p in self.pixels.items()}
        throughput = relative_throughput(self.pixels, lamp)
        self.parts = {}
        for n, p in self.pixels.items():
            footprint = footprints(p, N, dispersion_axis="x")
            share = gaussian_share(p, 0.3, 1.1)
            light = blaze(n, p.wavelength) * p.width[0] * share * seen(density, p, *footprint)
            variance = 16.0 * (1.0 + contrast * sky_lines(p.wavelength)) + light
            zero = np.zeros(len(light))
            self.parts[n] = as_part(
                p,
                footprint,
                throughput[n],
                share=share,
                data=light,
                variance=variance,
                good=zero == 0,
                sky=100.0 * sky_lines(p.wavelength),
                common=zero,
                reach=zero + 1.0,
            )

    def noisy(self, rng, hits=0.02):
        """Parts with noise and hits."""
        return [
            replace(
                p,
                data=np.where(
                    hit := rng.random(len(p.data)) < hits, 1e6, rng.normal(p.data, p.variance**0.5)
                ),
                good=~hit,
            )
            for p in self.parts.values()
        ]

    def merged(self, **more):
        return merge_pixels(list(self.parts.values()), EDGES, **more)


def best_blaze(only=tuple(ORDERS)):
    inside = {
        n: (centres > ORDERS[n][0]) & (centres < ORDERS[n][0] + N * ORDERS[n][1]) for n in only
    }
    return np.max([blaze(n, centres) * inside[n] for n in only], axis=0)


def covered(margin=0.7):
    """(bins,) bool: away from the ragged ends of the covered ranges."""
    return np.any(
        [
            (centres > low + margin) & (centres < high - margin)
            for low, high in ((1000, 1068), (1075, 1095))
        ],
        axis=0,
    )


@pytest.fixture(scope="module")
def bench():
    return Bench()


@pytest.fixture(scope="module")
def trials(bench):
    """Errors (trials, bins) about the truth, and what the bins claim."""
    rng = np.random.default_rng(5)
    truth = smooth(centres) * best_blaze() * STEP
    off, claimed = [], []
    for _ in range(30):
        result = merge_pixels(bench.noisy(rng), EDGES)
        off.append(result.flux - truth)
        claimed.append(np.sqrt(result.variance))
    return np.array(off)[:, covered()], np.array(claimed)[:, covered()]


def squares(values, error, bins):
    """Mean square of sums of `bins` bins over their error, and what scatter the mean may have."""
    n = values.shape[1] // bins * bins
    total = values[:, :n].reshape(len(values), -1, bins).sum(axis=2)
    noise = np.sqrt((error[:, :n] ** 2).reshape(len(values), -1, bins).sum(axis=2))
    return np.mean((total / noise) ** 2), np.sqrt(2.0 / total.size)


@pytest.mark.parametrize("bins", [1, 3, 10, 50])
def test_errors_of_bins_and_of_sums_are_true(trials, bins):
    found, scatter = squares(*trials, bins)
    assert found == pytest.approx(1.0, abs=max(3.0 * scatter, 0.01))


def test_neighbours_are_independent(trials):
    pull = trials[0] / trials[1]
    for lag in (1, 2, 3, 5):
        product = pull[:, lag:] * pull[:, :-lag]
        assert np.mean(product) == pytest.approx(0.0, abs=4.0 / np.sqrt(product.size))


def test_errors_are_true_on_sky_lines_too(trials):
    on = sky_lines(centres[covered()]) > 0.1
    pull = (trials[0] / trials[1])[:, on]
    assert np.mean(pull**2) == pytest.approx(1.0, abs=4.0 * np.sqrt(2.0 / pull.size))
    assert pull.mean() == pytest.approx(0.0, abs=4.0 / np.sqrt(pull.size))


def test_no_information_is_lost(bench):
    """The sum of squared S/N is that of all pixels together."""
    result = bench.merged()
    inverse = np.nansum((smooth(centres) * STEP) ** 2 / result.variance)
    pixels = sum(
        np.sum((p.response * smooth(p.wavelength)) ** 2 / p.variance) for p in bench.parts.values()
    )
    assert inverse == pytest.approx(pixels, rel=2e-3)


def test_a_flat_spectrum_is_exact_and_joins_without_a_step():
    """Whatever the weights do, rows of the kernels add up to one."""
    bench = Bench(lambda wavelength: np.full(len(wavelength), 1000.0))
    rng = np.random.default_rng(1)
    parts = [replace(p, good=rng.random(len(p.data)) > 0.1) for p in bench.parts.values()]
    result = merge_pixels(parts, EDGES)
    good = covered()
    ratio = result.flux[good] / (1000.0 * best_blaze()[good] * STEP)
    assert ratio == pytest.approx(1.0, abs=1e-3)  # the blaze bends within pixels


def line_flux(contrast, at, only=tuple(ORDERS), peak=10.0):
    """Flux of a line of FWHM 0.26 nm in the merged spectrum over the true one."""

    def density(wavelength):
        return peak * np.exp(-0.5 * ((wavelength - at) / 0.11) ** 2)

    result = Bench(density, contrast=contrast, only=only).merged()
    near = np.abs(centres - at) < 1.5
    return np.sum(result.flux[near] / best_blaze(only)[near]) / (peak * 0.11 * np.sqrt(2 * np.pi))


@pytest.mark.parametrize("at", [1015.0, 1015.034, 1036.3, 1060.0, 1090.01])
def test_flux_of_a_line_is_conserved(at):
    assert line_flux(0.0, at) == pytest.approx(1.0, abs=2e-4)


@pytest.mark.parametrize("at", [1009.8, 1010.2, 1010.45, 1021.15])
def test_flux_of_a_line_beside_a_bright_sky_line(at):
    """Variance that jumps a hundredfold within the line must not drag its light about."""
    assert line_flux(100.0, at, only=(3,)) == pytest.approx(1.0, abs=7e-3)


def test_flux_of_a_line_that_makes_its_own_noise():
    assert line_flux(0.0, 1015.0, peak=1e6) == pytest.approx(1.0, abs=4e-3)


@pytest.mark.parametrize("tilt", [0.1, 0.4])
def test_kernels_are_centred_and_as_wide_as_pixels(tilt):
    result = Bench(tilt=tilt, contrast=0.0, only=(3,)).merged()
    inside = (centres > 1002) & (centres < 1038)
    assert np.abs(result.shift[inside]).max() < 0.1 * STEP
    box = 0.1 / np.sqrt(12)
    assert result.blur[inside] == pytest.approx(box, rel=0.35)


def test_sky_has_the_kernels_of_the_flux():
    bench = Bench(lambda wavelength: 100.0 * sky_lines(wavelength) / 0.1, only=(3,))
    result = bench.merged()
    inside = (centres > 1002) & (centres < 1038)
    expected = result.flux[inside] / best_blaze((3,))[inside]
    assert result.sky[inside] == pytest.approx(expected, abs=0.06 * expected.max())


def test_gaps_stay_gaps(bench):
    result = bench.merged()
    empty = (centres < 999.0) | ((centres > 1068.8) & (centres < 1074.2)) | (centres > 1096.0)
    assert np.isnan(result.flux[empty]).all()
    assert np.isnan(result.variance[empty]).all()
    assert (result.flags[empty] == PixelFlag.NOTHING_LEFT).all()
    assert (result.flags[covered()] == 0).all()
    assert np.isfinite(result.flux[covered()]).all()


def test_a_bin_that_lost_its_pixels_is_flagged(bench):
    """Columns of bad pixels: bins there are flagged or have no value, the others know nothing of it."""
    parts = dict(bench.parts)
    hurt = parts[3]
    hole = np.abs(hurt.wavelength - 1020.0) < 0.3
    parts[3] = replace(hurt, good=~hole, data=np.where(hole, 1e6, hurt.data))
    result, whole = merge_pixels(list(parts.values()), EDGES), bench.merged()
    inside = np.abs(centres - 1020.0) < 0.25
    assert (result.flags[inside] != 0).all()
    near = (np.abs(centres - 1020.0) > 0.5) & covered()
    assert (result.flags[near] == 0).all()
    change = (result.flux - whole.flux)[near] / np.sqrt(whole.variance[near])
    assert np.abs(change).max() < 0.05


def test_several_exposures_are_one_spectrum(bench):
    rng = np.random.default_rng(3)
    one, two = bench.noisy(rng, hits=0.0), bench.noisy(rng, hits=0.0)
    both = merge_pixels(one + two, EDGES)
    each = [merge_pixels(part, EDGES) for part in (one, two)]
    good = covered()
    assert both.flux[good] == pytest.approx((0.5 * (each[0].flux + each[1].flux))[good], rel=1e-6)
    assert both.variance[good] == pytest.approx((0.5 * each[0].variance)[good], rel=1e-6)


def test_what_the_sky_model_gets_wrong_is_in_the_errors():
    """An error of its own for every native bin, the same in all rows: errors of sums hold it."""
    bench = Bench(contrast=0.0, only=(3,))
    pixels, part = bench.pixels[3], bench.parts[3]
    common = np.full(len(part.data), 4.0)
    rng = np.random.default_rng(4)
    good = (centres > 1002) & (centres < 1038)
    truth = bench.merged().flux[good]
    off, claimed = [], []
    for _ in range(40):
        sky = rng.normal(0.0, 2.0, N)[pixels.nearest]
        result = merge_pixels(
            [replace(part, data=part.data + sky, common=common)], EDGES, summed=10
        )
        off.append(result.flux[good] - truth)
        claimed.append(np.sqrt(result.common[good]))
    found, scatter = squares(np.array(off), np.array(claimed), 20)
    assert found == pytest.approx(1.0, abs=4 * scatter + 0.05)


def test_fine_and_uneven_grids(bench):
    """Any rising edges: the flux of a stretch is the same, however it is cut."""
    cuts = np.concatenate([np.linspace(1003, 1030, 3000), np.geomspace(1030.1, 1060, 300)])
    result = merge_pixels(list(bench.parts.values()), cuts)
    coarse = bench.merged()
    wide = (centres > 1005) & (centres < 1028)
    low, high = EDGES[:-1][wide][0], EDGES[1:][wide][-1]
    middle = 0.5 * (cuts[1:] + cuts[:-1])
    fine = (middle > low) & (middle < high)
    assert np.nansum(result.flux[fine]) == pytest.approx(coarse.flux[wide].sum(), rel=2e-3)
    noise = np.sqrt(np.nansum(result.variance[fine]) / coarse.variance[wide].sum())
    assert noise == pytest.approx(1.0, abs=0.02)


def test_nothing_to_see_is_an_error(bench):
    with pytest.raises(DataError, match="no pixel is left"):
        merge_pixels(list(bench.parts.values()), EDGES - 500.0)
