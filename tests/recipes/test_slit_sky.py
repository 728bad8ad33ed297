"""Which part of the slit counts as sky, and sky and object taken apart."""

from dataclasses import replace

import numpy as np
import pytest

from soxspipe.datamodel.frame import Frame, PixelFlag
from soxspipe.recipes import slit_models, slit_sky
from soxspipe.recipes.slit_frame import SlitFrame
from soxspipe.recipes.slit_orders import OrderState, listed, sky_image, slit_range
from soxspipe.recipes.slit_sky import SkySettings
from soxspipe.recipes.slit_sources import Search, Source, Sources, look
from soxspipe.science.detector.noise import NoiseModel
from soxspipe.science.extraction import optimal
from soxspipe.science.extraction.objects import Found
from soxspipe.science.extraction.trace import Trace
from soxspipe.science.sky.sky_model import SkyOptions
from tests.science.extraction.one_order import gaussian_share, lines, order_pixels

SETTINGS = SkySettings(SkyOptions(illumination=0), edge_fraction=0.06, generous=True, subtract=True)
PIXELS = {n: order_pixels(number=n, low=600.0 + 45 * n) for n in (1, 2)}
SHAPE = (60, 400)
CELLS = np.arange(-6.1, 6.2, 0.2)


def state(pixels):
    zero = np.zeros(len(pixels.bin))
    return OrderState(pixels, zero, zero + 1, zero.astype("u2"), zero, zero, zero + 1, zero)


ORDERS = {n: state(p) for n, p in PIXELS.items()}


def target(*stars, noise=1.0, slope=0.0):
    """What was found: stars of (position, FWHM, height of the collapsed profile)."""
    found = tuple(Found(position, fwhm, 50.0) for position, fwhm, _ in stars)
    profile = sum(
        (h / (1 + (2 * (CELLS - p) / w) ** 2) ** 2 for p, w, h in stars), np.zeros(len(CELLS))
    )
    each = [
        Source(number, one, Trace((600.0, 730.0), np.array([one.position, slope]), {}))
        for number, one in enumerate(found, start=1)
    ]
    nothing = Source(1, None, Trace((600.0, 730.0), np.array([0.0]), {}))
    return Sources(tuple(each) or (nothing,), CELLS, profile, np.full(len(CELLS), noise))


def share_of_sky(rows):
    """Share of the usable slit that is left as sky, per order."""
    low, high = slit_range(ORDERS)
    margin = SETTINGS.edge_fraction * (high - low)
    for number, kept in rows.items():
        slit = PIXELS[number].slit
        inside = (slit > low + margin) & (slit < high - margin)
        assert not kept[~inside].any()
        yield kept[inside].mean()


def test_pixels_that_see_beyond_the_slit_are_never_sky():
    rows = slit_sky.sky_rows(ORDERS, target(), replace(SETTINGS, edge_fraction=0.0), ())
    low, high = slit_range(ORDERS)
    for number, kept in rows.items():
        pixels = PIXELS[number]
        slit, pixel = pixels.slit[kept], np.median(pixels.area)
        assert slit.min() > low + 2 * pixel
        assert slit.max() < high - 2 * pixel
        assert slit.min() < low + 4 * pixel
        assert slit.max() > high - 4 * pixel


def test_an_empty_slit_is_all_sky_but_its_ends():
    rows = slit_sky.sky_rows(ORDERS, target(), SETTINGS, ())
    assert list(share_of_sky(rows)) == [1.0, 1.0]


@pytest.mark.parametrize("height", [3.0, 1e3, 1e7])
@pytest.mark.parametrize("fwhm", [0.6, 1.5, 4.0])
def test_a_quarter_of_the_slit_stays_whatever_the_star(height, fwhm):
    seen = target((0.5, fwhm, height))
    rows = slit_sky.sky_rows(ORDERS, seen, SETTINGS, seen.each)
    assert all(share > 0.22 for share in share_of_sky(rows))


def test_a_quarter_of_the_slit_stays_between_several_stars():
    seen = target((-3.0, 1.0, 1e6), (0.5, 1.0, 1e6), (3.5, 1.0, 1e6))
    rows = slit_sky.sky_rows(ORDERS, seen, SETTINGS, seen.each)
    assert all(share > 0.22 for share in share_of_sky(rows))


def test_a_star_is_left_out_as_far_as_it_shows():
    masked = {}
    for height in (3.0, 300.0):
        seen = target((0.5, 1.0, height))
        rows = slit_sky.sky_rows(ORDERS, seen, SETTINGS, seen.each)[1]
        near = np.abs(PIXELS[1].slit - 0.5)
        assert not rows[near < 1.5].any()
        masked[height] = near[~rows & (near < 4)].max()
    assert masked[300.0] > masked[3.0] + 0.5


def test_the_mask_follows_the_trace():
    seen = target((0.0, 1.0, 3.0), slope=0.8)
    rows = slit_sky.sky_rows(ORDERS, seen, SETTINGS, seen.each)
    for number, pixels in PIXELS.items():
        distance = np.abs(pixels.slit - seen.target.trace.at(pixels.wavelength))
        assert not rows[number][distance < 1.4].any()
        assert rows[number][(distance > 2.5) & (np.abs(pixels.slit) < 5)].all()


# ------------------------------------------------------------------- a made-up frame, start to end

STAR, WIDTH = 0.8, 1.0
SKY = 50.0


def frame(seed, flux):
    """A frame with two orders one above the other, each with sky, lines and a star."""
    rng = np.random.default_rng(seed)
    shape = (2 * SHAPE[0], SHAPE[1])
    sky, star = np.zeros(shape), np.zeros(shape)
    pixels = {}
    for number, own in PIXELS.items():
        index = own.index + (number - 1) * SHAPE[0] * SHAPE[1]
        pixels[number] = type(own)(**{**vars(own), "index": index})
        sky.ravel()[index] = SKY + lines(own.bin, [120.0, 250.0], [900.0, 4000.0])
        star.ravel()[index] = flux * gaussian_share(own, STAR, WIDTH)
    base = np.full(shape, 16.0)
    one = np.ones(shape, dtype="f4")
    data = rng.normal(sky + star, np.sqrt(sky + star + base))
    flags = np.zeros(shape, dtype="u2")
    flags[10, 100] = PixelFlag.BAD
    data[10, 100] = 1e6
    ready = SlitFrame(
        Frame(data, sky + star + base, flags), NoiseModel(base, one, 0 * one), 0 * one
    )
    return ready, listed(ready, pixels), sky


FIND = Search(significance=5.0, fwhm=1.0, degree=2, clip_sigma=4.0, clip_rounds=5, edge=0.05)


@pytest.mark.parametrize("flux", [0.0, 300.0, 20000.0])
def test_sky_is_taken_off_and_the_star_left(flux):
    ready, orders, sky = frame(1, flux)
    assert not orders[1].good.all()  # the bad pixel
    found = look(orders, FIND)
    assert found.is_found == (flux > 0)
    orders = slit_sky.subtract_sky(ready, orders, found, SETTINGS)
    again = look(orders, FIND)
    assert len(again.each) == 1
    assert again.is_found == (flux > 0)
    if flux:
        assert again.target.found.position == pytest.approx(STAR, abs=0.05)
        assert again.target.found.fwhm == pytest.approx(WIDTH, abs=0.15)
    image = sky_image(orders, ready.frame.shape)
    for order in orders.values():
        error = (order.sky - sky.ravel()[order.pixels.index]) / np.sqrt(order.variance)
        assert abs(error.mean()) < 0.05
        assert np.sqrt(np.mean(error**2)) < 0.35
        assert np.array_equal(image.ravel()[order.pixels.index], order.sky.astype("f4"))
        assert 0 < (order.sky_variance / order.variance).mean() < 0.2
        assert (order.reach > 0).all()


def test_sky_is_better_known_once_the_star_is():
    ready, orders, sky = frame(2, 1000.0)
    found = look(orders, FIND)
    first = slit_sky.subtract_sky(ready, orders, found, SETTINGS)
    light = {n: 1000.0 * gaussian_share(o.pixels, STAR, WIDTH) for n, o in orders.items()}
    known = replace(found, each=(replace(found.target, light=light),))
    second = slit_sky.subtract_sky(ready, first, known, SETTINGS)
    for n in orders:
        truth = sky.ravel()[orders[n].pixels.index]
        assert np.std(second[n].sky - truth) < np.std(first[n].sky - truth)
        assert second[n].sky_variance.mean() < first[n].sky_variance.mean()


def test_the_sky_swallows_nothing_of_an_object_too_faint_to_be_found():
    """Else upper limits were too low where they are asked for."""
    blind = replace(FIND, significance=1e3, expected=STAR)
    swallowed, pulls = [], []
    for seed in range(4):
        ready, orders, sky = frame(seed, 20.0)
        for _ in range(2):
            sources = look(orders, blind)
            assert not sources.is_found
            sources = slit_models.model_sources(orders, sources, slit_models.ProfileOptions())
            orders = slit_sky.subtract_sky(ready, orders, sources, SETTINGS)
        for n, o in orders.items():
            share = sources.target.share[n]
            free = o.data - sky.ravel()[o.pixels.index]
            measured, known = (
                optimal.horne(o.pixels, light, o.variance, o.good, share)
                for light in (o.light, free)
            )
            count = np.bincount(o.pixels.nearest)
            own = np.bincount(o.pixels.nearest, o.sky_variance) / count
            error = np.sqrt(measured.variance + measured.rows**2 * own)
            lost = (known.flux - measured.flux)[10:-10]
            swallowed.append(lost / 20.0)
            # the star is a Gaussian: what a Moffat finds of it is not at stake
            pulls.append(((measured.flux - np.mean(known.flux)) / error)[10:-10])
    assert abs(np.mean(swallowed)) < 0.03
    assert np.mean(np.square(pulls)) == pytest.approx(1.0, abs=0.06)


def test_an_order_without_usable_pixels_is_given_up_and_the_others_are_not():
    ready, orders, sky = frame(5, 300.0)
    flags = np.array(ready.frame.flags)
    flags.ravel()[orders[2].pixels.index[:-50]] = int(PixelFlag.BAD)
    data = np.where(flags > 0, np.float32(-1e4), ready.frame.data)
    ready = replace(ready, frame=replace(ready.frame, data=data, flags=flags))
    orders = listed(ready, {n: o.pixels for n, o in orders.items()})
    assert not orders[2].good.any()
    assert orders[1].good.mean() > 0.99
    sources = look(orders, FIND)
    orders = slit_sky.subtract_sky(ready, orders, sources, SETTINGS)
    sources = slit_models.model_sources(orders, look(orders, FIND), slit_models.ProfileOptions())
    assert sources.target.found.position == pytest.approx(STAR, abs=0.05)
    orders = slit_sky.subtract_sky(ready, orders, sources, SETTINGS)
    one, two = orders[1], orders[2]
    assert (two.sky == 0).all()
    sums = optimal.horne(two.pixels, two.light, two.variance, two.good, sources.target.share[2])
    assert np.isnan(sums.flux).all()
    error = (one.sky - sky.ravel()[one.pixels.index]) / np.sqrt(one.variance)
    assert np.sqrt(np.mean(error**2)) < 0.35


def test_a_star_that_took_up_an_error_of_the_sky_does_not_hold_it_there():
    ready, orders, sky = frame(4, 1000.0)
    found = look(orders, FIND)
    skies = []
    for share in (0.0, 0.05):
        light = {}
        for n, order in orders.items():
            near = np.abs(order.pixels.slit - STAR) < 1.0
            light[n] = 1000.0 * gaussian_share(order.pixels, STAR, WIDTH)
            light[n] += share * near * sky.ravel()[order.pixels.index]
        known = replace(found, each=(replace(found.target, light=light),))
        skies.append(slit_sky.subtract_sky(ready, orders, known, SETTINGS))
    for n, order in orders.items():
        change = (skies[1][n].sky - skies[0][n].sky) / np.sqrt(order.variance)
        assert np.abs(change).max() < 1e-3


def test_sky_stays_if_it_is_not_to_be_subtracted():
    ready, orders, _ = frame(3, 300.0)
    off = SkySettings(SETTINGS.options, SETTINGS.edge_fraction, generous=True, subtract=False)
    found = look(orders, FIND)
    kept = slit_sky.subtract_sky(ready, orders, found, off)
    assert all((o.sky == 0).all() for o in kept.values())
