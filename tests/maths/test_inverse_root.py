"""The inverse root of a banded matrix, against that of the full one."""

import numpy as np
import pytest

from soxspipe.errors import DataError
from soxspipe.maths.inverse_root import congruent, inverse_root, partial_fractions


def banded(rng, n, rows=3):
    """A full matrix of weights A^T A (n, n), with 2 rows + 1 diagonals, and its lower band."""
    a = np.zeros((n, n))
    for o in range(rows + 1):
        a += np.diag(rng.uniform(0.1, 1.0, n - o), -o)
    full = a.T @ a + 1e-6 * np.eye(n)
    band = np.zeros((rows + 1, n))
    for d in range(rows + 1):
        band[d, : n - d] = np.diagonal(full, -d)
    return full, band


@pytest.mark.parametrize("ratio", [1e-4, 1e-8, 1e-12])
def test_partial_fractions_are_an_inverse_root(ratio):
    weights, shifts = partial_fractions(ratio)
    x = np.logspace(np.log10(ratio), 0.0, 500)
    assert (weights / (x[:, None] + shifts)).sum(axis=1) * np.sqrt(x) == pytest.approx(1, abs=5e-5)
    assert (weights > 0).all()
    assert (shifts > 0).all()


def test_inverse_root_of_a_matrix_of_weights():
    rng = np.random.default_rng(1)
    full, band = banded(rng, 60)
    vectors = rng.normal(size=(60, 4))
    values, axes = np.linalg.eigh(full)
    expected = (axes / np.sqrt(values)) @ axes.T @ vectors
    assert inverse_root(band, vectors) == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_what_nothing_is_known_of_stays_finite():
    band = np.array([[1.0, 0.0, 4.0], [0.0, 0.0, 0.0]])
    root = inverse_root(band, np.eye(3))
    assert np.isfinite(root).all()
    assert np.diag(root)[[0, 2]] == pytest.approx([1.0, 0.5], rel=1e-4)


def test_congruent_matrix():
    rng = np.random.default_rng(2)
    full, band = banded(rng, 25)
    rows = rng.normal(size=(5, 25))
    rows[:, 7] = 0.0
    matrix = sum(rows[2 + o][:, None] * np.eye(25, k=o) for o in range(-2, 3))
    expected = matrix @ full @ matrix.T
    result = congruent(band, rows)
    assert result.shape == (8, 25)
    for d in range(8):
        assert result[d, : 25 - d] == pytest.approx(np.diagonal(expected, -d), abs=1e-12)


def test_a_matrix_that_is_not_positive_is_refused():
    with pytest.raises(DataError, match="not positive"):
        inverse_root(np.array([[1.0, -1.0]]), np.ones((2, 1)))
