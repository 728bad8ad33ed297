"""Options of a recipe on the command line, and runs that work on a product instead of raw frames."""

import shlex
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
import pytest

from soxspipe.cli.arguments import build_parser, sorted_words
from soxspipe.datamodel.frame import Frame
from soxspipe.errors import SettingsError
from soxspipe.io.frames import read_header
from soxspipe.io.products import write_product
from soxspipe.io.provenance import Provenance, Used, product_header
from soxspipe.recipes.recipe import Calibration, Result
from soxspipe.settings import ExtractSettings, StareSettings
from soxspipe.workspace import runner
from soxspipe.workspace.run_record import RunRequest, command_line
from soxspipe.workspace.runner import run_recipe
from tests.raw_files import raw_header
from tests.workspace import fake_bias
from tests.workspace.one_run import LOG, STEM, run

SHAPE = (2048, 404)


def use(monkeypatch, recipe):
    monkeypatch.setattr(runner.recipes, "load", lambda name: recipe)


def parameters(outcome):
    """The settings a product's header names."""
    header = read_header(outcome.products[0].path)
    count = sum(key.startswith("ESO PRO REC1 PARAM") for key in header) // 2
    stem = "ESO PRO REC1 PARAM"
    return {header[f"{stem}{n} NAME"]: header[f"{stem}{n} VALUE"] for n in range(1, count + 1)}


@pytest.fixture
def seen(monkeypatch):
    """The settings a recipe was called with."""
    found = []

    def look(inputs, settings, arm):
        found.append(settings)
        return fake_bias.mean_bias(inputs, settings, arm)

    use(monkeypatch, replace(fake_bias.recipe(look), folder="soxs-stare", settings=StareSettings))
    return found


def test_options_of_the_command_line_reach_recipe_and_header(workspace, seen):
    (workspace / "soxspipe.yaml").write_text(
        "soxs-stare: {object-positions: [5], merged-step: 0.1}"
    )
    options = {"object_positions": (-1.5, 2.0), "object_apertures": (3.0,)}
    outcome = run(workspace, options=options)
    assert outcome.state == "passed"
    (settings,) = seen
    assert (settings.object_positions, settings.object_apertures) == ((-1.5, 2.0), (3.0,))
    assert settings.merged_step == 0.1
    written = parameters(outcome)
    assert written["object-positions"] == "-1.5, 2.0"
    assert written["wavelength-unit"] == "nm"


def test_without_them_the_settings_file_counts(workspace, seen):
    (workspace / "soxspipe.yaml").write_text("soxs-stare: {object-positions: [5]}")
    run(workspace)
    assert seen[0].object_positions == (5,)


@pytest.mark.parametrize("options", [{"object_positions": (30.0,)}, {"object_apertures": (-1.0,)}])
def test_an_option_out_of_its_limits_is_told_before_a_pixel_is_read(workspace, seen, options):
    outcome = run(workspace, options=options)
    assert outcome.exit_status == SettingsError.exit_status
    assert next(iter(options)).replace("_", "-") in outcome.message
    assert not seen


def test_a_recipe_without_objects_refuses_them(workspace):
    outcome = run(workspace, options={"object_positions": (1.0,)})
    assert outcome.exit_status == SettingsError.exit_status
    assert "this recipe has no --object-positions" in outcome.message


def test_the_command_in_the_log_repeats_the_run(workspace):
    options = {"object_positions": (-1.5, 2.0), "object_apertures": (3.0,)}
    sof = workspace / "sof" / f"{STEM}.sof"
    words = shlex.split(command_line(RunRequest("stare", sof, workspace, options=options)))
    args = build_parser("0").parse_args(sorted_words(words[1:]))
    assert (args.recipe, args.inputs, args.overwrite) == ("stare", [str(sof)], True)
    assert {name: tuple(getattr(args, name)) for name in args.options} == options


# --- a run that works on a product


@dataclass(frozen=True)
class Inputs:
    frame: Annotated[Frame, Calibration("SKY_SUB", "stare", leads=True)]
    bias: Annotated[Frame | None, Calibration("MASTER_BIAS", "mbias", required=False)]


def double(inputs, settings, arm):
    return Result({"MBIAS": replace(inputs.frame, data=2 * inputs.frame.data)})


@pytest.fixture
def product(tmp_path, monkeypatch):
    again = replace(
        fake_bias.recipe(double),
        name="extract",
        folder="soxs-extract",
        inputs=Inputs,
        settings=ExtractSettings,
        type_codes={},
        metrics=(),
    )
    use(monkeypatch, again)
    raw = raw_header(3, DPR_TYPE="OBJECT", DPR_CATG="SCIENCE", OBJECT="SN", EXPTIME=300.0)
    provenance = Provenance("soxs-stare", [Used("raw3.fits", "OBJECT_VIS", "abc")])
    header = product_header(raw, provenance, category="SKY_SUB_VIS", tech="ECHELLE,SLIT,STARE")
    path = tmp_path / "any_SKYSUB.fits"
    write_product(path, Frame(np.ones(SHAPE), np.ones(SHAPE), np.zeros(SHAPE)), header)
    return path


def extract(path, **more):
    request = RunRequest("mbias", path, path.parent, plots=False, **more)
    return run_recipe(request, log=LOG)


def test_a_product_is_worked_on_and_its_raw_frames_are_kept_in_mind(product):
    outcome = extract(product)
    assert (outcome.state, outcome.message) == ("passed", "")
    (made,) = outcome.products
    assert made.path.parent == product.parent / "reduced" / "2026-01-10" / "soxs-extract"
    assert made.path.name == "any_SKYSUB.fits"
    header = read_header(made.path)
    assert header["ESO PRO REC1 RAW1 NAME"] == "raw3.fits"
    assert header["ESO PRO REC1 RAW1 CATG"] == "OBJECT_VIS"
    assert header["ESO PRO REC1 CAL1 NAME"] == "any_SKYSUB.fits"
    assert header["OBJECT"] == "SN"
    assert "ESO DPR TYPE" not in header


def test_two_extractions_differ_by_their_options_and_need_an_x(product):
    extract(product)
    assert extract(product).state == "exists"
    again = extract(product, overwrite=True, options={"object_positions": (2.0,)})
    assert parameters(again)["object-positions"] == "2.0"


def test_the_product_is_not_eaten(product, tmp_path):
    folder = tmp_path / "reduced" / "2026-01-10" / "soxs-extract"
    folder.mkdir(parents=True)
    inside = folder / product.name
    product.rename(inside)
    request = RunRequest("mbias", inside, tmp_path, plots=False, overwrite=True)
    outcome = run_recipe(request, log=LOG)
    assert "would replace a file it is made of" in outcome.message
    assert read_header(inside)["ESO PRO CATG"] == "SKY_SUB_VIS"
