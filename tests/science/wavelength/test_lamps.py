"""Lamps that are off, told by their lines."""

import numpy as np
import pytest

from soxspipe.science.wavelength.lamps import dark_elements, elements_of

ELEMENT = np.repeat(["Ar", "Hg", "Ne", "Xe"], 20)


def test_elements_of_spectra():
    assert elements_of(np.array(["ArI", "ArII", "Ar", "HgI", "XeI", "ThII", ""])).tolist() == [
        "Ar", "Ar", "Ar", "Hg", "Xe", "Th", "",
    ]  # fmt: skip


@pytest.mark.parametrize("off", [(), ("Hg",), ("Ne", "Xe")])
def test_lamps_whose_lines_are_missing_are_named(off):
    rng = np.random.default_rng(1)
    seen = rng.random(80) < 0.9
    seen[np.isin(ELEMENT, off)] = rng.random(20 * len(off)) < 0.1
    assert dark_elements(ELEMENT, seen) == off


def test_nothing_is_said_where_little_is_seen():
    assert dark_elements(ELEMENT, np.arange(80) % 5 == 0) == ()
    assert dark_elements(ELEMENT[:0], np.zeros(0, dtype=bool)) == ()


def test_few_lines_do_not_judge_a_lamp():
    element = np.array(["Ar"] * 20 + ["Hg"] * 3)
    assert dark_elements(element, np.arange(23) < 20) == ()
