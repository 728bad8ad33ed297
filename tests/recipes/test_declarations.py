"""What recipes declare, against the documented tables and against each other."""

import re

import pytest

from soxspipe.instrument.headers import FrameKind
from soxspipe.recipes import MODULES, load, load_all
from soxspipe.recipes.default_settings import default_yaml
from soxspipe.recipes.recipe import Calibration, Raw
from soxspipe.settings import BLOCKS

ARMS = ("VIS", "NIR")
RECIPES = load_all()
CASCADE = [
    "mbias",
    "mdark",
    "disp_solution",
    "order_centres",
    "mflat",
    "spat_solution",
    "stare_std",
    "nod_std",
    "offset_std",
    "stare",
    "nod",
    "offset",
    "straighten",
    "extract",
]
FOLDERS = [f"soxs-{name.replace('_', '-')}" for name in CASCADE]
#: Recipes that work on products again; nobody plans them, and no detector is watched.
BY_HAND = ("straighten", "extract")
each_recipe = pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
PLANNED = {name: recipe for name, recipe in RECIPES.items() if name not in BY_HAND}
each_planned = pytest.mark.parametrize("recipe", PLANNED.values(), ids=PLANNED)


def test_recipes_come_in_the_order_of_the_cascade():
    assert list(RECIPES) == list(MODULES) == CASCADE
    assert [recipe.folder for recipe in RECIPES.values()] == FOLDERS
    assert list(BLOCKS) == FOLDERS


def test_an_unknown_recipe_is_not_found():
    with pytest.raises(KeyError):
        load("mflatt")


@each_recipe
def test_the_settings_are_those_of_the_block(recipe):
    assert recipe.settings is BLOCKS[recipe.folder]
    for arm in ARMS:
        recipe.settings.model_validate(recipe.settings.default_options(arm))


#: Ranges of the documented tables: metric -> (VIS, NIR); None: measured but not judged.
LIMITS = {
    "mbias": {
        "MBIAS MEDIAN": ((0, 2000), (0, 2000)),
        "RAW RON": ((0, 15), (0, 15)),
        "MASTER RON": ((0, 10), (0, 10)),
        "FPN FRACMAX": ((0, 3), (0, 3)),
        "STRUCTX": ((-3, 1), (-3, 1)),
        "STRUCTY": ((-0.01, 0.6), (-0.01, 0.6)),
        "BADPIX FRAC": (None, None),
        "CPATH TEMP": (None, None),
    },
    "mdark": {
        "MDARK MEDIAN": ((-15, 50), (-15, 50)),
        "RAW RON": ((0, 30), (0, 30)),
        "HOTPIX NUM": (None, None),
    },
    "disp_solution": {
        "DETLINES FRAC": ((0.9, 1.01), (0.9, 1.01)),
        "X RES MEDIAN": ((0, 0.15), (0, 0.35)),
        "X RES SD": ((0, 0.4), (0, 1.0)),
        "Y RES MEDIAN": ((0, 0.9), (0, 0.13)),
        "Y RES SD": ((0, 1.2), (0, 0.25)),
        "XY RES MEDIAN": (None, (0, 0.4)),
        "XY RES SD": ((0, 1.5), (0, 1.0)),
        "X DIFF SD": ((0, 3.0), (0, 1.3)),
        "Y DIFF SD": ((0, 10.0), (0, 1.5)),
        "XY DIFF MEDIAN": (None, (0, 6.0)),
        "XY DIFF SD": (None, (0, 1.9)),
        "FWHM PIN MEDIAN": ((1.6, 1.75), (1.75, 1.89)),
        "FWHM PIN SD": ((0.1, 0.2), (0, 0.211)),
        "R PIN MEDIAN": (None, None),
    },
    "order_centres": {
        "SAMPLES DET FRAC": ((0.85, 1.01), (0.8, 1.01)),
        "X RES SD": ((0, 0.1), None),
        "Y RES SD": (None, (0, 0.1)),
        "SAMPLES CLIP FRAC": (None, None),
    },
    "mflat": {
        "COLDPIX FRAC": ((-0.001, 0.01), (-0.001, 0.01)),
        "INNER ORDER PIX MEAN": ((0.9, 1.1), (0.9, 1.1)),
        "INNER ORDER PIX SUM": ((1e5, 7e5), (1e6, 1.2e6)),
        "ORDEXP90": ((1e4, 1.5e5), (3e4, 6e4)),
        "X RES SD": ((0, 0.37), (0, 0.2)),
        "ORDEXP10": (None, None),
    },
    "spat_solution": {
        "DETLINES FRAC": ((0.95, 1.01), None),
        "GOODLINES FRAC": ((0.55, 1.01), (0.4, 1.01)),
        "PINHOLE COUNT MIN": ((8.5, 9.5), (8.5, 9.5)),
        "X RES SD": ((0, 0.25), (0, 0.42)),
        "Y RES SD": ((0, 0.48), (0, 0.12)),
        "XY RES MEDIAN": ((0, 0.7), (0, 0.3)),
        "XY RES SD": ((0, 0.5), (0, 0.4)),
        "FWHM PIN MEDIAN": ((1.6, 1.72), (1.55, 1.85)),
        "FWHM PIN SD": ((0, 0.16), (0, 0.145)),
    },
    "stare_std": {"SNR MEDIAN": (None, None), "N ORDERS": (None, None)},
    "nod_std": {
        "BADPIX FRAC": ((-0.001, 0.01), (-0.001, 0.01)),
        "INNER ORDER PIX MEAN": ((-40, 60), (-40, 60)),
        "N ORDERS": ((3, 5), (14, 16)),
        "SAMPLES DET FRAC": ((0.93, 1.01), (0.7, 1.01)),
        "SAMPLES CLIP FRAC": ((-0.01, 0.2), (-0.01, 0.3)),
        "X RES SD": ((-0.01, 0.2), None),
        "Y RES SD": (None, (-0.01, 0.5)),
        "SNR MEDIAN": ((50, 1000), (7, 200)),
    },
    "offset_std": {"SNR MEDIAN": (None, None), "N ORDERS": (None, None)},
    "nod": {"SNR MEDIAN": (None, None), "N ORDERS": (None, None)},
    "offset": {"SNR MEDIAN": (None, None), "N ORDERS": (None, None)},
    "stare": {"SNR MEDIAN": (None, None), "N ORDERS": (None, None)},
}


@pytest.mark.parametrize(
    ("name", "keyword"), [(name, keyword) for name, table in LIMITS.items() for keyword in table]
)
def test_acceptable_ranges_are_the_documented_ones(name, keyword):
    metric = RECIPES[name].metric(keyword)
    assert tuple(metric.limits.get(arm) for arm in ARMS) == LIMITS[name][keyword]


@each_planned
def test_nothing_else_is_judged(recipe):
    judged = {m.keyword for m in recipe.metrics if m.limits}
    documented = {k for k, pair in LIMITS[recipe.name].items() if any(pair)}
    assert judged == documented | {"DETECTOR TEMP"}


@pytest.mark.parametrize("name", BY_HAND)
def test_what_is_done_by_hand_is_neither_planned_nor_judged(name):
    assert RECIPES[name].type_codes == {}
    assert not any(m.limits for m in RECIPES[name].metrics)
    assert any(getattr(i.marker, "leads", False) for i in RECIPES[name].declared_inputs())


@each_planned
def test_every_recipe_watches_the_temperatures(recipe):
    limits = recipe.metric("DETECTOR TEMP").limits
    assert limits["VIS"] == (0, 165)
    assert limits["NIR"] == ((0, 165) if recipe.name == "mbias" else (0, 50))
    assert recipe.metric("CPATH TEMP").limits == {}


@each_recipe
def test_metrics_are_named_once_and_explained(recipe):
    keywords = [m.keyword for m in recipe.metrics]
    assert len(keywords) == len(set(keywords))
    assert all(re.fullmatch(r"[A-Z0-9]+( [A-Z0-9]+)*", k) for k in keywords)
    assert all(m.meaning for m in recipe.metrics)
    # ESO QC <NAME> = value must fit into a card
    assert all(len(f"HIERARCH ESO QC {k} = 0.1234567890123456") <= 80 for k in keywords)


@each_recipe
def test_files_have_names_of_their_own(recipe):
    assert recipe.plots
    labels = [p.label for p in (*recipe.products, *recipe.plots)]
    assert len(labels) == len(set(labels))
    names = [(p.group, p.replace, p.suffix) for p in recipe.products]
    names += [("qc", None, p.suffix) for p in recipe.plots]
    assert len(names) == len(set(names))
    assert all(p.suffix.endswith((".fits", ".txt")) for p in recipe.products)
    assert all(p.suffix.endswith(".pdf") for p in recipe.plots)
    assert all(p.group in ("reduced", "qc") and p.meaning for p in recipe.products)


#: Calibrations each recipe cannot do without, by arm.
NEEDED = {
    "mbias": {"VIS": set(), "NIR": set()},
    "mdark": {"VIS": set(), "NIR": set()},
    "disp_solution": {"VIS": {"MASTER_BIAS"}, "NIR": set()},
    "order_centres": {"VIS": {"MASTER_BIAS", "DISP_TAB"}, "NIR": {"DISP_TAB"}},
    "mflat": {"VIS": {"MASTER_BIAS", "ORDER_TAB"}, "NIR": {"ORDER_TAB"}},
    "spat_solution": {
        "VIS": {"MASTER_BIAS", "DISP_TAB", "ORDER_TAB"},
        "NIR": {"DISP_TAB", "ORDER_TAB"},
    },
    "stare": {
        "VIS": {"MASTER_BIAS", "MASTER_FLAT", "ORDER_TAB", "DISP_IMAGE"},
        "NIR": {"MASTER_DARK", "MASTER_FLAT", "ORDER_TAB", "DISP_IMAGE"},
    },
}
NEEDED["stare_std"] = NEEDED["stare"]
NEEDED["nod"] = {
    "VIS": {"MASTER_BIAS", "MASTER_FLAT", "ORDER_TAB", "DISP_IMAGE"},
    "NIR": {"MASTER_FLAT", "ORDER_TAB", "DISP_IMAGE"},
}
NEEDED["nod_std"] = NEEDED["offset"] = NEEDED["offset_std"] = NEEDED["nod"]
NEEDED["straighten"] = {arm: {"DISP_IMAGE"} for arm in ARMS}
NEEDED["extract"] = {arm: set() for arm in ARMS}


@pytest.mark.parametrize("arm", ARMS)
@each_recipe
def test_each_arm_needs_the_documented_calibrations(recipe, arm):
    required = {i.marker.tag for i in recipe.calibrations(arm) if i.marker.required_in(arm)}
    assert required - {"DISP_TAB"} == NEEDED[recipe.name][arm] - {"DISP_TAB"}
    assert required >= NEEDED[recipe.name][arm]


@pytest.mark.parametrize("arm", ARMS)
@each_recipe
def test_no_arm_is_given_the_other_arms_calibrations(recipe, arm):
    tags = {i.marker.tag for i in recipe.calibrations(arm) if arm not in i.marker.by_hand}
    assert {"VIS": "MASTER_DARK", "NIR": "MASTER_BIAS"}[arm] not in tags
    if recipe.name not in ("mbias", "mdark", "extract"):
        assert {"VIS": "MASTER_BIAS", "NIR": "MASTER_DARK"}[arm] in tags


@each_recipe
def test_what_a_recipe_takes_an_earlier_one_makes(recipe):
    for item in recipe.declared_inputs():
        if isinstance(item.marker, Calibration):
            maker = RECIPES[item.marker.made_by]
            own_masters = maker is recipe and item.marker.by_hand == ("VIS", "NIR")
            assert own_masters or CASCADE.index(maker.name) < CASCADE.index(recipe.name)
            # a sky-subtracted frame gets its tag from the SOF
            made = {p.category for p in maker.products} | {"SCI_SLIT_SKYSUB"}
            assert item.marker.tag in made


@pytest.mark.parametrize(
    ("name", "kind", "least", "code"),
    [
        ("mbias", FrameKind.BIAS, 3, "MBIAS"),
        ("mdark", FrameKind.DARK, 3, "MDARK"),
        ("disp_solution", FrameKind.PINHOLE_ARC, 1, "DSOL"),
        ("order_centres", FrameKind.PINHOLE_FLAT, 1, "OLOC"),
        ("mflat", FrameKind.SLIT_FLAT, 3, "MFLAT"),
        ("spat_solution", FrameKind.MULTI_PINHOLE_ARC, 1, "SSOL"),
        ("stare_std", FrameKind.FLUX_STANDARD_STARE, 1, "STARE_STD_FLUX"),
        ("stare_std", FrameKind.TELLURIC_STANDARD_STARE, 1, "STARE_STD_TELL"),
        ("stare", FrameKind.SCIENCE_STARE, 1, "STARE_OBJ"),
        ("nod_std", FrameKind.FLUX_STANDARD_NODDING, 1, "NOD_STD_FLUX"),
        ("nod_std", FrameKind.TELLURIC_STANDARD_NODDING, 1, "NOD_STD_TELL"),
        ("nod", FrameKind.SCIENCE_NODDING, 1, "NOD_OBJ"),
        ("offset_std", FrameKind.FLUX_STANDARD_OFFSET, 1, "OFFSET_STD_FLUX"),
        ("offset_std", FrameKind.TELLURIC_STANDARD_OFFSET, 1, "OFFSET_STD_TELL"),
        ("offset", FrameKind.SCIENCE_OFFSET, 1, "OFFSET_OBJ"),
    ],
)
def test_raw_frames_and_the_names_of_their_sets(name, kind, least, code):
    recipe = RECIPES[name]
    markers = [i.marker for i in recipe.raw_inputs() if kind in i.marker.kinds]
    assert [type(m) for m in markers] == [Raw]
    assert markers[0].least == least
    assert recipe.type_codes[kind] == code


@pytest.mark.parametrize("name", ["disp_solution", "order_centres", "mflat", "spat_solution"])
def test_lamp_recipes_take_lamp_off_frames_if_there_are_any(name):
    markers = [
        i.marker for i in RECIPES[name].raw_inputs() if i.marker.kinds == (FrameKind.LAMP_OFF,)
    ]
    assert [m.least for m in markers] == [0]


def test_the_settings_file_shows_every_range_and_every_recipe():
    text = default_yaml()
    for recipe in RECIPES.values():
        assert f"\n{recipe.folder}:" in text
        for metric in recipe.metrics:
            assert (f" {metric.key}: [" in text) or not metric.limits
