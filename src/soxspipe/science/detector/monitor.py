"""Health of the detector: read noise, pattern, structure."""

import numpy as np

from soxspipe.maths.robust import mad_sigma


def noise_of_pair(first: np.ndarray, second: np.ndarray) -> float:
    """Noise of one exposure from the difference of two, (ny, nx) each, in their unit.

    Standard deviation of what lies within 4 sigma: the MAD of whole counts comes in steps. Of large
    frames every third row is taken.
    """
    step = 3 if first.size > 300_000 else 1
    difference = (first[::step] - second[::step]).ravel()
    difference = difference - np.median(difference)
    limit = 4.0 * max(mad_sigma(difference), 1e-6)
    for _ in range(3):
        inside = difference[np.abs(difference) <= limit]
        limit = 4.0 * float(inside.std())
    return float(inside.std()) / np.sqrt(2.0)


def neighbour_noise(image: np.ndarray) -> float:
    """Pixel noise from differences of neighbouring columns: large-scale structure drops out."""
    return mad_sigma((image[:, 1:] - image[:, :-1]).ravel()) / np.sqrt(2.0)


def pattern_ratio(image: np.ndarray) -> float:
    """Fixed-pattern ratio: scatter of the frame collapsed along an axis over the scatter that white
    noise would leave there; the larger of both axes. 1 for white noise, more for stripes.

    Large-scale structure is taken out by differences of neighbours.
    """
    noise = neighbour_noise(image)
    ratios = []
    for axis in (0, 1):
        profile = image.mean(axis=axis)
        scatter = mad_sigma(np.diff(profile)) / np.sqrt(2.0)
        ratios.append(scatter * np.sqrt(image.shape[axis]) / max(noise, 1e-9))
    return float(max(ratios))


def slope(image: np.ndarray, axis: int) -> float:
    """Straight-line slope of the frame collapsed along the other axis, unit per 1000 pixels.

    axis 0: along y; axis 1: along x.
    """
    profile = np.median(image, axis=1 - axis)
    pixel = np.arange(len(profile)) / 1000.0
    return float(np.polynomial.polynomial.polyfit(pixel, profile, 1)[1])
