"""Where an object stands in the chunks of all orders, from their profiles together."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from soxspipe.science.extraction.collapse import Cells
from soxspipe.science.extraction.objects import Found

#: FWHM of a Gaussian over its sigma.
FWHM = 2.3548
#: A position is not trusted more than this, arcsec.
FLOOR = 0.005
_ROUNDS = 8


@dataclass(frozen=True, eq=False)
class ChunkProfiles:
    """All chunks: light, weight and slit position (chunks, cells) around the object."""

    value: np.ndarray
    weight: np.ndarray
    slit: np.ndarray

    @classmethod
    def of(cls, cells: Mapping[int, Cells], found: Found, room: float = np.inf) -> "ChunkProfiles":
        """Profiles around where an object was found, no further than `room` (arcsec) from there."""
        parts = list(cells.values())
        slit = parts[0].slit
        near = np.abs(slit - found.position) < min(max(2.0 * found.fwhm, 1.6), room)
        error = np.concatenate([c.error for c in parts])
        known = near & np.isfinite(error)
        weight = np.where(known, 1.0 / np.where(known, error, 1.0) ** 2, 0.0)
        places = np.concatenate([c.places for c in parts])
        return cls(np.concatenate([c.value for c in parts]), weight, places)


def fitted(
    profiles: ChunkProfiles,
    matrix: np.ndarray,
    parameters: np.ndarray,
    prior: np.ndarray,
    usable: np.ndarray,
    found: Found,
) -> np.ndarray:
    """Gauss-Newton: trace common to all chunks, with a height and a background for each."""
    sigma = found.fwhm / FWHM
    centre = np.zeros(len(prior))
    centre[1] = found.position
    for _ in range(_ROUNDS):
        z = (profiles.slit - (matrix @ parameters)[:, None]) / sigma
        shape = np.exp(-0.5 * z**2)
        slope = shape * z / sigma
        w = profiles.weight
        # height and background of each chunk, then what is left of the slope beside these
        one = np.stack([shape, np.ones_like(shape)], axis=2)
        normal = np.einsum("kc,kca,kcb->kab", w, one, one) + 1e-12 * np.eye(2)
        both = np.stack([profiles.value, slope], axis=2)
        fit = np.linalg.solve(normal, np.einsum("kc,kca,kcb->kab", w, one, both))
        rest = both - np.einsum("kca,kab->kcb", one, fit)
        height = fit[:, 0, 0]
        information = (w * rest[:, :, 1] ** 2).sum(axis=1)
        # a bright profile is no Gaussian: its centre is not known better than the floor
        squared = height**2 * information
        damp = usable / (1.0 + squared * FLOOR**2)
        gradient = height * (w * rest[:, :, 1] * rest[:, :, 0]).sum(axis=1) * damp
        hessian = (matrix * (squared * damp)[:, None]).T @ matrix + np.diag(1.0 / prior**2)
        vector = matrix.T @ gradient - (parameters - centre) / prior**2
        step = np.linalg.solve(hessian, vector)
        largest = float(np.abs(matrix @ step).max())
        parameters = parameters + step * min(1.0, 0.7 * sigma / max(largest, 1e-9))
        if largest < 1e-4:
            break
    return parameters


def fitted_shift(profiles: ChunkProfiles, place: np.ndarray, found: Found) -> float:
    """Shift (arcsec) of the trace at `place` in each chunk, prior 0.15 arcsec."""
    total = 0.0
    sigma = found.fwhm / FWHM
    for _ in range(_ROUNDS):
        z = (profiles.slit - (place + total)[:, None]) / sigma
        shape = np.exp(-0.5 * z**2)
        slope = shape * z / sigma
        w = profiles.weight
        height = (w * shape * profiles.value).sum(axis=1) / np.maximum(
            (w * shape**2).sum(axis=1), 1e-12
        )
        rest = profiles.value - height[:, None] * shape
        top = float((w * height[:, None] * slope * rest).sum()) - total / 0.15**2
        bottom = float((w * height[:, None] ** 2 * slope**2).sum()) + 1.0 / 0.15**2
        total += float(np.clip(top / bottom, -0.5 * sigma, 0.5 * sigma))
    return total
