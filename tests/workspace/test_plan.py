"""Which calibrations the organiser puts into SOF files, by the recipes' own declarations."""

from dataclasses import replace

import pytest

from soxspipe import recipes
from soxspipe.instrument.headers import FrameKind
from soxspipe.workspace.plan import make_plan
from soxspipe.workspace.sets import group
from tests.workspace.test_matching import BASE, one


@pytest.fixture(scope="module")
def all_recipes():
    return recipes.load_all()


def taken(all_recipes, *sets):
    runs = make_plan(sets, all_recipes, {}).runs
    return {stem: [t.maker for t in run.calibrations] for stem, run in runs.items()}


def test_two_darks_make_the_one_that_was_not_taken(all_recipes):
    darks = [one("mdark", f"d{t}", arm="NIR", exptime=float(t)) for t in (20, 60, 300)]
    arc = one("disp_solution", "arc", arm="NIR", exptime=120.0)
    assert taken(all_recipes, *darks, arc)["arc"] == ["d60", "d300"]
    alike = one("disp_solution", "arc", arm="NIR", exptime=300.0)
    assert taken(all_recipes, *darks, alike)["arc"] == ["d300"]


def test_ccd_frames_get_no_dark_but_ccd_darks_get_a_bias(all_recipes):
    sets = (one("mbias", "b"), one("mdark", "d"), one("disp_solution", "arc"))
    assert taken(all_recipes, *sets) == {"b": [], "d": ["b"], "arc": ["b"]}


def test_the_organiser_combines_no_masters(all_recipes):
    biases = [one("mbias", f"b{n}", hours=n) for n in range(3)]
    assert all(makers == [] for makers in taken(all_recipes, *biases).values())


@pytest.mark.parametrize(
    ("kind", "recipe", "code"),
    [
        (FrameKind.SCIENCE_STARE, "stare", "STARE_OBJ"),
        (FrameKind.SCIENCE_NODDING, "nod", "NOD_OBJ"),
        (FrameKind.FLUX_STANDARD_NODDING, "nod_std", "NOD_STD_FLUX"),
        (FrameKind.TELLURIC_STANDARD_NODDING, "nod_std", "NOD_STD_TELL"),
        (FrameKind.SCIENCE_OFFSET, "offset", "OFFSET_OBJ"),
        (FrameKind.FLUX_STANDARD_OFFSET, "offset_std", "OFFSET_STD_FLUX"),
        (FrameKind.TELLURIC_STANDARD_OFFSET, "offset_std", "OFFSET_STD_TELL"),
    ],
)
def test_every_mode_has_its_recipe_even_for_one_exposure(all_recipes, kind, recipe, code):
    tech = f"ECHELLE,SLIT,{kind.rpartition('_')[2].upper()}"
    (only,) = group([replace(BASE, kind=kind, dpr_tech=tech, exposures_in_template=4)], all_recipes)
    assert (only.recipe, only.flaw) == (recipe, "")
    assert f"_{code}_" in only.stem


def test_a_nir_nod_takes_a_dark_if_there_is_one_and_does_without(all_recipes):
    flat = one("mflat", "flat", arm="NIR")
    others = (one("disp_solution", "arc", arm="NIR"), one("order_centres", "trace", arm="NIR"))
    dark = one("mdark", "dark", arm="NIR", exptime=300.0)
    rest = (*others, flat, one("spat_solution", "map", arm="NIR"))
    nod = one("nod", "nod", arm="NIR", exptime=300.0, kind=FrameKind.SCIENCE_NODDING)
    assert set(taken(all_recipes, dark, *rest, nod)["nod"]) == {"dark", "flat", "map"}
    assert set(taken(all_recipes, *rest, nod)["nod"]) == {"flat", "map"}
