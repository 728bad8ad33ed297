"""What the files of a run become: bad-pixel maps, darks of another time, masters, prepared frames."""

import logging

import numpy as np
import pytest
from astropy.io import fits
from astropy.io.fits import Header

from soxspipe.datamodel.frame import Frame, PixelFlag
from soxspipe.errors import InputError, OutputError
from soxspipe.io.frames import read_header
from soxspipe.io.products import read_product, write_product
from soxspipe.io.sof import file_set
from soxspipe.workspace.run_inputs import gather
from soxspipe.workspace.run_values import load
from soxspipe.workspace.runner import RunRequest, recipes, run_recipe
from tests.raw_files import write_raw

TRIMMED = (2048, 404)


@pytest.fixture(scope="module")
def biases(tmp_path_factory):
    """Three noisy biases, 2x2 binned."""
    folder = tmp_path_factory.mktemp("biases")
    return [write_raw(folder / f"bias{n}.fits", n, noise=3.0) for n in range(3)]


def run(root, inputs, recipe="mbias", **options):
    request = RunRequest(recipe, inputs, root, **{"plots": False} | options)
    return run_recipe(request, log=logging.getLogger("soxspipe"))


def bad_pixels(path):
    image = np.zeros(TRIMMED, dtype="u1")
    image[10, 20] = 128
    fits.PrimaryHDU(image).writeto(path)
    return path


def test_a_bad_pixel_map_named_in_the_sof(tmp_path, biases):
    bad_pixels(tmp_path / "mine.fits")
    sof = tmp_path / "B.sof"
    sof.write_text("".join(f"{p} BIAS_VIS\n" for p in biases) + "mine.fits BPM_VIS\n")
    outcome = run(tmp_path, sof)
    master = read_product(outcome.products[0].path)
    assert master.flags[10, 20] & PixelFlag.BAD
    assert master.header["ESO PRO REC1 CAL1 CATG"] == "BPM_VIS"
    assert master.header["ESO PRO REC1 CAL1 NAME"] == "mine.fits"


def test_bad_pixel_maps_of_a_folder(tmp_path, biases):
    (tmp_path / "maps").mkdir()
    settings = {"bad-pixel-maps": "maps"}
    missing = run(tmp_path, tuple(biases), settings=settings)
    assert any("there is no bad-pixel map" in w for w in missing.warnings)
    bad_pixels(tmp_path / "maps" / "BPM_VIS_2X2.fits")
    outcome = run(tmp_path, tuple(biases), settings=settings, overwrite=True)
    assert read_product(outcome.products[0].path).flags[10, 20] & PixelFlag.BAD
    assert outcome.warnings == ()


def test_a_bad_pixel_map_of_the_other_arm_is_not_wanted(tmp_path, biases):
    bad_pixels(tmp_path / "mine.fits")
    sof = tmp_path / "B.sof"
    sof.write_text("".join(f"{p} BIAS_VIS\n" for p in biases) + "mine.fits BPM_NIR\n")
    assert "bad-pixel maps: BPM_NIR; one VIS wanted" in run(tmp_path, sof).message


def test_prepared_frames_are_kept_if_asked_for(tmp_path, biases):
    outcome = run(tmp_path, tuple(biases), settings={"save-intermediate-products": True})
    folder = outcome.products[0].path.parent
    assert sorted(p.name for p in folder.glob("*_pre.fits")) == [f"bias{n}_pre.fits" for n in "012"]
    with fits.open(folder / "bias1_pre.fits", checksum=True) as hdus:
        hdus.verify("exception")
        header = hdus[0].header
        assert [h.name for h in hdus][:3] == ["FLUX", "QUAL", "ERRS"]
        assert hdus["FLUX"].data.shape == TRIMMED
        assert np.median(hdus["FLUX"].data) == pytest.approx(1200)
        # the pedestal, which the margins show too, makes no photon noise
        assert np.median(hdus["ERRS"].data) == pytest.approx(3.8, rel=0.2)
    assert header["SXSPRE"]
    assert header["ESO PRO REC1 RAW1 NAME"] == "bias1.fits"
    assert "ESO PRO REC1 RAW2 NAME" not in header


def test_prepared_frames_are_not_kept_otherwise(tmp_path, biases):
    outcome = run(tmp_path, tuple(biases))
    assert not list(outcome.products[0].path.parent.glob("*_pre.fits"))


def test_masters_named_by_path_are_combined(tmp_path, biases):
    first = run(tmp_path, tuple(biases)).products[0].path
    others = [write_raw(tmp_path / "more" / f"bias{n}.fits", n, noise=3.0) for n in range(3, 6)]
    (tmp_path / "old").mkdir()
    second = run(tmp_path, tuple(others), output=tmp_path / "old").products[0].path
    other = tmp_path / "workspace"
    other.mkdir()
    outcome = run(other, (first, second))  # both outside of it
    assert outcome.state == "passed"
    header = read_header(outcome.products[0].path)
    names = [header[f"ESO PRO REC1 RAW{n} NAME"] for n in range(1, 7)]
    assert sorted(names) == [f"bias{n}.fits" for n in range(6)]
    assert all(header[f"ESO PRO REC1 RAW{n} DATAMD5"] for n in range(1, 7))
    assert header["ESO PRO REC1 CAL2 CATG"] == "MASTER_BIAS_VIS"
    assert header["NCOMBINE"] == 6
    assert outcome.sof_stem.endswith("_MBIAS_SOXS_COMBINED")


def test_a_product_never_replaces_what_it_is_made_of(tmp_path, biases):
    master = run(tmp_path, tuple(biases)).products[0].path
    before = master.read_bytes()
    sof = tmp_path / "sof" / f"{master.stem}.sof"
    sof.parent.mkdir()
    sof.write_text("".join(f"{p} BIAS_VIS\n" for p in biases) + f"{master} MASTER_BIAS_VIS\n")
    outcome = run(tmp_path, sof, overwrite=True)
    assert outcome.exit_status == OutputError.exit_status
    assert "would replace a file it is made of" in outcome.message
    assert master.read_bytes() == before


def arc_and_darks(folder, seconds, darks):
    """A VIS pinhole arc, a bias and master darks of the times given, as files."""
    arc = write_raw(
        folder / "arc.fits",
        1,
        DPR_TYPE="LAMP,WAVE",
        DPR_TECH="ECHELLE,PINHOLE",
        EXPTIME=seconds,
    )
    paths = [arc, folder / "bias.fits"]
    bias = Frame(np.full(TRIMMED, 1000.0), np.ones(TRIMMED), np.zeros(TRIMMED))
    write_product(paths[1], bias, Header({"HIERARCH ESO PRO CATG": "MASTER_BIAS_VIS"}))
    for time in darks:
        header = Header({"HIERARCH ESO PRO CATG": "MASTER_DARK_VIS", "EXPTIME": time})
        level = 5.0 + 0.1 * time  # an offset besides the current
        paths.append(folder / f"dark{time:g}.fits")
        write_product(
            paths[-1],
            Frame(np.full(TRIMMED, level), np.full(TRIMMED, 2.0), np.zeros(TRIMMED)),
            header,
        )
    return gather(recipes.load("disp_solution"), file_set(paths))


@pytest.mark.parametrize(
    ("darks", "level", "how"),
    [
        ([60.0], 11.0, "equal"),
        ([60.0004, 10.0], 11.00004, "equal"),
        ([20.0, 100.0], 11.0, "interpolated"),
        ([120.0], 8.5, "scaled"),
        ([20.0], 21.0, "scaled"),
    ],
)
def test_the_dark_is_made_for_the_time_of_the_frames(tmp_path, caplog, darks, level, how):
    loaded = load(recipes.load("disp_solution"), arc_and_darks(tmp_path, 60.0, darks))
    dark = loaded.inputs.dark
    assert np.allclose(dark.data, level, rtol=1e-5)
    assert dark.header["EXPTIME"] == 60.0
    assert loaded.cards["ESO PRO REC1 DARK HOW"][0] == how
    assert [u.category for u in loaded.calibrations][1:] == ["MASTER_DARK_VIS"] * len(darks)
    told = [r.message for r in caplog.records if "no dark of 60 s" in r.message]
    assert len(told) == (how != "equal")
    assert all(f"it is {how} from that of" in text for text in told)


def test_a_lamp_recipe_does_without_a_dark(tmp_path):
    loaded = load(recipes.load("disp_solution"), arc_and_darks(tmp_path, 60.0, []))
    assert loaded.inputs.dark is None
    assert loaded.cards == {}


def test_a_bias_takes_one_master_bias_as_calibration_elsewhere(tmp_path):
    gathered = arc_and_darks(tmp_path, 60.0, [])
    twin = tmp_path / "twin.fits"
    twin.write_bytes((tmp_path / "bias.fits").read_bytes())
    files = [f.path for f in (*gathered.frames, *gathered.products)]
    with pytest.raises(InputError, match="two files MASTER_BIAS_VIS"):
        gather(recipes.load("disp_solution"), file_set([*files, twin]))
