"""What is read of the truth: noise to expect, where orders are, which lamps made a flat."""

import json
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from soxspipe.cli.accuracy.flat import flat_figures
from soxspipe.cli.accuracy.truth import Truth, raw_names
from soxspipe.datamodel.flat import MasterFlat
from soxspipe.datamodel.frame import Frame
from soxspipe.instrument.arms import OrderFormat, get_arm
from soxspipe.io.products import write_product

SHAPE = (60, 200)
#: 100 to 120 nm over 200 pixels; documented from 102 to 118 nm.
ARM = replace(
    get_arm("SOXS", "NIR"), orders={7: OrderFormat(7, "7", (102.0, 118.0), (102.0, 118.0))}
)
FRAMES = {"QTH": ("a.fits", "b.fits"), "DEUT": ("c.fits", "d.fits")}
LIGHT = {"QTH": 2e3, "DEUT": 5e4}


@pytest.fixture
def truth(tmp_path):
    """A night of one order, rows 10.5 to 40.5, and two lamps."""
    folder = tmp_path / "truth"
    folder.mkdir()
    wavelength = np.linspace(100.0, 120.0, 80)
    x = np.interp(wavelength, [100.0, 120.0], [-0.5, 199.5])
    geometry = {"order": np.full(80, 7), "wavelength": wavelength, "slit": np.zeros(80)}
    Table(geometry | {"x": x, "y": np.full(80, 25.5)}).write(folder / "NIR_geometry.fits")
    edges = {"order": np.full(200, 7), "pixel": np.arange(200)}
    Table(edges | {"lower": np.full(200, 10.5), "upper": np.full(200, 40.5)}).write(
        folder / "NIR_edges.fits"
    )
    images = {"BIAS": 3.0, "DARK": 0.5, "RESPONSE": 1.0}
    hdus = [fits.ImageHDU(np.full(SHAPE, v, "f4"), name=k) for k, v in images.items()]
    hdus.append(fits.ImageHDU(np.zeros(SHAPE, "i2"), name="FLAGS"))
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(folder / "NIR_detector.fits")
    text = {"gain_e_per_adu": 2.0, "read_noise_e": 7.0, "pedestal_e": 100.0}
    (folder / "NIR_truth.json").write_text(json.dumps(text), encoding="utf-8")
    for lamp, names in FRAMES.items():
        first = fits.PrimaryHDU()
        first.header["EXPTIME"] = 10.0
        first.header["FRAME1"], first.header["FRAME2"] = names
        images = {"DIRECT": LIGHT[lamp], "SCATTERED": 20.0}
        hdus = [fits.ImageHDU(np.full(SHAPE, v, "f4"), name=k) for k, v in images.items()]
        fits.HDUList([first, *hdus]).writeto(folder / f"{names[0][0]}_light.fits")
    return Truth(folder, ARM)


def test_what_a_dark_holds_and_how_it_scatters(truth):
    assert truth.unlit(60.0) == pytest.approx(np.full(SHAPE, 100 + 3 + 30))
    assert truth.variance(np.array([-5.0, 30.0])) == pytest.approx([49 + 1 / 3, 79 + 1 / 3])


def test_orders_end_with_the_slit_and_with_their_documented_range(truth):
    orders, inside = truth.places()
    assert set(np.unique(orders)) == {0, 7}
    rows, columns = np.nonzero(orders == 7)
    assert (rows.min(), rows.max()) == (10, 41)  # up to a pixel outside
    assert (columns.min(), columns.max()) == (20, 179)
    assert inside[25, 100] == pytest.approx(14.5)
    assert inside[10, 100] == pytest.approx(-0.5)


def write_flat(root, frames, lamp, sigmas):
    """A flat with noise `sigmas` times the photon limit of the exposures of `lamp`."""
    exposures = len(set(FRAMES[lamp]).intersection(frames))
    relative = np.sqrt((LIGHT[lamp] + 20 + 5 + 49 + 1 / 3) / exposures) / LIGHT[lamp]
    data = 1 + sigmas * relative * np.random.default_rng(1).standard_normal(SHAPE)
    header = fits.Header({f"HIERARCH ESO PRO REC1 RAW{i} NAME": n for i, n in enumerate(frames, 1)})
    header["HIERARCH ESO INS NISE NAME"] = "SLIT1.5"
    folder = root / "reduced" / "2026-05-10" / "soxs-mflat"
    folder.mkdir(parents=True)
    flat = MasterFlat(
        Frame(data, np.full(SHAPE, relative**2), np.zeros(SHAPE, "u2")), {7: np.ones(200, "f4")}
    )
    write_product(folder / "20260510T100000_NIR_3_MFLAT_QTH_SLIT1_5.fits", flat, header)


@pytest.mark.parametrize(
    ("frames", "lamp"),
    [
        (("a.fits", "b.fits"), "QTH"),
        (("a.fits",), "QTH"),
        (("a.fits", "b.fits", "c.fits", "d.fits"), "DEUT"),  # the brighter one makes the order
    ],
)
def test_the_photon_limit_of_a_flat_is_that_of_its_own_exposures(truth, tmp_path, frames, lamp):
    write_flat(tmp_path, frames, lamp, 1.2)
    found = {f.quantity: f for f in flat_figures(tmp_path, truth)}
    assert {f.frame for f in found.values()} == {"flat SLIT1.5"}
    limit = found["response error over photon limit"]
    assert limit.value == pytest.approx(1.2, rel=0.03)
    assert not limit.reached


def test_a_flat_of_other_frames_has_no_figures(truth, tmp_path):
    write_flat(tmp_path, ("a.fits", "b.fits"), "QTH", 1.0)
    for path in truth.folder.glob("*_light.fits"):
        path.unlink()
    assert list(flat_figures(tmp_path, truth)) == []


def test_raw_frames_are_named_by_the_header():
    header = fits.Header(
        {"HIERARCH ESO PRO REC1 RAW1 NAME": "a", "HIERARCH ESO PRO REC1 CAL1 NAME": "c"}
    )
    assert raw_names(header) == ["a"]
