"""Spectra of both images of a difference frame whose exposures were not equally long."""

import numpy as np
import pytest

from soxspipe.datamodel.frame import Frame
from soxspipe.recipes import slit_extract, slit_models, slit_sources
from soxspipe.recipes.slit_frame import SlitFrame
from soxspipe.recipes.slit_orders import OrderState
from soxspipe.recipes.slit_sources import Search
from soxspipe.recipes.slit_view import View
from soxspipe.science.detector.noise import NoiseModel
from soxspipe.science.extraction import optimal, profile
from tests.science.extraction.one_order import order_pixels

FLUX, READ_VARIANCE, FACTOR = 4000.0, 16.0, 4.0
SHAPE = (60, 600)


def star(pixels, place):
    return FLUX * profile.moffat(pixels.slit - place, 1.0, 3.0) * pixels.area


def test_errors_of_the_shorter_exposure_are_those_it_has_once_it_is_scaled():
    rng = np.random.default_rng(1)
    pixels = order_pixels(600, low=600.0)
    on = star(pixels, -2.0)
    off = star(pixels, 2.0) / FACTOR
    base = READ_VARIANCE * (1.0 + FACTOR**2)
    data = rng.poisson(on) - FACTOR * rng.poisson(off) + rng.normal(0.0, np.sqrt(base), on.size)
    image = np.zeros(SHAPE, dtype="f4")
    image.ravel()[pixels.index] = data
    one = np.ones(SHAPE, dtype="f4")
    noise = NoiseModel(base * one, one, 0.0 * one)
    ready = SlitFrame(Frame(image, base * one, np.zeros(SHAPE, dtype="u2")), noise, 0.0 * one)
    zero = np.zeros(on.size)
    variance = on + FACTOR**2 * off + base
    state = OrderState(pixels, data, variance, zero.astype("u2"), zero, zero, zero + 1.0, zero)
    search = Search(
        significance=5.0,
        fwhm=1.0,
        degree=2,
        clip_sigma=4.0,
        clip_rounds=5,
        edge=0.02,
        twin=4.0,
        twin_noise=FACTOR,
    )
    sources = slit_models.model_sources(
        {1: state}, slit_sources.look({1: state}, search), slit_models.ProfileOptions()
    )
    view = View("1", ready, {1: state}, sources, {1: zero})
    assert [s.sign for s in sources.each] == [1.0, -1.0]
    for source in sources.each:
        part = slit_extract.alone(view, source, clip=36.0)[1]
        sums = optimal.horne(pixels, part.data, part.variance, part.good, part.share)
        pull = ((sums.flux - FLUX) / np.sqrt(sums.variance))[20:-20]
        assert np.std(pull) == pytest.approx(1.0, abs=0.09)
        assert abs(np.mean(pull)) < 0.3
