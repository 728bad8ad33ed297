"""prep: files in, sets and SOF files out; nothing lost, nothing overwritten."""

import gzip
import shutil
import sqlite3
from datetime import timedelta

import pytest
from astropy.io import fits

from soxspipe.errors import OutputError, WorkspaceError
from soxspipe.io.sof import file_set
from soxspipe.recipes import load_all
from soxspipe.workspace.organiser import prepare
from tests.workspace import frames as f
from tests.workspace.cascade import RECIPES

YAML = "version: 1\n"


def prep(folder, **options):
    return prepare(folder, RECIPES, YAML, **options)


@pytest.fixture
def night(tmp_path):
    f.write_vis_night(tmp_path)
    f.write_nir_night(tmp_path)
    return tmp_path


def sof(folder, part):
    (path,) = (folder / "sof").glob(f"*{part}*.sof")
    return [line.split() for line in path.read_text().splitlines()]


def tags(folder, part):
    return [tag for _, tag in sof(folder, part)]


def test_a_night_of_both_arms_is_planned_whole(night):
    result = prep(night)
    assert result.is_whole
    assert not list(night.glob("*.fits"))
    assert len(list((night / "raw" / "2026-01-10").glob("*.fits"))) == 35
    assert len(list((night / "raw" / "2026-01-11").glob("*.fits"))) == 2  # after 15 h UT
    assert len(list((night / "sof").glob("*.sof"))) == 13
    assert (night / "soxspipe.yaml").read_text() == YAML
    assert {p.name for p in night.iterdir() if p.is_symlink()} == {
        *("sof", "qc", "reduced"),
        *("soxspipe.yaml", "soxspipe.log"),
    }


def test_the_science_sof_names_frames_and_predicted_products(night):
    prep(night)
    lines = dict(map(reversed, sof(night, "VIS_1X1_1_STARE_OBJ")))
    made = "./reduced/2026-01-10"
    assert lines == {
        "OBJECT_VIS": "./raw/2026-01-11/SOXS.2026-01-12T03:00:00.000.VIS.fits",
        "MASTER_BIAS_VIS": f"{made}/soxs-mbias/20260111T090000_VIS_1X1_1_MBIAS_SOXS.fits",
        "MASTER_FLAT_VIS": f"{made}/soxs-mflat/"
        "20260111T094200_VIS_1X1_1_MFLAT_QTH_SLIT1_0_20_0S_SOXS.fits",
        "ORDER_TAB_VIS": f"{made}/soxs-mflat/"
        "20260111T094200_VIS_1X1_1_OLOC_QTH_SLIT1_0_20_0S_SOXS.fits",
        "DISP_TAB_VIS": f"{made}/soxs-spat-solution/"
        "20260111T100000_VIS_1X1_1_SSOL_MULTPIN_60_0S_SOXS.fits",
        "DISP_IMAGE_VIS": f"{made}/soxs-spat-solution/"
        "20260111T100000_VIS_1X1_1_SSOL_MULTPIN_60_0S_SOXS_IMAGE.fits",
    }


def test_tags_of_calibration_sofs(night):
    prep(night)
    assert tags(night, "_MBIAS_") == ["BIAS_VIS"] * 5
    assert tags(night, "VIS_1X1_1_MFLAT") == [
        *["LAMP,FLAT_VIS"] * 5,
        *("MASTER_BIAS_VIS", "ORDER_TAB_VIS"),
    ]
    assert tags(night, "NIR_3_SSOL") == [
        *("LAMP,WAVE_NIR", "MASTER_DARK_NIR", "DISP_TAB_NIR", "ORDER_TAB_NIR")
    ]


def test_lamp_off_frames_stay_out_of_sofs(night):
    prep(night)
    assert tags(night, "NIR_3_MFLAT").count("LAMP,FLAT_NIR") == 5


def test_the_slit_arc_nearest_in_time_goes_with_the_multi_pinhole_arc(night):
    names = {}
    for hours in (1.1, 5.0):
        (path,) = f.write_set(night, "VIS", f.at(hours), 1, f.SLIT_ARC, exptime=30.0)
        names[hours] = path.name
    result = prepare(night, load_all(), YAML)
    (run,) = [
        r for r in result.plan.runs.values() if r.recipe == "spat_solution" and "_VIS_" in r.stem
    ]
    assert [frame.name for frame in run.frames.frames][1:] == [names[1.1]]
    assert "MULTPIN" in run.stem
    others = [r for r in result.plan.runs.values() if r is not run]
    assert not any(frame.name in names.values() for r in others for frame in r.frames.frames)


def test_the_dark_of_the_nearest_exposure_time_is_taken(night):
    prep(night)
    darks = dict(map(reversed, sof(night, "NIR_3_STARE_OBJ")))
    assert "MDARK_60_0S" in darks["MASTER_DARK_NIR"]
    assert "MDARK_20_0S" in dict(map(reversed, sof(night, "NIR_3_DSOL")))["MASTER_DARK_NIR"]


def test_each_stare_exposure_is_a_set(tmp_path):
    f.write_vis_night(tmp_path)
    f.write_set(tmp_path, "VIS", f.at(19), 3, f.SCIENCE, object="A")
    result = prep(tmp_path)
    assert len([s for s in result.plan.runs if s.endswith("SOXS_A")]) == 3


@pytest.mark.parametrize(
    ("facts", "present", "announced", "reason"),
    [
        (f.BIAS, 4, 5, "4 of the 5 exposures"),
        (f.FLAT, 4, 4, "4 exposures, at least 5"),
        (f.FLAT, 3, 5, "3 of the 5 exposures"),
    ],
)
def test_short_sets_are_named_with_the_reason(tmp_path, facts, present, announced, reason):
    f.write_vis_night(tmp_path)
    f.write_set(tmp_path, "VIS", f.at(30), present, facts, count=announced, exptime=3.0)
    result = prep(tmp_path)
    (stuck,) = result.plan.stuck
    assert reason in stuck.reason
    assert not result.is_whole
    assert len(result.plan.runs) == 6


def test_a_science_frame_without_any_flat_is_told_what_it_needs(tmp_path):
    f.write_vis_night(tmp_path)
    f.write_set(tmp_path, "VIS", f.at(20), 1, f.SCIENCE, binning=(2, 2), object="B")
    result = prep(tmp_path)
    reasons = "; ".join(stuck.reason for stuck in result.plan.stuck)
    assert "needs mbias (read-out mode 1, binning 2x2, gain 1)" in reasons
    assert "mflat (slit SLIT1.0 or another width, read-out mode 1, binning 2x2, gain 1)" in reasons
    assert not list((tmp_path / "sof").glob("*_B.sof"))
    assert len(result.plan.runs) == 6


def test_the_flat_of_another_slit_stands_in_and_the_sof_says_so(tmp_path):
    f.write_vis_night(tmp_path)
    f.write_set(tmp_path, "VIS", f.at(20), 1, f.SCIENCE | {"slit": "SLIT0.5"}, object="B")
    result = prep(tmp_path)
    assert result.is_whole
    (path,) = (tmp_path / "sof").glob("*_B.sof")
    comment, *lines = path.read_text().splitlines()
    assert comment == "# no mflat of SLIT0.5: that of SLIT1.0 stands in"
    assert any("MFLAT_QTH_SLIT1_0" in line for line in lines)
    for name in (line.split()[0] for line in lines):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert len(file_set(path).entries) == len(lines)
    assert comment in result.plan.describe()


def test_modes_without_recipe_are_named_and_no_failure(tmp_path):
    f.write_vis_night(tmp_path)
    f.write_set(tmp_path, "VIS", f.at(21), 4, f.OFFSET_STANDARD, object="C")
    result = prep(tmp_path)
    (left,) = result.plan.unsupported
    assert left.stem.endswith("FLUX_STANDARD_OFFSET_SLIT5_0_20_0S_SOXS")
    assert result.is_whole


@pytest.mark.parametrize(
    ("facts", "code"), [(f.NODDING, "NOD_OBJ"), (f.OFFSET, "OFFSET_OBJ")], ids=["nod", "offset"]
)
@pytest.mark.parametrize("present", [1, 2, 3, 7, 8])
def test_patterns_are_one_set_however_many_exposures_are_here(tmp_path, facts, code, present):
    f.write_vis_night(tmp_path)
    f.write_set(tmp_path, "VIS", f.at(21), present, facts, count=8, object="C")
    result = prep(tmp_path)
    assert result.is_whole
    (run,) = [r for stem, r in result.plan.runs.items() if stem.endswith("_C")]
    assert f"20260112T060000_VIS_1X1_1_{code}_SLIT1_0_20_0S_SOXS_C" == run.stem
    assert len(run.frames.frames) == present
    short = () if present == 8 else (f"{present} of the 8 exposures of its template are here",)
    assert run.notes == short


def test_a_pattern_may_have_unequal_exposure_times(tmp_path):
    f.write_vis_night(tmp_path)
    for number, seconds in enumerate((60.0, 60.0, 30.0, 30.0), start=1):
        f.write(
            tmp_path,
            "VIS",
            f.at(21 + number / 60),
            **f.NODDING,
            exptime=seconds,
            number=number,
            count=4,
            template=f.at(21),
            object="C",
        )
    (run,) = [r for r in prep(tmp_path).plan.runs.values() if r.recipe == "nod"]
    assert len(run.frames.frames) == 4


def test_two_targets_are_two_sets(tmp_path):
    f.write_vis_night(tmp_path)
    for hours, target in ((21, "C"), (21.2, "D")):
        f.write_set(tmp_path, "VIS", f.at(hours), 2, f.NODDING, object=target, template=f.at(21))
    runs = [r for r in prep(tmp_path).plan.runs.values() if r.recipe == "nod"]
    assert [len(r.frames.frames) for r in runs] == [2, 2]


def test_stare_exposures_of_one_template_are_stacked_if_the_settings_say_so(night):
    f.write_set(night, "VIS", f.at(19), 3, f.SCIENCE, object="A")
    assert len([s for s in prep(night).plan.runs if s.endswith("SOXS_A")]) == 3
    (night / "soxspipe.yaml").write_text("stack-stare-templates: true\n")
    plan = prep(night).plan
    (run,) = [r for r in plan.runs.values() if r.stem.endswith("SOXS_A")]
    assert len(run.frames.frames) == 3
    assert tags(night, "SOXS_A").count("OBJECT_VIS") == 3
    pinholes = [r for r in plan.runs.values() if "PINHOLE" in r.stem]
    assert all(len(r.frames.frames) == 1 for r in pinholes)


def test_the_exposure_of_the_other_arm_is_named_where_the_arms_are_synchronised(night):
    synchro = {"template_id": "SOXS_slt_obs_StareSynchro", "object": "S"}
    vis, nir = f.SCIENCE, f.SCIENCE | {"slit": "SLIT1.5", "read_mode": "3"}
    f.write_set(night, "VIS", f.at(19), 1, vis, exptime=900.0, **synchro)
    (arm,) = f.write_set(
        night, "NIR", f.at(19) + timedelta(seconds=151), 1, nir, exptime=600.0, **synchro
    )
    f.write_set(night, "NIR", f.at(20), 1, nir, exptime=600.0, **synchro)  # of no VIS exposure
    plan = prep(night).plan
    notes = {stem: r.notes for stem, r in plan.runs.items() if r.stem.endswith("SOXS_S")}
    assert sorted(notes.values()) == [
        (),
        ("synchronised with NIR " + arm.name + ", middles 1.0 s apart",),
        ("synchronised with VIS SOXS.2026-01-12T04:00:00.000.VIS.fits, middles 1.0 s apart",),
    ]


def test_simulated_mechanisms_and_undefined_slits_are_ignored(tmp_path):
    f.write_vis_night(tmp_path)
    path = f.write(tmp_path, "VIS", f.at(4), **f.ARC)
    fits.setval(path, "HIERARCH ESO INS VISE SWSIM", value=True)
    f.write(tmp_path, "VIS", f.at(5), **f.TRACE | {"slit": "UNDEFINED"})
    result = prep(tmp_path)
    assert sum(frame.ignored for frame in result.frames) == 2
    assert len(result.plan.runs) == 6


def test_deuterium_flats_are_taken_if_the_settings_say_so(night):
    f.write_set(night, "VIS", f.at(5), 5, f.FLAT | {"lamp": "D"})
    before = prep(night)
    assert before.is_whole
    assert not any("MFLAT_D_" in stem for stem in before.plan.runs)
    (night / "soxspipe.yaml").write_text("ignore-dflats: false\n")
    plan = prep(night).plan
    # one run takes both lamps, halogen first: it names the set
    assert not any("MFLAT_D_" in stem for stem in plan.runs)
    (run,) = [run for stem, run in plan.runs.items() if "VIS_1X1_1_MFLAT_QTH" in stem]
    assert [frame.lamp for frame in run.frames.frames] == ["QTH"] * 5 + ["D"] * 5


def test_deuterium_flats_unlike_any_halogen_flats_stand_alone(night):
    f.write_set(night, "VIS", f.at(5), 5, f.FLAT | {"lamp": "D", "slit": "SLIT5.0"})
    prep(night)
    (night / "soxspipe.yaml").write_text("ignore-dflats: false\n")
    plan = prep(night).plan
    assert any("MFLAT_D_SLIT5" in stem for stem in plan.runs)
    assert all(len({frame.lamp for frame in run.frames.frames}) == 1 for run in plan.runs.values())


def test_dome_flats_are_taken_if_the_settings_say_so(night):
    f.write_set(night, "VIS", f.at(5), 5, f.FLAT | {"type": "DOME,FLAT"})
    assert len(prep(night).plan.runs) == 13
    (night / "soxspipe.yaml").write_text("ignore-dome-flats: false\n")
    assert len(prep(night).plan.runs) == 14


def bad_files(folder):
    good = f.write(folder, "VIS", f.at(6), **f.ARC)
    (folder / "zero.fits").touch()
    (folder / "text.fits").write_text("this is no FITS file")
    (folder / "cut.fits").write_bytes(good.read_bytes()[:-2880])
    (folder / "cut_header.fits").write_bytes(good.read_bytes()[:1000])
    (folder / "lost.fits").symlink_to(folder / "nowhere")
    f.write(folder, "VIS", f.at(7), **f.ARC, instrument="XSHOOTER").rename(folder / "foreign.fits")
    for key in ("DATE-OBS", "MJD-OBS", "ESO SEQ ARM", "INSTRUME"):
        path = f.write(folder, "VIS", f.at(8), **f.ARC)
        fits.delval(path, key)
        path.rename(folder / f"no {key}.fits")
    path = f.write(folder, "VIS", f.at(9), **f.ARC)
    fits.setval(path, "HIERARCH ESO PRO CATG", value="MASTER_BIAS_VIS")
    path.rename(folder / "product.fits")
    (folder / "cut.fits.gz").write_bytes(gzip.compress(good.read_bytes())[:-40])
    (folder / "bad.fits.Z").write_bytes(b"no compressed file")
    return {
        "zero.fits": "is empty",
        "text.fits": "is no FITS file",
        "cut.fits": "is truncated",
        "cut_header.fits": "damaged header",
        "lost.fits": "leads nowhere",
        "foreign.fits": "no spectrograph arm XSHOOTER VIS",
        "no DATE-OBS.fits": "no DATE-OBS",
        "no MJD-OBS.fits": "no usable MJD-OBS",
        "no ESO SEQ ARM.fits": "no ESO SEQ ARM",
        "no INSTRUME.fits": "no INSTRUME",
        "product.fits": "is a product",
        "cut.fits.gz": "is truncated",
        "bad.fits.Z": "damaged .Z",
    }


def test_bad_files_are_named_with_the_reason_and_left_in_place(tmp_path):
    f.write_vis_night(tmp_path)
    expected = bad_files(tmp_path)
    result = prep(tmp_path)
    reasons = {item.path: item.reason for item in result.left}
    assert reasons.keys() == expected.keys()
    for name, part in expected.items():
        assert part in reasons[name]
    assert {p.name for p in tmp_path.iterdir() if ".fits" in p.name} == expected.keys()
    assert len(result.plan.runs) == 7


def test_bad_files_below_raw_are_named_at_every_scan(night):
    prep(night)
    bad = night / "raw" / "2026-01-10" / "bad.fits"
    bad.write_text("x")
    for _ in range(2):
        assert [item.path for item in prep(night).left] == ["raw/2026-01-10/bad.fits"]


def test_a_name_clash_keeps_both_files(night):
    prep(night)
    old = next((night / "raw" / "2026-01-10").glob("*.fits"))
    content = old.read_bytes()
    new = night / old.name
    f.write(night, "VIS", f.at(5), **f.ARC).rename(new)
    (left,) = prep(night).left
    assert left.path == old.name
    assert "differs from the older raw/2026-01-10" in left.reason
    assert old.read_bytes() == content
    assert new.exists()


def test_a_copy_of_a_frame_is_told_and_not_reduced_twice(night):
    result = prep(night)
    old = next((night / "raw" / "2026-01-10").glob("*VIS.fits"))
    shutil.copy(old, night / "copy.fits")
    again = prep(night)
    assert "is the same exposure as raw/2026-01-10" in again.left[0].reason
    assert again.plan.runs.keys() == result.plan.runs.keys()


def test_frames_added_later_and_frames_taken_away_are_noticed(night):
    before = prep(night)
    f.write_set(night / "raw" / "2026-01-11", "VIS", f.at(19), 1, f.SCIENCE, object="late")
    added = prep(night)
    assert added.taken == 1
    assert len(added.plan.runs) == len(before.plan.runs) + 1
    next((night / "raw" / "2026-01-11").glob("*T04:00:00*")).unlink()
    removed = prep(night)
    assert removed.plan.runs.keys() == before.plan.runs.keys()
    assert not list((night / "sof").glob("*_late.sof"))


def test_an_unchanged_workspace_is_not_read_again(night, monkeypatch):
    prep(night)

    def fail(*_args):
        raise AssertionError("a header was read again")

    monkeypatch.setattr("soxspipe.workspace.taking.look_into", fail)
    assert prep(night).taken == 0


def test_compressed_frames_are_taken(tmp_path):
    f.write_vis_night(tmp_path)
    paths = sorted(tmp_path.glob("*.fits"))
    with gzip.open(f"{paths[0]}.gz", "wb") as out:
        out.write(paths[0].read_bytes())
    paths[0].unlink()
    with fits.open(paths[1]) as hdus:
        image = fits.CompImageHDU(hdus[0].data, hdus[0].header)
        fits.HDUList([fits.PrimaryHDU(), image]).writeto(f"{paths[1]}.fz")
    paths[1].unlink()
    result = prep(tmp_path)
    assert result.is_whole
    assert len(result.frames) == 14


def compressed(data: bytes) -> bytes:
    """What the program `compress` might write: 9-bit codes, the table cleared after every 7."""
    out = bytearray(b"\x1f\x9d\x90")
    for start in range(0, len(data), 7):
        codes = [*data[start : start + 7]]
        codes += [256] if len(codes) == 7 else []
        bits = sum(code << (9 * i) for i, code in enumerate(codes))
        out += bits.to_bytes(-(-9 * len(codes) // 8), "little")
    return bytes(out)


@pytest.mark.skipif(shutil.which("gzip") is None, reason="needs the program gzip")
def test_z_files_are_expanded_and_kept(tmp_path):
    f.write_vis_night(tmp_path)
    path = sorted(tmp_path.glob("*.fits"))[0]
    content = path.read_bytes()
    (tmp_path / f"{path.name}.Z").write_bytes(compressed(content))
    path.unlink()
    assert prep(tmp_path).is_whole
    assert (tmp_path / "raw" / "2026-01-10" / path.name).read_bytes() == content
    assert (tmp_path / "misc" / f"{path.name}.Z").exists()


def test_links_to_frames_stay_links_to_the_same_file(tmp_path):
    store, folder = tmp_path / "store", tmp_path / "night"
    store.mkdir()
    folder.mkdir()
    f.write_vis_night(store)
    for path in store.iterdir():
        (folder / path.name).symlink_to(f"../store/{path.name}")
    result = prep(folder)
    assert result.is_whole
    assert len(list(store.iterdir())) == 14
    links = list((folder / "raw").rglob("*.fits"))
    assert all(link.is_symlink() and link.resolve().parent == store for link in links)
    assert len(links) == 14


def test_other_files_go_to_misc_and_documents_stay(night):
    kept = ("notes.log", "run.sh", "run.py", "README.md", "my.yaml", ".hidden")
    for name in (*kept, "weather.txt"):
        (night / name).write_text(name)
    (night / "truth").mkdir()
    (night / "truth" / "a.txt").write_text("a")
    result = prep(night)
    assert result.moved == 1
    assert (night / "misc" / "weather.txt").read_text() == "weather.txt"
    assert all((night / name).exists() for name in (*kept, "truth/a.txt"))
    (night / "weather.txt").write_text("another")
    assert "differs from the older misc/weather.txt" in prep(night).left[0].reason


def test_refresh_makes_the_database_anew(night):
    first = prep(night)
    again = prep(night, refresh=True)
    assert again.taken == len(first.frames) == len(again.frames)


@pytest.mark.parametrize("content", ["", "notes.txt", "inner/a.fits"])
def test_a_folder_without_frames_is_refused_untouched(tmp_path, content):
    if content:
        (tmp_path / content).parent.mkdir(exist_ok=True)
        (tmp_path / content).write_text("x")
    with pytest.raises(WorkspaceError, match="nothing to prepare") as caught:
        prep(tmp_path)
    assert caught.value.hint
    assert {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()} <= {content}


def test_a_damaged_database_is_told_with_its_cure(night):
    prep(night)
    (night / "soxspipe.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(WorkspaceError, match=r"damaged.*\n.*prep --refresh"):
        prep(night)
    assert prep(night, refresh=True).is_whole


def test_a_real_folder_in_the_place_of_a_link_is_not_touched(night):
    (night / "reduced").mkdir()
    (night / "reduced" / "mine.txt").write_text("mine")
    with pytest.raises(WorkspaceError, match="is in the way"):
        prep(night)
    assert (night / "reduced" / "mine.txt").read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_told(night, monkeypatch):
    def refuse(*_args, **_more):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("soxspipe.workspace.folder.Path.rename", refuse)
    with pytest.raises(OutputError, match="Permission denied"):
        prep(night)
    assert len(list(night.glob("*.fits"))) == 37


def test_the_documented_columns_are_there(night):
    prep(night)
    with sqlite3.connect(night / "soxspipe.db") as db:
        row = db.execute(
            'SELECT "eso seq arm", "night start date", binning, slit, slitmask, lamp, complete'
            " FROM raw_frame_sets WHERE recipe = 'mflat' AND \"eso seq arm\" = 'NIR'"
        ).fetchone()
        science = db.execute(
            "SELECT count(*) FROM sof_map WHERE sof LIKE '%VIS%STARE_OBJ%' AND complete = 1"
        ).fetchone()
        views = [r[0] for r in db.execute("SELECT name FROM sqlite_master WHERE type = 'view'")]
        for view in views:
            db.execute(f"SELECT * FROM {view}").fetchall()  # noqa: S608
    db.close()
    assert row == ("NIR", "2026-01-10", "--", "SLIT1.5", "SLIT", "QTH", 1)
    assert science == (6,)
