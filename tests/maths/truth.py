"""Known light, and how estimates of it must scatter."""

import numpy as np
from scipy.special import ndtr


def pixel_gaussian(n, centre, sigma):
    """Shares of a unit Gaussian that fall into pixels 0 .. n - 1."""
    return np.diff(ndtr((np.arange(n + 1) - 0.5 - centre) / sigma))


def spots(shape, x, y, sigma, counts=1.0, background=0.0):
    """Image of spots of width `sigma` (x, y), integrated over pixels."""
    ny, nx = shape
    image = np.full(shape, float(background))
    for at_x, at_y, light in np.broadcast(x, y, counts):
        image += light * np.outer(
            pixel_gaussian(ny, at_y, sigma[1]), pixel_gaussian(nx, at_x, sigma[0])
        )
    return image


def assert_pulls(pulls, limit=4.0):
    """Mean 0 and width 1, each within `limit` of what the number of values allows."""
    pulls = np.ravel(pulls)
    assert pulls.size > 50
    assert np.isfinite(pulls).all()
    assert abs(pulls.mean()) < limit / np.sqrt(pulls.size)
    assert abs(pulls.std() - 1) < limit / np.sqrt(2 * pulls.size)
