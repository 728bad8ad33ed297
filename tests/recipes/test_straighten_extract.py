"""straighten and extract on a small frame with two stars of known spectra."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtr

from soxspipe.datamodel.flat import MasterFlat
from soxspipe.datamodel.frame import Frame, PixelFlag
from soxspipe.datamodel.rectified import RectifiedSpectrum
from soxspipe.errors import DataError, InputError
from soxspipe.recipes import extract, extract_steps, rectified_steps, straighten
from soxspipe.science.wavelength.native_bins import order_pixels
from soxspipe.settings import ExtractSettings, StraightenSettings
from tests.qc import made_up as made

STARS = {1.0: 900.0, -2.5: 300.0}  # slit position -> electrons per pixel along dispersion
FWHM, NOISE = 0.9, 3.0


@pytest.fixture(scope="module")
def arm():
    return made.arm_of("NIR")


@pytest.fixture(scope="module")
def flat(arm):
    lamp = 0.3 + 0.7 * np.hanning(made.ALONG)
    response = Frame(np.ones(arm.shape), np.zeros(arm.shape), np.zeros(arm.shape), unit="")
    return MasterFlat(response, {n: lamp.astype("f4") for n in made.rows_of(arm)})


@pytest.fixture(scope="module")
def frame(arm, flat):
    """Sky-subtracted: two stars through the blaze, noise, and a cosmic ray that is flagged."""
    pixel_map, rng = made.pixel_map(arm), np.random.default_rng(11)
    light = np.zeros(arm.shape)
    for position, electrons in STARS.items():
        z = (pixel_map.slit - position) / FWHM * 2.3548
        half = 0.5 * made.PIXEL / FWHM * 2.3548
        light += electrons * (ndtr(z + half) - ndtr(z - half)) * (pixel_map.order != 0)
    light *= flat.lamp[11].astype("f8")
    variance = light + NOISE**2
    data = rng.normal(light, np.sqrt(variance))
    flags = np.zeros(arm.shape)
    data[55, 200], flags[55, 200] = 5e4, PixelFlag.COSMIC_RAY
    found = Frame(data, variance, flags)
    found.header["OBJECT"] = "two stars"
    return found


def straightened(arm, image, flat=None, raw=None, **settings):
    options = StraightenSettings.defaults("NIR").model_copy(update=settings)
    inputs = straighten.Inputs(image, raw, None, None, flat, made.pixel_map(arm))
    return straighten.straighten(inputs, options, arm)


def extracted(arm, frame=None, image=None, flat=None, pixel_map=None, **settings):
    options = ExtractSettings.defaults("NIR").model_copy(update=settings)
    return extract.extract(extract.Inputs(frame, image, flat, pixel_map), options, arm)


def values(result):
    return {(m.metric.keyword, m.order): m.value for m in result.measurements}


@pytest.fixture(scope="module")
def image(arm, frame, flat):
    return straightened(arm, frame, flat).products["RECTIFIED_MERGED"]


def test_straighten_keeps_the_light(arm, frame, flat):
    result = straightened(arm, frame, flat)
    measured = values(result)
    assert measured["FLUX RATIO", "-1"] == pytest.approx(1.0, abs=1e-5)
    assert measured["BINS FILLED", "-1"] > 0.99
    assert measured["N ORDERS", "-1"] == 2
    assert ("NOISE FACTOR", "10") in measured
    orders = result.products["RECTIFIED_ORDERS"].orders
    assert sorted(orders) == [10, 11]
    assert orders[11].grid.step == arm.merged_step
    assert orders[11].grid.slit_step == made.PIXEL
    assert isinstance(result.products["RECTIFIED_MERGED"], RectifiedSpectrum)
    assert all(draw() for draw in result.figures.values())


def test_steps_of_the_grid_are_options(arm, frame):
    result = straightened(
        arm, frame, straighten_grid_res_wavelength=0.2, straighten_grid_res_split=0.5
    )
    assert list(result.products) == ["RECTIFIED_ORDERS"]
    grid = result.products["RECTIFIED_ORDERS"].orders[10].grid
    assert (grid.step, grid.slit_step) == (0.2, 0.5)
    assert values(result)["FLUX RATIO", "-1"] == pytest.approx(1.0, abs=1e-5)


def test_orders_of_an_object_recipe_become_one_image(arm, frame, flat):
    """Two exposures alike, the target brought from 1 to 2 arcsec."""
    pixels = order_pixels(made.pixel_map(arm), dispersion_axis="x")
    orders = extract_steps.orders_of(frame, pixels)
    orders = {n: replace(o, sky_variance=0.04 * o.variance) for n, o in orders.items()}
    values = rectified_steps.values_of_orders(orders)
    exposures = [
        rectified_steps.straightened(pixels, values, arm, slit_offset=offset)
        for offset in (1.0, 1.0)
    ]
    merged = rectified_steps.joined(exposures, flat.lamp)
    alone = rectified_steps.joined(exposures[:1], flat.lamp)
    assert merged.sky is not None
    # the error is the same over the slit: it goes with the size of the bin, not its root
    empty = np.argmin(np.abs(alone.slit - 3.5)), 300
    expected = 0.2 * NOISE * arm.merged_step / made.NM
    assert alone.sky_error[empty] == pytest.approx(expected, rel=0.01)
    known = np.isfinite(alone.flux)
    assert np.allclose(merged.flux[known], alone.flux[known], rtol=1e-5)
    assert np.allclose(merged.error[known], alone.error[known] / np.sqrt(2.0), rtol=1e-5)
    assert merged.slit[np.nanargmax(np.nansum(merged.flux, axis=1))] == pytest.approx(2.0, abs=0.11)


def test_straighten_takes_one_detector_image(arm, frame, flat):
    with pytest.raises(InputError, match="one image"):
        straightened(arm, None)
    with pytest.raises(InputError, match="PixelMap cannot be straightened"):
        straightened(arm, made.pixel_map(arm))


def truth(spectrum, arm, electrons):
    """Electrons per bin of the merged spectrum: through the blaze, NaN outside the orders."""
    lamp = 0.3 + 0.7 * np.hanning(made.ALONG)
    found = np.full(len(spectrum.wavelength), np.nan)
    for number in made.rows_of(arm):
        pixel = (spectrum.wavelength - made.start_of(arm, number)) / made.NM
        inside = (pixel > 5) & (pixel < made.ALONG - 6)
        here = electrons * lamp[np.clip(np.rint(pixel).astype(int), 0, made.ALONG - 1)]
        found = np.where(inside, here * arm.merged_step / made.NM, found)
    return found


def assert_star(spectrum, arm, electrons, *, rel):
    wanted = truth(spectrum, arm, electrons)
    known = np.isfinite(wanted) & np.isfinite(spectrum.flux)
    assert known.sum() > 600
    assert np.median(spectrum.flux[known] / wanted[known]) == pytest.approx(1.0, abs=rel)


@pytest.mark.parametrize("source", ["frame", "image"])
def test_extract_the_brightest_object(arm, frame, image, flat, source):
    given = {"image": image}
    if source == "frame":
        given = {"frame": frame, "flat": flat, "pixel_map": made.pixel_map(arm)}
    result = extracted(arm, **given, object_apertures=(3.0,))
    measured = values(result)
    assert measured["OBJECT POS", "-1"] == pytest.approx(1.0, abs=0.04)
    assert measured["N OBJECTS", "-1"] == 2
    assert_star(result.products["EXTRACTED_MERGED_TABLE"], arm, 900.0, rel=0.01)
    assert_star(result.products["EXTRACTED_MERGED_TABLE_OTHERS"]["2"], arm, 300.0, rel=0.02)
    assert_star(result.products["EXTRACTED_BOXCAR_TABLE"], arm, 900.0, rel=0.01)
    assert ("EXTRACTED_ORDERS_TABLE" in result.products) == (source == "frame")
    assert all(draw() for draw in result.figures["EXTRACTED_MERGED_QC_PLOT"].values())


@pytest.mark.parametrize("source", ["frame", "image"])
def test_extract_where_the_user_says(arm, frame, image, flat, source):
    given = {"image": image}
    if source == "frame":
        given = {"frame": frame, "flat": flat, "pixel_map": made.pixel_map(arm)}
    result = extracted(arm, **given, object_positions=(-2.5, 1.0), object_apertures=(2.4, 3.0))
    assert values(result)["N OBJECTS", "-1"] == 2
    assert_star(result.products["EXTRACTED_BOXCAR_TABLE"], arm, 300.0, rel=0.02)
    assert_star(result.products["EXTRACTED_BOXCAR_TABLE_OTHERS"]["2"], arm, 900.0, rel=0.01)
    assert result.headers["EXTRACTED_MERGED_TABLE"]["ESO PRO EXTRACT POS"][0] == -2.5
    assert result.headers["EXTRACTED_BOXCAR_TABLE"]["ESO PRO EXTRACT WIDTH"][0] == 2.4
    assert "1.000" in result.headers["EXTRACTED_MERGED_TABLE_OTHERS"]["ESO PRO EXTRACT POS"][0]


def test_errors_from_the_image_are_true(arm, image):
    result = extracted(arm, image=image, object_apertures=(3.0,))
    spectrum = result.products["EXTRACTED_BOXCAR_TABLE"]
    off = spectrum.flux - truth(spectrum, arm, 900.0)
    pull = off / np.sqrt(spectrum.variance)
    known = np.isfinite(pull)
    assert np.std(pull[known]) == pytest.approx(1.0, abs=0.1)
    factor = result.headers["EXTRACTED_BOXCAR_TABLE"]["NOISEFAC"][0]
    assert factor > 1.05


def test_an_empty_slit_is_told(arm, image, caplog):
    rng = np.random.default_rng(1)
    noise = rng.normal(0.0, 1.0, image.grid.shape) * np.nan_to_num(image.error)
    empty = replace(image, flux=np.where(np.isfinite(image.flux), noise, np.nan))
    result = extracted(arm, image=empty)
    assert "no object was found" in caplog.text
    assert "EXTRACTED_MERGED_TABLE" in result.products


def test_extract_takes_one_product_and_its_map(arm, frame, image):
    with pytest.raises(InputError, match="takes one product"):
        extracted(arm)
    with pytest.raises(InputError, match="takes one product"):
        extracted(arm, frame=frame, image=image)
    with pytest.raises(InputError, match="needs its map"):
        extracted(arm, frame=frame)


def test_an_order_without_a_good_pixel_stays_empty(arm, frame, flat):
    lost = made.pixel_map(arm).order == 10
    data = np.where(lost, np.nan, frame.data)
    holed = replace(frame, data=data, flags=np.where(lost, PixelFlag.BAD, frame.flags))
    result = straightened(arm, holed, flat)
    assert values(result)["BINS FILLED", "10"] == 0.0
    assert values(result)["FLUX RATIO", "-1"] == pytest.approx(1.0, abs=1e-5)
    assert all(draw() for draw in result.figures.values())
    image = result.products["RECTIFIED_MERGED"]
    assert np.isnan(image.flux[:, image.wavelength > arm.orders[10].full[0]]).all()
    spectrum = extracted(arm, image=image).products["EXTRACTED_BOXCAR_TABLE"]
    known = np.isfinite(spectrum.flux)
    assert 300 < known.sum() < 350
    assert (spectrum.flags[~known] == PixelFlag.NOTHING_LEFT).all()


def test_a_frame_without_a_good_pixel_is_refused(arm, frame, flat):
    dead = replace(frame, flags=np.full(arm.shape, PixelFlag.BAD))
    result = straightened(arm, dead, flat)
    assert values(result)["BINS FILLED", "-1"] == 0.0
    assert np.isnan(values(result)["FLUX RATIO", "-1"])
    assert all(draw() for draw in result.figures.values())
    with pytest.raises(DataError, match="no known bin"):
        extracted(arm, image=result.products["RECTIFIED_MERGED"])
