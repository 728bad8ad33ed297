"""Resolution through the slit, from an arc that was taken with it."""

import numpy as np

from soxspipe.datamodel.frame import Frame
from soxspipe.instrument.arms import Arm
from soxspipe.science.wavelength.slit_widths import slit_widths
from soxspipe.science.wavelength.solve import Solved

_FWHM = 2.0 * np.sqrt(2.0 * np.log(2.0))
#: Distance to the next listed line, in widths of the slit image, at which a line is alone.
_ALONE = 1.5


def widths(frame: Frame, solved: Solved, arm: Arm, slit_width: float) -> np.ndarray:
    """FWHM (n,) along dispersion of the listed lines through the slit, pixels; NaN where a line is not
    alone or cannot be measured.

    frame : the slit arc, electrons. slit_width : arcsec.
    """
    lines, fit = solved.lines, solved.fit
    factors = arm.binning if arm.dispersion_axis == "x" else arm.binning[::-1]
    along, across = arm.dispersion_and_slit(fit.x, fit.y)
    scale = _pixels_per_arcsec(solved, arm)
    image = slit_width * scale * factors[1] / factors[0]
    sigma = float(np.nanmedian(lines.width)) / _FWHM
    alone = fit.used & (_distance(solved, along) > _ALONE * (image + _FWHM * sigma))
    turned = frame.viewed(arm.along_rows)
    return slit_widths(
        turned,
        np.where(alone, along, np.nan),
        np.where(alone, across, np.nan),
        slit_width=image,
        sigma=sigma,
        binning=factors,
    )


def _pixels_per_arcsec(solved: Solved, arm: Arm) -> float:
    """Scale along the slit, pixels per arcsec, median of all orders."""
    scales = []
    for order in solved.solution.orders.values():
        middle = np.full(2, 0.5 * (order.lines[0] + order.lines[1]))
        x, y = order.predict(middle, np.array([-1.0, 1.0]))
        scales.append(0.5 * abs(float(np.diff(arm.dispersion_and_slit(x, y)[1])[0])))
    return float(np.median(scales))


def _distance(solved: Solved, along: np.ndarray) -> np.ndarray:
    """Distance (n,) along dispersion to the next line of the same order and hole, pixels."""
    lines = solved.lines
    group = lines.order.astype("i8") * 1000 + lines.slit_index
    sort = np.lexsort([along, group])
    step = np.diff(along[sort], prepend=-np.inf, append=np.inf)
    same = np.diff(group[sort], prepend=-1, append=-1) == 0
    step = np.where(same, np.abs(step), np.inf)
    distance = np.empty(len(lines))
    distance[sort] = np.minimum(step[:-1], step[1:])
    return distance
