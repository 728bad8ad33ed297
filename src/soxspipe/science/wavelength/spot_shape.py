"""Shape of pinhole images as numbers: width, sharpness, roundness, extent."""

import numpy as np

from soxspipe.datamodel.frame import Frame

_FWHM = 2.0 * np.sqrt(2.0 * np.log(2.0))
_STAMP = np.mgrid[-2:3, -2:3]
_CORE = np.hypot(*_STAMP) <= 2.0


def nearest_pixel(
    shape: tuple[int, int], x: np.ndarray, y: np.ndarray, margin: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of the pixel that holds each centre, at least `margin` pixels inside; unknown
    centres give the first such pixel.
    """
    ny, nx = shape
    column = np.clip(np.nan_to_num(np.rint(x), nan=margin).astype("i8"), margin, nx - 1 - margin)
    row = np.clip(np.nan_to_num(np.rint(y), nan=margin).astype("i8"), margin, ny - 1 - margin)
    return row, column


def _stamps(data: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(n, 5, 5) around the nearest pixels."""
    row, column = nearest_pixel(data.shape, x, y, margin=2)
    dy, dx = _STAMP
    return np.asarray(data[row[:, None, None] + dy, column[:, None, None] + dx], dtype="f8")


def moment_fwhm(data: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """FWHM (pixels) from second moments within 2 pixels of the peak, shape (n,).

    The background is the mean of the corners of the 5 x 5 stamp. Truncated moments are smaller than
    the true width; the documented acceptance ranges of FWHM PIN hold for this definition.
    """
    dy, dx = _STAMP
    stamps = _stamps(data, x, y)
    floor = stamps[:, ~_CORE].mean(axis=1)
    light = np.where(_CORE, np.maximum(stamps - floor[:, None, None], 0.0), 0.0)
    total = np.maximum(light.sum(axis=(1, 2)), 1e-9)
    mean_x, mean_y = ((light * d).sum(axis=(1, 2)) / total for d in (dx, dy))
    spread = (light * (dx**2 + dy**2)).sum(axis=(1, 2)) / total - mean_x**2 - mean_y**2
    return np.where(np.isfinite(x), _FWHM / np.sqrt(2.0) * np.sqrt(np.maximum(spread, 0.0)), np.nan)


def sharpness(
    data: np.ndarray, x: np.ndarray, y: np.ndarray, background: np.ndarray, height: np.ndarray
) -> np.ndarray:
    """Brightest pixel minus the mean of its eight neighbours, over the height of the fitted spot; (n,).

    In the spirit of DAOFIND (Stetson 1987, PASP 99, 191): a hot pixel or a cosmic ray has a large value,
    a smooth elevation one near 0. height : light of the model in the central pixel.
    """
    core = _stamps(data, x, y)[:, 1:4, 1:4] - background[:, None, None]
    around = (core.sum(axis=(1, 2)) - core[:, 1, 1]) / 8.0
    return np.where(np.isfinite(x), (core[:, 1, 1] - around) / np.maximum(height, 1e-9), np.nan)


def roundness(
    data: np.ndarray, x: np.ndarray, y: np.ndarray, background: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Two measures (n,) of how far the light in 5 x 5 pixels is from a round spot; 0 is round.

    First, by symmetry: twice the light of two opposite quadrants minus that of the other two, over all
    light; not 0 if the spot leans. Second, by extent: the difference of the widths of the light along x
    and along y, over their mean. In the spirit of SROUND and GROUND (Stetson 1987, PASP 99, 191).
    """
    dy, dx = _STAMP
    light = _stamps(data, x, y) - background[:, None, None]
    total = np.maximum(np.abs(light).sum(axis=(1, 2)), 1e-9)
    first = 2.0 * (light * np.sign(dx * dy)).sum(axis=(1, 2)) / total
    along = [_width(light.sum(axis=axis)) for axis in (1, 2)]
    second = (along[0] - along[1]) / np.maximum(0.5 * (along[0] + along[1]), 1e-9)
    known = np.isfinite(x)
    return np.where(known, first, np.nan), np.where(known, second, np.nan)


def _width(profile: np.ndarray) -> np.ndarray:
    """Root of the second moment of profiles (n, 5), negative light left out."""
    place = np.arange(-2.0, 3.0)
    light = np.maximum(profile, 0.0)
    total = np.maximum(light.sum(axis=1), 1e-9)
    mean = (light * place).sum(axis=1) / total
    return np.sqrt(np.maximum((light * place**2).sum(axis=1) / total - mean**2, 0.0))


def pixels_above(
    data: np.ndarray, variance: np.ndarray, x: np.ndarray, y: np.ndarray, background: np.ndarray
) -> np.ndarray:
    """Pixels (n,) of the 5 x 5 stamp that stand 3 sigma above the background."""
    light = _stamps(data, x, y) - background[:, None, None]
    noise = np.sqrt(np.maximum(_stamps(variance, x, y), 1e-3))
    count = (light > 3.0 * noise).sum(axis=(1, 2))
    return np.where(np.isfinite(x), count, 0).astype("i4")


def light_at(frame: Frame, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Significance (n,) of the light in 3 x 3 pixels over the corners of 5 x 5, at expected places."""
    ny, nx = frame.shape
    inside = (x > 2) & (x < nx - 3) & (y > 2) & (y < ny - 3)
    x, y = np.where(inside, x, 2.0), np.where(inside, y, 2.0)
    data, variance = _stamps(frame.data, x, y), _stamps(frame.variance, x, y)
    dy, dx = _STAMP
    core, corner = (np.abs(dx) < 2) & (np.abs(dy) < 2), np.abs(dx * dy) == 4
    light = data[:, core].sum(axis=1) - 9.0 * data[:, corner].mean(axis=1)
    noise = variance[:, core].sum(axis=1) + 81.0 / 16.0 * variance[:, corner].sum(axis=1)
    return np.where(inside, light / np.sqrt(np.maximum(noise, 1e-3)), 0.0)
