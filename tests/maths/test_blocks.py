"""The smooth level of an image."""

import numpy as np
import pytest

from soxspipe.maths.blocks import block_medians, smooth_level


def test_medians_of_blocks_ignore_what_is_rare():
    image = np.kron(np.array([[1.0, 2.0], [3.0, 4.0]]), np.ones((16, 16)))
    image[::5, ::7] = 1e6
    assert block_medians(image, 16) == pytest.approx(np.array([[1, 2], [3, 4]]))


def test_a_plane_is_its_own_level_between_the_first_and_last_block_centre():
    y, x = np.mgrid[0:128, 0:160]
    plane = 5.0 + 0.3 * x - 0.2 * y
    level = smooth_level(plane, 16)
    # every second pixel of a block is looked at: its centre is half a pixel off
    inside = slice(8, -8)
    assert level[inside, inside] == pytest.approx(plane[inside, inside], abs=0.3)
    assert level.shape == plane.shape


@pytest.mark.parametrize("shape", [(20, 30), (1, 1), (33, 65)])
def test_an_image_smaller_than_a_block_or_odd(shape):
    assert smooth_level(np.full(shape, 7.0), 32) == pytest.approx(np.full(shape, 7.0))
