"""Scattered light: a smooth surface through what is seen between the orders."""

import numpy as np
from scipy import ndimage
from scipy.interpolate import RectBivariateSpline

from soxspipe.datamodel.frame import Frame
from soxspipe.datamodel.geometry import OrderTable


def between_orders(table: OrderTable, shape: tuple[int, int], *, clearance: float) -> np.ndarray:
    """(ny, nx) bool, True more than `clearance` pixels away from every order edge."""
    along_x = table.dispersion_axis == "x"
    n_across, n_along = shape if along_x else shape[::-1]
    free = np.ones((n_across, n_along), dtype=bool)
    pixel = np.arange(n_along, dtype="f8")
    row = np.arange(n_across)[:, None]
    for trace in table.orders.values():
        edges = np.sort([trace.at("lower", pixel), trace.at("upper", pixel)], axis=0)
        free &= ~((row > edges[0] - clearance) & (row < edges[1] + clearance))
    return free if along_x else free.T


def fit(frame: Frame, free: np.ndarray, *, smoothing: float, block: int = 32) -> np.ndarray:
    """Scattered-light surface (ny, nx), in the frame's unit.

    Medians of the free pixels in blocks are joined by normalised Gaussian smoothing, which also bridges
    the orders, and interpolated by a bicubic spline.

    Parameters
    ----------
    free : (ny, nx) True between orders. smoothing : Gaussian sigma, pixels. block : pixels.
    """
    ny, nx = frame.shape
    rows, columns = -(-ny // block), -(-nx // block)
    padded = np.full((rows * block, columns * block), np.nan, dtype="f4")
    padded[:ny, :nx] = np.where(free & frame.good, frame.data, np.nan)
    cells = padded.reshape(rows, block, columns, block).swapaxes(1, 2).reshape(rows, columns, -1)
    count = np.isfinite(cells).sum(axis=2)
    filled = np.where(count[..., None] > 0, cells, 0.0)
    level = np.nanmedian(filled, axis=2)
    weight = np.minimum(count, block * block // 4).astype("f8")
    weight[count < 8] = 0.0
    if not weight.any():
        return np.zeros((ny, nx), dtype="f4")
    width = smoothing / block
    # the smoothing must reach across an order wherever it stands: widen until every cell has light
    while True:
        total = ndimage.gaussian_filter(weight, width, mode="nearest", truncate=6.0)
        if total.min() > 1e-6 * weight.max():
            break
        width *= 1.5
    surface = ndimage.gaussian_filter(weight * level, width, mode="nearest", truncate=6.0) / total
    y, x = (np.arange(n) * block + 0.5 * (block - 1) for n in (rows, columns))
    degree = min(3, rows - 1, columns - 1)
    spline = RectBivariateSpline(y, x, surface, kx=degree, ky=degree, s=0)
    inside_y, inside_x = np.clip(np.arange(ny), y[0], y[-1]), np.clip(np.arange(nx), x[0], x[-1])
    return np.asarray(spline(inside_y, inside_x), dtype="f4")
