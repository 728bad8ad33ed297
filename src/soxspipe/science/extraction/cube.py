"""Put rectified images of neighbouring slit positions together to a cube. Nothing is resampled."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from soxspipe.datamodel.cube import Cube, OnSky
from soxspipe.datamodel.frame import PixelFlag
from soxspipe.datamodel.rectified import Grid, RectifiedImage
from soxspipe.errors import DataError, InputError
from soxspipe.science.extraction.merge_images import ImagePart, merge_images, place


@dataclass(frozen=True, eq=False)
class Layer:
    """The image of one position; the row it belongs to; its exposure time, s."""

    image: RectifiedImage
    row: int
    seconds: float


def build(
    layers: Sequence[Layer],
    *,
    number: int,
    first: float,
    step: float,
    width: float,
    on_sky: OnSky | None = None,
) -> Cube:
    """The cube of `number` rows, `step` arcsec apart, the middle of row 0 at `first`.

    Fluxes are scaled to the mean exposure time. Positions of one row are combined with inverse-variance
    weights where they overlap. A row without a position is NaN.

    Raises
    ------
    DataError : there is no layer. InputError : the layers differ in the steps of their grids, or lie
    outside the rows.
    """
    if not layers:
        raise DataError("there is no image to make a cube of", hint="look at the messages above")
    if not all(0 <= layer.row < number for layer in layers):
        raise InputError("a position lies outside the cube", hint="give all rows")
    seconds = _mean_time(layers)
    grid = _around([layer.image.grid for layer in layers])
    shape = (number, *grid.shape)
    flux, error = np.full(shape, np.nan, dtype="f4"), np.full(shape, np.nan, dtype="f4")
    flags = np.full(shape, PixelFlag.NOTHING_LEFT, dtype="u2")
    factors = []
    for row in sorted({layer.row for layer in layers}):
        image = _row([layer for layer in layers if layer.row == row], seconds)
        span = (row, *place(grid, image.grid))
        flux[span], error[span], flags[span] = image.flux, image.error, image.flags
        factors.append(image.noise_factor)
    return Cube(
        grid=grid,
        first=first,
        step=step,
        width=width,
        flux=flux,
        error=error,
        flags=flags,
        noise_factor=float(np.median(factors)),
        seconds=seconds,
        on_sky=on_sky,
        unit=layers[0].image.unit,
    )


def _mean_time(layers: Sequence[Layer]) -> float:
    known = [layer.seconds for layer in layers if layer.seconds > 0]
    return float(np.mean(known)) if known else 0.0


def _row(layers: Sequence[Layer], seconds: float) -> RectifiedImage:
    """The images of a row as one, of an exposure of `seconds`."""
    images = [_scaled(layer, seconds) for layer in layers]
    if len(images) == 1:
        return images[0]
    return merge_images([ImagePart(i, np.ones(i.grid.shape[1])) for i in images])


def _scaled(layer: Layer, seconds: float) -> RectifiedImage:
    factor = seconds / layer.seconds if layer.seconds > 0 and seconds > 0 else 1.0
    if factor == 1.0:
        return layer.image
    image = layer.image
    return replace(
        image,
        flux=image.flux * np.float32(factor),
        error=image.error * np.float32(factor),
        sky=None,
        sky_error=None,
    )


def _around(grids: Sequence[Grid]) -> Grid:
    """The grid that holds all of them."""
    if len({(g.step, g.slit_step) for g in grids}) > 1:
        raise InputError(
            "the images of the positions have different steps", hint="straighten them on one grid"
        )
    first, slit_first = min(g.first for g in grids), min(g.slit_first for g in grids)
    last = max(g.first + g.shape[1] for g in grids)
    slit_last = max(g.slit_first + g.shape[0] for g in grids)
    shape = (slit_last - slit_first, last - first)
    return Grid(first, grids[0].step, slit_first, grids[0].slit_step, shape)
