"""The best that can be had: signal over noise of an extraction that knows profile and noise."""

from dataclasses import replace

import numpy as np
from scipy.optimize import brentq

from soxspipe.errors import SettingsError
from soxspipe.simulator.detector import READOUT
from soxspipe.simulator.exposure import Light, Night, illuminate
from soxspipe.simulator.plan import Exposure

#: Half width, arcsec or px, of what is summed around a star; an extended object takes the whole slit.
_REACH = 12


def binning_factors(night: Night) -> tuple[int, int]:
    """Binning along and across dispersion."""
    bx, by = night.arm.binning
    return (bx, by) if night.optics.along_x else (by, bx)


def to_binned(pixel: np.ndarray, factor: int) -> np.ndarray:
    """Unbinned pixel coordinates on binned pixels."""
    return (pixel + 0.5) / factor - 0.5


def variance_of(night: Night, exposure: Exposure, light: Light) -> np.ndarray:
    """(ny, nx) variance of one reading, electrons squared."""
    detector = night.detector
    noise = READOUT[night.arm.name].read_noise ** 2
    return np.asarray(
        light.total * detector.response + detector.dark * exposure.seconds + noise, dtype="f8"
    )


def window(night: Night, order: int, position: float, extent: float = 0.0) -> np.ndarray:
    """(n, m) rows across dispersion around an object at slit `position` (arcsec), column by column;
    -1 where there is none. With an `extent`, as far as the object goes and the slit reaches.
    """
    along, across = binning_factors(night)
    path = night.paths[order]
    half = path.half_slit
    lines = to_binned(path.at_slit(np.array([position, -half, half]))[1], across)
    n_columns = path.n_columns // along
    trace, one, other = (line[along // 2 :: along][:n_columns] for line in lines)
    reach = int(np.ceil((_REACH + 1.3 * extent * path.pixels_per_arcsec) / across))
    rows = np.rint(trace).astype(int)[:, None] + np.arange(-reach, reach + 1)
    inside = (rows >= 0) & (rows < night.optics.pixels_across // across)
    if extent > 0.0:
        inside &= rows >= np.minimum(one, other)[:, None] - 1.0
        inside &= rows <= np.maximum(one, other)[:, None] + 1.0
    return np.where(inside, rows, -1)


def column_snr(
    night: Night, signal: np.ndarray, variance: np.ndarray, rows: np.ndarray
) -> np.ndarray:
    """(n,) sqrt(sum of signal^2 / variance) over the `rows` of a window, column by column.

    `signal` and `variance` (ny, nx), pixel response included.
    """
    if not night.optics.along_x:
        signal, variance = signal.T, variance.T
    columns = np.arange(rows.shape[0])[:, None]
    inside, at = rows >= 0, np.maximum(rows, 0)
    share = np.where(inside, signal[at, columns] ** 2 / variance[at, columns], 0.0)
    return np.asarray(np.sqrt(share.sum(axis=1)))


def useful_columns(night: Night, order: int) -> np.ndarray:
    """(n,) True for binned columns within the useful wavelengths of an order."""
    factor, _ = binning_factors(night)
    path = night.paths[order]
    centre, _ = path.column_wavelength()
    n = path.n_columns // factor
    wavelength = centre[: n * factor].reshape(n, factor).mean(axis=1)
    low, high = night.arm.orders[order].useful
    return np.asarray((wavelength >= low) & (wavelength <= high))


def as_bright_as_told(night: Night, plan: list[Exposure]) -> Night:
    """The night with a target so bright that the first exposure of it has the S/N asked for.

    That is the median ideal S/N of the bins within the useful wavelengths of all orders. Raises
    SettingsError if the target has no light in half of them.
    """
    wanted = night.observation.snr
    seen = [e for e in plan if e.target == "science" and e.on_target]
    if wanted is None or not seen:
        return night
    exposure = min(seen, key=lambda e: (abs(e.slit_offset), e.number))
    light = illuminate(night, exposure)
    if light is None:
        return night
    parts = _parts(night, exposure, light)
    if not np.median(np.concatenate([star.sum(axis=1) for star, _, _ in parts])) > 0.0:
        raise SettingsError(
            f"target {night.science[0]!r} is dark in half of the bins",
            hint="give it a brightness in place of a median S/N",
        )

    def short_of(exponent: float) -> float:
        f = 10.0**exponent
        snr = [np.sqrt(((f * s) ** 2 / (rest + f * own)).sum(axis=1)) for s, own, rest in parts]
        return float(np.median(np.concatenate(snr))) - wanted

    factor = 10.0 ** float(brentq(short_of, -9.0, 9.0, xtol=1e-6))
    bright = replace(night, brightness=night.brightness * factor)
    bright.__dict__["paths"] = night.paths  # the same light path, tabulated already
    return bright


def _parts(
    night: Night, exposure: Exposure, light: Light
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Per order (useful columns, rows): light of the target, of all objects, variance without them."""
    response = night.detector.response
    objects = sum(one.image for one in light.objects) * response
    images = [light.objects[0].image * response, objects]
    images.append(variance_of(night, exposure, light) - objects)
    turned = [image if night.optics.along_x else image.T for image in images]
    parts = []
    for order in night.arm.orders:
        useful = useful_columns(night, order)
        rows = window(night, order, exposure.slit_position, night.observation.extent)[useful]
        at, columns = np.maximum(rows, 0), np.flatnonzero(useful)[:, None]
        star, own, rest = (image[at, columns] for image in turned)
        parts.append((np.where(rows >= 0, star, 0.0), own, rest))
    return parts
