"""The sky left in the difference of two exposures: scaled lines of their sky, and a sparse spline."""

from dataclasses import replace

import numpy as np

from soxspipe.science.sky import joint
from soxspipe.science.sky.cells import Cells
from soxspipe.science.sky.joint import Covariance
from soxspipe.science.sky.model import Lines, Model, Priors

#: Lines keep their places and widths: what they may move is far below what could be measured.
FIXED = Priors(shift=1e-4, broad=1e-4)
#: Prior standard deviation of the change of a line, share of its height in the template.
CHANGE = 0.3
#: Terms along the order of the common scale of all lines.
TERMS = 2


def scaled(cells: Cells, start: Model, template: Lines) -> tuple[Model, Covariance]:
    """Fit `start` to a difference, its lines being those of `template`.

    The sky changes by per cents within minutes, most lines alike. The heights of all lines give the
    common scale and the scatter about it; then each is drawn to the scale as far as its noise asks
    (empirical Bayes): where the difference shows nothing, nothing is added.
    """
    light = np.abs(template.height)
    zero = replace(start, lines=replace(template, height=np.zeros(len(light))))
    if not len(light):
        return joint.solve(cells, zero, FIXED, None)
    free, covariance = joint.solve(
        cells, zero, FIXED, None, heights=(np.zeros(len(light)), CHANGE * light + 1e-6)
    )
    # what the prior added to each line's own measurement is taken off again
    prior = (CHANGE * light + 1e-6) ** 2
    posterior = np.minimum(covariance.of_heights, prior * (1 - 1e-9))
    error = 1.0 / (1.0 / posterior - 1.0 / prior)
    measured = free.lines.height * error / posterior
    expected, scatter = _common(measured, error, light, start.place(template.centre))
    return joint.solve(
        cells, zero, FIXED, None, heights=(expected, np.sqrt(scatter) * light + 1e-6)
    )


def _common(
    measured: np.ndarray, error: np.ndarray, light: np.ndarray, place: np.ndarray
) -> tuple[np.ndarray, float]:
    """Heights (l,) of one smooth scale, and the variance of lines about it, in shares of their light.

    error : (l,) variance of the measured heights. Scatter that noise explains is none.
    """
    columns = light[:, None] * place[:, None] ** np.arange(TERMS)
    scatter = 0.0
    for _ in range(8):
        weight = 1.0 / (error + scatter * light**2)
        normal = (columns * weight[:, None]).T @ columns
        normal[np.diag_indices_from(normal)] += 1.0 / CHANGE**2
        inverse = np.linalg.inv(normal)
        scale = inverse @ ((columns * weight[:, None]).T @ measured)
        left = measured - columns @ scale
        # method of moments, lines weighted by what they know of the scatter
        know = weight**2 * light**4
        value = ((left**2 - error) / light**2 * know).sum() / know.sum()
        # less than its own noise is none
        noise = np.sqrt(2.0 * ((error + scatter * light**2) ** 2 / light**4 * know**2).sum())
        scatter = float(value) if value > 2.0 * noise / know.sum() else 0.0
    shared = np.einsum("lt,tu,lu->l", columns, inverse, columns) / light**2
    return columns @ scale, max(scatter, float(np.median(shared)), 1e-10)
