"""Where the corners of pixels lie in wavelength and slit. Neighbours share them: pixels tile it."""

import numpy as np

from soxspipe.datamodel.order_pixels import OrderPixels


def corners(pixels: OrderPixels, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Wavelength (nm) and slit position (arcsec) of the four corners of each listed pixel, (4, n) each.

    A corner is the mean of the four pixel centres around it; beyond the edge of the order centres go on
    straight. Pixels that have no neighbour to go on from get NaN. Corners follow each other around the
    pixel. columns : width of the detector image.
    """
    x, y = pixels.index % columns, pixels.index // columns
    x, y = x - x.min() + 1, y - y.min() + 1
    shape = (int(y.max()) + 2, int(x.max()) + 2)
    found = []
    for values in (pixels.wavelength, pixels.slit):
        centre = np.full(shape, np.nan)
        centre[y, x] = values
        centre = _continued(_continued(centre, 0), 1)
        corner = 0.25 * (centre[:-1, :-1] + centre[:-1, 1:] + centre[1:, :-1] + centre[1:, 1:])
        around = (corner[y - 1, x - 1], corner[y - 1, x], corner[y, x], corner[y, x - 1])
        found.append(np.stack(around))
    return found[0], found[1]


def _continued(image: np.ndarray, axis: int) -> np.ndarray:
    """`image` with NaN filled by a straight line through the two neighbours on one side, mean of both."""
    values = np.moveaxis(image, axis, 0)
    before, after = np.full(values.shape, np.nan), np.full(values.shape, np.nan)
    before[2:] = 2.0 * values[1:-1] - values[:-2]
    after[:-2] = 2.0 * values[1:-1] - values[2:]
    both = np.where(
        np.isnan(before), after, np.where(np.isnan(after), before, 0.5 * (before + after))
    )
    return np.moveaxis(np.where(np.isnan(values), both, values), 0, axis)
