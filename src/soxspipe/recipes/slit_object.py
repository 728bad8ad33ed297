"""Model the traced objects: spatial profile and smooth spectrum."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from soxspipe.recipes.slit_orders import Orders, OrderState
from soxspipe.recipes.slit_sources import Source, Sources
from soxspipe.science.extraction import optimal, profile

#: FWHM assumed where neither object nor header tell, arcsec.
USUAL_SEEING = 1.0

#: Rounds in which the images on the slit are modelled in turn, each without the others.
_ROUNDS = 3


@dataclass(frozen=True, eq=False)
class _Model:
    """Share of a bin's light in each pixel (n,) and the light (n,) per order; FWHM of the profile."""

    share: Mapping[int, np.ndarray]
    light: Mapping[int, np.ndarray]
    fwhm: float


def model_sources(orders: Orders, sources: Sources, *, degree: int) -> Sources:
    """Spatial profile and smooth spectrum of every image on the slit.

    One after the other, the brightest first, each on what the models of the others leave.
    """
    rounds = 1 if len(sources.each) == 1 else _ROUNDS
    for _ in range(rounds):
        for index in range(len(sources.each)):
            source = sources.each[index]
            alone = {n: _alone(o, sources, source, n) for n, o in orders.items()}
            model = _model(alone, source, degree=degree)
            new = replace(source, share=model.share, light=model.light, fwhm=model.fwhm)
            sources = replace(
                sources, each=(*sources.each[:index], new, *sources.each[index + 1 :])
            )
    return sources


def _alone(order: OrderState, sources: Sources, source: Source, number: int) -> OrderState:
    """The order as if it held nothing but `source`, as a positive image."""
    light = source.sign * (order.data - order.sky - sources.light(number, but=source))
    return replace(order, data=light, sky=np.zeros(len(light)))


def _model(orders: Orders, source: Source, *, degree: int) -> _Model:
    """Spatial profile and smooth spectrum of one source; two rounds."""
    width = source.fwhm
    distance = {n: o.pixels.slit - source.trace.at(o.pixels.wavelength) for n, o in orders.items()}
    shape = {n: profile.moffat(distance[n], width, 3.0) * o.pixels.area for n, o in orders.items()}
    if source.share:
        shape = dict(source.share)
    light: dict[int, np.ndarray] = {}
    for _ in range(2 if source.found is not None else 1):
        if source.found is not None:
            parts = {n: _profile_data(o, shape[n], distance[n]) for n, o in orders.items()}
            profiles = profile.fit(parts, fwhm=width, degree=degree)
            width = next(iter(profiles.values())).fwhm
            shape = {
                n: profiles[n].at(distance[n], o.pixels.wavelength) * o.pixels.area
                for n, o in orders.items()
            }
        light = {n: _smooth_light(o, shape[n]) for n, o in orders.items()}
    return _Model(shape, light, width)


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
