"""The noiseless light behind one exposure on sky, as a flattened frame of the pipeline should hold it."""

from dataclasses import dataclass

import numpy as np
from astropy.io import fits
from scipy import ndimage

from soxspipe.cli.accuracy.truth import Truth

#: Columns along dispersion over which the sky between the lines is looked for.
_BLOCK = 32


@dataclass(frozen=True, eq=False)
class Scene:
    """One exposure; arrays (ny, nx).

    sky, light, scattered  electrons of the sky, of the objects, and what is scattered of both, after
                division by a flat
    noise       electrons, expected scatter of a pixel after division by a flat
    orders      order of each pixel at least two pixels inside the slit's ends, else 0
    hits        electrons of cosmic rays
    healthy     True where the detector is neither hot nor cold
    """

    sky: np.ndarray
    light: np.ndarray
    scattered: np.ndarray
    noise: np.ndarray
    orders: np.ndarray
    hits: np.ndarray
    healthy: np.ndarray


def scene(truth: Truth, raw: str) -> Scene | None:
    """The scene of a raw frame, None if the truth does not tell its light."""
    stem = raw.removesuffix(".fits")
    path = truth.folder / f"{stem}_sky.fits"
    if not path.is_file():
        return None
    with fits.open(path) as hdus:
        sky, light, scattered = (
            np.asarray(hdus[k].data, dtype="f8") for k in ("SKY", "OBJECT", "SCATTERED")
        )
    with fits.open(truth.folder / f"{stem}_cosmics.fits") as hdus:
        cosmics = hdus[1].data
        hits = np.zeros(sky.shape)
        hits[cosmics["y"], cosmics["x"]] = cosmics["electrons"]
    orders, inside = truth.places()
    orders = truth.arm.along_rows(np.where(inside >= 2.0, orders, 0))
    wide = order_response(truth, orders)
    seconds = float(truth.exposure_time(stem))
    electrons = (sky + light + scattered) * truth.response + truth.dark * seconds
    gain = wide / np.maximum(truth.response, 1e-3)
    return Scene(
        sky * wide,
        light * wide,
        scattered * wide,
        np.sqrt(truth.variance(electrons)) * gain,
        orders,
        hits,
        truth.flags == 0,
    )


def order_response(truth: Truth, orders: np.ndarray) -> np.ndarray:
    """(ny, nx) the detector's response that no flat takes out: its mean over the slit, column by column
    of each order; 1 outside.
    """
    wide = truth.arm.along_rows(truth.large_scale).astype("f8")
    turned = truth.arm.along_rows(orders)
    result = np.ones(wide.shape)
    for order in truth.arm.orders:
        inside = turned == order
        number = inside.sum(axis=0)
        mean = np.where(inside, wide, 0.0).sum(axis=0) / np.maximum(number, 1)
        result = np.where(inside, mean, result)
    return truth.arm.along_rows(result)


def line_masks(
    truth: Truth, sky: np.ndarray, noise: np.ndarray, orders: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(ny, nx) True in sky lines and True between them: the light of a line is above the noise of a pixel
    between the lines, or below a tenth of it.
    """
    sky, noise, orders = (truth.arm.along_rows(a) for a in (sky, noise, orders))
    within, between = np.zeros(sky.shape, dtype=bool), np.zeros(sky.shape, dtype=bool)
    for order in truth.arm.orders:
        inside = orders == order
        floor, quiet = _between_lines(sky, inside), _between_lines(noise, inside)
        within |= inside & (sky - floor > quiet)
        between |= inside & (sky - floor < 0.1 * quiet)
    return truth.arm.along_rows(within), truth.arm.along_rows(between)


def _between_lines(image: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """(n,) along dispersion: the faintest tenth of an order, in a running window of blocks."""
    n = image.shape[1]
    starts = np.arange(0, n, _BLOCK)
    found = np.full(starts.size, np.nan)
    for k, start in enumerate(starts):
        part = np.s_[:, start : start + _BLOCK]
        values = image[part][inside[part]]
        if values.size:
            found[k] = np.percentile(values, 10)
    known = np.isfinite(found)
    if not known.any():
        return np.zeros(n)
    found = np.interp(starts, starts[known], found[known])
    smooth = ndimage.percentile_filter(found, 30, size=5, mode="nearest")
    return np.interp(np.arange(n), starts + 0.5 * _BLOCK, smooth)
