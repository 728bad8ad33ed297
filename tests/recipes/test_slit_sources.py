"""What stands on the slit of made-up orders: found, told apart and modelled."""

import numpy as np
import pytest

from soxspipe.recipes import slit_models, slit_sources, slit_steps
from soxspipe.recipes.slit_orders import OrderState
from soxspipe.recipes.slit_sources import Search
from soxspipe.recipes.slit_view import View
from soxspipe.science.extraction import optimal, profile
from tests.science.extraction.one_order import READ_NOISE, gaussian_share, lines, order_pixels

PIXELS = {n: order_pixels(500, number=n, low=600.0 + 55 * n) for n in (1, 2, 3)}
SKY = 40.0
SEARCH = Search(significance=5.0, fwhm=1.0, degree=3, clip_sigma=4.0, clip_rounds=5, edge=0.05)


def star(place, fwhm=1.0, beta=3.0):
    """Share of a Moffat star at slit `place` in each pixel."""

    def share(pixels):
        return profile.moffat(pixels.slit - place, fwhm, beta) * pixels.area

    return share


def galaxy(place, fwhm):
    return lambda pixels: gaussian_share(pixels, place, fwhm)


def observed(rng, objects, *, sky=SKY, absorbed=0.0):
    """Orders without their sky. objects: electrons per bin (a number or a function of the bin), share.

    absorbed : part of the light per arcsec of the first object that the sky took.
    """
    orders = {}
    for n, pixels in PIXELS.items():
        light, positive = np.zeros(len(pixels.bin)), np.zeros(len(pixels.bin))
        for flux, share in objects:
            one = (flux(pixels.bin) if callable(flux) else flux) * share(pixels)
            light, positive = light + one, positive + np.abs(one)
        variance = positive + sky + READ_NOISE**2
        data = rng.normal(light + sky, np.sqrt(variance))
        took = absorbed * float(objects[0][0]) * pixels.area if absorbed else 0.0
        zero = np.zeros(len(data))
        model = np.full(len(data), sky) + took
        flags = np.zeros(len(data), dtype="u2")
        orders[n] = OrderState(pixels, data, variance, flags, model, zero, zero + 1, zero)
    return orders


def fluxes(orders, sources, source):
    """Optimal flux of a source per bin, all orders, the others taken off."""
    parts = []
    for n, o in orders.items():
        rest = source.sign * (o.light - np.asarray(sources.light(n, but=source)))
        sums = optimal.horne(o.pixels, rest, o.variance, o.good, source.share[n])
        parts.append(sums.flux[20:-20])
    return np.concatenate(parts)


def modelled(orders, search=SEARCH):
    return slit_models.model_sources(
        orders, slit_sources.look(orders, search), slit_models.ProfileOptions()
    )


def places(sources):
    return [
        (s.number, s.sign, round(float(s.trace.at(np.array([700.0]))[0]), 1)) for s in sources.each
    ]


@pytest.mark.parametrize("flux", [30, 3000, 300000])
def test_the_flux_of_a_star_is_right(flux):
    orders = observed(np.random.default_rng(1), [(flux, star(-0.7))])
    sources = modelled(orders)
    found = fluxes(orders, sources, sources.target)
    error = found.std() / np.sqrt(len(found))
    assert len(sources.each) == 1
    # the profile is known as well as all the light tells: that error is common to all bins
    assert found.mean() == pytest.approx(flux * 0.9997, abs=4 * error + 0.002 * flux)


def test_the_flux_of_a_faint_star_has_no_bias():
    """Signal to noise 2 per bin, over many frames: below one per cent."""
    ratio = []
    for seed in range(12):
        orders = observed(np.random.default_rng(seed), [(40.0, star(0.4))])
        sources = modelled(orders)
        target = sources.target
        assert abs(float(target.trace.at(np.array([700.0]))[0]) - 0.4) < 0.08
        light = np.concatenate([target.light[n] for n in orders]).sum()
        true = 40.0 * sum(star(0.4)(p).sum() for p in PIXELS.values())
        ratio.append((fluxes(orders, sources, target).mean() / 40.0, light / true))
    mean = np.mean(ratio, axis=0)
    error = np.std(ratio, axis=0) / np.sqrt(len(ratio))
    assert np.all(np.abs(mean - 1) < 0.01 + 2 * error)
    assert np.all(error < 0.01)


def test_a_companion_is_told_apart_and_takes_no_light():
    orders = observed(np.random.default_rng(2), [(10000, star(-1.5)), (2000, star(2.0))])
    sources = modelled(orders)
    assert places(sources) == [(1, 1.0, -1.5), (2, 1.0, 2.0)]
    for source, flux in zip(sources.each, (10000, 2000), strict=True):
        assert fluxes(orders, sources, source).mean() == pytest.approx(flux, rel=0.005)


def test_lines_of_the_brighter_do_not_show_in_the_spectrum_of_the_fainter():
    def lit(position):
        return 5000.0 + lines(position, [100.0, 250.0, 400.0], [50000.0])

    orders = observed(np.random.default_rng(3), [(lit, star(-1.5)), (1000, star(2.0))])
    sources = modelled(orders)
    second = fluxes(orders, sources, sources.each[1]).reshape(3, -1)
    at_lines = second[:, [80, 230, 380]]
    assert at_lines.mean() - np.median(second) < 0.005 * 55000


def test_an_extended_source_gets_its_wings_back_from_the_sky():
    orders = observed(np.random.default_rng(4), [(4000.0, galaxy(0.2, 4.0))], absorbed=0.015)
    sources = modelled(orders)
    (target,) = sources.each
    light = np.concatenate([target.light[n] for n in orders]).sum()
    true = 4000.0 * sum(galaxy(0.2, 4.0)(p).sum() for p in PIXELS.values())
    assert target.fwhm == pytest.approx(4.0, rel=0.05)
    assert light / true == pytest.approx(1, abs=0.01)
    assert target.aperture == pytest.approx(10.0, rel=0.1)


def test_lines_without_a_continuum_are_a_target():
    def lit(position):
        return lines(position, [60.0, 210.0, 333.0], [500.0])

    orders = observed(np.random.default_rng(5), [(lit, star(1.1))])
    sources = modelled(orders)
    assert places(sources) == [(1, 1.0, 1.1)]
    target = sources.target
    assert target.found.lines
    light = np.concatenate([target.light[n] for n in orders]).sum()
    true = sum((lit(p.bin) * star(1.1)(p)).sum() for p in PIXELS.values())
    assert light / true == pytest.approx(1, abs=0.15)


def test_the_target_is_the_brightest_or_where_it_is_expected():
    orders = observed(np.random.default_rng(6), [(900, star(-3.0)), (3000, star(2.5))])

    def target(expected):
        how = Search(**{**SEARCH.__dict__, "expected": expected})
        return slit_sources.look(orders, how).target.found.position

    assert target(None) == pytest.approx(2.5, abs=0.1)
    assert target(-2.0) == pytest.approx(-3.0, abs=0.1)
    assert target(-0.5) == pytest.approx(2.5, abs=0.1)  # nothing within 2 arcsec


def test_nothing_is_found_in_an_empty_slit_and_upper_limits_are_those_of_the_seeing():
    orders = observed(np.random.default_rng(7), [(0.0, star(0.0))])
    how = Search(**{**SEARCH.__dict__, "expected": 1.0})
    sources = modelled(orders, how)
    target = sources.target
    assert target.found is None
    assert not sources.is_found
    assert all((np.asarray(sources.light(n)) == 0).all() for n in orders)
    found = fluxes(orders, sources, target)
    assert abs(found.mean()) < 4 * found.std() / np.sqrt(len(found))
    for n, pixels in PIXELS.items():
        true = profile.moffat(pixels.slit - 1.0, 1.0, 2.8) * pixels.area
        assert np.abs(target.share[n] - true).max() < 0.03 * true.max()


def test_false_alarms_are_rare():
    alarms = sum(
        slit_sources.look(
            observed(np.random.default_rng(seed), [(0.0, star(0.0))]), SEARCH
        ).is_found
        for seed in range(40)
    )
    assert alarms == 0


def test_given_places_are_not_searched_for():
    orders = observed(np.random.default_rng(8), [(3000, star(-2.0))])
    how = Search(**{**SEARCH.__dict__, "given": (-2.0, 3.0), "apertures": (2.5,)})
    sources = modelled(orders, how)
    assert places(sources) == [(1, 1.0, -2.0), (2, 1.0, 3.0)]
    assert [s.aperture for s in sources.each] == [2.5, 2.5]  # one for all
    assert fluxes(orders, sources, sources.each[0]).mean() == pytest.approx(3000, rel=0.01)
    nothing = fluxes(orders, sources, sources.each[1])
    assert abs(nothing.mean()) < 5 * nothing.std() / np.sqrt(len(nothing)) + 3


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("flux", [60.0, 5000.0])
def test_both_images_of_a_difference_frame(flux, sign):
    """The sign of the twin does not matter: the frame tells."""
    orders = observed(np.random.default_rng(9), [(flux, star(-2.1)), (-flux, star(2.0))], sky=0.0)
    how = Search(**{**SEARCH.__dict__, "twin": 4.0 * sign})
    sources = modelled(orders, how)
    positive, negative = sources.each
    assert [(s.number, s.sign) for s in sources.each] == [(1, 1.0), (1, -1.0)]
    tolerance = 0.15 if flux < 100 else 0.02
    at = np.array([700.0])
    assert positive.trace.at(at)[0] == pytest.approx(-2.1, abs=tolerance)
    assert negative.trace.at(at)[0] == pytest.approx(2.0, abs=tolerance)
    for source in sources.each:
        found = fluxes(orders, sources, source)
        assert found.mean() == pytest.approx(flux, abs=4 * found.std() / 37 + 0.008 * flux)


def test_the_target_and_its_twin_come_before_others():
    orders = observed(
        np.random.default_rng(10),
        [
            (5000, star(-2.5)),
            (-5000, star(2.5)),
            (1000, star(0.0)),
            (-1000, star(5.0)),
        ],
        sky=0.0,
    )
    sources = modelled(orders, Search(**{**SEARCH.__dict__, "twin": 5.0}))
    assert [(s.number, s.sign) for s in sources.each] == [(1, 1), (1, -1), (2, 1), (2, -1)]
    found = [float(s.trace.at(np.array([700.0]))[0]) for s in sources.each]
    assert found == pytest.approx([-2.5, 2.5, 0.0, 5.0], abs=0.1)
    for source, flux in zip(sources.each, (5000, 5000, 1000, 1000), strict=True):
        assert fluxes(orders, sources, source).mean() == pytest.approx(flux, rel=0.03)


@pytest.mark.parametrize(("place", "at_end"), [(5.3, True), (-5.3, True), (3.0, False)])
def test_a_star_at_the_end_of_the_slit_is_told(place, at_end, caplog):
    orders = observed(np.random.default_rng(12), [(20000, star(place))])
    sources = modelled(orders)
    view = View("", None, orders, sources, {})
    slit_steps.tell(view)
    assert ("at the end of the slit" in caplog.text) == at_end
    assert slit_steps.cards(view, sources.target)["ESO PRO OBJ ATEND"][0] == at_end


def test_a_star_at_the_end_of_the_slit_is_extracted_as_far_as_it_is_seen():
    share = star(5.9)
    orders = observed(np.random.default_rng(11), [(20000, share)])
    sources = modelled(orders)
    (target,) = sources.each
    light = np.concatenate([target.light[n] for n in orders]).sum()
    true = 20000 * sum(share(p).sum() for p in PIXELS.values())
    assert light / true == pytest.approx(1, abs=0.02)
