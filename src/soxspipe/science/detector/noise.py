"""Variance from a model of the light, not from the noisy pixel.

Weights taken from the data favour low pixels and pull every weighted sum down. Here the variance of a
flat-fielded pixel follows from what is known without looking at it: the read-out, the master frames, the
dark current, and a model of sky and object.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class NoiseModel:
    """Everything about the noise but the light of sky and object; images (ny, nx) float32.

    base           variance without that light, electrons squared, before the flat
    response       flat field by which the frame was divided (1 where it was not)
    response_variance  variance of that flat
    exposures      number of exposures averaged: the light's own variance goes down with it
    """

    base: np.ndarray
    response: np.ndarray
    response_variance: np.ndarray
    exposures: int = 1

    def variance(self, light: np.ndarray, index: np.ndarray) -> np.ndarray:
        """Variance (n,) of flat-fielded pixels at flat `index` (n,) whose expected light is `light`."""
        response = self.response.ravel()[index]
        electrons = np.maximum(light, 0.0)
        counted = self.base.ravel()[index] + response * electrons / self.exposures
        return (counted / response**2) + electrons**2 * (
            self.response_variance.ravel()[index] / response**2
        )
