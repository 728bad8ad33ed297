"""Bad-pixel maps: any FITS image in which a pixel that is not zero is bad."""

from pathlib import Path

import numpy as np

from soxspipe.errors import InputError
from soxspipe.instrument.arms import Arm
from soxspipe.io.frames import open_fits, trimmed


def read_bad_pixels(path: Path, arm: Arm) -> np.ndarray:
    """(ny, nx) bool, True where the map is not zero; NaN counts as bad.

    The map is that of the science window, or of the whole detector, at the arm's binning; the first
    extension with an image counts. Raises InputError if there is none, or of another shape.
    """
    with open_fits(path) as hdus:
        images = [h.data for h in hdus if h.is_image and h.data is not None and h.data.ndim == 2]
    if not images:
        raise InputError(f"{path}: holds no image", hint="a bad-pixel map is a FITS image")
    image = np.asarray(images[0])
    if image.shape != arm.shape:
        image = trimmed(image, arm, path.name)[0]
    return image != 0
