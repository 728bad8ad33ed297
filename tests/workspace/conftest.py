"""A small workspace with three biases, and a recipe to reduce them."""

import pytest

from soxspipe.workspace import runner
from tests.raw_files import write_raw
from tests.workspace import fake_bias
from tests.workspace.one_run import STEM


@pytest.fixture
def fake_recipe(monkeypatch):
    monkeypatch.setattr(runner.recipes, "load", lambda name: fake_bias.recipe())


@pytest.fixture
def workspace(tmp_path, fake_recipe):
    """Three biases, one arc and a SOF of the biases."""
    lines = []
    for n in range(3):
        write_raw(tmp_path / "raw" / "2026-01-10" / f"bias{n}.fits", n, level=300 + n)
        lines.append(f"./raw/2026-01-10/bias{n}.fits   BIAS_VIS")
    sof = tmp_path / "sof" / f"{STEM}.sof"
    sof.parent.mkdir()
    sof.write_text("# biases\n" + "\n".join(lines) + "\n")
    return tmp_path
