"""Measure the pinhole images of arc lines on a frame.

Each image is fitted with the shape that its neighbourhood shares, together with what else lies in its
stamp: the next pinholes, listed lines close by, and unlisted ones that stand out of what is left.
"""

from dataclasses import replace

import numpy as np

from soxspipe.datamodel.arc_lines import ArcLines, LineList, LineState
from soxspipe.datamodel.frame import Frame
from soxspipe.datamodel.geometry import DispersionSolution
from soxspipe.science.wavelength import spot_shape
from soxspipe.science.wavelength.companions import noise_without_light
from soxspipe.science.wavelength.hole_shifts import shifted
from soxspipe.science.wavelength.spot_fit import Fitted, fit_all
from soxspipe.science.wavelength.spot_start import Places
from soxspipe.science.wavelength.spot_states import FWHM, inflation, states, with_plateau

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
    "sharpness",
    "roundness1",
    "roundness2",
)


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
    nothing = np.zeros(n * m, dtype=bool)
    return ArcLines(
        order,
        wavelength,
        index,
        slit,
        x,
        y,
        **{name: np.full(n * m, np.nan) for name in _MEASURED},
        npix=np.zeros(n * m, dtype="i4"),
        detected=nothing,
        seen=nothing,
        state=np.full(n * m, LineState.NOT_SEEN, dtype="u1"),
    )


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
    thorough: bool = True,
) -> ArcLines:
    """Centre, flux and width of every spot near its expected position.

    Parameters
    ----------
    frame : electrons, bias and dark removed.
    lines : what to look for; x, y : (n,) where, pixels (best guess so far).
    sigma_limit : least significance of a detected spot. gate : farthest accepted distance, pixels.
    binning : of the detector (x, y); spots and the gaps between them shrink with it.
    width : starting Gaussian sigma, unbinned pixels.
    thorough : tell other light and cosmic rays from the spots, too; not needed in a first search.

    Returns
    -------
    The lines with measured columns filled; `detected` is True for a spot that was found and could be
    measured, `state` says why others were not. Errors include how far the image is from the model: they
    grow with chi2.
    """
    half = _half_stamp(dispersion_axis, binning)
    frame = with_plateau(frame)
    if not thorough:
        x, y = shifted(
            frame, lines, x, y, dispersion_axis=dispersion_axis, gate=gate, binning=binning
        )
    along = x if dispersion_axis == "x" else y
    fitted = fit_all(
        np.where(frame.good, frame.data, 0.0).astype("f8"),
        noise_without_light(frame.data, frame.variance, frame.good),
        Places(x, y, lines.order, lines.slit, along),
        half_width=half,
        sigma=width / np.sqrt(binning[0] * binning[1]),
        gate=gate,
        thorough=thorough,
    )
    light = spot_shape.light_at(frame, x, y) > sigma_limit
    if fitted is None:
        return replace(lines, seen=light)
    state = states(frame, lines, fitted, x, y, light, gate=gate, sigma_limit=sigma_limit)
    return _filled(frame, lines, fitted, state, light, 3 if dispersion_axis == "x" else 4)


def _half_stamp(dispersion_axis: str, binning: tuple[int, int]) -> tuple[int, int]:
    """Half width of a stamp (x, y): the next pinhole is 4 to 5 unbinned pixels away across dispersion,
    and the stamp stays short of it.
    """
    reach = (4, 2) if dispersion_axis == "x" else (2, 4)
    # one binned pixel to each side is too little to tell light from background
    return max(reach[0] // binning[0], 2), max(reach[1] // binning[1], 2)


def _filled(
    frame: Frame, lines: ArcLines, fitted: Fitted, state: np.ndarray, light: np.ndarray, along: int
) -> ArcLines:
    """The lines with what was measured; `along` is the column of the width along dispersion."""
    n = len(lines)
    fit = fitted.spots
    spots, error = fit.spots[:n], fit.errors[:n] * inflation(fit)[:n, None]
    level = fit.level[:n]
    found = state == LineState.FOUND
    keep = np.where(found, 1.0, np.nan)
    x, y = spots[:, 1] * keep, spots[:, 2] * keep
    row, column = spot_shape.nearest_pixel(frame.shape, x, y)
    roundness1, roundness2 = spot_shape.roundness(frame.data, x, y, level)
    height = np.maximum(frame.data[row, column] - level, 1e-3)
    return replace(
        lines,
        x=x,
        y=y,
        x_error=error[:, 1] * keep,
        y_error=error[:, 2] * keep,
        counts=spots[:, 0] * keep,
        peak=frame.data[row, column].astype("f8") * keep,
        background=level * keep,
        fwhm=spot_shape.moment_fwhm(frame.data, x, y),
        width=FWHM * spots[:, along] * keep,
        chi2=fit.chi2[:n],
        sharpness=spot_shape.sharpness(frame.data, x, y, level, height),
        roundness1=roundness1,
        roundness2=roundness2,
        npix=spot_shape.pixels_above(frame.data, frame.variance, x, y, level),
        detected=found,
        seen=found | light,
        state=state,
    )
