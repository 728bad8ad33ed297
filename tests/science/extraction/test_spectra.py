"""Spectra of several objects in made-up orders."""

import numpy as np
import pytest

from soxspipe.science.extraction import spectra
from tests.science.extraction.one_order import gaussian_share, lines, order_pixels

PIXELS = order_pixels(400)
BACKGROUND = 76.0


def mixed(rng, fluxes, places, fwhm=1.2):
    """Data of objects of `fluxes` (m,) at slit `places`, and their shapes."""
    shapes = np.array([gaussian_share(PIXELS, place, fwhm) for place in places])
    light = sum(f[PIXELS.nearest] * s for f, s in zip(fluxes, shapes, strict=True))
    variance = light + BACKGROUND
    return rng.normal(light, np.sqrt(variance)), variance, shapes


def everything():
    return np.ones(len(PIXELS.bin), dtype=bool)


def test_neighbours_are_told_apart_and_errors_are_true():
    m = len(PIXELS.grid)
    true = [np.full(m, 5000.0), 1000.0 + 2.0 * np.arange(m)]
    data, variance, shapes = mixed(np.random.default_rng(1), true, (-0.5, 1.0))
    flux, error = spectra.joint(PIXELS, data, variance, everything(), shapes)
    for k in (0, 1):
        pull = ((flux[k] - true[k]) / error[k])[5:-5]
        assert abs(pull.mean()) < 4 / np.sqrt(m)
        assert pull.std() == pytest.approx(1, abs=0.15)
    assert flux[1].mean() / true[1].mean() == pytest.approx(1, abs=0.01)


def test_a_bin_without_pixels_is_not_known():
    data, variance, shapes = mixed(np.random.default_rng(2), [np.full(400, 100.0)], (0.0,))
    flux, error = spectra.joint(PIXELS, data, variance, PIXELS.nearest != 7, shapes)
    assert flux[0, 7] == 0
    assert np.isinf(error[0, 7])
    assert np.isfinite(error[0, 8])


def test_what_is_faint_is_smoothed_and_lines_are_not():
    position = np.arange(400.0)
    true = 30.0 + lines(position, [200.0], [4000.0])
    data, variance, shapes = mixed(np.random.default_rng(3), [true], (0.3,))
    flux = spectra.adaptive(PIXELS, data, variance, everything(), shapes)[0]
    away = np.abs(position - 200) > 60
    assert flux[away].std() < 15
    assert flux[away & (position > 60) & (position < 340)].mean() == pytest.approx(30, abs=6)
    assert flux[200] == pytest.approx(4030, rel=0.05)


def test_no_light_is_no_light_on_average():
    means = []
    for seed in range(10):
        data, variance, shapes = mixed(np.random.default_rng(seed), [np.zeros(400)], (0.3,))
        means.append(spectra.adaptive(PIXELS, data, variance, everything(), shapes)[0].mean())
    assert abs(np.mean(means)) < 4 * np.std(means) / np.sqrt(10)


def test_cosmic_rays_do_not_move_the_median_and_lines_do():
    true = 300.0 + lines(np.arange(400.0), [200.0], [3000.0])
    rng = np.random.default_rng(4)
    data, variance, shapes = mixed(rng, [true], (0.3,))
    near = rng.permutation(np.flatnonzero(shapes[0] > 0.05))
    one_of_each, first = np.unique(PIXELS.nearest[near], return_index=True)
    data[near[first[one_of_each % 6 == 1]]] += 5000
    flux = spectra.robust(PIXELS, data, variance, everything(), shapes[0])
    assert np.abs(flux / true - 1)[10:-10].max() < 0.6
    assert np.median(flux / true) == pytest.approx(1, abs=0.03)
    assert flux[200] == pytest.approx(true[200], rel=0.1)
