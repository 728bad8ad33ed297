"""reduce all: order, failure, replacement, second call. The recipes only pretend to work."""

import sqlite3
from dataclasses import replace

import pytest

from soxspipe.errors import InputError, WorkspaceError
from soxspipe.workspace.executors import Processes, Serial
from soxspipe.workspace.folder import Workspace
from soxspipe.workspace.organiser import prepare
from soxspipe.workspace.reduce import Options, Reporter, reduce_all
from tests.workspace import frames as f
from tests.workspace.cascade import RECIPES
from tests.workspace.pretend import misbehave, work


class Notes(Reporter):
    def __init__(self):
        self.replacements = {}

    def replaced(self, stem, takers):
        self.replacements[stem] = takers


def prep(folder):
    return prepare(folder, RECIPES, "version: 1\n")


@pytest.fixture
def night(tmp_path):
    """A VIS night with a second bias and a second flat set, each farther away in time."""
    f.write_vis_night(tmp_path)
    f.write_set(tmp_path, "VIS", f.at(-5), 5, f.BIAS)
    f.write_set(tmp_path, "VIS", f.at(-4), 5, f.FLAT)
    assert prep(tmp_path).is_whole
    return tmp_path


def reduce(folder, reporter=None, **options):
    return reduce_all(Workspace(folder), RECIPES, Serial(work), Options(**options), reporter)


def done(folder):
    log = folder / "done.log"
    stems = [line.split()[0] for line in log.read_text().splitlines()] if log.exists() else []
    log.unlink(missing_ok=True)
    return stems


def types(stems):
    return [stem.split("_1X1_1_")[1].split("_")[0] for stem in stems]


def states(folder):
    with sqlite3.connect(folder / "soxspipe.db") as db:
        rows = db.execute("SELECT sof, state FROM run_latest").fetchall()
    db.close()
    return dict(rows)


def sof(folder, part):
    (path,) = (folder / "sof").glob(f"*{part}*.sof")
    return path.read_text()


def test_everything_is_done_once_in_an_order_that_works(night):
    result = reduce(night)
    assert result.is_whole
    stems = done(night)
    assert len(stems) == len(set(stems)) == 8
    assert types(stems)[-1] == "STARE"
    again = reduce(night)
    assert done(night) == []
    assert again.is_whole
    assert again.current == 8


def test_the_run_with_most_behind_it_goes_first(night):
    reduce(night)
    first = done(night)[0]
    assert first.startswith("20260111T090000")  # the bias that the cascade waits for


def test_states_products_and_quality_are_in_the_database(night):
    misbehave(night, "20260111T040000", "failed")
    reduce(night)
    with sqlite3.connect(night / "soxspipe.db") as db:
        passed = db.execute("SELECT count(*) FROM product_frames WHERE status = 'pass'").fetchone()
        failed = db.execute(
            "SELECT file, status_base, error_message FROM product_frames WHERE status = 'fail'"
        ).fetchall()
        quality = db.execute(
            "SELECT qc_flag, qc_value, qc_value_max, qc_unit, obs_date_utc FROM quality_control"
            " WHERE sof_name LIKE '20260111T040000%'"
        ).fetchall()
    db.close()
    assert passed == (10,)  # flats and spatial solution make two files each
    assert failed == [
        ("20260111T040000_VIS_1X1_1_MBIAS_SOXS.fits", "fail", "out of range: LEVEL = 99")
    ]
    assert quality == [("fail", 99.0, 10.0, "electron", "2026-01-11T04:00:00.000")]


@pytest.mark.parametrize("how", ["failed", "error", "bug"])
def test_a_failed_calibration_is_replaced_by_the_next_best(night, how):
    misbehave(night, "20260111T090000", how)
    notes = Notes()
    result = reduce(night, notes)
    assert not result.is_whole
    assert [o.state for o in result.outcomes].count("passed") == 7
    assert "20260111T040000_VIS_1X1_1_MBIAS" in sof(night, "_STARE_OBJ_")
    (takers,) = notes.replacements.values()
    assert len(takers) == 5  # the far flat took the other bias anyhow
    assert not result.stuck


def test_without_a_next_best_all_behind_it_is_blocked_and_the_rest_goes_on(night):
    misbehave(night, "_DSOL_", "error")
    result = reduce(night)
    assert sorted(types(o.sof_stem for o in result.outcomes)) == ["DSOL", "MBIAS", "MBIAS"]
    assert {s.frames.recipe for s in result.stuck} == {
        *("order_centres", "mflat", "spat_solution", "stare")
    }
    assert all(s.is_blocked for s in result.stuck)
    assert "DSOL" in next(s.reason for s in result.stuck if s.frames.recipe == "order_centres")
    assert not result.is_whole


def test_a_final_failure_is_not_tried_again_until_the_settings_change(night):
    misbehave(night, "_DSOL_", "error")
    reduce(night)
    done(night)
    again = reduce(night)
    assert done(night) == []
    assert [run.recipe for run in again.failed] == ["disp_solution"]
    assert not again.is_whole
    misbehave(night, "_DSOL_", "fine")
    (night / "soxspipe.yaml").write_text("version: 1\n# changed\n")
    assert reduce(night).is_whole
    assert types(done(night))[0] == "DSOL"


def test_a_full_disk_is_tried_again(night):
    misbehave(night, "_DSOL_", "full disk")
    assert not reduce(night).is_whole
    misbehave(night, "_DSOL_", "fine")
    assert reduce(night).is_whole


def test_when_a_better_calibration_works_again_what_took_the_other_is_redone(night):
    misbehave(night, "20260111T090000", "full disk")
    reduce(night)
    done(night)
    misbehave(night, "20260111T090000", "fine")
    assert reduce(night).is_whole
    assert len(done(night)) == 7  # all but the far bias
    assert "20260111T090000_VIS_1X1_1_MBIAS" in sof(night, "_STARE_OBJ_")


def test_a_lost_product_is_made_again_and_nothing_else(night):
    reduce(night)
    done(night)
    next((night / "reduced").rglob("*MFLAT*.fits")).unlink()
    assert reduce(night).is_whole
    assert types(done(night)) == ["MFLAT"]


def test_overwrite_does_everything_again(night):
    reduce(night)
    done(night)
    reduce(night, overwrite=True)
    assert len(done(night)) == 8


def test_new_frames_are_reduced_and_old_products_kept(night):
    reduce(night)
    done(night)
    f.write_set(night, "VIS", f.at(19), 1, f.SCIENCE, object="late")
    prep(night)
    assert reduce(night).is_whole
    assert len(done(night)) == 1


def test_quit_on_fail_stops_there(night):
    misbehave(night, "_DSOL_", "error")
    result = reduce(night, quit_on_fail=True)
    assert result.outcomes[-1].state == "error"
    assert len(result.outcomes) < 3
    assert result.undone


def test_a_batch_is_as_long_as_asked(night):
    result = reduce(night, batch=3)
    assert len(result.outcomes) == 3
    assert len(result.undone) == 5
    assert reduce(night).is_whole
    assert len(done(night)) == 8


def test_one_sof_needs_only_its_own_calibrations(night):
    stem = next(p.stem for p in (night / "sof").glob("*STARE_OBJ*"))
    assert reduce(night, only=stem).is_whole
    stems = done(night)
    assert len(stems) == 6
    assert not any(s.startswith(("20260111T04", "20260111T05")) for s in stems)


def test_an_unknown_sof_is_refused(night):
    with pytest.raises(InputError, match="there is no set nonsense"):
        reduce(night, only="nonsense")


def test_an_unprepared_folder_is_refused(tmp_path):
    with pytest.raises(WorkspaceError, match="soxspipe prep"):
        reduce(tmp_path)


def test_two_at_once_are_refused(night):
    with (
        Workspace(night).in_use(),
        pytest.raises(WorkspaceError, match="in use by another soxspipe"),
    ):
        reduce(night)


def test_workers_do_the_same_and_survive_a_death(night):
    misbehave(night, "20260111T040000", "die")
    executor = Processes(2, work)
    result = reduce_all(Workspace(night), RECIPES, executor, Options())
    bad = [o for o in result.outcomes if o.state != "passed"]
    assert [o.sof_stem[:15] for o in bad] == ["20260111T040000"]
    assert "ended with status 9" in bad[0].message
    assert len(result.outcomes) == 8
    pids = {line.split()[1] for line in (night / "done.log").read_text().splitlines()}
    assert len(pids) >= 2


def test_an_interrupted_night_leaves_nothing_half_written_and_goes_on(night):
    class Impatient(Processes):
        """Ctrl-C as soon as the slow run is at work."""

        def collect(self):
            while not (night / "busy.log").exists():
                finished = super().collect() if self.others_run() else []
                if finished:
                    return finished
            raise KeyboardInterrupt

        def others_run(self):
            return any(w.stem and "DSOL" not in w.stem for w in self._workers)

    misbehave(night, "_DSOL_", "slow")
    with pytest.raises(KeyboardInterrupt):
        reduce_all(Workspace(night), RECIPES, Impatient(2, work), Options())
    assert not (night / "half-written.part").exists()
    assert not any("DSOL" in sof for sof in states(night))
    finished = set(done(night))
    misbehave(night, "_DSOL_", "fine")
    assert reduce(night).is_whole
    repeated = finished & set(done(night))
    assert all("_DSOL_" in stem for stem in repeated)


def test_a_fault_in_the_code_keeps_its_traceback(night):
    misbehave(night, "_DSOL_", "bug")
    executor = Serial(work)
    faults = []
    collect = executor.collect

    def watch():
        finished = collect()
        faults.extend(item.result for item in finished if hasattr(item.result, "traceback"))
        return finished

    executor.collect = watch
    reduce_all(Workspace(night), RECIPES, executor, Options())
    assert "ZeroDivisionError: a fault in the code" in faults[0].traceback
    assert "pretend.py" in faults[0].traceback


def test_an_optional_calibration_that_was_not_made_is_left_out(tmp_path):
    f.write_vis_night(tmp_path)
    f.write_set(tmp_path, "VIS", f.at(0.8), 5, f.FLAT | {"slit": "SLIT5.0"}, exptime=9.0)
    f.write_set(tmp_path, "VIS", f.at(17), 1, f.STANDARD)
    prep(tmp_path)
    assert "RESP_TAB_VIS" in sof(tmp_path, "_STARE_OBJ_")

    def without_response(request):
        outcome = work(request)
        products = tuple(p for p in outcome.products if p.category != "RESP_TAB")
        return replace(outcome, products=products)

    result = reduce_all(Workspace(tmp_path), RECIPES, Serial(without_response), Options())
    assert result.is_whole
    assert "RESP_TAB_VIS" not in sof(tmp_path, "_STARE_OBJ_")
