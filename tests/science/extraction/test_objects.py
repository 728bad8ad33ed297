"""Objects on the slit of made-up orders."""

import numpy as np
import pytest

from soxspipe.science.extraction import collapse, line_objects, objects, profile
from soxspipe.science.extraction import trace as traces
from soxspipe.science.extraction.objects import Found
from tests.science.extraction.one_order import (
    READ_NOISE,
    SCALE,
    gaussian_share,
    lines,
    order_pixels,
)

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
        cells[number] = collapse.collapse(
            pixels, data, variance, np.ones(len(data), bool), slit_range=SLIT, chunks=CHUNKS
        )
    return cells


def at(position):
    return lambda wavelength: np.full(len(wavelength), position)


def found(cells, significance=5.0):
    return objects.find(*collapse.collapse_all(cells), significance=significance, fwhm=1.0)


def test_means_along_the_slit_and_their_errors_are_right():
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
    slit, profile, error = collapse.collapse_all(cells)
    assert slit[np.argmax(profile)] == pytest.approx(1.3, abs=0.15)
    assert np.isfinite(error).all()
    assert slit[0] == pytest.approx(SLIT[0] + 0.1, abs=0.01)
    assert slit[-1] == pytest.approx(SLIT[1] - 0.1, abs=0.01)


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
    cells = collapse.collapse(pixels, zero, zero + 1, zero > 0, slit_range=SLIT, chunks=CHUNKS)
    assert np.isinf(cells.error).all()
    assert found({1: cells}) == []


def drift(wavelength):
    t = (wavelength - 740) / 100
    return 0.6 + 0.5 * t - 0.3 * t**2


@pytest.mark.parametrize(("flux", "tolerance"), [(20000, 0.01), (1000, 0.03), (150, 0.12)])
def test_the_trace_follows_a_drift(flux, tolerance):
    cells = seen(np.random.default_rng(5), [(flux, drift)])
    star = found(cells)[0]
    trace = traces.trace(cells, star, degree=4, clip_sigma=4, clip_rounds=5)
    wavelength = np.linspace(650, 820, 300)
    error = trace.at(wavelength) - drift(wavelength)
    assert np.sqrt(np.mean(error**2)) < tolerance
    for part in trace.samples.values():
        assert all(len(column) == len(part[0]) for column in part)
    samples = np.concatenate([s[0] for s in trace.samples.values()])
    assert samples.size > 0.8 * CHUNKS * len(ORDERS)


def test_a_trace_that_nothing_shows_stays_where_the_object_was_found():
    cells = seen(np.random.default_rng(6), [])
    trace = traces.trace(cells, Found(1.2, 1.0, 5.0), degree=4, clip_sigma=4, clip_rounds=5)
    # noise alone: the priors hold it within what noise can do
    assert np.abs(trace.at(np.array([650.0, 700.0, 800.0])) - 1.2).max() < 1.0
    straight = traces.straight(1.2)
    assert np.array_equal(straight.at(np.array([500.0, 700.0, 900.0])), np.full(3, 1.2))


def test_a_trace_is_held_beyond_its_ends():
    cells = seen(np.random.default_rng(7), [(5000, drift)])
    trace = traces.trace(cells, found(cells)[0], degree=3, clip_sigma=4, clip_rounds=5)
    low, high = trace.domain
    assert trace.at(np.array([low - 100]))[0] == trace.at(np.array([low]))[0]
    assert trace.at(np.array([high + 100]))[0] == trace.at(np.array([high]))[0]


def test_a_chunk_that_is_off_does_not_bend_the_trace():
    cells = seen(np.random.default_rng(8), [(5000, at(0.4))])
    shifted = cells[2].value.copy()
    shifted[3] = np.roll(shifted[3], 5)  # one arcsec
    cells[2] = collapse.Cells(shifted, cells[2].error, cells[2].wavelength, cells[2].slit)
    trace = traces.trace(cells, Found(0.4, 1.0, 99), degree=3, clip_sigma=4, clip_rounds=5)
    assert np.abs(trace.at(np.linspace(650, 820, 50)) - 0.4).max() < 0.03


def smooth(rng, shape, flux):
    """Collapsed orders with the light of any `shape` of slit position, per arcsec."""
    cells = {}
    for number, pixels in ORDERS.items():
        light = flux * SCALE * shape(pixels.slit)
        variance = SKY + light + READ_NOISE**2
        data = rng.normal(light, np.sqrt(variance))
        cells[number] = collapse.collapse(
            pixels, data, variance, np.ones(len(data), bool), slit_range=SLIT, chunks=CHUNKS
        )
    return cells


def everywhere(cells):
    return objects.find_all(cells, significance=5.0, fwhm=1.0)


def test_the_mean_knows_more_than_a_median():
    pixels = ORDERS[1]
    rng = np.random.default_rng(10)
    variance = np.full(len(pixels.bin), SKY)
    data = rng.normal(0.0, np.sqrt(variance))
    cells = collapse.collapse(
        pixels, data, variance, np.ones(len(data), bool), slit_range=SLIT, chunks=CHUNKS
    )
    inside = (pixels.slit > SLIT[0]) & (pixels.slit < SLIT[1])
    count = inside.sum() / cells.value.size
    assert np.median(cells.error) == pytest.approx(np.sqrt(SKY / count), rel=0.08)
    assert (cells.value / cells.error).std() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("number", [1, 4])
def test_a_star_that_one_order_shows_is_found(number):
    missed = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        cells = seen(rng, [])
        cells[number] = seen(rng, [(25, at(1.2))])[number]
        stars = everywhere(cells)
        missed += not (len(stars) == 1 and abs(stars[0].position - 1.2) < 0.3)
    assert missed == 0


def test_a_faint_companion_is_found_and_wings_are_not():
    def pair(slit):
        return profile.moffat(slit + 1.5, 1.0, 2.5) + 0.2 * profile.moffat(slit - 2.0, 1.0, 2.5)

    stars = everywhere(smooth(np.random.default_rng(11), pair, 30000))
    assert [s.position for s in stars] == pytest.approx([-1.5, 2.0], abs=0.05)


@pytest.mark.parametrize("flux", [300, 30000, 3e6])
def test_wings_of_a_lopsided_star_are_no_objects(flux):
    def lopsided(slit):
        wide = np.where(slit > 0.3, 1.5, 1.0)
        return profile.moffat((slit - 0.3) / wide, 1.0, 2.2)

    stars = everywhere(smooth(np.random.default_rng(12), lopsided, flux))
    assert len(stars) == 1
    assert stars[0].position == pytest.approx(0.3, abs=0.3)


@pytest.mark.parametrize("flux", [150, 10000])
@pytest.mark.parametrize("fwhm", [2.0, 4.0])
def test_an_extended_source_is_as_wide_as_it_is(fwhm, flux):
    stars = everywhere(seen(np.random.default_rng(13), [(flux, at(0.3))], fwhm=fwhm))
    assert len(stars) == 1
    assert stars[0].fwhm == pytest.approx(fwhm, rel=0.08)


@pytest.mark.parametrize("position", [-5.6, 5.3])
def test_a_star_at_the_end_of_the_slit_is_found(position):
    stars = everywhere(seen(np.random.default_rng(14), [(1000, at(position))]))
    assert len(stars) == 1
    assert stars[0].position == pytest.approx(position, abs=0.25)


def boxes_with(rng, height, *, hits=100):
    """Line boxes with two or one emission lines of an object at 1.2 arcsec in each order."""
    boxes = {}
    for number, pixels in ORDERS.items():
        places = [100.3, 230.7] if number in (1, 3) else [320.0]
        light = lines(pixels.bin, places, [height]) * gaussian_share(pixels, 1.2, 1.0)
        variance = np.full(len(light), SKY + READ_NOISE**2)
        data = rng.normal(light, np.sqrt(variance + light))
        data[rng.choice(len(data), hits, replace=False)] += 1e4
        boxes[number] = collapse.line_boxes(
            pixels, data, variance, np.ones(len(data), bool), slit_range=SLIT
        )
    return boxes


@pytest.mark.parametrize("seed", range(3))
def test_emission_lines_alone_show_an_object(seed):
    (one, cells), *more = line_objects.find_lines(
        boxes_with(np.random.default_rng(seed), 200), fwhm=1.0
    )
    assert one.lines
    assert not more
    assert one.position == pytest.approx(1.2, abs=0.15)
    assert sum(len(c.value) for c in cells.values()) >= 5


def test_cosmic_rays_are_no_lines():
    for seed in range(20):
        assert line_objects.find_lines(boxes_with(np.random.default_rng(seed), 0), fwhm=1.0) == []


def test_both_images_of_a_difference_count():
    gain = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        plus, minus = seen(rng, [(25, at(-2.0))]), seen(rng, [(25, at(2.0))])
        both = {
            n: collapse.Cells(
                c.value - minus[n].value, np.hypot(c.error, minus[n].error), c.wavelength, c.slit
            )
            for n, c in plus.items()
        }
        paired = everywhere({n: collapse.with_twin(c, 4.0) for n, c in both.items()})
        assert len(paired) == 1
        assert paired[0].position == pytest.approx(-2.0, abs=0.15)
        wrong = everywhere({n: collapse.with_twin(c, -4.0) for n, c in both.items()})
        assert max((f.significance for f in wrong), default=0.0) < paired[0].significance
        gain.append(paired[0].significance / everywhere(both)[0].significance)
    assert 1.2 < np.median(gain) < 1.8  # the root of two


@pytest.mark.parametrize(("flux", "tolerance"), [(30, 0.06), (150, 0.015), (5000, 0.005)])
def test_refraction_is_followed_by_what_is_too_faint_for_a_chunk(flux, tolerance):
    ends = (600.0, 830.0)

    def bent(wavelength):
        return 0.4 + 0.6 * traces.refraction(wavelength, ends)

    cells = seen(np.random.default_rng(16), [(flux, bent)])
    trace = traces.trace(cells, found(cells)[0], degree=4, clip_sigma=4, clip_rounds=5)
    wavelength = np.linspace(650, 820, 100)
    assert np.sqrt(np.mean((trace.at(wavelength) - bent(wavelength)) ** 2)) < tolerance


def test_an_order_of_a_bright_star_may_be_off_a_little():
    rng = np.random.default_rng(17)
    cells = seen(rng, [(20000, at(0.4))])
    cells[2] = seen(rng, [(20000, at(0.43))])[2]
    trace = traces.trace(cells, Found(0.4, 1.0, 99), degree=0, clip_sigma=8, clip_rounds=5)
    middle = np.array([np.median(ORDERS[2].grid)])
    assert trace.at(middle, 2)[0] == pytest.approx(0.43, abs=0.006)
    assert trace.at(middle, 1)[0] == pytest.approx(0.40, abs=0.015)


def test_a_negative_image_has_the_same_trace_at_its_own_place():
    cells = seen(np.random.default_rng(18), [(3000, drift)])
    first = traces.trace(cells, found(cells)[0], degree=3, clip_sigma=4, clip_rounds=5)
    beside = seen(np.random.default_rng(19), [(3000, lambda w: drift(w) - 3.1)])
    second = traces.moved(first, beside, found(cells)[0], -3.0)
    wavelength = np.linspace(650, 820, 50)
    assert np.abs(second.at(wavelength) - drift(wavelength) + 3.1).max() < 0.03
