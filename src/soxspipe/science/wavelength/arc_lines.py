"""Measure the pinhole images of arc lines on a frame."""

import numpy as np
from scipy import ndimage

from soxspipe.datamodel.arc_lines import ArcLines, LineList
from soxspipe.datamodel.frame import Frame, PixelFlag
from soxspipe.datamodel.geometry import DispersionSolution
from soxspipe.maths.gaussians import fit_blended_spots

_FWHM = 2.0 * np.sqrt(2.0 * np.log(2.0))
_MEASURED = (
    "x",
    "y",
    "x_error",
    "y_error",
    "counts",
    "peak",
    "background",
    "fwhm",
    "width",
    "chi2",
)
_STAMP = np.mgrid[-2:3, -2:3]
_CORE = np.hypot(*_STAMP) <= 2.0


def expected(
    line_list: LineList, holes: np.ndarray, hole_numbers: np.ndarray, solution: DispersionSolution
) -> ArcLines:
    """Every listed line through every hole, at the place where `solution` predicts it.

    holes : (m,) slit positions, arcsec; hole_numbers : (m,) their numbers in the mask. Nothing is
    measured yet: measured columns are NaN.
    """
    n, m = len(line_list.order), len(holes)
    order, wavelength = np.repeat(line_list.order, m), np.repeat(line_list.wavelength, m)
    slit, index = np.tile(holes, n), np.tile(hole_numbers, n)
    x, y = np.full(n * m, np.nan), np.full(n * m, np.nan)
    for number in np.unique(order):
        own = order == number
        x[own], y[own] = solution.predict(int(number), wavelength[own], slit[own])
    empty = {name: np.full(n * m, np.nan) for name in _MEASURED}
    nothing = np.zeros(n * m, dtype=bool)
    return ArcLines(order, wavelength, index, slit, x, y, **empty, detected=nothing, seen=nothing)


def moment_fwhm(data: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """FWHM (pixels) from second moments within 2 pixels of the peak, shape (n,).

    The background is the mean of the corners of the 5 x 5 stamp. Truncated moments are smaller than
    the true width; the documented acceptance ranges of FWHM PIN hold for this definition.
    """
    ny, nx = data.shape
    column = np.clip(np.nan_to_num(np.rint(x), nan=2).astype("i8"), 2, nx - 3)
    row = np.clip(np.nan_to_num(np.rint(y), nan=2).astype("i8"), 2, ny - 3)
    dy, dx = _STAMP
    stamps = data[row[:, None, None] + dy, column[:, None, None] + dx].astype("f8")
    floor = stamps[:, ~_CORE].mean(axis=1)
    light = np.where(_CORE, np.maximum(stamps - floor[:, None, None], 0.0), 0.0)
    total = np.maximum(light.sum(axis=(1, 2)), 1e-9)
    mean_x, mean_y = ((light * d).sum(axis=(1, 2)) / total for d in (dx, dy))
    spread = (light * (dx**2 + dy**2)).sum(axis=(1, 2)) / total - mean_x**2 - mean_y**2
    return np.where(np.isfinite(x), _FWHM / np.sqrt(2.0) * np.sqrt(np.maximum(spread, 0.0)), np.nan)


def measure(
    frame: Frame,
    lines: ArcLines,
    x: np.ndarray,
    y: np.ndarray,
    *,
    dispersion_axis: str,
    sigma_limit: float,
    gate: float,
    binning: tuple[int, int] = (1, 1),
    width: float = 0.85,
) -> ArcLines:
    """Centre, flux and width of every spot near its expected position.

    Parameters
    ----------
    frame : electrons, bias and dark removed.
    lines : what to look for; x, y : (n,) where, pixels (best guess so far).
    sigma_limit : least significance of a detected spot. gate : farthest accepted distance, pixels.
    binning : of the detector (x, y); spots and the gaps between them shrink with it.
    width : starting Gaussian sigma, unbinned pixels.

    Returns
    -------
    The lines with measured columns filled; `detected` is True for a spot that was found, is not
    saturated and could be fitted.
    """
    # the next pinhole is 4 to 5 unbinned pixels away across dispersion: the stamp stays short of it
    reach = (4, 2) if dispersion_axis == "x" else (2, 4)
    half = (max(reach[0] // binning[0], 1), max(reach[1] // binning[1], 1))
    start = width / np.sqrt(binning[0] * binning[1])
    weight = np.where(frame.good, 1.0 / np.maximum(frame.variance, 1e-3), 0.0)
    p, error, chi2 = fit_blended_spots(frame.data, weight, x, y, half_width=half, sigma=start)
    along = 3 if dispersion_axis == "x" else 4
    found = (
        (p[:, 0] > sigma_limit * error[:, 0])
        & (np.hypot(p[:, 1] - x, p[:, 2] - y) < gate)
        & (error[:, 1] < 0.5)
        & (error[:, 2] < 0.5)
        & (p[:, 3] < 2.5 * width)
        & (p[:, 4] < 2.5 * width)
    )
    row, column = _middle(frame.shape, p[:, 1], p[:, 2])
    full = (frame.flags & np.uint16(PixelFlag.SATURATED)) != 0
    found &= ~ndimage.binary_dilation(full, np.ones((3, 3)))[row, column]
    peak = frame.data[row, column].astype("f8")
    keep = np.where(found, 1.0, np.nan)
    return ArcLines(
        order=lines.order,
        wavelength=lines.wavelength,
        slit_index=lines.slit_index,
        slit=lines.slit,
        predicted_x=lines.predicted_x,
        predicted_y=lines.predicted_y,
        x=p[:, 1] * keep,
        y=p[:, 2] * keep,
        x_error=error[:, 1] * keep,
        y_error=error[:, 2] * keep,
        counts=p[:, 0] * keep,
        peak=peak * keep,
        background=p[:, 5] * keep,
        fwhm=moment_fwhm(frame.data, p[:, 1] * keep, p[:, 2] * keep),
        width=_FWHM * p[:, along] * keep,
        chi2=chi2,
        detected=found,
        seen=found | (_light_at(frame, x, y) > sigma_limit),
    )


def _light_at(frame: Frame, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Significance (n,) of the light in 3 x 3 pixels over the corners of 5 x 5, at expected places."""
    ny, nx = frame.shape
    inside = (x > 2) & (x < nx - 3) & (y > 2) & (y < ny - 3)
    row, column = _middle(frame.shape, np.where(inside, x, 2.0), np.where(inside, y, 2.0))
    dy, dx = _STAMP
    at = row[:, None, None] + dy, column[:, None, None] + dx
    data, variance = frame.data[at].astype("f8"), frame.variance[at].astype("f8")
    core, corner = (np.abs(dx) < 2) & (np.abs(dy) < 2), np.abs(dx * dy) == 4
    light = data[:, core].sum(axis=1) - 9.0 * data[:, corner].mean(axis=1)
    noise = variance[:, core].sum(axis=1) + 81.0 / 16.0 * variance[:, corner].sum(axis=1)
    return np.where(inside, light / np.sqrt(np.maximum(noise, 1e-3)), 0.0)


def _middle(shape: tuple[int, int], x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of the pixel that holds each centre; unknown centres give pixel 0."""
    ny, nx = shape
    column = np.clip(np.nan_to_num(np.rint(x), nan=0).astype("i8"), 0, nx - 1)
    row = np.clip(np.nan_to_num(np.rint(y), nan=0).astype("i8"), 0, ny - 1)
    return row, column
