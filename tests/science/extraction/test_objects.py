"""Objects on the slit of made-up orders."""

import numpy as np
import pytest

from soxspipe.science.extraction import objects
from soxspipe.science.extraction.objects import Found
from tests.science.extraction.one_order import READ_NOISE, gaussian_share, order_pixels

SLIT = (-5.5, 5.5)
SKY = 60.0
CHUNKS = 8
ORDERS = {n: order_pixels(number=n, low=600.0 + 45 * n) for n in (1, 2, 3, 4)}


def seen(rng, stars, *, fwhm=1.0, hits=0):
    """Collapsed orders with `stars`: pairs of electrons per bin and slit position (a function)."""
    cells = {}
    for number, pixels in ORDERS.items():
        light = np.zeros(len(pixels.bin))
        for flux, position in stars:
            light += flux * gaussian_share(pixels, position(pixels.wavelength), fwhm)
        variance = SKY + light + READ_NOISE**2
        data = rng.normal(light, np.sqrt(variance))
        data[rng.choice(len(data), hits, replace=False)] += 1e4
        cells[number] = objects.collapse(
            pixels, data, variance, np.ones(len(data), bool), slit_range=SLIT, chunks=CHUNKS
        )
    return cells


def at(position):
    return lambda wavelength: np.full(len(wavelength), position)


def found(cells, significance=5.0):
    return objects.find(*objects.collapse_all(cells), significance=significance, fwhm=1.0)


def test_medians_along_the_slit_and_their_errors_are_right():
    rng = np.random.default_rng(1)
    values = np.concatenate(
        [
            (c.value / c.error)[np.isfinite(c.error)]
            for _ in range(5)
            for c in seen(rng, []).values()
        ]
    )
    assert values.size > 5000
    assert abs(values.mean()) < 4 / np.sqrt(values.size)
    assert values.std() == pytest.approx(1, abs=0.05)


def test_collapsing_puts_light_where_it_is():
    cells = seen(np.random.default_rng(2), [(4000, at(1.3))])
    slit, profile, error = objects.collapse_all(cells)
    assert slit[np.argmax(profile)] == pytest.approx(1.3, abs=0.15)
    assert np.isfinite(error).all()
    assert slit[0] == pytest.approx(SLIT[0] + 0.1)
    assert slit[-1] == pytest.approx(SLIT[1] - 0.1)


def test_cosmic_rays_are_not_seen():
    cells = seen(np.random.default_rng(3), [], hits=300)
    assert found(cells) == []
    assert max(np.abs(c.value[np.isfinite(c.error)]).max() for c in cells.values()) < 40


@pytest.mark.parametrize("seed", range(5))
def test_a_star_fainter_than_the_noise_of_its_pixels_is_found(seed):
    # 30 electrons per bin: 8 in the brightest pixel, whose noise is 9
    stars = found(seen(np.random.default_rng(seed), [(30, at(-1.7))]))
    assert len(stars) == 1
    assert stars[0].position == pytest.approx(-1.7, abs=0.15)
    assert stars[0].fwhm == pytest.approx(1.0, abs=0.45)
    assert stars[0].significance > 5


def test_an_empty_slit_holds_nothing():
    alarms = [found(seen(np.random.default_rng(seed), []), 3.5) for seed in range(30)]
    # 55 cells hold some 20 independent places: 0.005 alarms of 3.5 sigma in each exposure
    assert sum(map(len, alarms)) <= 1


def test_two_stars_the_brighter_first():
    stars = found(seen(np.random.default_rng(4), [(150, at(-2.5)), (600, at(2.0))]))
    assert [round(s.position, 0) for s in stars] == [2.0, -2.0] or len(stars) == 2
    assert stars[0].position == pytest.approx(2.0, abs=0.05)
    assert stars[1].position == pytest.approx(-2.5, abs=0.1)
    assert stars[0].significance > stars[1].significance


def test_a_slit_that_is_all_flagged_holds_nothing():
    pixels = ORDERS[1]
    zero = np.zeros(len(pixels.bin))
    cells = objects.collapse(pixels, zero, zero + 1, zero > 0, slit_range=SLIT, chunks=CHUNKS)
    assert np.isinf(cells.error).all()
    assert found({1: cells}) == []


def drift(wavelength):
    t = (wavelength - 740) / 100
    return 0.6 + 0.5 * t - 0.3 * t**2


@pytest.mark.parametrize(("flux", "tolerance"), [(20000, 0.01), (1000, 0.03), (150, 0.12)])
def test_the_trace_follows_a_drift(flux, tolerance):
    cells = seen(np.random.default_rng(5), [(flux, drift)])
    star = found(cells)[0]
    trace = objects.trace(cells, star, degree=4, clip_sigma=4, clip_rounds=5)
    wavelength = np.linspace(650, 820, 300)
    error = trace.at(wavelength) - drift(wavelength)
    assert np.sqrt(np.mean(error**2)) < tolerance
    for part in trace.samples.values():
        assert all(len(column) == len(part[0]) for column in part)
    samples = np.concatenate([s[0] for s in trace.samples.values()])
    assert samples.size > 0.8 * CHUNKS * len(ORDERS)


def test_a_trace_that_nothing_shows_stays_where_the_object_was_found():
    cells = seen(np.random.default_rng(6), [])
    trace = objects.trace(cells, Found(1.2, 1.0, 5.0), degree=4, clip_sigma=4, clip_rounds=5)
    assert np.array_equal(trace.at(np.array([500.0, 700.0, 900.0])), np.full(3, 1.2))


def test_a_trace_is_held_beyond_its_ends():
    cells = seen(np.random.default_rng(7), [(5000, drift)])
    trace = objects.trace(cells, found(cells)[0], degree=3, clip_sigma=4, clip_rounds=5)
    low, high = trace.domain
    assert trace.at(np.array([low - 100]))[0] == trace.at(np.array([low]))[0]
    assert trace.at(np.array([high + 100]))[0] == trace.at(np.array([high]))[0]


def test_a_chunk_that_is_off_does_not_bend_the_trace():
    cells = seen(np.random.default_rng(8), [(5000, at(0.4))])
    shifted = cells[2].value.copy()
    shifted[3] = np.roll(shifted[3], 5)  # one arcsec
    cells[2] = objects.Cells(shifted, cells[2].error, cells[2].wavelength, cells[2].slit)
    trace = objects.trace(cells, Found(0.4, 1.0, 99), degree=3, clip_sigma=4, clip_rounds=5)
    assert np.abs(trace.at(np.linspace(650, 820, 50)) - 0.4).max() < 0.03
