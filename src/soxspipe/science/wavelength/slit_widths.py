"""Width of arc lines through the slit, at the places where pinholes have shown them."""

import numpy as np
from scipy.special import erf

from soxspipe.datamodel.frame import Frame

_ROUNDS = 12
#: Half length of a cut beyond half the slit image, and rows of it to each side, unbinned pixels.
_WINGS, _ROWS = 5.0, 1
#: Largest misfit of a line that counts as a single one, as a fraction of its height.
_MISFIT = 0.08
_LEAST_SIGNIFICANCE = 20.0
#: An image that much wider or narrower than expected is not that of the slit.
_STRANGE = 0.4
#: Variance of a box one pixel wide.
_PIXEL = 1.0 / 12.0


def slit_widths(
    frame: Frame,
    along: np.ndarray,
    across: np.ndarray,
    *,
    slit_width: float,
    sigma: float,
    binning: tuple[int, int] = (1, 1),
) -> np.ndarray:
    """FWHM (n,) along dispersion of lines through the slit, pixels; NaN where none can be measured.

    Parameters
    ----------
    frame : electrons, dispersion along the rows of the image.
    along, across : (n,) pixels at which lines are expected.
    slit_width : about, pixels; sigma: of the optics, pixels. The fit starts from them.
    binning : along and across dispersion.

    A line is the image of the slit, a box blurred by a Gaussian, both of free width, on a constant. Rows
    next to each other are added without regard to the lean of the line, which is small on that scale.
    """
    half = int(np.ceil(0.5 * slit_width + _WINGS / binning[0]))
    rows = np.arange(-_ROWS, _ROWS + 1) if binning[1] == 1 else np.zeros(1, dtype="i8")
    ny, nx = frame.shape
    place = np.isfinite(along) & np.isfinite(across)
    column = np.where(place, np.rint(np.where(place, along, 0.0)), 0).astype("i8")
    row = np.where(place, np.rint(np.where(place, across, 0.0)), 0).astype("i8")
    place &= (column >= half) & (column < nx - half) & (row >= _ROWS) & (row < ny - _ROWS)
    width = np.full(len(along), np.nan)
    if not place.any():
        return width
    step = np.arange(-half, half + 1)
    at = row[place, None, None] + rows[:, None], column[place, None, None] + step
    good = frame.good[at].all(axis=1)
    flux = np.where(good, frame.data[at].sum(axis=1, dtype="f8"), 0.0)
    weight = np.where(good, 1.0 / np.maximum(frame.variance[at].sum(axis=1, dtype="f8"), 1e-3), 0.0)
    offset = along[place] - column[place]
    width[place] = _fitted(step.astype("f8"), flux, weight, offset, slit_width, sigma)
    return width


def _image(
    x: np.ndarray, box: np.ndarray, sigma: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Blurred box of height 1 (n, m), and its derivatives by place, box and sigma."""
    root = np.sqrt(2.0) * sigma
    low, high = (x - 0.5 * box) / root, (x + 0.5 * box) / root
    bell_low, bell_high = (np.exp(-(z**2)) / np.sqrt(np.pi) / root for z in (low, high))
    value = 0.5 * (erf(high) - erf(low))
    by_sigma = -(high * bell_high - low * bell_low) * root / sigma
    return value, bell_high - bell_low, 0.5 * (bell_high + bell_low), by_sigma


def _fitted(
    step: np.ndarray,
    flux: np.ndarray,
    weight: np.ndarray,
    offset: np.ndarray,
    slit_width: float,
    sigma: float,
) -> np.ndarray:
    """FWHM (n,) of the lines in flux (n, m), by damped Gauss-Newton on all at once."""
    n = len(flux)
    floor = np.percentile(flux, 15, axis=1)
    p = np.column_stack(
        [
            np.maximum(flux.max(axis=1) - floor, 1.0),
            offset,
            np.full(n, max(slit_width, 0.5)),
            np.full(n, sigma),
            floor,
        ]
    )
    error = np.full(n, np.inf)
    for _ in range(_ROUNDS):
        height, centre, box, blur, level = (v[:, None] for v in p.T)
        value, slope, by_box, by_sigma = _image(step - centre, box, blur)
        left = flux - height * value - level
        jacobian = np.stack(
            [value, -height * slope, height * by_box, height * by_sigma, np.ones_like(value)],
            axis=2,
        )
        weighted = jacobian * weight[:, :, None]
        matrix = np.einsum("nma,nmb->nab", weighted, jacobian)
        matrix[:, range(5), range(5)] *= 1.02
        # box and blur of a narrow slit cannot be told from each other: neither may run away
        matrix[:, 2, 2] += 1.0 / max(0.3 * slit_width, 0.3) ** 2
        matrix[:, 3, 3] += 1.0 / (0.3 * sigma) ** 2
        vector = np.einsum("nma,nm->na", weighted, left)
        vector[:, 2] += (slit_width - p[:, 2]) / max(0.3 * slit_width, 0.3) ** 2
        vector[:, 3] += (sigma - p[:, 3]) / (0.3 * sigma) ** 2
        matrix[:, range(5), range(5)] += 1e-9
        change = np.linalg.solve(matrix, vector[:, :, None])[:, :, 0]
        change[:, 1] = np.clip(change[:, 1], -1.0, 1.0)
        p += change
        p[:, 2] = np.clip(p[:, 2], 0.2, 3.0 * max(slit_width, 0.5))
        p[:, 3] = np.clip(p[:, 3], 0.3, 3.0 * sigma)
        error = np.sqrt(np.linalg.inv(matrix)[:, 0, 0])
    misfit = np.sqrt(np.mean(np.where(weight > 0, left, 0.0) ** 2, axis=1)) / np.maximum(
        p[:, 0], 1.0
    )
    noise = np.sqrt(np.mean(1.0 / np.maximum(weight, 1e-9), axis=1, where=weight > 0))
    single = (
        (p[:, 0] > _LEAST_SIGNIFICANCE * error)
        & (misfit < np.hypot(_MISFIT, 2.0 * noise / np.maximum(p[:, 0], 1.0)))
        & (np.abs(p[:, 1] - offset) < 1.5)
        & (np.abs(p[:, 2] - slit_width) < _STRANGE * slit_width)
    )
    # the pixel has blurred the line once more
    optics = np.sqrt(np.maximum(p[:, 3] ** 2 - _PIXEL, 0.1))
    return np.where(single, _full_width(p[:, 2], optics), np.nan)


def _full_width(box: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Full width at half maximum (n,) of blurred boxes, by bisection."""
    top = erf(0.5 * box / (np.sqrt(2.0) * sigma))
    low, high = np.zeros_like(box), 0.5 * box + 4.0 * sigma
    root = np.sqrt(2.0) * sigma
    for _ in range(40):
        x = 0.5 * (low + high)
        above = 0.5 * (erf((x + 0.5 * box) / root) - erf((x - 0.5 * box) / root)) > 0.5 * top
        low, high = np.where(above, x, low), np.where(above, high, x)
    return low + high
