"""Recipes that work on a product again: it stands for the raw frames, and names what is made of it."""

import logging

import numpy as np
import pytest
from astropy.io import fits

from soxspipe import recipes
from soxspipe.datamodel.frame import Frame
from soxspipe.datamodel.geometry import PixelMap
from soxspipe.errors import InputError
from soxspipe.io.products import read_product, write_product
from soxspipe.io.provenance import Provenance, Used, product_header
from soxspipe.io.sof import file_set
from soxspipe.workspace.run_inputs import gather
from soxspipe.workspace.runner import RunRequest, run_recipe
from tests.raw_files import raw_header, write_raw

NAME = "20260111T090000_VIS_2X2_1_STARE_OBJ_SLIT1_0_SOXS_star_SKYSUB"


def header_of(category="", **cards):
    raw = raw_header(0, DPR_TYPE="OBJECT", DPR_TECH="ECHELLE,SLIT,STARE", **cards)
    provenance = Provenance("soxs-stare", raw=[Used("in.fits", "OBJECT_VIS", "abc")])
    return product_header(raw, provenance, category=category, tech="ECHELLE,SLIT,STARE")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A sky-subtracted frame of one order of VIS, and its map."""
    folder = tmp_path_factory.mktemp("products")
    from soxspipe.instrument.arms import get_arm

    shape = get_arm("SOXS", "VIS").binned((2, 2)).shape
    order, wavelength, slit = (np.zeros(shape) for _ in range(3))
    inside = np.s_[300:500, 100:121]
    y, x = np.mgrid[inside]
    order[inside], slit[inside] = 1, 0.56 * (x - 110)
    wavelength[inside] = 540.0 + 0.07 * (y - 300 + 0.1 * (x - 110))
    light = 400.0 * np.exp(-0.5 * (slit / 0.6) ** 2) * (order > 0)
    noise = np.random.default_rng(1).normal(0.0, 3.0, shape)
    frame = Frame(light + noise, light + 9.0, np.zeros(shape))
    write_product(folder / f"{NAME}.fits", frame, header_of())
    write_product(
        folder / "map.fits", PixelMap(wavelength, slit, order), header_of("DISP_IMAGE_VIS")
    )
    return [folder / f"{NAME}.fits", folder / "map.fits"]


def test_the_product_leads(files):
    found = gather(recipes.load("straighten"), file_set(files))
    assert found.first.path.name == f"{NAME}.fits"
    assert found.arm.name == "VIS"
    assert found.arm.binning == (2, 2)
    assert [f.path.name for f in found.calibrations["image"]] == [f"{NAME}.fits"]
    assert found.frames == ()


def test_an_image_of_the_other_arm_is_not_wanted(files, tmp_path):
    write_product(
        tmp_path / "nir.fits", Frame(*np.zeros((3, 4, 4))), header_of("SCI_SLIT_SKYSUB_NIR")
    )
    with pytest.raises(InputError, match=r"not wanted: nir.fits"):
        gather(recipes.load("straighten"), file_set([*files, tmp_path / "nir.fits"]))


def test_two_images_are_one_too_many(files, tmp_path):
    write_product(tmp_path / "more.fits", Frame(*np.zeros((3, 4, 4))), header_of())
    with pytest.raises(InputError, match="two files"):
        gather(recipes.load("straighten"), file_set([*files, tmp_path / "more.fits"]))


def test_without_any_image_the_recipe_says_what_it_needs(files):
    with pytest.raises(InputError, match="no raw frame is given") as caught:
        gather(recipes.load("straighten"), file_set(files[1:]))
    assert "an image of orders" in caught.value.hint


def test_a_raw_frame_can_be_straightened_too(files, tmp_path):
    raw = write_raw(tmp_path / "raw.fits", DPR_TYPE="OBJECT", DPR_TECH="ECHELLE,SLIT,STARE")
    found = gather(recipes.load("straighten"), file_set([raw, files[1]]))
    assert [f.path.name for f in found.raw["raw"]] == ["raw.fits"]


def run(name, inputs, root, **options):
    request = RunRequest(name, inputs, root, **{"plots": False} | options)
    return run_recipe(request, log=logging.getLogger("soxspipe"))


def test_products_are_named_after_their_input(files, tmp_path):
    outcome = run("straighten", tuple(files), tmp_path)
    assert (outcome.state, outcome.sof_stem) == ("passed", NAME)
    path = outcome.products[0].path
    assert path.name == f"{NAME}_RECTIFIED.fits"
    assert path.parent.name == "soxs-straighten"
    header = fits.getheader(path)
    assert header["ESO PRO REC1 RAW1 NAME"] == "in.fits"
    assert NAME.startswith(header["ESO PRO REC1 CAL1 NAME"][:40])  # cut to the card
    assert header["ESO QC FLUX RATIO"] == pytest.approx(1.0, abs=1e-5)
    image = read_product(path).orders[1]
    star = np.abs(image.slit) < 2.0
    share = np.nansum(image.flux[star]) / np.nansum(image.flux)
    assert share == pytest.approx(1.0, abs=0.05)


def test_the_tag_of_the_sof_makes_an_old_frame_known(files, tmp_path):
    sof = tmp_path / "again.sof"
    sof.write_text(f"{files[0]} SCI_SLIT_SKYSUB_VIS\n{files[1]} DISP_IMAGE_VIS\n")
    settings = {"soxs-extract": {"object-positions": [0.0], "object-apertures": [3.5]}}
    outcome = run("extract", sof, tmp_path, settings=settings)
    assert outcome.state == "passed"
    names = [p.path.name for p in outcome.products]
    assert names[0] == "again_EXTRACTED_MERGED.fits"
    header = fits.getheader(outcome.products[0].path)
    assert header["ESO PRO EXTRACT POS"] == 0.0
    spectrum = read_product(outcome.products[0].path)
    total = 400.0 * 0.6 * np.sqrt(2 * np.pi) / 0.56 * 0.02 / 0.07
    assert np.nanmedian(spectrum.flux) == pytest.approx(total, rel=0.03)
