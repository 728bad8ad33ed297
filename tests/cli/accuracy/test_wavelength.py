"""Errors of solution, map and lines: what is put in comes out, in pixels and in claimed errors."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from soxspipe.cli.accuracy.truth import Truth
from soxspipe.cli.accuracy.wavelength import line_pulls, map_errors, solution_errors
from soxspipe.datamodel.geometry import PixelMap
from soxspipe.instrument.arms import OrderFormat, get_arm
from tests.cli.accuracy.made_up import PER_PIXEL, pixel_map, places, solution

VIS, NIR = get_arm("SOXS", "VIS"), get_arm("SOXS", "NIR")


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.2, 0.0), (0.0, -0.3), (-0.4, 0.1)])
def test_errors_of_the_map_are_told_in_pixels(shift):
    along, across = map_errors(pixel_map(shift), places(), solution(), NIR)
    assert len(along) == len(across) > 250
    assert along == pytest.approx(np.full(len(along), shift[0]), abs=1e-3)
    assert across == pytest.approx(np.full(len(across), shift[1]), abs=1e-3)


def test_vis_disperses_along_y():
    along, across = map_errors(pixel_map((0.2, -0.3)), places(), solution(), VIS)
    assert along == pytest.approx(np.full(len(along), -0.3), abs=1e-3)
    assert across == pytest.approx(np.full(len(across), 0.2), abs=1e-3)


def test_only_what_arc_lines_support_counts():
    in_lines = np.zeros(300, dtype=bool)
    in_lines[:40] = True
    along, _ = map_errors(pixel_map(), places(in_lines=in_lines), solution(), NIR)
    assert len(along) <= 40


def test_light_that_the_map_has_in_another_order_is_left_out():
    off = pixel_map()
    wrong = PixelMap(off.wavelength, off.slit, np.zeros_like(off.order))
    along, across = map_errors(wrong, places(), solution(), NIR)
    assert len(along) == len(across) == 0


def test_beyond_the_last_line_other_light_counts():
    truth = places()
    truth["in_lines"] = truth["wavelength"] < 1003.0
    # an order of 1000 to 1004 nm by its documented range
    short = replace(
        NIR,
        orders={n: OrderFormat(n, str(n), (1000.0, 1004.0), (1000.0, 1004.0)) for n in (10, 11)},
    )
    bent = pixel_map()
    wavelength = bent.wavelength + np.where(bent.wavelength > 1003.0, 0.4 * PER_PIXEL, 0.0)
    bent = PixelMap(wavelength, bent.slit, bent.order)
    inside, _ = map_errors(bent, truth, solution(), short)
    ends, _ = map_errors(bent, truth, solution(), short, beyond=True)
    assert np.abs(inside).max() < 0.4
    assert np.median(np.abs(inside)) < 1e-6
    assert np.median(ends) == pytest.approx(0.4, abs=1e-3)
    in_range = (truth["wavelength"] >= 1003.0) & (truth["wavelength"] <= 1004.0)
    assert len(ends) == np.count_nonzero(in_range)


def test_the_single_pinhole_is_judged_in_the_middle_of_the_slit():
    truth = places()
    truth["slit"][:100] = 0.0
    truth["y"][:100] = 30.0 + 60.0 * (truth["order"][:100] - 10)
    truth["x"][:100] -= 0.25
    along = solution_errors(solution(), truth, NIR)
    assert along == pytest.approx(np.full(100, 0.25), abs=1e-9)


@pytest.fixture
def truth(tmp_path):
    """A truth of 100 x 120 pixels, its geometry on a grid as the simulator writes it."""
    w, s = (a.ravel() for a in np.meshgrid(np.linspace(1000, 1005, 80), np.arange(-6.0, 6.5)))
    both = [
        {
            "order": np.full(w.size, n),
            "wavelength": w,
            "slit": s,
            "x": (w - 1000) / PER_PIXEL + 0.02 * s**2,
            "y": 30 + 60 * (n - 10) + 3.5 * s,
        }
        for n in (10, 11)
    ]
    table = Table({k: np.concatenate([part[k] for part in both]) for k in both[0]})
    table.write(tmp_path / "NIR_geometry.fits")
    return Truth(Path(tmp_path), NIR)


def test_true_places_of_lines_are_exact(truth):
    x, y = truth.positions(11, np.array([1001.234, 1004.9]), np.array([0.7, -5.3]))
    assert x == pytest.approx([1.234 / PER_PIXEL + 0.02 * 0.49, 98 + 0.02 * 5.3**2], abs=1e-6)
    assert y == pytest.approx([90 + 2.45, 90 - 3.5 * 5.3], abs=1e-6)


@pytest.mark.parametrize(
    ("noise", "claimed", "pull"), [(0.02, 0.02, 1), (0.02, 0.01, 2), (0.0, 1, 0)]
)
def test_pulls_of_lines_are_true_errors_over_claimed_ones(truth, noise, claimed, pull):
    rng = np.random.default_rng(1)
    n = 4000
    lines = {
        "order": rng.choice([10, 11], n),
        "wavelength": rng.uniform(1000, 1005, n),
        "slit_position": rng.uniform(-5, 5, n),
        "sigma_clipped": np.arange(n) >= 3000,
        "observed_x_error": np.full(n, claimed),
        "observed_y_error": np.full(n, 3.0 * claimed),
    }
    x, y = np.zeros(n), np.zeros(n)
    for order in (10, 11):
        at = lines["order"] == order
        x[at], y[at] = truth.positions(order, lines["wavelength"][at], lines["slit_position"][at])
    off = np.where(lines["sigma_clipped"], 99.0, rng.normal(0.0, 1.0, n))
    lines["observed_x"], lines["observed_y"] = x + noise * off, y + noise * off
    along, across = line_pulls(Table(lines).as_array().view(fits.FITS_rec), truth)
    assert len(along) == 3000
    assert np.sqrt(np.mean(along**2)) == pytest.approx(pull, rel=0.05, abs=1e-6)
    assert across == pytest.approx(along / 3.0)
