"""Which fitted spots are measurements of a listed line, and why the others are not."""

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from soxspipe.datamodel.arc_lines import ArcLines, LineState
from soxspipe.datamodel.frame import Frame, PixelFlag
from soxspipe.maths.blends import Together
from soxspipe.maths.robust import mad_sigma
from soxspipe.science.wavelength.spot_fit import CLOSE, Fitted
from soxspipe.science.wavelength.spot_shape import nearest_pixel

FWHM = 2.0 * np.sqrt(2.0 * np.log(2.0))
#: Chi2 per degree of freedom of an image that does not look like the others, if theirs is 1; and of one
#: that is rather two.
_LARGEST_CHI2, _SPLIT = 10.0, 2.0
#: Light of a close neighbour that does not matter, as a share of its own.
_LIGHTEST = 0.005
#: So many sigma is its width from that of its neighbours, along either axis.
_LARGEST_PULL = 5.0
#: Widths below this, in pixels, are not judged.
_NARROW = 0.5
#: Pixels that make a plateau.
_PLATEAU = 4
#: Largest error of a centre that is still a measurement, pixels.
_LARGEST_ERROR = 0.5


def inflation(fit: Together) -> np.ndarray:
    """Factor (n,) on the errors of a fit that is worse than noise allows: the misfit may move the centre
    as noise of that size would.
    """
    limit = 1.0 + 2.0 * np.sqrt(2.0 / np.maximum(fit.free, 1))
    return np.sqrt(np.maximum(fit.chi2 / limit, 1.0))


def with_plateau(frame: Frame) -> Frame:
    """The frame with pixels flagged as saturated that form a plateau at its highest value: where a
    detector is full, many pixels hold the same, to the read noise.
    """
    data = np.where(frame.good, frame.data, -np.inf)
    row, column = np.unravel_index(int(np.argmax(data)), data.shape)
    top = float(data[row, column])
    if not np.isfinite(top) or top <= 0:
        return frame
    read = np.sqrt(max(float(frame.variance[row, column]) - top, 1.0))
    plateau = data > top - 8.0 * read
    # the photon noise of pixels that are not full keeps them farther apart
    if np.count_nonzero(plateau) < _PLATEAU or 8.0 * read > 0.5 * np.sqrt(top):
        return frame
    return frame.flagged(plateau, PixelFlag.SATURATED)


def states(
    frame: Frame,
    lines: ArcLines,
    fitted: Fitted,
    x: np.ndarray,
    y: np.ndarray,
    light: np.ndarray,
    *,
    gate: float,
    sigma_limit: float,
) -> np.ndarray:
    """What became of each of the n listed spots, (n,) values of LineState."""
    n = len(x)
    fit = fitted.spots
    spots, error = fit.spots[:n], fit.errors[:n] * inflation(fit)[:n, None]
    state = np.where(light, LineState.BLENDED, LineState.NOT_SEEN).astype("u1")
    found = (spots[:, 0] > sigma_limit * error[:, 0]) & np.isfinite(error[:, 0])
    state[found] = LineState.FOUND
    off = np.hypot(spots[:, 1] - x, spots[:, 2] - y)
    state[found & (off >= gate)] = LineState.DISPLACED
    vague = (error[:, 1:3] >= _LARGEST_ERROR).any(axis=1)
    state[found & (vague | _unresolved(lines, fitted, x, y))] = LineState.BLENDED
    chi2 = fit.chi2[:n] / max(float(np.nanmedian(fit.chi2[:n])), 1.0)
    state[found & fitted.split & (chi2 > _SPLIT)] = LineState.BLENDED
    state[found & ((chi2 > _LARGEST_CHI2) | (_width_pull(fitted, n) > _LARGEST_PULL))] = (
        LineState.MISSHAPEN
    )
    row, column = nearest_pixel(frame.shape, spots[:, 1], spots[:, 2])
    state[found & ~frame.good[row, column]] = LineState.BAD_PIXELS
    full = (frame.flags & np.uint16(PixelFlag.SATURATED)) != 0
    row, column = nearest_pixel(
        frame.shape, np.where(found, spots[:, 1], x), np.where(found, spots[:, 2], y)
    )
    if full.any():
        state[ndimage.binary_dilation(full, np.ones((3, 3)))[row, column]] = LineState.SATURATED
    ny, nx = frame.shape
    outside = ~((x > 2) & (x < nx - 3) & (y > 2) & (y < ny - 3))
    state[outside & (state != LineState.FOUND)] = LineState.OUTSIDE
    return state


def _unresolved(lines: ArcLines, fitted: Fitted, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(n,) True where the list, or the frame, has another spot within `CLOSE` sigma."""
    n, spots = len(x), fitted.spots.spots
    reach = CLOSE * float(np.median(fitted.same.sigma))
    blended = _nearest_listed(lines, x, y) < reach
    known = np.flatnonzero(np.isfinite(spots[:, 0]))
    pairs = cKDTree(spots[known, 1:3]).query_pairs(reach, output_type="ndarray")
    one, other = known[np.concatenate([pairs, pairs[:, ::-1]]).T]
    heavy = spots[other, 0] > _LIGHTEST * spots[one, 0]
    one = one[heavy]
    blended[one[one < n]] = True
    return blended


def _nearest_listed(lines: ArcLines, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Distance (n,) in pixels to the next line in the same order and hole, be it listed for that order
    or only for another: a lamp shines in all of them.
    """
    every = np.unique(lines.wavelength)
    distance = np.full(len(lines), np.inf)
    group = lines.order.astype("i8") * 1000 + lines.slit_index
    for number in np.unique(group):
        own = np.flatnonzero(group == number)
        own = own[np.argsort(lines.wavelength[own])]
        mine = lines.wavelength[own]
        inside = every[(every >= mine[0]) & (every <= mine[-1])]
        at = np.stack([np.interp(inside, mine, z[own]) for z in (x, y)])
        step = np.concatenate([[np.inf], np.hypot(*np.diff(at)), [np.inf]])
        here = np.searchsorted(inside, mine)
        distance[own] = np.minimum(step[here], step[here + 1])
    return distance


def _width_pull(fitted: Fitted, n: int) -> np.ndarray:
    """(n,) how far, in sigma, the worse of both widths is from what its neighbours have.

    If the shape is no Gaussian, widths vary with the place in the pixel: the scatter of all counts.
    """
    fit, same = fitted.spots, fitted.same
    # the fit has weighed its own width against the expected one: what the data moved it by
    room = np.maximum(same.scatter[:n, 1:] ** 2 - fit.errors[:n, 4:6] ** 2, 1e-12)
    pull = (fit.spots[:n, 3:5] - same.sigma[:n]) / np.sqrt(room)
    usual = [max(mad_sigma(pull[:, k]), 1.0) if np.isfinite(pull).any() else 1.0 for k in (0, 1)]
    # in binned frames, a spot in the middle of a pixel does not show its width
    judged = np.where(np.median(same.sigma, axis=0) < _NARROW, np.inf, usual)
    return np.asarray(np.abs(pull / judged).max(axis=1))
