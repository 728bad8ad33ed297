"""Light is conserved, and lands where the optics say."""

import numpy as np
import pytest

from soxspipe.simulator import scene
from soxspipe.simulator.exposure import Night, _from_sky, illuminate
from soxspipe.simulator.light import binned_sum, scattered_light
from soxspipe.simulator.optics import Departure, Optics
from soxspipe.simulator.plan import night_plan
from soxspipe.simulator.render import add_light, blur, line_spread

# order, wavelength nm, slit arcsec, x, y px: evaluated by the keepers of the coefficients
DESIGN = {
    "VIS": [
        (1, 572.65, -4.0, 153.4732, 1133.4657),
        (1, 620.8, 0.0, 172.8407, 2340.9292),
        (4, 717.9, -4.0, 628.31, 1094.3929),
        (4, 814.4, 3.0, 660.3942, 3157.7891),
    ],
    "NIR": [
        (10, 1910.68, -4.0, 591.2019, 368.6989),
        (10, 1997.98, 3.0, 1608.8061, 460.7368),
        (13, 1511.08, 0.0, 1188.8829, 545.3065),
        (13, 1538.04, 3.0, 1606.9338, 605.2151),
    ],
}


@pytest.fixture(scope="module", params=["VIS", "NIR"])
def night(request):
    return Night.make(request.param, 11, (1, 1), "sn")


def plan_of(night, group, mode="stare"):
    plan = night_plan(night.arm.name, mode, night.star_positions)
    return next(e for e in plan if e.group == group)


def empty(night):
    return np.zeros((night.optics.pixels_across, night.optics.pixels_along))


def test_without_departure_the_optics_are_the_design(night):
    optics = Optics(night.arm, Departure.none(night.arm))
    for order, wavelength, slit, x, y in DESIGN[night.arm.name]:
        assert np.allclose(optics.position(order, wavelength, slit), (x, y), atol=1e-3)


def test_departures_stay_within_what_the_instrument_shows(night):
    for seed in range(20):
        gone = Departure.draw(night.arm, np.random.default_rng(seed))
        shifts = np.array([np.add(gone.shift, own) for own in gone.order_shift.values()])
        assert np.abs(shifts).max() <= 8.0
        assert abs(np.rad2deg(gone.rotation)) <= 0.2
        assert abs(gone.scale) <= 1e-3
        independent = len(np.unique(shifts.round(6), axis=0)) > 1
        assert independent == night.arm.bands_move_independently


def test_light_of_a_spectrum_is_conserved_in_every_order(night):
    """A bell-shaped continuum and a few lines, all on the detector, spread over the whole slit."""
    for order, path in night.paths.items():
        _, sides = path.column_wavelength()
        seen = sides[np.isfinite(sides)]
        middle, width = np.median(seen), 0.05 * np.ptp(seen)
        bell = np.exp(-0.5 * ((path.wavelength - middle) / width) ** 2)
        per_nm = 7000.0 / (width * np.sqrt(2.0 * np.pi))  # 7000 electrons in all
        lines = (middle + width * np.array([-3.0, 0.1234, 2.5]), np.array([500.0, 3.0, 1e4]))
        blurred = blur(path, per_nm * bell * path.nm_per_pixel, lines, line_spread(0.7, 3.7))
        slit, step = scene.slit_samples(path)
        image = empty(night)
        add_light(image, blurred, slit, np.full((slit.size, 2), step / 12.0), 0.7)
        assert image.sum() == pytest.approx(17503.0, rel=1e-3), f"order {order}"


def test_a_star_leaves_on_the_detector_what_the_truth_says(night):
    exposure = plan_of(night, "science")
    light = _from_sky(night, exposure, empty(night))
    told = sum(s.beam.spectrum.columns().sum() for s in light.star.values())
    assert light.star_image.sum() == pytest.approx(told, rel=1e-3)


def test_pinhole_images_are_centred_where_the_optics_put_them(night):
    """First moments of lone, noise-free spots in the middle of every order."""
    for order, path in night.paths.items():
        wavelength = float(np.median(path.wavelength)) + 0.137
        holes = np.array(night.arm.pinholes)
        lone = (np.array([wavelength]), np.array([1e4]))
        spectrum = blur(path, np.zeros_like(path.along), lone, line_spread(0.7, 0.0))
        for hole in holes:
            image = empty(night)
            add_light(image, spectrum, np.array([hole]), np.ones((1, 2)), 0.7)
            across, along = np.indices(image.shape, sparse=True)
            centre = (image * along).sum() / image.sum(), (image * across).sum() / image.sum()
            told = night.optics.along_and_across(order, wavelength, hole)
            assert np.allclose(centre, told, atol=0.01), f"order {order}, hole {hole}"


def test_slit_images_are_tilted_and_bowed(night):
    for order in night.arm.orders:
        wavelength = float(np.mean(night.optics.light_range(order)))
        along, _ = night.optics.along_and_across(order, wavelength, np.array([-6.0, 0.0, 6.0]))
        bow = 0.5 * (along[0] + along[2]) - along[1]
        assert abs(along[2] - along[0]) > 2.0
        assert 0.01 < abs(bow) < 1.5


def test_the_truth_of_the_sky_holds_for_every_arcsec(night):
    """A slit filled evenly: the image of the slit holds its length times the light of an arcsec."""
    exposure = plan_of(night, "flat")
    middle = sorted(night.paths)[len(night.paths) // 2]
    path = night.paths[middle]
    (beam,) = scene.slit_flat(night.arm, path, exposure.slit_width, exposure.seconds)
    image = empty(night)
    add_light(image, beam.spectrum, beam.slit, beam.weight, 0.7)
    column = path.n_columns // 2
    told = beam.spectrum.columns()[column] * night.arm.slit_length
    assert image[:, column].sum() == pytest.approx(told, rel=2e-2)


def test_flat_levels_are_those_of_the_instrument(night):
    light = illuminate(night, plan_of(night, "flat"))
    bright = np.percentile(light.total[light.total > 3000.0], 90)
    low, high = (10_000, 150_000) if night.arm.name == "VIS" else (30_000, 60_000)
    assert low < bright < high


def test_scattered_light_is_smooth_and_faint():
    image = np.zeros((300, 200))
    image[100:120, 50:150] = 100.0
    glow = scattered_light(image)
    assert glow.sum() == pytest.approx(0.007 * image.sum(), rel=1e-6)
    assert np.abs(np.diff(glow, axis=0)).max() < 0.02 * glow.max()


def test_binning_adds_electrons():
    image = np.arange(24.0).reshape(4, 6)
    assert binned_sum(image, (2, 2)).tolist() == [[14.0, 22.0, 30.0], [62.0, 70.0, 78.0]]
    assert binned_sum(image, (2, 1)).shape == (4, 3)


def test_a_wider_slit_blurs_more_and_passes_more(night):
    path = next(iter(night.paths.values()))
    air = night.atmosphere(plan_of(night, "science"))
    star = scene.Star(lambda w: np.full_like(w, 1e-15), 0.0)
    shares = [
        scene.star_profile(path, air, star, width, 700.0)[0].sum(axis=0).mean()
        for width in (0.5, 1.0, 5.0)
    ]
    assert shares[0] < shares[1] < shares[2] < 1.0
    assert shares[2] > 0.95
    assert line_spread(0.7, 18.0).max() < line_spread(0.7, 3.7).max() < line_spread(0.7, 0.0).max()
