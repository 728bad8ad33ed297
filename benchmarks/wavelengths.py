"""How well wavelengths agree with line lists, on a night without truth."""

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table
from scipy.optimize import OptimizeWarning, curve_fit

from soxspipe.instrument.arms import Arm, get_arm
from soxspipe.maths.robust import mad_sigma

#: Half a fitting window, resolution elements of R = 4000; farther lines are not in the list's entry.
_HALF_WINDOW = 1.6
_RESOLUTION = 4000.0
#: Least signal to noise of a line that is used.
_LEAST_SNR = 30.0
#: Least width (fwhm) of a line, pixels; the greatest is half the window.
_NARROWEST = 1.5
#: A line alone has the width of its neighbours and a Gaussian's shape, to these fractions.
_WIDTH_SCATTER, _MISFIT = 0.25, 0.12
#: Robust sigmas beyond which a line is taken for another one.
_CLIP = 4.0


@dataclass(frozen=True)
class Residuals:
    """Measured minus listed positions along dispersion of one arm, pixels.

    rms      about zero, of the lines used
    median   of the lines used: a common shift
    used, clipped   numbers of lines
    over_error   rms of residuals over the claimed errors of the centroids; NaN: no errors are claimed
    over_scatter likewise over all the scatter that the solution allows for; NaN: it tells none
    """

    arm: str
    lines: str
    rms: float
    median: float
    used: int
    clipped: int
    over_error: float = math.nan
    over_scatter: float = math.nan


def arc_residuals(root: Path) -> list[Residuals]:
    """Residuals of the arc lines that the dispersion and spatial solutions of `root` used."""
    found = []
    for recipe, label in (
        ("soxs-disp-solution", "arc, one pinhole"),
        ("soxs-spat-solution", "arc, all pinholes"),
    ):
        for path in sorted(root.glob(f"qc/*/{recipe}/*_FITTED_LINES.fits")):
            arm = get_arm("SOXS", "VIS" if "_VIS_" in path.name else "NIR")
            table = _rows(path)
            along, _ = arm.dispersion_and_slit(table["residuals_x"], table["residuals_y"])
            bad = table["sigma_clipped"].astype(bool)
            summary = _summary(arm.name, label, along[~bad], int(bad.sum()))
            errors = [
                _along(arm, table, name) for name in ("observed_{}_error", "expected_{}_scatter")
            ]
            over = [_rms((along / error)[~bad]) for error in errors]
            found.append(replace(summary, over_error=over[0], over_scatter=over[1]))
    return found


def _along(arm: Arm, table: fits.FITS_rec, name: str) -> np.ndarray:
    """The column of the axis of dispersion; NaN if the table has none."""
    column = name.format(arm.dispersion_axis)
    return np.asarray(table[column] if column in table.names else np.full(len(table), np.nan))


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def sky_residuals(root: Path) -> list[Residuals]:
    """Residuals of isolated sky lines in the science exposures (stare) of `root`, by arm."""
    found = []
    for arm in ("VIS", "NIR"):
        paths = sorted(root.glob(f"reduced/*/soxs-stare/*_{arm}_*_EXTRACTED_ORDERS.fits"))
        lines = [line for path in paths for line in sky_lines_seen(_rows(path))]
        if lines:
            widths = np.array([line.fwhm for line in lines])
            alone = np.abs(widths / np.median(widths) - 1) < _WIDTH_SCATTER
            shifts = np.array([line.shift for line in lines])[alone]
            # robust about the common shift, which stays in the rms
            outside = np.abs(shifts - np.median(shifts)) > _CLIP * mad_sigma(shifts)
            found.append(_summary(arm, "sky", shifts[~outside], int(outside.sum())))
    return found


def _summary(arm: str, lines: str, shifts: np.ndarray, clipped: int) -> Residuals:
    return Residuals(arm, lines, _rms(shifts), float(np.median(shifts)), len(shifts), clipped)


def _rows(path: Path) -> fits.FITS_rec:
    with fits.open(path) as hdus:
        return hdus[1].data.copy()


@dataclass(frozen=True)
class SkyLine:
    """A sky line in an order: listed wavelength (nm), measured minus listed (px), width (px)."""

    order: int
    wavelength: float
    shift: float
    fwhm: float


def sky_lines_seen(table: fits.FITS_rec | np.ndarray) -> Iterator[SkyLine]:
    """Listed lines that stand out, with a Gaussian's shape, in the sky of extracted orders.

    `table` has the columns order, wavelengthMean (nm), pixelScaleNm, skyFlux (electrons), flags.
    """
    for number in np.unique(table["order"]):
        rows = table[table["order"] == number]
        rows = rows[np.argsort(rows["wavelengthMean"])]
        for listed in sky_list():
            if rows["wavelengthMean"][0] < listed < rows["wavelengthMean"][-1]:
                at = int(np.searchsorted(rows["wavelengthMean"], listed))
                half = _HALF_WINDOW * listed / _RESOLUTION / abs(rows["pixelScaleNm"][at])
                window = rows[max(0, round(at - half)) : round(at + half) + 1]
                line = (
                    _measured(window, int(number), listed) if len(window) > 2 * half - 1 else None
                )
                if line is not None:
                    yield line


def _measured(window: np.ndarray, order: int, listed: float) -> SkyLine | None:
    sky, wavelength = window["skyFlux"].astype("f8"), window["wavelengthMean"]
    if window["flags"].any() or not np.isfinite(sky).all() or sky.max() <= 0:
        return None
    pixel = np.arange(len(sky), dtype="f8")
    floor, peak = float(np.min(sky)), float(np.argmax(sky))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OptimizeWarning)  # a hopeless fit is dropped below
        try:
            (height, centre, sigma, level, slope), _ = curve_fit(
                _line, pixel, sky, p0=(sky.max() - floor, peak, 1.5, floor, 0.0)
            )
        except RuntimeError:
            return None
    fit = _line(pixel, height, centre, sigma, level, slope)
    sigma = abs(sigma)
    if not _NARROWEST < 2.355 * sigma < 0.5 * len(sky):
        return None
    counts = height * sigma * np.sqrt(2 * np.pi)
    seen = counts / np.sqrt(max(counts + 5 * sigma * max(level, 0.0), 1.0))
    if seen < _LEAST_SNR or np.abs(sky - fit).max() > _MISFIT * height:
        return None
    shift = float(centre - np.interp(listed, wavelength, pixel))
    if abs(shift) > 2 * sigma:
        return None
    return SkyLine(order, listed, shift, 2.355 * sigma)


def _line(
    x: np.ndarray, height: float, centre: float, sigma: float, level: float, slope: float
) -> np.ndarray:
    gaussian = height * np.exp(-0.5 * ((x - centre) / sigma) ** 2)
    return np.asarray(gaussian + level + slope * (x - x.mean()))


@cache
def sky_list() -> tuple[float, ...]:
    """Wavelengths (nm, air) of isolated sky lines."""
    path = Path(__file__).parent / "data" / "sky_lines.ecsv"
    return tuple(float(w) for w in Table.read(path, format="ascii.ecsv")["wavelength"])
