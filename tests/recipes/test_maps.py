"""A map of a galaxy and a knot, from raw frames of a small detector to table and cube."""

import logging
import math

import numpy as np
import pytest
from astropy.io.fits import Header
from scipy.special import ndtr

from soxspipe.datamodel.flat import MasterFlat
from soxspipe.datamodel.frame import Frame
from soxspipe.errors import DataError
from soxspipe.io.frames import RawFrame
from soxspipe.recipes import offset
from soxspipe.settings import OffsetSettings
from tests.qc import made_up as made
from tests.recipes.frames import info

SKY, NOISE, GAIN = 200.0, 7.0, 2.0  # electrons per pixel in 300 s, electrons, e-/ADU
PLACE, SIGMA = 0.8, 0.7  # of the galaxy at zero offset along the slit, arcsec
WIDTH = 1.0
BRIGHT = 6000.0  # electrons per pixel along dispersion, of all the galaxy


@pytest.fixture(scope="module")
def arm():
    return made.arm_of("NIR")


def within(across):
    """Share of the galaxy's light that passes the slit, which stands `across` from its middle."""
    return float(np.diff(ndtr((np.array([-0.5, 0.5]) * WIDTH + across) / SIGMA))[0])


def exposure(arm, across, *, along=0.0, seconds=300.0, light=BRIGHT, seed=1, dec=0.0, **facts):
    """The slit at an offset across the galaxy and along it; `light` None: empty sky."""
    pixel_map, rng = made.pixel_map(arm), np.random.default_rng(seed)
    z = (pixel_map.slit.astype("f8") - (PLACE - along)) / SIGMA
    half = 0.5 * made.PIXEL / SIGMA
    profile = (ndtr(z + half) - ndtr(z - half)) * (pixel_map.order != 0)
    model = SKY * (1.0 + 0.2 * np.sin(0.2 * pixel_map.wavelength)) * (pixel_map.order != 0)
    model = (model + (light or 0.0) * within(across) * profile) * seconds / 300.0
    data = rng.normal(model, np.sqrt(model + NOISE**2)) / GAIN
    told = {
        "file": f"SOXS.{seed}.fits",
        "arm": "NIR",
        "binning": (1, 1),
        "dpr_tech": "ECHELLE,SLIT,MAPPING",
        "template": "SOXS_slt_obs_Mapping",
        "object": "galaxy",
        "slit": "SLIT1.0",
        "gain": GAIN,
        "read_noise": NOISE,
        "exptime": seconds,
        "mjd_obs": 61000.0 + 0.004 * seed,
        "seeing": 1.0,
        "cumulative_ra": across,
        "cumulative_dec": dec or along,
        "position_angle": 0.0,
        "ra": 150.0 + across / 3600.0,
        "dec": (dec or along) / 3600.0,
    }
    return RawFrame(data.astype("f4"), np.empty(0), info(**(told | facts)), Header())


def reduced(arm, frames, **settings):
    shape = arm.shape
    flat = MasterFlat(
        Frame(np.ones(shape), np.full(shape, 1e-8), np.zeros(shape), unit=""),
        {n: np.ones(made.ALONG, "f4") for n in made.rows_of(arm)},
    )
    options = OffsetSettings.defaults("NIR").model_copy(update=settings)
    inputs = offset.Inputs(
        None, None, flat, made.table(arm), None, made.pixel_map(arm), tuple(frames)
    )
    return offset.offset(inputs, options, arm)


STEPS = (-2.0, -1.0, 0.0, 1.0, 2.0)
TIMES = (300.0, 300.0, 150.0, 300.0, 300.0)


@pytest.fixture(scope="module")
def galaxy(arm):
    """Five steps, the middle one in half the time and twice."""
    frames = [
        exposure(arm, x, seconds=s, seed=k)
        for k, (x, s) in enumerate(zip(STEPS, TIMES, strict=True), start=1)
    ]
    return reduced(arm, [*frames, exposure(arm, 0.0, seconds=150.0, seed=9)])


def electrons(across, seconds=300.0):
    """Of the galaxy at a position, in all bins."""
    return BRIGHT * within(across) * 2 * made.ALONG * seconds / 300.0


def test_positions(galaxy):
    table = galaxy.products["POSITIONS"]
    assert list(table["position"]) == [1, 2, 3, 4, 5]
    assert list(table["across"]) == list(STEPS)
    assert list(table["exposures"]) == [1, 1, 2, 1, 1]
    assert list(table["exptime"]) == list(TIMES)
    assert table["files"][2] == "SOXS.3.fits, SOXS.9.fits"
    assert table["found"].all()
    # the orders are not tilted: all pixels of a cell lie on one side of its middle
    assert np.allclose(table["slit_position"], PLACE, atol=0.75 * made.PIXEL)
    assert np.allclose(table["fwhm"], 2.3548 * SIGMA, rtol=0.1)
    truth = [electrons(x, s) for x, s in zip(STEPS, TIMES, strict=True)]
    share = np.asarray(table["flux"]) / truth
    error = np.asarray(table["flux_error"]) / truth
    # bins at the ends of the orders are not whole, and do not count everywhere
    assert np.all(np.abs(share / share[2] - 1.0) < 0.01 + 4.0 * np.hypot(error, error[2]))
    assert 0.9 < share[2] < 1.01


def test_the_cube_holds_the_light(galaxy):
    cube = galaxy.products["CUBE"]
    assert cube.flux.shape[0] == 5
    assert cube.offsets.tolist() == list(STEPS)
    assert cube.seconds == pytest.approx(np.mean(TIMES))
    # the ends of an order are known in part only
    inner = np.isfinite(cube.flux).sum(axis=(0, 1)) > 250
    share = inner.sum() * cube.grid.step / (2 * made.ALONG * made.NM)
    assert share > 0.95
    for row, across in enumerate(STEPS):
        found = np.nansum(cube.flux[row][:, inner], dtype="f8")
        truth = electrons(across, cube.seconds) * share
        noise = np.sqrt(np.nansum(cube.error[row][:, inner] ** 2, dtype="f8"))
        assert found == pytest.approx(truth, abs=0.02 * truth + 5 * cube.noise_factor * noise)
    white = cube.white
    peak = cube.grid.slit[np.nanargmax(np.nan_to_num(white[2]))]
    assert peak == pytest.approx(PLACE, abs=made.PIXEL)
    assert (cube.on_sky.ra, cube.on_sky.dec) == pytest.approx((150.0, 0.0))


def test_products_of_every_position_and_the_best_as_the_documented(galaxy):
    products = galaxy.products
    for label in ("EXTRACTED_ORDERS", "EXTRACTED_MERGED", "RECTIFIED", "OBJECT_TRACE"):
        assert sorted(products[f"{label}_POSITION"]) == list("12345")
    best = str(galaxy.headers["EXTRACTED_MERGED_TABLE"]["ESO PRO MAP BEST"][0])
    snr = products["POSITIONS"]["snr"]
    assert int(best) == np.argmax(snr) + 1
    assert products["EXTRACTED_MERGED_TABLE"] is products["EXTRACTED_MERGED_POSITION"][best]
    declared = {p.label for p in offset._PRODUCTS} | {p.label for p in offset._PLOTS}
    assert set(products) | set(galaxy.figures) <= declared
    drawn = galaxy.figures["MAP_QUICKLOOK"]()
    assert "map" in drawn.texts[0].get_text()


def test_where_nothing_is_found_the_neighbours_tell_the_place(arm, caplog):
    frames = [exposure(arm, x, seed=k) for k, x in enumerate((1.0, 4.0), start=1)]
    table = reduced(arm, frames).products["POSITIONS"]
    assert table["found"].tolist() == [True, False]
    assert table["slit_position"][1] == pytest.approx(PLACE, abs=0.1)
    assert abs(table["flux"][1]) < 5.0 * table["flux_error"][1]
    with caplog.at_level(logging.WARNING):
        empty = [exposure(arm, x, light=None, seed=k) for k, x in enumerate((0.0, 1.0), start=1)]
        nothing = reduced(arm, empty).products["POSITIONS"]
    assert "no object was found at any position" in caplog.text
    assert np.allclose(nothing["slit_position"], 0.0)


def test_a_missing_position_is_a_gap(arm, caplog):
    frames = [exposure(arm, x, seed=k) for k, x in enumerate((-2.0, -1.0, 1.0), start=1)]
    with caplog.at_level(logging.WARNING):
        cube = reduced(arm, frames).products["CUBE"]
    assert "no position for row 3" in caplog.text
    assert np.isfinite(cube.flux).any(axis=(1, 2)).tolist() == [True, True, False, True]
    assert cube.on_sky.ra == pytest.approx(150.0, abs=1e-6)  # though no exposure points there


def test_a_sky_exposure_keeps_light_that_fills_the_slit(arm):
    """A glow of 30 electrons per pixel all along the slit is sky to a slit, not to a sky exposure."""
    frames = [exposure(arm, x, seed=k) for k, x in enumerate((0.0, 1.0), start=1)]
    glow = 30.0 * (made.pixel_map(arm).order != 0) / GAIN
    frames = [RawFrame((f.data + glow).astype("f4"), f.margin, f.info, f.header) for f in frames]
    far = [exposure(arm, 30.0, light=None, seed=k, dec=20.0) for k in (4, 5)]
    with_sky = reduced(arm, [*frames, *far])
    assert len(with_sky.products["POSITIONS"]) == 2
    assert with_sky.headers["CUBE"]["ESO PRO MAP SKY"][0] == "exposure"
    for result, level in ((with_sky, 30.0), (reduced(arm, frames), 0.0)):
        cube = result.products["CUBE"]
        rows = (cube.grid.slit < -2.5) & (cube.grid.slit > -4.5)
        per_pixel = np.nanmean(cube.flux[:, rows]) * made.NM / cube.grid.step
        assert per_pixel == pytest.approx(level, abs=1.0)


def test_a_raster_lies_together_along_the_slit(arm):
    """Half of the pointings 3 arcsec north: the galaxy falls on the slit as far south."""
    frames = [
        exposure(arm, x, along=y, seed=k)
        for k, (x, y) in enumerate([(x, y) for y in (0.0, 3.0) for x in (0.0, 1.0)], 1)
    ]
    result = reduced(arm, frames)
    cube, table = result.products["CUBE"], result.products["POSITIONS"]
    assert cube.flux.shape[0] == 2
    assert np.allclose(table["slit_position"][:2] - table["slit_position"][2:], 3.0, atol=0.1)
    near = np.abs(cube.grid.slit - PLACE) < 2.6
    for row, across in enumerate((0.0, 1.0)):
        light = np.nansum(cube.flux[row], axis=1, dtype="f8")
        place = np.average(cube.grid.slit[near], weights=light[near])
        assert place == pytest.approx(PLACE, abs=0.1)
        assert light[near].sum() == pytest.approx(electrons(across), rel=0.03)
    ends = cube.grid.slit[[0, -1]]
    assert ends == pytest.approx([-5.6, 8.6], abs=0.3)


def test_slit_positions_that_rise_the_other_way_are_told_by_the_objects(arm, caplog):
    frames = [
        exposure(arm, x, along=y, seed=k, cumulative_dec=-y, dec=-y or 1e-9)
        for k, (x, y) in enumerate([(-1.0, 3.0), (0.0, 0.0)], 1)
    ]
    with caplog.at_level(logging.WARNING):
        cube = reduced(arm, frames).products["CUBE"]
    assert "fall towards" in caplog.text
    assert cube.on_sky.sense == -1
    assert cube.grid.slit[np.argmax(np.nan_to_num(cube.white[1]))] == pytest.approx(PLACE, abs=0.3)


def test_wide_steps_give_spectra_and_no_cube(arm, caplog):
    frames = [exposure(arm, x, seed=k) for k, x in enumerate((0.0, 2.0), start=1)]
    with caplog.at_level(logging.WARNING):
        result = reduced(arm, frames)
    assert "there is no cube" in caplog.text
    assert "CUBE" not in result.products
    assert len(result.products["POSITIONS"]) == 2
    assert result.figures["MAP_QUICKLOOK"]()


def test_one_position_is_reduced_as_an_offset_exposure(arm, caplog):
    with caplog.at_level(logging.WARNING):
        result = reduced(arm, [exposure(arm, 0.0)])
    assert "all exposures are at one position" in caplog.text
    assert "POSITIONS" not in result.products
    assert "EXTRACTED_MERGED_TABLE" in result.products


def test_an_exposure_without_offset_is_left_out_of_the_map(arm, caplog):
    lost = {"cumulative_ra": math.nan, "cumulative_dec": math.nan}
    frames = [exposure(arm, x, seed=k) for k, x in enumerate((-1.0, 0.0), start=1)]
    with caplog.at_level(logging.WARNING):
        result = reduced(arm, [*frames, exposure(arm, 2.0, seed=4, **lost)])
    assert "SOXS.4.fits does not tell its offset" in caplog.text
    assert len(result.products["POSITIONS"]) == 2


def test_a_broken_exposure_costs_its_position_only(arm, caplog):
    frames = [exposure(arm, x, seed=k) for k, x in enumerate((-1.0, 0.0, 1.0), start=1)]
    frames[1] = exposure(arm, 0.0, seed=2, gain=0.0)
    with caplog.at_level(logging.WARNING):
        result = reduced(arm, frames)
    assert "position 2 left out" in caplog.text
    assert list(result.products["POSITIONS"]["position"]) == [1, 3]
    assert np.isnan(result.products["CUBE"].flux[1]).all()
    with pytest.raises(DataError, match="no position"):
        reduced(arm, [exposure(arm, x, seed=k, gain=0.0) for k, x in enumerate((0.0, 1.0), 1)])
