"""The smooth level of an image from medians of blocks."""

import numpy as np


def block_medians(image: np.ndarray, size: int) -> np.ndarray:
    """Medians of square blocks of an image (ny, nx), from every second row and column.

    `size` is rounded to an even number of pixels; what does not fill a block at the far ends is left
    out, unless the image is smaller than a block.
    """
    high, wide = (max(min(size, n) // 2, 1) for n in image.shape)
    part = image[::2, ::2]
    rows, columns = part.shape[0] // high, part.shape[1] // wide
    blocks = part[: rows * high, : columns * wide].reshape(rows, high, columns, wide)
    return np.median(blocks.swapaxes(1, 2).reshape(rows, columns, -1), axis=-1)


def smooth_level(image: np.ndarray, size: int) -> np.ndarray:
    """(ny, nx) float32: block medians, bilinear between the centres of the blocks, flat beyond them."""
    coarse = block_medians(image, size)
    rows, columns = (
        _interpolation(n, min(size, n) // 2 * 2, k)
        for n, k in zip(image.shape, coarse.shape, strict=True)
    )
    return np.asarray(rows @ coarse @ columns.T, dtype="f4")


def _interpolation(pixels: int, size: int, blocks: int) -> np.ndarray:
    """(pixels, blocks) weights that interpolate between block centres."""
    centres = (np.arange(blocks) + 0.5) * max(size, 1) - 0.5
    return np.array([np.interp(np.arange(pixels), centres, unit) for unit in np.eye(blocks)]).T
