"""The master flat: response of the pixels, dead and cold ones."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from scipy import ndimage

from soxspipe.cli.accuracy.figure import Figure, figure, rms, share
from soxspipe.cli.accuracy.truth import COLD, ONE_OF_TWO, Lamp, Truth, raw_names
from soxspipe.datamodel.frame import Frame, PixelFlag
from soxspipe.io.products import read_product
from soxspipe.maths.robust import mad_sigma

#: A deficit of this many sigma of a normal neighbour's noise has to be found.
_SIGMA = 5.0
#: Nearer to the end of the slit (pixels) the light falls off, and no pixel can be called cold.
_CLEARANCE = 1.5
#: What is smooth over this many pixels to each side along dispersion is not a matter of pixels.
_HALF_WINDOW = 16
#: Fewest pixels that tell what is smooth.
_LEAST = 8
#: Pixels farther than this from what is smooth do not take part in the second round.
_CLIP = 5.0
#: Between the orders is where less direct light falls than this, electrons per exposure.
_NO_LIGHT = 0.25
#: Ending of the scattered-light model beside a flat.
_BACKGROUND = "_BKGROUND"
#: What may be left of scattered light: a share of it, or electrons.
_SHARE, _ELECTRONS = 0.01, 0.5


@dataclass(frozen=True, eq=False)
class Light:
    """What a pixel sees in the exposures of a flat; (rows, columns), dispersion along columns.

    direct    electrons expected per exposure, pixel response 1
    noise     best possible error of the mean over `direct`: photons, read-out, whole counts
    usual_noise  the same for a pixel of usual response
    response  of the pixels; `usual` the response of their neighbours along dispersion
    """

    direct: np.ndarray
    noise: np.ndarray
    usual_noise: np.ndarray
    response: np.ndarray
    usual: np.ndarray


def flat_figures(root: Path, truth: Truth) -> Iterator[Figure]:
    """Figures of the master flats of one arm."""
    arm = truth.arm
    named = sorted(root.glob(f"reduced/*/soxs-mflat/*_{arm.name}_*_MFLAT_*.fits"))
    paths = [path for path in named if not path.stem.endswith((_BACKGROUND, *ONE_OF_TWO))]
    if not paths:
        return
    orders, inside = truth.places()
    cold = arm.along_rows((truth.flags & COLD) > 0)
    for path in paths:
        header = fits.getheader(path)
        frames = raw_names(header)
        lamps = truth.lamps(frames)
        if not lamps:
            continue
        frame = f"flat {header.get(arm.slit_keyword, '')}".strip()
        flat = read_product(path).frame.viewed(arm.along_rows)
        light = _brightest(truth, lamps, frames, orders)
        values = pixel_response(flat, light, orders) | cold_pixels(flat, light, cold, inside)
        background = path.with_name(f"{path.stem}{_BACKGROUND}.fits")
        if background.is_file() and len(lamps) == 1:
            model = np.asarray(fits.getdata(background), dtype="f8")
            values |= scattered_light(
                *(arm.along_rows(z) for z in (model, lamps[0].scattered, lamps[0].direct))
            )
        for quantity, value in values.items():
            yield figure(arm.name, frame, quantity, value)


def _brightest(
    truth: Truth, lamps: Sequence[Lamp], frames: Sequence[str], orders: np.ndarray
) -> Light:
    """What the exposures see; a flat of several lamps takes each order from the one brightest there."""
    seen = [_light(truth, lamp, len(lamp.frames.intersection(frames))) for lamp in lamps]
    best = seen[0]
    for number in np.unique(orders[orders > 0]):
        at = orders == number
        brightest = max(seen, key=lambda light: float(light.direct[at].sum()))
        if brightest is not best:
            for name in ("direct", "noise", "usual_noise"):
                getattr(best, name)[at] = getattr(brightest, name)[at]
    return best


def _light(truth: Truth, lamp: Lamp, n: int) -> Light:
    view = truth.arm.along_rows
    direct, light = view(np.maximum(lamp.direct, 1e-3)), view(lamp.direct + lamp.scattered)
    dark, response = view(truth.dark) * lamp.seconds, view(truth.response).astype("f8")
    usual = ndimage.median_filter(response, size=(1, 15))

    def noise(response: np.ndarray) -> np.ndarray:
        return np.asarray(np.sqrt(truth.variance(light * response + dark) / n) / direct)

    return Light(direct, noise(response), noise(usual), response, usual)


def pixel_response(flat: Frame, light: Light, orders: np.ndarray) -> dict[str, float]:
    """Error of the response of unflagged pixels, in units of the photon limit.

    The flat is divided by what it should show, true response times true illumination of the slit times
    true light. What is left varies smoothly along dispersion: the lamp's spectrum and the detector's
    large-scale response, which no flat can tell from it. A parabola through 33 pixels along dispersion,
    weighted by the expected noise, takes it out, row by row; the pixel's own share in the parabola is
    allowed for. The pull width is in units of the claimed errors.
    """
    known = flat.good & (flat.variance > 0) & (orders > 0)
    errors, over_claimed = [np.zeros(0)], [np.zeros(0)]
    for number in np.unique(orders[known]):
        rows = np.flatnonzero((orders == number).any(axis=1))
        cut = slice(rows[0], rows[-1] + 1)
        use = (known & (orders == number))[cut]
        true = (light.direct * np.maximum(light.response, 1e-6))[cut]
        expected = light.noise[cut] / np.maximum(light.response[cut], 1e-6)
        pull = about_smooth(flat.data[cut] / true, expected, use)
        told = np.isfinite(pull)
        claimed = np.sqrt(flat.variance[cut][use]) / np.abs(flat.data[cut][use])
        errors.append(pull[told])
        over_claimed.append((pull * expected[use] / claimed)[told])
    pulls = np.concatenate(errors)
    return {
        "response error over photon limit": rms(pulls),
        "largest unflagged error [sigma]": float(np.abs(pulls).max()) if pulls.size else np.nan,
        "response pull width": mad_sigma(np.concatenate(over_claimed)),
    }


def about_smooth(values: np.ndarray, noise: np.ndarray, use: np.ndarray) -> np.ndarray:
    """Deviations of the used values from a running parabola along columns, over their noise (n,).

    values, noise : (rows, columns), `noise` relative. use : pixels that count; those without enough
    neighbours get NaN.
    """
    offset = np.arange(-_HALF_WINDOW, _HALF_WINDOW + 1) / _HALF_WINDOW
    filled = np.where(use, values, 0.0)
    weight = np.where(use, 1.0 / np.maximum(noise, 1e-12) ** 2, 0.0)
    own, pull = weight[use], np.zeros(0)
    enough = np.zeros(0, dtype=bool)
    for _ in range(2):
        moments = [_along(weight, offset**k)[use] for k in range(5)]
        sums = [_along(weight * filled, offset**k)[use] for k in range(3)]
        enough = _along((weight > 0).astype("f8"), np.ones_like(offset))[use] >= _LEAST
        smooth, part = _parabola(moments, sums)
        # a pixel that takes part pulls the curve towards itself
        drawn = np.where(weight[use] > 0, np.clip(1.0 - own * part, 0.05, 1.0), 1.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            pull = (values[use] / smooth - 1.0) / (noise[use] * np.sqrt(drawn))
        outside = np.zeros(use.shape, dtype=bool)
        outside[use] = ~(np.abs(pull) < _CLIP)
        weight = np.where(outside, 0.0, weight)
    return np.where(enough & np.isfinite(pull), pull, np.nan)


def _along(values: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    return ndimage.correlate1d(values, kernel, axis=1, mode="constant")


def _parabola(m: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Value in the middle of the parabola with moments `m` (5) and sums `b` (3), and its variance
    there, the inverse's first element; Cramer's rule.
    """
    c0, c1, c2 = m[2] * m[4] - m[3] ** 2, m[2] * m[3] - m[1] * m[4], m[1] * m[3] - m[2] ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        determinant = m[0] * c0 + m[1] * c1 + m[2] * c2
        return (b[0] * c0 + b[1] * c1 + b[2] * c2) / determinant, c0 / determinant


def cold_pixels(
    flat: Frame, light: Light, cold: np.ndarray, inside: np.ndarray
) -> dict[str, float]:
    """Recall of truly cold pixels that stand out, and precision of those flagged.

    To be found is a cold pixel within an order, 1.5 pixels and more from the ends of the slit, whose
    true deficit is 5 sigma of what a pixel of usual response measures there. A flag is right on any
    truly cold pixel.
    """
    deficit = light.usual - light.response
    due = cold & (inside >= _CLEARANCE) & (deficit >= _SIGMA * light.usual_noise)
    found = (flat.flags & np.uint16(PixelFlag.COLD | PixelFlag.BAD)) > 0
    flagged = (flat.flags & np.uint16(PixelFlag.COLD)) > 0
    return {
        "cold pixels, recall": share(found, due),
        "cold pixels, precision": share(cold, flagged),
    }


def scattered_light(model: np.ndarray, true: np.ndarray, direct: np.ndarray) -> dict[str, float]:
    """What the model leaves of scattered light, e-; median of |true - model|.

    Between the orders, where no direct light falls, also in units of what may be left: 1 % of the true
    light, or 0.5 e- if that is more. In the orders, the same difference where it matters.
    """
    between = direct < _NO_LIGHT
    left = np.abs(true - model)
    limit = max(_SHARE * float(np.median(true[between])), _ELECTRONS)
    return {
        "scattered light left over limit": float(np.median(left[between])) / limit,
        "scattered light left, between orders [e-]": float(np.median(left[between])),
        "scattered light left, in orders [e-]": float(np.median(left[~between])),
    }
