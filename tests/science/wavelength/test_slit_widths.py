"""Lines through the slit: boxes blurred by the optics, drawn here and measured."""

import numpy as np
import pytest
from scipy.special import ndtr

from soxspipe.datamodel.frame import Frame
from soxspipe.science.wavelength.slit_widths import slit_widths

SIGMA = 0.8


def frame_of(box, places, rng, counts=2e4, gap=None):
    """Lines at `places` along rows, integrated over pixels, the same in 9 rows."""
    fine = np.arange(-0.5, 900, 0.05) + 0.025
    light = np.zeros(fine.size)
    for place in np.concatenate([places, places + gap]) if gap else places:
        edges = ndtr((fine - place + box / 2) / SIGMA) - ndtr((fine - place - box / 2) / SIGMA)
        light += counts / box * edges * 0.05
    line = light[: 20 * 900].reshape(900, 20).sum(axis=1) + 20.0
    image = np.tile(line, (9, 1))
    variance = image + 25.0
    return Frame(image + rng.normal(0, np.sqrt(variance)), variance, np.zeros(image.shape))


def true_width(box):
    x = np.linspace(0, box + 4, 100_000)
    profile = ndtr((x + box / 2) / SIGMA) - ndtr((x - box / 2) / SIGMA)
    return 2 * x[np.argmax(profile < profile[0] / 2)]


@pytest.mark.parametrize("box", [1.8, 3.6, 5.4])
def test_width_of_a_slit_image(box):
    rng = np.random.default_rng(1)
    places = 30.0 + 40 * np.arange(20) + rng.uniform(-0.5, 0.5, 20)
    frame = frame_of(box, places, rng)
    predicted = places + rng.normal(0, 0.1, 20)
    found = slit_widths(frame, predicted, np.full(20, 4.0), slit_width=box * 1.1, sigma=0.9)
    assert np.isfinite(found).all()
    assert np.median(found) == pytest.approx(true_width(box), rel=0.015)
    assert found.std() < 0.03 * box


def test_what_is_no_single_line_is_not_measured():
    rng = np.random.default_rng(2)
    places = 30.0 + 40 * np.arange(20)
    double = frame_of(3.6, places, rng, gap=3.0)
    at = np.full(20, 4.0)
    assert np.isnan(slit_widths(double, places, at, slit_width=3.6, sigma=0.8)).mean() > 0.9
    empty = frame_of(3.6, places, rng, counts=0.0)
    assert np.isnan(slit_widths(empty, places, at, slit_width=3.6, sigma=0.8)).all()
    outside = np.full(20, np.nan)
    assert np.isnan(slit_widths(double, outside, at, slit_width=3.6, sigma=0.8)).all()
