"""The command line, called as a user would, with recipes that only pretend to work."""

import functools

import pytest

from soxspipe.cli.main import main
from soxspipe.workspace import executors
from tests.workspace import frames as f
from tests.workspace.cascade import RECIPES
from tests.workspace.pretend import work


@pytest.fixture
def soxspipe(capsys, monkeypatch):
    """Function of the words of a command line; gives exit status, stdout and stderr."""
    monkeypatch.setattr("soxspipe.recipes.load_all", lambda: RECIPES)
    monkeypatch.setattr("soxspipe.recipes.default_settings.load_all", lambda: RECIPES)
    monkeypatch.setattr(executors, "Serial", functools.partial(executors.Serial, work=work))

    def run(*words):
        try:
            status = main([str(word) for word in words])
        except SystemExit as stop:  # argparse
            status = stop.code
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return status, out, err

    return run


@pytest.fixture
def night(tmp_path):
    """A folder with the small frames of a VIS night."""
    folder = tmp_path / "night"
    folder.mkdir()
    f.write_vis_night(folder)
    return folder
