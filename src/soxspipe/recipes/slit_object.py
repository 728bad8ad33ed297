"""Model the traced objects: profile, smooth spectrum; flag what neither sky nor objects explain."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from soxspipe.datamodel.frame import PixelFlag
from soxspipe.recipes.slit_frame import SlitFrame
from soxspipe.recipes.slit_orders import Orders, OrderState
from soxspipe.recipes.slit_sources import Source, Sources
from soxspipe.science.detector import defects
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


def reject_cosmics(
    ready: SlitFrame,
    orders: Orders,
    sources: Sources,
    *,
    sigma: float | None,
    clip: float,
    both_signs: bool = False,
) -> tuple[SlitFrame, Orders]:
    """Flag cosmic rays against sky and objects.

    sigma : L.A.Cosmic limit, None to leave it out. clip : pixels this many sigma above the model, with
    the profile's own error allowed for, are flagged as well. both_signs : hits below the model, too, as
    in difference frames.
    """
    frame = ready.frame
    updated = {
        n: replace(
            o,
            variance=o.expected_variance(ready, np.maximum(o.sky, 0.0) + sources.brightness(n)),
        )
        for n, o in orders.items()
    }
    total, variance = np.zeros(frame.shape), np.array(frame.variance, dtype="f8")
    excess = np.zeros(frame.shape, dtype="f4")
    for n, o in updated.items():
        light, bright = sources.light(n), sources.brightness(n)
        total.ravel()[o.pixels.index] = o.sky + light
        variance.ravel()[o.pixels.index] = o.variance + (0.1 * bright) ** 2
        noise = np.sqrt(o.variance + (0.15 * bright) ** 2 + (0.05 * o.sky) ** 2)
        excess.ravel()[o.pixels.index] = np.where(o.good, (o.light - light) / noise, 0.0)
    for sign in (1.0, -1.0) if both_signs else (1.0,):
        if sigma is not None:
            turned = replace(frame, data=sign * frame.data)
            found = defects.cosmic_rays(turned, sign * total, variance, sigma=sigma)
            frame = replace(frame, flags=found.flags)
        hit = defects.stands_out(sign * excess, sigma=clip)
        frame = frame.flagged(hit, PixelFlag.COSMIC_RAY)
    flags = frame.flags.ravel()
    return (
        replace(ready, frame=frame),
        {n: replace(o, flags=flags[o.pixels.index]) for n, o in updated.items()},
    )
