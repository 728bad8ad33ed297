"""Where the images of each hole stand against their prediction, before any of them is measured.

A first solution knows the middle of the slit only: how slit images lean, and how far apart the holes are,
can differ from the design by several pixels. All lines of one hole in one order share that shift.
"""

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from soxspipe.datamodel.arc_lines import ArcLines
from soxspipe.datamodel.frame import Frame
from soxspipe.science.wavelength.registration import find_peaks

#: The next hole is 4 to 5 unbinned pixels away across dispersion: shifts stay below half of it.
_ACROSS = 2.2
#: Along dispersion, shifts may exceed the gate by this, in pixels.
_BEYOND = 4.0
#: Spots that make a shift, and the share of a hole's lines that must agree on it.
_LEAST, _SHARE = 5, 0.5


def shifted(
    frame: Frame,
    lines: ArcLines,
    x: np.ndarray,
    y: np.ndarray,
    *,
    dispersion_axis: str,
    gate: float,
    binning: tuple[int, int] = (1, 1),
) -> tuple[np.ndarray, np.ndarray]:
    """Predicted places x, y (n,) moved, hole by hole in each order, to where most peaks agree.

    frame : electrons. gate : largest shift along dispersion that matters, pixels.

    A hole whose lines agree on no shift stays where it is.
    """
    peaks = find_peaks(frame.data, frame.variance, frame.good, sigma=10.0)
    x, y = x.copy(), y.copy()
    if not len(peaks.x):
        return x, y
    across_binning = binning[1] if dispersion_axis == "x" else binning[0]
    limits = (gate + _BEYOND, _ACROSS / across_binning)
    limits = limits if dispersion_axis == "x" else limits[::-1]
    tree = cKDTree(np.column_stack([peaks.x, peaks.y]) / limits)
    group = lines.order.astype("i8") * 1000 + lines.slit_index
    for number in np.unique(group):
        own = np.flatnonzero(group == number)
        near = tree.query_ball_point(np.column_stack([x[own], y[own]]) / limits, 1.0, p=np.inf)
        spot = np.repeat(own, [len(n) for n in near])
        if len(own) < _LEAST or not len(spot):
            continue
        peak = np.concatenate([np.asarray(n, dtype="i8") for n in near])
        shift = _agreed(peaks.x[peak] - x[spot], peaks.y[peak] - y[spot], spot)
        if shift is not None:
            x[own] += shift[0]
            y[own] += shift[1]
    return x, y


def _agreed(dx: np.ndarray, dy: np.ndarray, spot: np.ndarray) -> tuple[float, float] | None:
    """The displacement that most of the spots have among theirs, the smallest of equals; None if none."""
    reach = int(np.ceil(max(np.abs(dx).max(), np.abs(dy).max()))) + 1
    size = 2 * reach + 1
    place = (np.rint(dx).astype("i8") + reach) * size + np.rint(dy).astype("i8") + reach
    # a spot has one vote for each place, however many peaks it sees there
    votes = np.bincount(
        np.unique(np.column_stack([spot, place]), axis=0)[:, 1], minlength=size * size
    )
    votes = 9.0 * ndimage.uniform_filter(votes.reshape(size, size).astype("f8"), 3)
    i, j = np.nonzero(votes > 0.9 * votes.max())
    best = int(np.argmin(np.hypot(i - reach, j - reach)))
    close = np.hypot(dx - (i[best] - reach), dy - (j[best] - reach)) < 2.0
    agreeing = len(np.unique(spot[close]))
    if agreeing < max(_LEAST, _SHARE * len(np.unique(spot))):
        return None
    return float(np.median(dx[close])), float(np.median(dy[close]))
