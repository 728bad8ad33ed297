"""A product is there whole, or not at all."""

import os

import numpy as np
import pytest
from astropy.io.fits import Header

from soxspipe.datamodel.frame import Frame
from soxspipe.errors import OutputError
from soxspipe.io import writing
from soxspipe.io.products import write_product


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def a_frame(rng):
    data = rng.normal(500, 20, (9, 8))
    return Frame(data, np.ones_like(data), np.zeros_like(data))


def test_existing_product_is_kept_without_overwrite(tmp_path, rng):
    path = tmp_path / "f.fits"
    write_product(path, a_frame(rng), Header())
    before = path.read_bytes()
    with pytest.raises(OutputError, match=r"f\.fits exists already\n.*-x"):
        write_product(path, a_frame(rng), Header())
    assert path.read_bytes() == before
    write_product(path, a_frame(rng), Header(), overwrite=True)
    assert path.read_bytes() != before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_failure_while_writing_leaves_nothing_and_keeps_the_old(
    tmp_path, rng, monkeypatch, failure
):
    path = tmp_path / "f.fits"
    write_product(path, a_frame(rng), Header())
    before = path.read_bytes()

    def full(_):
        raise failure

    monkeypatch.setattr(writing.os, "fsync", full)
    wanted = OutputError if isinstance(failure, OSError) else KeyboardInterrupt
    with pytest.raises(wanted):
        write_product(path, a_frame(rng), Header(), overwrite=True)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_folder_that_cannot_be_made(tmp_path, rng):
    (tmp_path / "taken").write_text("a file where a folder should be")
    with pytest.raises(OutputError, match=r"cannot be written.*\n.*-o"):
        write_product(tmp_path / "taken" / "f.fits", a_frame(rng), Header())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_folder(tmp_path, rng):
    tmp_path.chmod(0o555)
    with pytest.raises(OutputError, match="cannot be written"):
        write_product(tmp_path / "f.fits", a_frame(rng), Header())
