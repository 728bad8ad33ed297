"""Which calibrations the organiser puts into SOF files, by the recipes' own declarations."""

import pytest

from soxspipe import recipes
from soxspipe.workspace.plan import make_plan
from tests.workspace.test_matching import one


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
