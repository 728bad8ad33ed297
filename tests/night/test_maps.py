"""A small night in which the slit is stepped across a galaxy, from raw frames to the cube."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from soxspipe.io.products import read_product
from soxspipe.simulator.conditions import Conditions
from soxspipe.simulator.night import simulate_night
from soxspipe.simulator.observation import Observation
from tests.night.commands import half_written, soxspipe

pytestmark = pytest.mark.slow

PLACE = 0.7
BAND = (560.0, 640.0)  # nm, inside one order


@pytest.fixture(scope="module")
def products(tmp_path_factory):
    """Folder of the products of a reduced map, and that of its truth."""
    root = tmp_path_factory.mktemp("map") / "night"
    groups = ("science", "bias", "arc", "pinhole_flat", "flat", "multi_pinhole")
    simulate_night(
        root,
        arms=("VIS",),
        seed=3,
        mode="mapping",
        binning=(2, 2),
        only=groups,
        conditions=Conditions(lamp_level=0.25),  # of binned pixels
        observation=Observation(
            extent=3.0, position=PLACE, seconds=(300.0, 300.0, 150.0, 300.0, 300.0)
        ),
    )
    for words in (("prep", root), ("reduce", "all", root)):
        run = soxspipe(*words)
        assert run.returncode == 0, run.stdout + run.stderr
    assert half_written(root) == []
    (folder,) = root.glob("reduced/*/soxs-offset")
    return folder, root / "truth"


def one(folder, ending):
    (path,) = folder.glob(f"*{ending}")
    return path


def test_the_galaxy_is_in_the_cube(products):
    folder, truth = products
    table = read_product(one(folder, "_POSITIONS.fits"))
    cube = read_product(one(folder, "_CUBE.fits"))
    assert np.allclose(table["across"], [-2, -1, 0, 1, 2])
    assert table["found"].all()
    assert np.allclose(table["slit_position"], PLACE, atol=0.05)
    assert np.allclose(cube.offsets, table["across"])
    assert cube.seconds == pytest.approx(270.0)
    inside = (cube.grid.wavelength > BAND[0]) & (cube.grid.wavelength < BAND[1])
    for row, place in enumerate(table):
        stem = str(place["files"]).removesuffix(".fits")
        told = Table.read(truth / f"{stem}_spectrum.fits")
        own = told[(told["wavelength"] > BAND[0]) & (told["wavelength"] < BAND[1])]
        wanted = own["flux"].sum() * cube.seconds / place["exptime"]
        found = np.nansum(cube.flux[row][:, inside], dtype="f8")
        # its wings fill the slit: little of them goes with the sky
        assert found / wanted == pytest.approx(1.0, abs=0.02)
        with fits.open(one(folder, f"_EXTRACTED_MERGED_P{row + 1}.fits"), checksum=True) as hdus:
            assert hdus[0].header["ESO PRO MAP NPOS"] == 5


def test_the_best_position_gives_the_documented_spectra(products):
    folder, _ = products
    table = read_product(one(folder, "_POSITIONS.fits"))
    header = fits.getheader(one(folder, "_EXTRACTED_MERGED.fits"))
    assert header["ESO PRO MAP BEST"] == np.argmax(table["snr"]) + 1
    assert header["ESO PRO OBJ FOUND"] is True
    log = one(folder, ".log").read_text(encoding="utf-8")
    assert "a map of 5 positions" in log
    assert "cube of 5 steps" in log
