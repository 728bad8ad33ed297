"""The documented class interface."""

import inspect
import logging

import pytest

from soxspipe import classic, recipes
from soxspipe.cli.arguments import RECIPES
from soxspipe.errors import InputError, OutputError, SettingsError
from soxspipe.workspace import runner
from tests.raw_files import write_raw
from tests.workspace import fake_bias

DOCUMENTED = (
    "log",
    "settings",
    "inputFrames",
    "verbose",
    "overwrite",
    "command",
    "debug",
    "turnOffMP",
    "recipeName",
)


@pytest.fixture
def biases(tmp_path, monkeypatch):
    monkeypatch.setattr(runner.recipes, "load", lambda name: fake_bias.recipe())
    monkeypatch.chdir(tmp_path)
    return [str(write_raw(tmp_path / f"bias{n}.fits", n)) for n in range(2)]


def test_produce_product_returns_the_path(biases, tmp_path):
    path = recipes.soxs_mbias(
        log=logging.getLogger("test"), settings={}, inputFrames=biases
    ).produce_product()
    assert (tmp_path / path).is_file()
    assert path.endswith("reduced/2026-01-10/soxs-mbias/20260111T090000_VIS_2X2_1_MBIAS_SOXS.fits")


def test_errors_are_raised(biases):
    recipe = recipes.soxs_mbias(inputFrames=biases)
    recipe.produce_product()
    with pytest.raises(OutputError, match="exists already"):
        recipe.produce_product()
    with pytest.raises(InputError, match="at least 2 needed"):
        recipes.soxs_mbias(inputFrames=biases[:1], overwrite=True).produce_product()
    with pytest.raises(SettingsError, match="soxs-mbiass"):
        recipes.soxs_mbias(
            inputFrames=biases, overwrite=True, settings={"soxs-mbiass": {}}
        ).produce_product()


@pytest.mark.parametrize(
    "name",
    [
        "soxs_mbias",
        "soxs_mdark",
        "soxs_disp_solution",
        "soxs_order_centres",
        "soxs_mflat",
        "soxs_spatial_solution",
        "soxs_stare",
        "soxs_nod",
        "soxs_offset",
        "soxs_straighten",
        "soxs_extract",
    ],
)
def test_every_class_stands_for_a_recipe(name):
    kind = getattr(recipes, name)
    assert tuple(inspect.signature(kind).parameters) == DOCUMENTED
    assert {kind().recipeName, *kind.variants} <= set(RECIPES)


def test_standard_star():
    assert recipes.soxs_stare(recipeName="soxs-stare-std").recipeName == "stare_std"
    assert recipes.soxs_nod(recipeName="soxs-nod-std").recipeName == "nod_std"
    assert recipes.soxs_offset(recipeName="soxs-offset-std").recipeName == "offset_std"
    with pytest.raises(InputError, match="recipeName may be stare, stare_std"):
        recipes.soxs_stare(recipeName="soxs-nod")


def test_unknown_name_is_no_class():
    with pytest.raises(AttributeError):
        recipes.soxs_nothing  # noqa: B018
    assert issubclass(recipes.soxs_mdark, classic.base_recipe)
