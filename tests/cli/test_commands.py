"""The commands that go well: options anywhere, sessions, lists, a quick start."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from soxspipe import __version__
from soxspipe.cli.arguments import RECIPES, build_parser, sorted_words
from soxspipe.recipes import MODULES

ROOT = Path(__file__).parents[2]


def test_help_is_quick_and_imports_nothing_heavy():
    code = (
        "import sys\nfrom soxspipe.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted(set(m.partition('.')[0] for m in sys.modules)), file=sys.stderr)"
    )
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert time.monotonic() - start < 0.5
    heavy = {"numpy", "scipy", "astropy", "matplotlib", "numba", "pydantic", "rich", "yaml"}
    assert not heavy & set(eval(done.stderr))  # noqa: S307 (our own list)
    assert "Exit statuses" in done.stdout


def test_every_recipe_is_a_command():
    assert set(MODULES) <= set(RECIPES)
    for name in MODULES:
        assert build_parser("0").parse_args([name, "a.sof"]).recipe == name


def test_a_recipe_that_is_registered_becomes_a_command(monkeypatch):
    for name in ("nod", "nod_std", "offset", "offset_std", "straighten", "extract"):
        monkeypatch.setitem(MODULES, name, name)
        args = build_parser("0").parse_args([name, "a.sof"])
        assert args.recipe == name
        assert ("object_positions" in args.options) == (name != "straighten")


@pytest.mark.parametrize(
    "words",
    [
        ["-x", "mbias", "a.sof", "-s", "my.yaml", "-V"],
        ["-Vxs", "my.yaml", "mbias", "a.sof"],
        ["mbias", "-V", "-x", "--settings=my.yaml", "a.sof"],
    ],
)
def test_options_may_stand_anywhere(words):
    args = build_parser("0").parse_args(sorted_words(words))
    assert (args.recipe, args.inputs) == ("mbias", ["a.sof"])
    assert args.overwrite
    assert args.verbose
    assert args.settings == "my.yaml"


@pytest.mark.parametrize(
    ("word", "recipe"), [("disp_sol", "disp_solution"), ("spat_sol", "spat_solution")]
)
def test_both_spellings_are_understood(word, recipe):
    assert build_parser("0").parse_args([word, "a.sof"]).recipe == recipe


@pytest.mark.parametrize(
    "words", [["reduce", "all", "-qwpVmx", "-b", "3", "f"], ["-q", "reduce", "all"]]
)
def test_documented_options_of_reduce(words):
    args = build_parser("0").parse_args(sorted_words(words))
    assert args.quitOnFail
    assert args.batch in (None, 3)


@pytest.mark.parametrize(
    ("words", "positions", "apertures"),
    [
        (["stare", "a.sof", "--position", "-1.5", "3"], [-1.5, 3.0], None),
        (["--position", "-1.5", "3", "--aperture=2.5", "stare", "a.sof"], [-1.5, 3.0], [2.5]),
        (["stare", "--object-positions", "0", "-x", "a.sof", "--position", "2"], [0.0, 2.0], None),
        (["stare_std", "--aperture", "2", "a.sof"], None, [2.0]),
    ],
)
def test_positions_and_apertures_are_lists_of_numbers_anywhere(words, positions, apertures):
    args = build_parser("0").parse_args(sorted_words(words))
    assert args.inputs == ["a.sof"]
    assert (args.object_positions, args.object_apertures) == (positions, apertures)


def test_recipes_without_objects_take_no_positions(soxspipe):
    assert soxspipe("mflat", "a.sof", "--position", "1")[0] == 2


def test_version(soxspipe):
    assert soxspipe("-v")[:2] == (0, f"v{__version__}\n")


def test_prep_reduce_and_a_second_call(soxspipe, night):
    status, out, err = soxspipe("prep", night)
    assert status == 0
    assert "14 of SOXS (14 VIS), 14 new" in out
    assert not err
    status, out, err = soxspipe("reduce", "all", night, "--workers", "1")
    assert status == 0
    assert out.count("passed") == 6
    assert err.count("\n") == 6
    status, out, _ = soxspipe("reduce", "all", night, "--workers", "1")
    assert status == 0
    assert "nothing to do: 6 runs are done" in out


def test_a_failure_tells_in_the_exit_status_and_the_table(soxspipe, night):
    soxspipe("prep", night)
    (night / "_SSOL_.how.log").write_text("failed")
    status, out, err = soxspipe("reduce", "all", night, "--workers", "1")
    assert status == 8
    assert "out of range: LEVEL = 99" in out
    assert "blocked" in out
    assert "spat_solution" in err
    status, out, _ = soxspipe("reduce", "all", night, "--workers", "1")
    assert status == 8
    assert "failed before" in out


def test_the_session_log_tells_of_every_run(soxspipe, night):
    soxspipe("prep", night)
    (night / "_SSOL_.how.log").write_text("failed")
    soxspipe("reduce", "all", night, "--workers", "1")
    text = (night / "soxspipe.log").read_text()
    assert text.count(" passed, ") == 4
    assert "SSOL_MULTPIN_60_0S_SOXS failed, 0.0 s: out of range: LEVEL = 99" in text


def test_one_sof_from_anywhere(soxspipe, night):
    soxspipe("prep", night)
    sof = next((night / "sof").glob("*STARE_OBJ*"))
    assert soxspipe("reduce", "sof", sof, "--workers", "1")[0] == 0
    assert list((night / "reduced").rglob("*STARE_OBJ*.fits"))


def test_raw_sof_exports_all_frames_behind_a_spectrum(soxspipe, night):
    soxspipe("prep", night)
    sof = next((night / "sof").glob("*STARE_OBJ*"))
    status, out, _ = soxspipe("raw", "sof", sof)
    assert status == 0
    assert len(list((night / "exported").glob("*.fits"))) == 14
    assert "14 raw frames" in out


@pytest.mark.parametrize("what", ["ob", "obs", "sof"])
def test_lists(soxspipe, night, what):
    soxspipe("prep", night)
    status, out, _ = soxspipe("list", what, night)
    assert status == 0
    assert "SN2026-ab" in out
    assert "to do" in out


def test_plan_names_every_run(soxspipe, night):
    soxspipe("prep", night)
    status, out, _ = soxspipe("plan", night)
    assert status == 0
    assert out.count("<- MASTER_BIAS_VIS") == 5


def test_sessions_keep_their_own_settings_sofs_and_states(soxspipe, night, monkeypatch):
    soxspipe("prep", night)
    soxspipe("reduce", "all", night, "--workers", "1")
    monkeypatch.chdir(night)
    assert soxspipe("session", "new", "try-2")[0] == 0
    assert soxspipe("session", "ls")[1] == "base\n*try-2*\n"
    assert not list((night / "reduced").rglob("*.fits"))
    assert len(list((night / "sof").glob("*.sof"))) == 6
    status, out, _ = soxspipe("reduce", "all", "--workers", "1")
    assert status == 0
    assert out.count("passed") == 6
    assert soxspipe("session", "base")[0] == 0
    assert "nothing to do" in soxspipe("reduce", "all", "--workers", "1")[1]
    assert (night / "soxspipe.yaml").resolve().parent.name == "base"


@pytest.mark.parametrize("name", ["a b", "../up", "much-too-long-a-name", "x;DROP TABLE", "BASE"])
def test_odd_session_names_are_refused(soxspipe, night, monkeypatch, name):
    soxspipe("prep", night)
    monkeypatch.chdir(night)
    status, _, err = soxspipe("session", "new", name)
    assert status == 7
    assert "session" in err
    assert soxspipe("session", "ls")[1] == "*base*\n"


def test_an_unknown_session_is_refused_with_those_there_are(soxspipe, night, monkeypatch):
    soxspipe("prep", night)
    monkeypatch.chdir(night)
    status, _, err = soxspipe("session", "other")
    assert status == 7
    assert "sessions are: base" in err


def test_vlt_folders_are_told_absent(soxspipe, night):
    assert soxspipe("prep", night, "--vlt")[0] == 7
