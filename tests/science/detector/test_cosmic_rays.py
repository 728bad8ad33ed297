"""Hits are found on sky, sky lines and object; light that nobody modelled is left alone."""

import time

import numpy as np
import pytest
from scipy import ndimage

from soxspipe.datamodel.order_pixels import OrderPixels
from soxspipe.science.detector.cosmic_rays import Excess, find, sharpest
from tests.maths.truth import pixel_gaussian
from tests.science.detector.hits import shapes

SHAPE = (44, 1200)
READ = 4.0
TILT = 0.12  # bins per row: how slit images lean
SCALE = 0.28  # arcsec per pixel
LINE = 0.765  # sigma of an unresolved line, px: FWHM 1.8
LINES = np.arange(20.3, 1190, 26.37)


def order():
    """The pixels of a straight order whose slit images lean, dispersion along x."""
    y, x = np.indices(SHAPE)
    bins = (x + TILT * (y - 21.5)).ravel()
    by_bin = np.argsort(bins, kind="stable")
    bins = bins[by_bin]
    first = int(np.rint(bins.min()))
    m = int(np.rint(bins.max())) - first + 1
    slit = SCALE * (y.ravel()[by_bin] - 21.5)
    grid = 500 + 0.02 * np.arange(m)
    area = np.full(bins.size, SCALE)
    return OrderPixels(
        1, by_bin, 500 + 0.02 * (bins - first), slit, bins, area, first, grid, np.full(m, 0.02)
    )


def lines(pixels, height):
    """(n,) light of unresolved lines, `height` electrons in the bin they are centred in."""
    near = LINES[np.abs(pixels.bin[:, None] - LINES).argmin(axis=1)]
    return height * np.exp(-0.5 * ((pixels.bin - near) / LINE) ** 2)


def profile(pixels, fwhm):
    """(n,) share of a star's light in each pixel; fwhm in px."""
    rows = pixel_gaussian(SHAPE[0], 24.3, fwhm / 2.3548)
    return rows[np.rint(pixels.slit / SCALE + 21.5).astype(int)]


class Bench:
    """One order with sky, star and light nobody knows of; hits go on top."""

    def __init__(self, *, star=0.0, star_lines=0.0, sky_lines=0.0, fwhm=3.6, unknown=0.0, seed=1):
        self.pixels, self.fwhm = order(), fwhm
        self.rng = np.random.default_rng(seed)
        self.share = profile(self.pixels, fwhm)
        self.sky = 20.0 + lines(self.pixels, sky_lines)
        self.star = (star + lines(self.pixels, star_lines)) * self.share
        self.unknown = unknown if np.ndim(unknown) else np.zeros(self.sky.size)
        self.variance = READ**2 + self.sky + self.star

    def excess(self, hit=None, unknown=0.0):
        light = self.sky + self.star + unknown
        data = self.rng.poisson(light) + self.rng.normal(0, READ, light.size)
        if hit is not None:
            data = data + hit.ravel()[self.pixels.index]
        made = Excess.nothing(SHAPE)
        made.put_order(
            self.pixels,
            light=data - self.sky,
            sky=self.sky,
            variance=self.variance + unknown,
            good=np.ones(light.size, dtype=bool),
            share=self.share,
        )
        return made

    def find(self, hit=None, unknown=0.0):
        excess = self.excess(hit, unknown)
        return find(excess, dispersion_axis="x", blur=(1.6, max(0.7 * self.fwhm, 1.4)))

    def image(self, values):
        made = np.zeros(SHAPE)
        made.ravel()[self.pixels.index] = values
        return made


SCENES = {
    "sky": {},
    "faint star": {"star": 300.0, "star_lines": 1500.0},
    "bright star": {"star": 30_000.0},
    "emission lines only": {"star": 5.0, "star_lines": 4000.0},
    "airglow": {"star": 300.0, "sky_lines": 5000.0},
    "sharp trace": {"star": 3000.0, "star_lines": 9000.0, "fwhm": 1.4},
}


@pytest.mark.parametrize("scene", SCENES)
def test_hits_are_found(scene):
    """Pixels above 10 sigma."""
    due = found = 0
    for seed in range(3):
        bench = Bench(**SCENES[scene], seed=seed)
        hit = shapes(SHAPE, bench.rng, 24)
        mask = bench.find(hit)
        owed = hit > 10 * np.sqrt(bench.image(bench.variance))
        due, found = due + owed.sum(), found + mask[owed].sum()
    assert due > 300
    assert found > (0.96 if scene in ("bright star", "sharp trace") else 0.98) * due


@pytest.mark.parametrize("scene", SCENES)
def test_good_pixels_are_kept(scene):
    lost = sum(Bench(**SCENES[scene], seed=seed).find().sum() for seed in range(4))
    assert lost <= 1e-4 * 4 * np.prod(SHAPE) / 2


def test_next_to_hits_little_is_lost():
    bench = Bench(star=300.0, star_lines=1500.0)
    hit = shapes(SHAPE, bench.rng, 24)
    assert (bench.find(hit) & (hit == 0)).sum() < 0.02 * (hit > 0).sum()


@pytest.mark.parametrize("height", [50.0, 300.0, 3000.0, 30_000.0])
@pytest.mark.parametrize("arcsec", [0.8, 4.0, 12.0])
def test_lines_nobody_modelled_are_no_hits(height, arcsec):
    """H alpha of a host galaxy: 1.8 px along dispersion, over a part of the slit, no continuum."""
    bench = Bench()
    slit = bench.pixels.slit - 1.5
    seeing = 1.0 / 2.3548 / SCALE
    part = ndimage.gaussian_filter1d(
        (np.abs(SCALE * np.arange(-40, 41)) < arcsec / 2) * 1.0, seeing
    )
    shape = np.interp(slit, SCALE * np.arange(-40, 41), part)
    unknown = lines(bench.pixels, height) * shape
    lost = bench.image(unknown)[bench.find(unknown=unknown)].sum()
    assert lost <= 1e-3 * unknown.sum()


def test_a_second_star_is_no_hit():
    bench = Bench(star=300.0)
    rows = pixel_gaussian(SHAPE[0], 10.0, 3.6 / 2.3548)
    unknown = 20_000.0 * rows[np.rint(bench.pixels.slit / SCALE + 21.5).astype(int)]
    assert bench.find(unknown=unknown).sum() <= 2


def test_a_profile_that_is_off_is_no_hit():
    bench = Bench(star=50_000.0, star_lines=50_000.0)
    bench.share = profile(bench.pixels, 4.0)
    assert bench.find().sum() <= 2


def test_hits_of_both_signs_in_a_difference():
    bench = Bench(star=300.0)
    hit = shapes(SHAPE, bench.rng, 24)
    excess = bench.excess(hit)
    other = -excess
    found = find(-other, dispersion_axis="x", blur=(1.6, 2.5))
    assert found[hit > 10 * np.sqrt(bench.image(bench.variance))].mean() > 0.97
    assert not (find(other, dispersion_axis="x", blur=(1.6, 2.5)) & (hit > 0)).any()


def test_the_image_may_be_turned():
    bench = Bench(star=300.0)
    excess = bench.excess(shapes(SHAPE, bench.rng, 24))
    parts = (excess.value, excess.variance, excess.star, excess.step, excess.sky)
    turned = Excess(*(a.T for a in parts))
    here = find(excess, dispersion_axis="x", blur=(1.6, 2.5))
    assert here.any()
    assert np.array_equal(here, find(turned, dispersion_axis="y", blur=(1.6, 2.5)).T)


def test_a_storm():
    bench = Bench(star=3000.0, star_lines=3000.0)
    hit = shapes(SHAPE, bench.rng, 400)
    assert (hit > 0).mean() > 0.03
    owed = hit > 10 * np.sqrt(bench.image(bench.variance))
    mask = bench.find(hit)
    assert mask[owed].mean() > 0.97
    near = ndimage.binary_dilation(hit > 0, np.ones((3, 3)))
    assert mask[~near].mean() < 1e-4


@pytest.mark.parametrize("fwhm", [1.4, 1.6, 1.8, 3.6])
def test_no_light_is_sharper_than_the_sharpest(fwhm):
    one, two = sharpest(fwhm)
    for centre in np.linspace(9.5, 10.5, 41):
        light = pixel_gaussian(21, centre, fwhm / 2.3548)
        assert (light[9] + light[11]) / (2 * light[10]) >= one - 1e-9
        assert (light[9] + light[12]) / (light[10] + light[11]) >= two - 1e-9


def test_a_large_frame_takes_no_time():
    shape = (2040, 2040)
    rng = np.random.default_rng(5)
    zero = np.zeros(shape, dtype="f4")
    value = rng.normal(0, 1, shape).astype("f4") + shapes(shape, rng, 300) / 30
    excess = Excess(value.astype("f4"), zero + 1, zero, zero, zero)
    find(excess, dispersion_axis="x", blur=(1.6, 2.5))  # compiled by now
    start = time.process_time()
    find(excess, dispersion_axis="x", blur=(1.6, 2.5))
    assert time.process_time() - start < 1.0
