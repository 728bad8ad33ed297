"""Model the traced object: spatial profile, smooth spectrum; flag what neither sky nor object explain."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from soxspipe.datamodel.frame import PixelFlag
from soxspipe.recipes.slit_frame import SlitFrame
from soxspipe.recipes.slit_orders import Orders, OrderState
from soxspipe.recipes.slit_sky import Target
from soxspipe.science.detector import defects
from soxspipe.science.extraction import optimal, profile

#: FWHM assumed where neither object nor header tell, arcsec.
USUAL_SEEING = 1.0


@dataclass(frozen=True, eq=False)
class Model:
    """Object model: per order the share of a bin's light in each pixel (n,) and the light (n,)."""

    share: Mapping[int, np.ndarray]
    light: Mapping[int, np.ndarray]
    fwhm: float = field(default=USUAL_SEEING)


def model_object(orders: Orders, target: Target, *, degree: int, fwhm: float) -> Model:
    """Spatial profile and smooth spectrum of the traced object; two rounds."""
    width = target.found.fwhm if target.found is not None else fwhm
    distance = {n: o.pixels.slit - target.trace.at(o.pixels.wavelength) for n, o in orders.items()}
    shape = {n: profile.moffat(distance[n], width, 3.0) * o.pixels.area for n, o in orders.items()}
    light: dict[int, np.ndarray] = {}
    for _ in range(2 if target.found is not None else 1):
        parts = {n: _profile_data(o, shape[n], distance[n]) for n, o in orders.items()}
        if target.found is not None:
            profiles = profile.fit(parts, fwhm=width, degree=degree)
            width = next(iter(profiles.values())).fwhm
            shape = {
                n: profiles[n].at(distance[n], o.pixels.wavelength) * o.pixels.area
                for n, o in orders.items()
            }
        light = {n: _smooth_light(o, shape[n]) for n, o in orders.items()}
    return Model(shape, light, width)


def _window(order: OrderState, shape: np.ndarray) -> int:
    """Bins over which the spectrum is smoothed while the profile is fitted: few for bright objects."""
    weight = np.where(order.good, shape**2 / order.variance, 0.0)
    noise = 1.0 / np.sqrt(max(weight.sum() / len(order.pixels.grid), 1e-12))
    flux = profile.spectrum_guess(
        order.pixels, order.light, order.variance, order.good, shape, window=301
    )
    snr = float(np.median(np.abs(flux))) / noise
    return int(np.clip(2 * round((10.0 / max(snr, 0.1)) ** 2 / 2) + 1, 1, 101))


def _profile_data(order: OrderState, shape: np.ndarray, distance: np.ndarray) -> profile.Light:
    flux = profile.spectrum_guess(
        order.pixels,
        order.light,
        order.variance,
        order.good,
        shape,
        window=_window(order, shape),
    )
    model = flux[order.pixels.nearest] * shape
    clean = order.good & ~optimal.outliers(
        order.light, order.variance, model, sigma=6.0, mismatch=0.3
    )
    return profile.Light(
        distance,
        order.pixels.wavelength,
        order.light,
        order.variance,
        np.maximum(flux[order.pixels.nearest], 0.0) * order.pixels.area,
        clean,
    )


def _smooth_light(order: OrderState, shape: np.ndarray) -> np.ndarray:
    """Electrons of the object in every pixel (n,): what the variance and outliers are judged by."""
    good = order.good
    model = np.zeros(len(order.data))
    for _ in range(2):
        flux = profile.spectrum_guess(
            order.pixels, order.light, order.variance, good, shape, window=1
        )
        smooth = profile.spectrum_guess(
            order.pixels, order.light, order.variance, good, shape, window=5
        )
        # a bin that a cosmic ray lifts does not look like its neighbours
        value = np.where(np.abs(flux - smooth) < 0.5 * np.abs(smooth), flux, smooth)
        model = np.maximum(value, 0.0)[order.pixels.nearest] * shape
        good = order.good & ~optimal.outliers(order.light, order.variance, model, sigma=5.0)
    return model


def reject_cosmics(
    ready: SlitFrame, orders: Orders, model: Model, *, sigma: float | None, clip: float
) -> tuple[SlitFrame, Orders]:
    """Flag cosmic rays against sky and object.

    sigma : L.A.Cosmic limit, None to leave it out. clip : pixels this many sigma above the model, with
    the profile's own error allowed for, are flagged as well.
    """
    frame = ready.frame
    updated = {
        n: replace(o, variance=ready.noise.variance(o.sky + model.light[n], o.pixels.index))
        for n, o in orders.items()
    }
    if sigma is not None:
        total, variance = np.zeros(frame.shape), np.array(frame.variance, dtype="f8")
        for n, o in updated.items():
            total.ravel()[o.pixels.index] = o.sky + model.light[n]
            variance.ravel()[o.pixels.index] = o.variance + (0.1 * model.light[n]) ** 2
        frame = defects.cosmic_rays(frame, total, variance, sigma=sigma)
    excess = np.zeros(frame.shape, dtype="f4")
    for n, o in updated.items():
        noise = np.sqrt(o.variance + (0.15 * model.light[n]) ** 2 + (0.05 * o.sky) ** 2)
        excess.ravel()[o.pixels.index] = np.where(o.good, (o.light - model.light[n]) / noise, 0.0)
    frame = frame.flagged(defects.stands_out(excess, sigma=clip), PixelFlag.COSMIC_RAY)
    flags = frame.flags.ravel()
    return (
        replace(ready, frame=frame),
        {n: replace(o, flags=flags[o.pixels.index]) for n, o in updated.items()},
    )
