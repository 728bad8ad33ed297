"""Sets of files."""

import pytest

from soxspipe.errors import InputError
from soxspipe.io.sof import file_set, read_sof, sof_text, workspace_of


@pytest.fixture
def workspace(tmp_path):
    for name in ("raw/a.fits", "raw/my night/b.fits", "reduced/c.fits"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    (tmp_path / "sof").mkdir()
    return tmp_path


def test_round_trip(workspace):
    lines = [
        ("./raw/a.fits", "LAMP,FLAT_VIS"),
        ("./raw/my night/b.fits", "LAMP,FLAT_VIS"),
        ("./reduced/c.fits", "MASTER_BIAS_VIS"),
    ]
    sof = workspace / "sof" / "NAME.sof"
    sof.write_text(sof_text(lines), encoding="utf-8")
    files = read_sof(sof)
    assert [(e.name, e.tag) for e in files.entries] == lines
    assert [e.path for e in files.entries] == [workspace / name for name, _ in lines]
    assert files.stem == "NAME"
    columns = {
        line.index(tag) for line, (_, tag) in zip(sof.read_text().splitlines(), lines, strict=True)
    }
    assert len(columns) == 1


def test_comments_blank_lines_tabs_and_single_blanks(workspace):
    sof = workspace / "sof" / "x.sof"
    sof.write_text("# all\n\n./raw/a.fits BIAS_VIS # first\n./raw/my night/b.fits\tbias_vis\n")
    assert [e.tag for e in read_sof(sof).entries] == ["BIAS_VIS", "BIAS_VIS"]


def test_places_where_files_are_looked_for(workspace, monkeypatch):
    deep = workspace / "sessions" / "base" / "sof" / "x.sof"
    deep.parent.mkdir(parents=True)
    deep.write_text("./raw/a.fits  BIAS_VIS\n")
    assert workspace_of(deep.parent) == workspace
    assert read_sof(deep).entries[0].path == workspace / "raw" / "a.fits"
    elsewhere = workspace / "elsewhere.sof"
    elsewhere.write_text(f"{workspace / 'raw' / 'a.fits'}  BIAS_VIS\n")
    assert read_sof(elsewhere).entries[0].path == workspace / "raw" / "a.fits"
    assert read_sof(deep, root=workspace).entries[0].path == workspace / "raw" / "a.fits"


def test_all_missing_files_are_named(workspace):
    sof = workspace / "sof" / "x.sof"
    sof.write_text("./raw/a.fits BIAS_VIS\n./raw/1.fits BIAS_VIS\n./raw/2.fits BIAS_VIS\n")
    with pytest.raises(InputError, match=r"(?s)x\.sof: these files are missing.*1\.fits.*2\.fits"):
        read_sof(sof)


@pytest.mark.parametrize(
    ("text", "told"),
    [("./raw/a.fits\n", "no tag in line 1"), ("# nothing\n", "names no file")],
)
def test_mistakes(workspace, text, told):
    sof = workspace / "sof" / "x.sof"
    sof.write_text(text)
    with pytest.raises(InputError, match=told):
        read_sof(sof)


def test_unreadable(workspace):
    (workspace / "sof" / "x.sof").write_bytes(b"\xff\xfe\x00binary")
    with pytest.raises(InputError, match="not a text file"):
        file_set(workspace / "sof" / "x.sof")
    with pytest.raises(InputError, match="there is no SOF, folder or file"):
        file_set(workspace / "sof" / "y.sof")


def test_folder_and_list(workspace):
    (workspace / "raw" / "notes.txt").write_text("x")
    files = file_set(workspace / "raw")
    assert [e.name for e in files.entries] == ["a.fits"]
    assert files.stem == ""
    both = file_set([str(workspace / "raw" / "a.fits"), workspace / "reduced" / "c.fits"])
    assert len(both.entries) == 2
    assert file_set(workspace / "raw" / "a.fits").entries[0].path == workspace / "raw" / "a.fits"
    with pytest.raises(InputError, match="this file is missing"):
        file_set(["none.fits"], root=workspace)
    with pytest.raises(InputError, match="no input file"):
        file_set([])
    with pytest.raises(InputError, match="holds no FITS file"):
        file_set(workspace / "sof")
