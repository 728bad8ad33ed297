"""Options: defaults as documented, names in any spelling, every mistake told at once."""

import re
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from soxspipe.errors import SettingsError
from soxspipe.recipes.default_settings import default_yaml
from soxspipe.settings import (
    BLOCKS,
    DispSolutionSettings,
    MbiasSettings,
    NodSettings,
    OrderCentresSettings,
    SpatSolutionSettings,
    StareSettings,
    check_settings,
    read_settings,
)
from tests.workspace import fake_bias


def write(tmp_path, text):
    path = tmp_path / "soxspipe.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("folder", "arm", "path", "value"),
    [
        ("soxs-mbias", "NIR", "frame_clipping_sigma", 4),
        ("soxs-mdark", "VIS", "frame_clipping_sigma", 3),
        ("soxs-disp-solution", "NIR", "order_deg", (5, 3)),
        ("soxs-disp-solution", "VIS", "pinhole_detection_thres_sigma", 2),
        ("soxs-order-centres", "NIR", "detect_continuum.order_deg", 6),
        ("soxs-order-centres", "VIS", "detect_continuum.peak_sigma_limit", 5),
        ("soxs-mflat", "NIR", "poly_fitting_residual_clipping_sigma", 3),
        ("soxs-mflat", "VIS", "background_subtraction.bspline_deg", 2),
        ("soxs-spat-solution", "NIR", "slit_deg", (1, 2)),
        ("soxs-stare", "VIS", "sky_subtraction.noise_rolling_window_size", 2000),
        ("soxs-stare-std", "VIS", "sky_subtraction.noise_rolling_window_size", 250),
        ("soxs-stare-std", "NIR", "sky_subtraction.percentile_clipping_sigma", 4),
        ("soxs-stare", "NIR", "detect_continuum.slice_length", 50),
        ("soxs-stare", "VIS", "subtract_background", True),
        ("soxs-nod", "VIS", "subtract_background", False),
        ("soxs-nod", "VIS", "detect_continuum.slice_length", 70),
        ("soxs-nod-std", "VIS", "detect_continuum.slice_length", 50),
        ("soxs-nod", "NIR", "detect_continuum.slice_length", 50),
        ("soxs-nod-std", "NIR", "detect_continuum.order_deg", 6),
        ("soxs-nod-std", "NIR", "detect_continuum.poly_fitting_residual_clipping_sigma", 5),
        ("soxs-nod", "NIR", "horne_extraction_slit_length", 11),
        ("soxs-nod", "VIS", "save_single_frame_extractions", False),
        ("soxs-offset", "VIS", "detect_continuum.slice_length", 35),
        ("soxs-offset-std", "NIR", "detect_continuum.slice_width", 5),
        ("soxs-offset", "NIR", "horne_extraction_slit_length", 10),
        ("soxs-offset-std", "VIS", "lacosmic_sigma", 25),
        ("soxs-straighten", "VIS", "straighten_grid_res_split", 0),
        ("soxs-extract", "NIR", "detect_continuum.slice_length", 50),
    ],
)
def test_documented_defaults(folder, arm, path, value):
    found = read_settings(None).recipe(folder, arm)
    for name in path.split("."):
        found = getattr(found, name)
    assert found == value


@pytest.mark.parametrize("name", list(BLOCKS))
@pytest.mark.parametrize("arm", ["VIS", "NIR"])
def test_defaults_are_whole_and_frozen(name, arm):
    settings = BLOCKS[name].defaults(arm)
    assert settings == read_settings(None).recipe(name, arm)
    with pytest.raises(ValidationError):
        settings.qc_acceptable_ranges = {}


def test_arm_goes_before_block_and_block_before_default(tmp_path):
    text = """
    soxs-stare:
        lacosmic-sigma: 7
        detect-continuum: {slice-width: 11}
        vis:
            lacosmic-sigma: 8
            detect-continuum: {order-deg: 2}
    """
    settings = read_settings(write(tmp_path, text))
    vis, nir = (settings.recipe("soxs-stare", arm) for arm in ("VIS", "NIR"))
    assert (vis.lacosmic_sigma, nir.lacosmic_sigma) == (8, 7)
    assert vis.detect_continuum.slice_width == nir.detect_continuum.slice_width == 11
    assert (vis.detect_continuum.order_deg, nir.detect_continuum.order_deg) == (2, 4)
    assert vis.detect_continuum.order_sample_count == 150


@pytest.mark.parametrize(
    "text",
    [
        "soxs-spat-solution: {mph_line_set_min: 5, use_flat: true}",
        "soxs_spat_solution: {mph-line-set-min: 5, use-flat: true}",
        "Soxs Spat Solution: {MPH line set min: 5, Use Flat: true}",
        "soxs-spatial-solution: {mph line set min: 5, use flat: true}",
    ],
)
def test_spelling(tmp_path, text):
    settings = read_settings(write(tmp_path, text)).recipe("soxs-spat-solution", "NIR")
    assert (settings.mph_line_set_min, settings.use_flat) == (5, True)


def test_acceptable_ranges(tmp_path):
    text = """
    soxs-mbias:
        qc-acceptable-ranges: {Raw RON: [0, 5], structx: [null, 2.5]}
        nir: {qc-acceptable-ranges: {raw_ron: [0, 20]}}
    """
    settings = read_settings(write(tmp_path, text))
    assert settings.recipe("soxs-mbias", "VIS").qc_acceptable_ranges == {
        "raw-ron": (0, 5),
        "structx": (None, 2.5),
    }
    assert settings.recipe("soxs-mbias", "NIR").qc_acceptable_ranges["raw-ron"] == (0, 20)


def test_background_is_shared_by_recipes(tmp_path):
    text = "background-subtraction: {gaussian-blur-sigma: 30}"
    settings = read_settings(write(tmp_path, text))
    for folder in ("soxs-mflat", "soxs-stare", "soxs-spat-solution"):
        assert settings.recipe(folder, "VIS").background_subtraction.gaussian_blur_sigma == 30


def test_the_atlas_is_switched_on_for_both_solutions_at_the_top(tmp_path):
    text = "bootstrap_dispersion_solution: true\nsoxs-spat-solution: {bootstrap_dispersion_solution: no}"
    settings = read_settings(write(tmp_path, text))
    first, full = (
        settings.recipe(f"soxs-{name}-solution", "NIR").bootstrap_dispersion_solution
        for name in ("disp", "spat")
    )
    assert (settings.general.bootstrap_dispersion_solution, first, full) == (True, True, False)
    text = default_yaml()
    assert text.count("bootstrap_dispersion_solution: false") == 1


MISTAKES = {
    "bootstrap_dispersion_solution: 3": "bootstrap_dispersion_solution: must be true or false, got 3",
    "soxs-mbias: {stacked-clipping-sgima: 3}": "unknown; did you mean stacked-clipping-sigma?",
    "soxs-mbias: {vis: {frame-clipping-sigma: 0}}": "vis / frame-clipping-sigma: must be greater",
    "soxs-mdark: {frame-clipping-iterations: 2.5}": "must be a whole number, got 2.5",
    "soxs-mdark: {frame-clipping-iterations: true}": "must be a whole number, got True",
    "soxs-mflat: {subtract_background: 5}": "must be true or false, got 5",
    "soxs-stare: {lacosmic-sigma: many}": "soxs-stare / lacosmic-sigma: must be a number",
    "soxs-stare: {sky-subtraction: {bspline_order: 12}}": "sky-subtraction / bspline_order: must",
    "soxs-stare: {detect-continuum: 5}": "should be a block of options, got 5",
    "soxs-stare: {vis: 5}": "soxs-stare / vis: should be a block of options, got 5",
    "soxs-disp-solution: {order-deg: [3, x]}": "soxs-disp-solution / order-deg / 1: must be",
    "soxs-disp-solution: {order-deg: 3}": "soxs-disp-solution / order-deg: must be a list",
    "soxs-mbias: {qc-acceptable-ranges: {raw-ron: [9, 1]}}": "lowest value 9.0 is above",
    "soxs-mbias: {qc-acceptable-ranges: {raw-ron: 9}}": "qc-acceptable-ranges / raw-ron: must be",
    "soxs-nod: {object-positions: 3}": "object-positions: must be a list of numbers, got 3",
    "soxs-nod: {object-positions: [30]}": "object-positions / 0: must be less than or equal to 10",
    "soxs-nod: {object-apertures: [0]}": "object-apertures / 0: must be greater than 0",
    "soxs-nod: {object-positions: [1], object-apertures: [2, 3]}": "2 apertures for 1 slit positions",
    "soxs-extract: {wavelength-unit: um}": "wavelength-unit: must be 'nm' or 'angstrom', got 'um'",
    "soxs-stare: {combine: never}": "combine: must be 'before' or 'after', got 'never'",
    "soxs-offset: {merged-step: -0.1}": "merged-step: must be greater than or equal to 0",
    "soxs-nod: {straighten_grid_res_split: 1}": "straighten_grid_res_split: unknown",
    "soxs-mbiass: {}": "soxs-mbiass: unknown; did you mean soxs-mbias?",
    "soxs-mbias: 4": "soxs-mbias: should be a block of options",
    "instrument: xsh": "instrument: must be 'soxs', got 'xsh'",
    "data-extension: -1": "data-extension: must be greater than or equal to 0",
    "save-intermediate-product: true": "did you mean save-intermediate-products?",
    "- a list": "holds no options",
}


@pytest.mark.parametrize("text", list(MISTAKES))
def test_each_mistake_is_told_with_its_place(tmp_path, text):
    with pytest.raises(SettingsError) as caught:
        read_settings(write(tmp_path, text))
    assert MISTAKES[text] in caught.value.message
    assert "soxspipe.yaml" in caught.value.message
    # what is shared by recipes is told once
    assert "2 mistakes" not in caught.value.message


def test_all_mistakes_at_once(tmp_path):
    text = "\n".join(
        [
            "soxs-mbias: {stacked-clipping-sgima: 3}",
            "soxs-mdark: {frame-clipping-iterations: 2.5}",
            "soxs-stare: {nir: {lacosmic-sigma: -1}}",
        ]
    )
    with pytest.raises(SettingsError) as caught:
        read_settings(write(tmp_path, text))
    head, *lines = caught.value.message.splitlines()
    assert head.endswith("3 mistakes")
    assert len(lines) == 3


def test_yaml_that_cannot_be_parsed_gives_the_line(tmp_path):
    with pytest.raises(SettingsError, match="line 4, column 11: expected"):
        read_settings(write(tmp_path, "version: 1\nsoxs-mbias:\n  a: [1\nsoxs-mdark: {}\n"))


def test_settings_never_run_code(tmp_path):
    with pytest.raises(SettingsError, match="could not determine a constructor"):
        read_settings(write(tmp_path, "version: !!python/object/apply:os.getcwd []"))


def test_missing_and_empty_files(tmp_path):
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        read_settings(tmp_path / "none.yaml")
    assert read_settings(write(tmp_path, "")).blocks == read_settings(None).blocks


def test_a_full_documented_file_is_valid(tmp_path):
    """Blocks of recipes to come are read past."""
    text = "soxs-response: {a: 1}"
    text += "\nlogging settings: {version: 1}\npae: false\nignore-dflats: True\n"
    assert read_settings(write(tmp_path, text)).blocks == read_settings(None).blocks


def test_unknown_block_or_arm():
    with pytest.raises(SettingsError, match="no settings soxs-response for arm VIS"):
        read_settings(None).recipe("soxs-response", "VIS")


def test_default_file_says_what_the_defaults_are(tmp_path):
    text = default_yaml(recipes=[fake_bias.recipe()])
    found = read_settings(write(tmp_path, text))
    expected = check_settings(
        {
            "soxs-mbias": {
                "vis": {
                    "qc-acceptable-ranges": {"mbias-median": [0, 2000], "detector-temp": [0, 165]}
                },
                "nir": {"qc-acceptable-ranges": {"detector-temp": [0, 50]}},
            }
        },
        source="expected",
    )
    assert found.blocks == expected.blocks
    assert found.general == expected.general


def test_default_file_is_documented():
    text = default_yaml(recipes=[])
    content = yaml.safe_load(text)
    assert content["soxs-stare"]["use_flat"] is True
    assert content["soxs-stare"]["vis"]["sky-subtraction"]["clip-slit-edge-fraction"] == 0.07
    assert content["soxs-spat-solution"]["mph_line_set_min"] == 7
    options = [
        line for line in text.splitlines() if ":" in line and not line.lstrip().startswith("#")
    ]
    comments = [line for line in text.splitlines() if line.lstrip().startswith("#")]
    assert len(comments) > 0.8 * len(options)


def test_poly():
    disp = DispSolutionSettings.defaults("NIR").with_poly("3455")
    assert (disp.order_deg, disp.wavelength_deg) == ((3, 4), (5, 5))
    spat = SpatSolutionSettings.defaults("NIR").with_poly("345524")
    assert (spat.order_deg, spat.wavelength_deg, spat.slit_deg) == ((3, 4), (5, 5), (2, 4))
    trace = OrderCentresSettings.defaults("VIS").with_poly("24").detect_continuum
    assert (trace.order_deg, trace.disp_axis_deg, trace.slice_length) == (2, 4, 30)


@pytest.mark.parametrize(
    ("kind", "digits"),
    [
        (DispSolutionSettings, "345"),
        (DispSolutionSettings, "34x5"),
        (DispSolutionSettings, "0345"),
        (OrderCentresSettings, "3643"),
        (MbiasSettings, "33"),
    ],
)
def test_poly_that_misfits(kind, digits):
    with pytest.raises(SettingsError, match="--poly"):
        kind.defaults("VIS").with_poly(digits)


def test_options_of_the_command_line_go_before_all_others(tmp_path):
    text = "soxs-nod: {object-positions: [4], merged-step: 0.1, vis: {object-positions: [5]}}"
    settings = read_settings(write(tmp_path, text)).recipe("soxs-nod", "VIS")
    assert settings.object_positions == (5,)
    given = settings.with_options({"object_positions": (-1.5, 2.0), "object_apertures": (3.0,)})
    assert (given.object_positions, given.object_apertures) == ((-1.5, 2.0), (3.0,))
    assert given.merged_step == 0.1
    assert settings.with_options({}) == settings


@pytest.mark.parametrize(
    ("kind", "given", "told"),
    [
        (MbiasSettings, {"object_positions": (1.0,)}, "this recipe has no --object-positions"),
        (StareSettings, {"object_positions": (99.0,)}, "--object-positions: must be less than"),
        (NodSettings, {"object_apertures": (1.0, 2.0)}, "2 apertures for 0 slit positions"),
    ],
)
def test_options_of_the_command_line_that_misfit(kind, given, told):
    with pytest.raises(SettingsError, match=told):
        kind.defaults("VIS").with_options(given)


def test_any_spelling_and_spectra_as_you_like(tmp_path):
    text = "Soxs Extract: {Object Positions: [0, -2.5], wavelength_medium: vacuum}"
    settings = read_settings(write(tmp_path, text)).recipe("soxs-extract", "NIR")
    assert (settings.object_positions, settings.wavelength_medium) == ((0, -2.5), "vacuum")
    assert settings.flattened()["object-positions"] == (0, -2.5)


def test_flattened_has_documented_names():
    flat = StareSettings.defaults("VIS").flattened()
    assert flat["use_flat"] is True
    assert flat["detect-continuum slice-length"] == 70
    assert flat["sky-subtraction clip-slit-edge-fraction"] == 0.07
    assert "qc-acceptable-ranges" not in flat


def test_options_without_effect_are_the_ones_the_manual_names():
    source = Path(__file__).parents[1] / "src" / "soxspipe"
    code = "\n".join(
        path.read_text(encoding="utf-8")
        for path in source.rglob("*.py")
        if "settings" not in path.relative_to(source).parts
    )
    declared = "\n".join(
        (source / "settings" / name).read_text(encoding="utf-8")
        for name in ("declared.py", "blocks.py", "objects.py")
    )
    options = set(re.findall(r"^    (\w+): .*= option\(", declared, re.M)) - {"version"}
    idle = {name for name in options if not re.search(rf"\.{name}\b", code)}
    manual = (source.parents[1] / "docs" / "methods.md").read_text(encoding="utf-8")
    listed = manual[manual.index("have no effect yet") :]
    assert idle == {name.replace("-", "_") for name in re.findall(r"`([\w-]+)`", listed)}
