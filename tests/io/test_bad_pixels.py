"""Bad-pixel maps of users."""

import numpy as np
import pytest
from astropy.io import fits

from soxspipe.errors import InputError
from soxspipe.instrument.arms import get_arm
from soxspipe.io.bad_pixels import read_bad_pixels

ARM = get_arm("SOXS", "VIS").binned((2, 2))
WHOLE = (2048, 454)


def write(path, image, *, extension=False):
    hdus = [fits.PrimaryHDU(), fits.ImageHDU(image)] if extension else [fits.PrimaryHDU(image)]
    fits.HDUList(hdus).writeto(path)
    return path


@pytest.mark.parametrize("extension", [False, True])
def test_what_is_not_zero_is_bad(tmp_path, extension):
    image = np.zeros(ARM.shape, dtype="f4")
    image[3, 4], image[5, 6], image[7, 8] = 128, -1, np.nan
    found = read_bad_pixels(write(tmp_path / "m.fits", image, extension=extension), ARM)
    assert np.argwhere(found).tolist() == [[3, 4], [5, 6], [7, 8]]


def test_a_map_of_the_whole_detector_is_trimmed(tmp_path):
    image = np.zeros(WHOLE, dtype="u1")
    image[100, 25] = image[100, 0] = 1
    found = read_bad_pixels(write(tmp_path / "m.fits", image), ARM)
    assert np.argwhere(found).tolist() == [[100, 0]]


def test_a_map_of_another_binning_is_refused(tmp_path):
    path = write(tmp_path / "m.fits", np.zeros((4096, 808), dtype="u1"))
    with pytest.raises(InputError, match=r"m.fits: the image is 808 x 4096 pixels; VIS binned 2x2"):
        read_bad_pixels(path, ARM)


def test_a_map_without_image_is_refused(tmp_path):
    path = tmp_path / "m.fits"
    fits.HDUList([fits.PrimaryHDU()]).writeto(path)
    with pytest.raises(InputError, match="holds no image"):
        read_bad_pixels(path, ARM)
