"""Linear models of several groups whose coefficients are partly shared.

Coefficients of group m are theta_m = G_m g + d_m: g is common to all groups, d_m its own. Both have
independent Gaussian priors of mean 0 (a width of 0 leaves a coefficient out). Data enter as normal
equations of whitened rows, so data of groups and of folds add up.

Rasmussen & Williams 2006, Gaussian Processes for Machine Learning, chapter 2.7; Gelman et al. 2013,
Bayesian Data Analysis, chapter 15.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Normal:
    """Normal equations of whitened rows, for each of g groups.

    matrix   (g, p, p) A^T A
    right    (g, p) A^T b
    """

    matrix: np.ndarray
    right: np.ndarray

    def __sub__(self, other: "Normal") -> "Normal":
        return Normal(self.matrix - other.matrix, self.right - other.right)

    def only(self, terms: np.ndarray) -> "Normal":
        """The equations for the coefficients `terms` (indices), the others 0."""
        return Normal(self.matrix[:, terms[:, None], terms], self.right[:, terms])


@dataclass(frozen=True, eq=False)
class Prior:
    """own (p,) or (g, p) widths of d; shared (q,) widths of g; bridges (g, p, q) the G of each group;
    q may be 0.
    """

    own: np.ndarray
    shared: np.ndarray
    bridges: np.ndarray


@dataclass(frozen=True, eq=False)
class Posterior:
    """mean (g, p) and covariance (g, p, p) of the coefficients of every group; `common` (q,) the mean
    of what they share.

    log_evidence : of the data given the prior, up to a constant of the data. freedom : number of
    coefficients that the data determine rather than the prior.
    """

    mean: np.ndarray
    covariance: np.ndarray
    common: np.ndarray
    log_evidence: float
    freedom: float


def _shrunk(matrix: np.ndarray, width: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N + P^-1)^-1 and log |1 + P N| of (a stack of) N (p, p), P = diag(width^2); widths may be 0."""
    inner = np.eye(width.shape[-1]) + width[..., :, None] * matrix * width[..., None, :]
    factor = np.linalg.cholesky(inner)
    half = np.linalg.solve(factor, np.eye(width.shape[-1]) * width[..., None, :] + 0.0 * matrix)
    diagonal = np.diagonal(factor, axis1=-2, axis2=-1)
    return np.swapaxes(half, -1, -2) @ half, 2.0 * np.sum(np.log(diagonal), axis=-1)


def _without_own(normal: Normal, width: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows (g, p, p) and values (g, p) that say what the data do of the coefficients if own ones of that
    width, with the covariance P, are free: rows^T rows = (N^-1 + P)^-1.

    Not as N - N (N + P^-1)^-1 N: of precise data that leaves little but rounding errors.
    """
    size = normal.matrix.shape[-1]
    value, vector = np.linalg.eigh(normal.matrix)
    value = np.maximum(value, 0.0)
    known = value > value.max(axis=-1, keepdims=True) * size * np.finfo("f8").eps
    root = np.sqrt(value)
    rows = root[:, :, None] * np.swapaxes(vector, 1, 2)
    values = np.einsum("gpq,gp->gq", vector, normal.right) / np.where(known, root, np.inf)
    wide = rows * width[..., None, :]
    factor = np.linalg.cholesky(np.eye(size) + wide @ np.swapaxes(wide, 1, 2))
    return np.linalg.solve(factor, rows), np.linalg.solve(factor, values[:, :, None])[:, :, 0]


def evidence_of_groups(normal: Normal, prior: Prior, common: np.ndarray) -> np.ndarray:
    """Log-evidence (g,) of each group's data given what is common, up to a constant of the data and of
    `common`.
    """
    right = normal.right - np.einsum("gpq,gq->gp", normal.matrix, prior.bridges @ common)
    inner, logarithm = _shrunk(normal.matrix, prior.own)
    return np.asarray(0.5 * (np.einsum("gp,gpq,gq->g", right, inner, right) - logarithm))


def posterior(normal: Normal, prior: Prior) -> Posterior:
    """Maximum a posteriori coefficients of every group with their covariance."""
    inner, logarithm = _shrunk(normal.matrix, prior.own)
    mean, covariance = np.einsum("gpq,gq->gp", inner, normal.right), inner
    evidence = 0.5 * float(np.sum(normal.right * mean) - np.sum(logarithm))
    shared = np.zeros(0)
    if len(prior.shared):
        reach = prior.bridges - inner @ normal.matrix @ prior.bridges
        rows, values = _without_own(normal, prior.own)
        rows = rows @ prior.bridges
        total = (np.swapaxes(rows, 1, 2) @ rows).sum(axis=0)
        right = np.einsum("gpq,gp->q", rows, values)
        common, logarithm = _shrunk(total, prior.shared)
        shared = common @ right
        evidence += 0.5 * float(right @ shared - logarithm)
        mean = mean + reach @ shared
        covariance = inner + reach @ common @ np.swapaxes(reach, 1, 2)
    freedom = float(np.sum(covariance * normal.matrix))
    return Posterior(mean, covariance, shared, evidence, freedom)


def whitened(
    array: np.ndarray, error: np.ndarray, group: np.ndarray, common: np.ndarray
) -> np.ndarray:
    """Rows of `array` (n,) or (n, p) turned so that their noise is white with variance 1.

    The noise of a row is its own, of width `error` (n,), and one random number per group, of width
    `common` (n,), that all its rows share. `group` (n,) are integers from 0; rows of a group need not
    be neighbours.
    """
    flat = array.reshape(len(array), int(np.prod(array.shape[1:]))) / error[:, None]
    u = common / error
    power = np.bincount(group, u**2)
    safe = np.maximum(power, 1e-300)
    pull = (1.0 - 1.0 / np.sqrt(1.0 + power)) / safe
    sums = np.zeros((len(power), flat.shape[1]))
    if len(group):
        order = np.argsort(group, kind="stable")
        starts = np.flatnonzero(np.diff(group[order], prepend=-1) > 0)
        sums[group[order][starts]] = np.add.reduceat((u[:, None] * flat)[order], starts, axis=0)
    white = flat - u[:, None] * (pull[:, None] * sums)[group]
    return white.reshape(array.shape)
