"""Frames check themselves and cannot be changed by accident."""

import numpy as np
import pytest

from soxspipe.datamodel.frame import UNUSABLE, Frame, PixelFlag
from soxspipe.errors import InputError

ZERO = np.zeros((3, 4))


def test_types_and_shape():
    frame = Frame(ZERO + 5, ZERO + 2, ZERO)
    assert (frame.data.dtype, frame.variance.dtype, frame.flags.dtype) == ("f4", "f4", "u2")
    assert frame.shape == (3, 4)
    assert frame.good.all()


@pytest.mark.parametrize("name", ["data", "variance", "flags"])
def test_pixels_cannot_be_written(name):
    given = np.zeros((3, 4), dtype="u2" if name == "flags" else "f4")
    frame = Frame(**{"data": ZERO, "variance": ZERO, "flags": ZERO} | {name: given})
    with pytest.raises(ValueError, match="read-only"):
        getattr(frame, name)[0, 0] = 1
    given[0, 0] = 1  # what was given stays the giver's


@pytest.mark.parametrize("name", ["variance", "flags"])
def test_images_of_different_shape_are_refused(name):
    images = {"data": ZERO, "variance": ZERO, "flags": ZERO} | {name: np.zeros((4, 3))}
    with pytest.raises(InputError, match=rf"{name} has shape \(4, 3\), data has \(3, 4\)"):
        Frame(**images)


def test_flags_add_up():
    where = ZERO > 0
    where[1, 2] = True
    frame = Frame(ZERO, ZERO, ZERO).flagged(where, PixelFlag.HOT)
    frame = frame.flagged(where, PixelFlag.COLD).flagged(where, PixelFlag.HOT)
    assert frame.flags[1, 2] == 16 + 32
    assert np.array_equal(frame.good, ~where)


def test_only_a_missing_flat_leaves_a_master_usable():
    flags = np.array([flag.value for flag in PixelFlag], dtype="u2")
    unusable = (flags & UNUSABLE) != 0
    assert [flag for flag, bad in zip(PixelFlag, unusable, strict=True) if not bad] == [
        PixelFlag.NO_FLAT
    ]


def test_difference_adds_variances_and_unites_flags():
    first = Frame(ZERO + 7, ZERO + 2, ZERO + 1, unit="adu")
    second = Frame(ZERO + 3, ZERO + 5, ZERO + 4, unit="adu")
    result = first - second
    assert (result.data == 4).all()
    assert (result.variance == 7).all()
    assert (result.flags == 5).all()
    with pytest.raises(InputError, match="cannot subtract electron from adu"):
        first - Frame(ZERO, ZERO, ZERO)


def test_a_view_is_one_of_all_images():
    data = np.arange(12.0).reshape(3, 4)
    seen = Frame(data, data + 1, data + 2).viewed(np.transpose)
    assert np.array_equal(seen.data, data.T)
    assert np.array_equal(seen.variance, data.T + 1)
    assert np.array_equal(seen.flags, data.T + 2)
