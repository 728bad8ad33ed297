"""Groups that share a part: the same answer as one big fit, with its covariance."""

import numpy as np
import pytest

from soxspipe.maths.hierarchical import Normal, Prior, posterior, whitened
from tests.maths.truth import assert_pulls

GROUPS, TERMS, SHARED = 4, 3, 2


def made(rng, own, shared):
    """Bridges, rows and values of all groups, and the true coefficients."""
    bridges = rng.normal(size=(GROUPS, TERMS, SHARED))
    common = rng.normal(0, shared)
    theta = bridges @ common + rng.normal(0, own, (GROUPS, TERMS))
    rows = rng.normal(size=(GROUPS, 6, TERMS))
    values = np.einsum("gnp,gp->gn", rows, theta) + rng.normal(size=(GROUPS, 6))
    return bridges, rows, values, theta


def normal_of(rows, values):
    return Normal(np.einsum("gnp,gnq->gpq", rows, rows), np.einsum("gnp,gn->gp", rows, values))


@pytest.mark.parametrize("own", [0.5, 0.0])
def test_same_as_one_dense_fit(own):
    rng = np.random.default_rng(1)
    own, shared = np.full(TERMS, own), np.array([2.0, 0.7])
    bridges, rows, values, _ = made(rng, own, shared)
    found = posterior(normal_of(rows, values), Prior(own, shared, bridges))
    # prior covariance of all coefficients at once
    wide = np.concatenate(list(bridges))
    prior = np.diag(np.tile(own**2, GROUPS)) + wide @ np.diag(shared**2) @ wide.T
    matrix = np.zeros((GROUPS * 6, GROUPS * TERMS))
    for g in range(GROUPS):
        matrix[g * 6 : g * 6 + 6, g * TERMS : g * TERMS + TERMS] = rows[g]
    data = matrix @ prior @ matrix.T + np.eye(len(matrix))
    gain = prior @ matrix.T @ np.linalg.inv(data)
    covariance = prior - gain @ matrix @ prior
    assert found.mean.ravel() == pytest.approx(gain @ values.ravel())
    for g in range(GROUPS):
        at = slice(g * TERMS, g * TERMS + TERMS)
        assert found.covariance[g] == pytest.approx(covariance[at, at], abs=1e-10)
    assert found.freedom == pytest.approx(np.trace(matrix @ gain))
    log_evidence = -0.5 * (
        values.ravel() @ np.linalg.solve(data, values.ravel()) + np.linalg.slogdet(data)[1]
    )
    constant = -0.5 * np.sum(values**2)
    assert found.log_evidence + constant == pytest.approx(log_evidence)


def test_nothing_shared():
    rng = np.random.default_rng(2)
    rows, values = rng.normal(size=(1, 9, TERMS)), rng.normal(size=(1, 9))
    own = np.array([1.0, 0.1, 3.0])
    found = posterior(normal_of(rows, values), Prior(own, np.zeros(0), np.zeros((1, TERMS, 0))))
    expected = np.linalg.solve(rows[0].T @ rows[0] + np.diag(own**-2), rows[0].T @ values[0])
    assert found.mean[0] == pytest.approx(expected)


def test_pulls_of_all_coefficients():
    rng = np.random.default_rng(3)
    own, shared = np.array([0.5, 0.2, 1.0]), np.array([2.0, 0.7])
    pulls = []
    for _ in range(200):
        bridges, rows, values, theta = made(rng, own, shared)
        found = posterior(normal_of(rows, values), Prior(own, shared, bridges))
        error = np.sqrt(np.diagonal(found.covariance, axis1=1, axis2=2))
        pulls.append(((found.mean - theta) / error)[0])
    assert_pulls(pulls)


def test_equations_add_up_and_can_leave_terms_out():
    rng = np.random.default_rng(4)
    rows, values = rng.normal(size=(1, 9, TERMS)), rng.normal(size=(1, 9))
    whole, part = normal_of(rows, values), normal_of(rows[:, :4], values[:, :4])
    rest = normal_of(rows[:, 4:], values[:, 4:])
    assert (whole - part).matrix == pytest.approx(rest.matrix)
    assert (whole - part).right == pytest.approx(rest.right)
    some = whole.only(np.array([0, 2]))
    assert some.matrix == pytest.approx(whole.matrix[:, [0, 2]][:, :, [0, 2]])
    assert some.right == pytest.approx(whole.right[:, [0, 2]])


def test_whitened_noise_is_white():
    rng = np.random.default_rng(5)
    group = rng.integers(0, 40, 200)
    error, common = rng.uniform(0.5, 2, 200), rng.uniform(0, 3, 40)[group]
    covariance = np.diag(error**2) + np.outer(common, common) * (group[:, None] == group)
    turn = whitened(np.eye(200), error, group, common)
    assert turn @ covariance @ turn.T == pytest.approx(np.eye(200), abs=1e-9)
    noise = rng.normal(size=200)
    assert whitened(noise, error, group, common) == pytest.approx(turn @ noise)
    assert whitened(np.empty((0, 3)), np.empty(0), np.empty(0, "i8"), np.empty(0)).shape == (0, 3)


@pytest.mark.parametrize("precise", [1e3, 1e6, 1e9])
def test_precise_data_leave_the_shared_part_to_the_scatter_of_the_groups(precise):
    """However precise, they tell no more of what is shared than the groups' own parts let them."""
    rng = np.random.default_rng(5)
    own, shared = np.array([0.5, 0.2, 1.0]), np.array([30.0, 7.0])
    bridges, rows, _, theta = made(rng, own, shared)
    exact = np.einsum("gnp,gp->gn", rows, theta)
    found = posterior(normal_of(precise * rows, precise * exact), Prior(own, shared, bridges))
    scaled = bridges / own[:, None]
    told = np.einsum("gpq,gpr->qr", scaled, scaled) + np.diag(shared**-2)
    expected = np.linalg.solve(told, np.einsum("gpq,gp->q", scaled, theta / own))
    assert found.common == pytest.approx(expected, rel=1e-3)
    assert found.mean == pytest.approx(theta, abs=1e-4)
    assert np.isfinite(found.log_evidence)
