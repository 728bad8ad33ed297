"""Straightened orders hold all the light, in the right place, with errors that are true for sums too."""

from dataclasses import replace

import numpy as np
import pytest

from soxspipe.datamodel.frame import PixelFlag
from soxspipe.errors import DataError
from soxspipe.science.extraction.pixel_corners import corners
from soxspipe.science.extraction.rectify import Values, pixel_scale, rectify
from tests.science.extraction.one_order import (
    SCALE,
    STEP,
    gaussian_share,
    lines,
    noisy,
    order_pixels,
)

N = 300
GRID = {"columns": N, "step": 0.06, "slit_step": 0.25}


@pytest.fixture(scope="module")
def curved():
    """An oblique order whose lines are tilted and bent."""
    pixels = order_pixels(N, tilt=0.4)
    return replace(pixels, wavelength=pixels.wavelength + 0.003 * pixels.slit**2)


def perfect(light):
    return Values(light, np.maximum(light, 1.0), np.zeros(len(light), dtype="u2"))


def star(pixels, centre=0.7, fwhm=1.0):
    """A star with a spectrum of lines, electrons per pixel."""
    spectrum = 200.0 + lines(pixels.bin, [80.0, 81.0, 200.0], [3000.0, 500.0, 900.0], sigma=1.4)
    return spectrum * gaussian_share(pixels, centre, fwhm)


def test_pixels_share_their_corners(curved):
    wavelength, slit = corners(curved, N)
    place = {int(i): k for k, i in enumerate(curved.index)}
    pairs = [(place[i], place[i + 1]) for i in place if i + 1 in place and (i + 1) % N]
    here, next_ = np.array(pairs).T
    for values in (wavelength, slit):
        assert np.array_equal(values[1][here], values[0][next_])
        assert np.array_equal(values[2][here], values[3][next_])
    # corners go around pixels whose centres they enclose
    assert wavelength.mean(axis=0) == pytest.approx(curved.wavelength, abs=0.01 * STEP)
    assert slit.mean(axis=0) == pytest.approx(curved.slit, abs=0.01 * SCALE)


def test_all_light_is_kept(curved):
    light = star(curved)
    image = rectify(curved, perfect(light), **GRID)
    kept = np.nansum(image.flux.astype("f8") * image.cover)
    assert kept == pytest.approx(light.sum(), rel=1e-5)
    assert image.cover.max() == pytest.approx(1.0, abs=1e-6)
    assert (image.cover[5:-5, 30:-30] > 0.999999).all()
    assert image.grid.slit_step * image.grid.slit_first == pytest.approx(curved.slit.min(), abs=0.5)
    assert pixel_scale(curved) == SCALE


def test_light_lands_where_it_belongs(curved):
    light = star(curved)
    image = rectify(curved, perfect(light), **GRID)
    flux = np.nan_to_num(image.flux)
    column = flux[:, 40:-40]
    centre = (image.slit[:, None] * column).sum() / column.sum()
    assert centre == pytest.approx(0.7, abs=0.005)
    # the lone line at bin 200, with its own tilt and bend taken out, in rows above and below the star
    window = np.abs(image.wavelength - (1000.0 + 20.0 + 0.003 * 0.49)) < 0.8
    for row in np.flatnonzero(np.abs(image.slit - 0.7) < 0.8):
        line = flux[row, window] - np.median(flux[row, 40:-40])
        at = (image.wavelength[window] * line).sum() / line.sum()
        # the light was put where `bin` says, which knows no bend
        assert at == pytest.approx(1020.0 + 0.003 * image.slit[row] ** 2, abs=0.1 * STEP)


def test_a_boxcar_is_that_of_the_detector(curved):
    light = star(curved)
    image = rectify(curved, perfect(light), **GRID)
    # both with shares of what the edges of the aperture cut
    low, high = -1.0, 2.25
    on_detector = np.clip((high - curved.slit) / SCALE + 0.5, 0, 1)
    on_detector = np.minimum(on_detector, np.clip((curved.slit - low) / SCALE + 0.5, 0, 1))
    rows = np.minimum(
        np.clip((high - image.slit) / 0.25 + 0.5, 0, 1),
        np.clip((image.slit - low) / 0.25 + 0.5, 0, 1),
    )
    summed = (rows[:, None] * np.nan_to_num(image.flux)).sum(axis=0)
    blocks = np.arange(1003.0, 1027.1, 3.0)
    seen = np.histogram(image.wavelength, blocks, weights=summed)[0]
    true = np.histogram(curved.wavelength, blocks, weights=on_detector * light)[0]
    assert seen.sum() == pytest.approx(true.sum(), rel=3e-4)
    assert seen == pytest.approx(true, rel=3e-3)


def test_uniform_light_stays_uniform(curved):
    image = rectify(curved, perfect(curved.area * 50.0), **GRID)
    expected = 50.0 * GRID["step"] / STEP * GRID["slit_step"]
    known = np.isfinite(image.flux)
    assert image.flux[known] == pytest.approx(expected, rel=2e-3)
    assert known.mean() > 0.9
    assert (image.flags[~known] & PixelFlag.NOTHING_LEFT).all()


def test_errors_of_bins_and_of_blocks_are_true(curved):
    rng = np.random.default_rng(3)
    expected = curved.area * 300.0 + star(curved)
    pulls, single = [], []
    blocks = [
        (slice(a, a + 9), slice(b, b + w)) for a in (8, 20, 30) for w in (7, 40) for b in (60, 150)
    ]
    for _ in range(80):
        data, variance = noisy(rng, expected)
        flags = np.zeros(len(data), dtype="u2")
        image = rectify(curved, Values(data - expected, variance, flags), **GRID)
        single.append((image.flux / image.error)[8:40:5, 60:400:7].ravel())
        for block in blocks:
            weights = np.zeros(image.grid.shape)
            weights[block] = 1.0
            covariance = image.covariance(weights)
            error = np.sqrt(covariance[0].sum() + 2.0 * covariance[1:].sum())
            pulls.append(image.flux[block].sum() / error)
    assert np.std(single) == pytest.approx(1.0, abs=0.02)
    # 960 sums: their scatter is known to 2.3 per cent
    assert np.std(pulls) == pytest.approx(1.0, abs=0.07)
    assert np.mean(pulls) == pytest.approx(0.0, abs=0.1)


def test_the_noise_factor_is_that_of_large_sums(curved):
    rng = np.random.default_rng(4)
    block = (slice(6, 40), slice(50, 430))
    pulls = []
    for _ in range(120):
        data = rng.normal(0.0, 4.0, len(curved.index))
        flags = np.zeros(len(data), dtype="u2")
        image = rectify(curved, Values(data, np.full(len(data), 16.0), flags), **GRID)
        naive = np.sqrt(image.variance[block].sum())
        pulls.append(image.flux[block].sum() / (naive * image.noise_factor))
    assert image.noise_factor > 1.5
    assert np.std(pulls) == pytest.approx(1.0, abs=0.18)


def test_bad_pixels_are_left_out_and_told(curved):
    light = star(curved)
    values = perfect(light)
    bad = int(np.argmin(np.abs(curved.bin - 150.0) + np.abs(curved.slit - 0.7)))
    hit = light.copy()
    hit[bad] = 1e6
    flags = values.flags.copy()
    flags[bad] = PixelFlag.COSMIC_RAY
    image = rectify(curved, replace(values, data=hit, flags=flags), **GRID)
    clean = rectify(curved, values, **GRID)
    told = (image.flags & PixelFlag.COSMIC_RAY) != 0
    assert 1 <= told.sum() <= 9
    changed = np.nan_to_num(np.abs(image.flux - clean.flux)) > 1e-3 * clean.flux.max()
    assert not (changed & (image.flags == 0)).any()
    assert np.nanmax(image.flux) < 1.5 * np.nanmax(clean.flux)
    hit[bad] = np.nan
    image = rectify(curved, replace(values, data=hit), **GRID)
    assert ((image.flags & PixelFlag.BAD) != 0).sum() >= 1
    assert np.isfinite(image.flux).sum() >= np.isfinite(clean.flux).sum() - 1


def test_nothing_but_bad_pixels(curved):
    n = len(curved.index)
    image = rectify(curved, Values(np.full(n, np.nan), np.ones(n), np.zeros(n, dtype="u2")), **GRID)
    assert np.isnan(image.flux).all()
    assert (image.flags & PixelFlag.NOTHING_LEFT).all()


def test_an_order_one_pixel_thin_is_refused(curved):
    row = curved.index // N == 20
    arrays = ("index", "wavelength", "slit", "bin", "area")
    thin = replace(curved, **{a: getattr(curved, a)[row] for a in arrays})
    with pytest.raises(DataError, match="neighbours"):
        rectify(thin, perfect(np.ones(row.sum())), **GRID)


def test_a_slit_offset_moves_the_image(curved):
    values = perfect(star(curved))
    here = rectify(curved, values, **GRID)
    there = rectify(curved, values, **GRID, slit_offset=8 * 0.25)
    assert there.grid.slit_first == here.grid.slit_first + 8
    assert np.allclose(here.flux, there.flux, rtol=1e-5, equal_nan=True)


def test_correlation_coefficients_are_those_of_the_noise(curved):
    rng = np.random.default_rng(8)
    flags, one = np.zeros(len(curved.index), dtype="u2"), np.ones(len(curved.index))
    images = [
        rectify(curved, Values(rng.normal(0.0, 1.0, len(one)), one, flags), **GRID)
        for _ in range(30)
    ]
    flux = np.array([image.flux for image in images])[:, 6:40, 60:400].astype("f8")
    error = images[0].error[6:40, 60:400].astype("f8")
    table = images[0].correlation[3:-3].mean(axis=0)
    middle = table.shape[1] // 2
    for k, lag in ((0, 1), (1, 0), (1, 1), (1, -1), (2, 0)):
        here = np.s_[..., max(0, -lag) : 34 - max(0, lag), : 340 - k]
        there = np.s_[..., max(0, lag) : 34 - max(0, -lag), k:]
        # sums are to be right: noisy bins count as much as their noise
        seen = np.mean(flux[here] * flux[there]) / np.mean(error[here] * error[there])
        assert seen == pytest.approx(table[k, middle + lag], abs=0.015)
    # lines are tilted: the two diagonals differ
    assert abs(table[1, middle + 1] - table[1, middle - 1]) > 0.02
