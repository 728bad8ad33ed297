"""Model every image on the slit: its spatial profile, and its spectrum together with the others."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np

from soxspipe.recipes.slit_orders import Orders, OrderState
from soxspipe.recipes.slit_sources import Source, Sources
from soxspipe.science.extraction import optimal, profile, profile_fit, spectra

#: Rounds of profiles and spectra: of one image, of several.
_ROUNDS, _ROUNDS_OF_MANY = 2, 4
#: Prior widths of ln FWHM: of what is faint and should be as wide as the seeing; of what shows its width.
_SEEING, _SHOWN = 0.2, 0.5
#: From this signal over noise on, of all bins together, an image has a profile of its own.
_OWN_PROFILE = 400.0
#: An image this much wider than the brightest, in sigma and as a share, is no point source.
_WIDER, _WIDER_SHARE = 4.0, 0.05
#: Share of the model by which a profile may be off when pixels are judged by it.
_MISMATCH = 0.2
#: Share of the light of other images that their models may leave.
_OTHERS = 0.1
#: Share of a bin's peak by which a profile may be off: before it was fitted, and after.
_UNFITTED, _FITTED = 0.1, 0.01


@dataclass(frozen=True)
class ProfileOptions:
    """degree: of the profile's change along an order; clip: sigma beyond which pixels do not count;
    rounds: most rounds of profiles and spectra.
    """

    degree: int = 2
    clip: float = 6.0
    rounds: int = 10


@dataclass(frozen=True, eq=False)
class _Shape:
    """Per order (n,): part of a bin's light in each pixel, and that less what the sky holds; arcsec."""

    share: Mapping[int, np.ndarray]
    seen: Mapping[int, np.ndarray]
    fwhm: float


def model_sources(orders: Orders, sources: Sources, options: ProfileOptions) -> Sources:
    """Profile and spectrum of every image on the slit.

    Spectra of all images are solved for together, bin by bin. The brightest image gives the profile of
    all that are no wider and too faint to tell their own. What was not found has the profile of the
    seeing and no light.
    """
    each = sources.each
    shapes = [_seeing(orders, s) for s in each]
    if sources.is_found:
        enough = _ROUNDS if len(each) == 1 else _ROUNDS_OF_MANY
        for k in range(min(enough, max(options.rounds, 1))):
            doubt = _UNFITTED if k == 0 else _FITTED
            shapes = _profiles(orders, each, shapes, options, doubt)
    light, bright = _light(orders, each, shapes, options)
    modelled = tuple(
        replace(s, share=shape.share, light=light[k], bright=bright[k], fwhm=shape.fwhm)
        for k, (s, shape) in enumerate(zip(each, shapes, strict=True))
    )
    return replace(sources, each=modelled)


def distances(orders: Orders, source: Source) -> dict[int, np.ndarray]:
    """Distance of every pixel from the trace, arcsec, per order (n,)."""
    return {n: o.pixels.slit - source.trace.at(o.pixels.wavelength, n) for n, o in orders.items()}


def _seeing(orders: Orders, source: Source) -> _Shape:
    """A Moffat as wide as the source was found, or is expected."""
    none = np.zeros((profile.DEGREE + 1, 1))
    middle = float(np.median(np.concatenate([o.pixels.grid for o in orders.values()])))
    plain = profile.Profile(
        source.fwhm, profile_fit.BETA, middle, np.array([-1.0, 1.0]), none, (0.0, 1.0)
    )
    return _shape(orders, source, dict.fromkeys(orders, plain))


def _shape(orders: Orders, source: Source, profiles: Mapping[int, profile.Profile]) -> _Shape:
    share, seen = {}, {}
    for n, distance in distances(orders, source).items():
        pixels = orders[n].pixels
        both = profile.slit_shares(profiles[n], distance, pixels.slit, pixels.wavelength)
        share[n], seen[n] = (part * pixels.area for part in both)
    width = float(np.median([p.fwhm for p in profiles.values()]))
    return _Shape(share, seen, width)


def _signed(
    order: OrderState, each: tuple[Source, ...], shapes: list[_Shape], n: int
) -> np.ndarray:
    """(k, n) what one unit of flux of each image puts into the pixels."""
    return np.array([s.sign * shape.seen[n] for s, shape in zip(each, shapes, strict=True)])


def _profiles(
    orders: Orders,
    each: tuple[Source, ...],
    shapes: list[_Shape],
    options: ProfileOptions,
    doubt: float,
) -> list[_Shape]:
    """New profiles, from the light that the present ones leave to each image.

    doubt : share of a bin's peak by which the present ones may be off.
    """
    data: list[dict[int, profile.Light]] = [{} for _ in each]
    power = np.zeros(len(each))
    places = [distances(orders, s) for s in each]
    for n, order in orders.items():
        unit = _signed(order, each, shapes, n)
        pixels = order.pixels
        good = _clean(order, unit, options, doubt)
        flux = spectra.adaptive(pixels, order.light, order.variance, good, unit)
        light = flux[:, pixels.nearest] * unit
        total = light.sum(axis=0)
        noise = np.maximum(order.variance, np.abs(light).sum(axis=0))
        allowed = noise + _peak_error(flux, unit, pixels.nearest, doubt)
        clean = good & ~optimal.outliers(
            order.light, allowed, total, sigma=options.clip, mismatch=_MISMATCH
        )
        nearest = np.min([np.abs(place[n]) for place in places], axis=0)
        for k, source in enumerate(each):
            scale = flux[k][pixels.nearest] * pixels.area
            rest = source.sign * (order.light - total + light[k])
            # where another image stands, what its own model leaves says nothing about this one
            others = np.abs(light).sum(axis=0) - np.abs(light[k])
            doubted = noise + (_OTHERS * others) ** 2
            own = clean & (np.abs(places[k][n]) <= nearest)
            data[k][n] = profile.Light(places[k][n], pixels.wavelength, rest, doubted, scale, own)
            power[k] += float((light[k] ** 2 / noise)[order.good].sum())
    return _from_light(orders, each, shapes, data, np.sqrt(power), options.degree)


def _from_light(
    orders: Orders,
    each: tuple[Source, ...],
    shapes: list[_Shape],
    data: list[dict[int, profile.Light]],
    power: np.ndarray,
    degree: int,
) -> list[_Shape]:
    """Profiles of their own for images that tell one, that of the brightest for the others.

    power : signal over noise of each image, all bins together.
    """
    found = [k for k, s in enumerate(each) if s.found is not None]
    first = max(found, key=lambda k: power[k])
    twins = [k for k in found if each[k].number == each[first].number]
    # sky beside a positive and a negative image holds as much of the one as of the other
    template = profile_fit.fit(
        _together([data[k] for k in twins]),
        fwhm=each[first].fwhm,
        degree=degree,
        prior=_prior(each[first]),
        absorbed=all(s.sign > 0 for s in each),
        balanced=len(twins) > 1,
    )
    reference = next(iter(template.values())).reference
    usual = float(np.median([p.fwhm for p in template.values()]))
    result = []
    for k, source in enumerate(each):
        if k in twins or source.found is None:
            profiles = template
        elif power[k] > _OWN_PROFILE or _is_wider(data[k], source, usual, reference):
            profiles = profile_fit.fit(
                data[k], fwhm=source.fwhm, degree=degree, prior=_prior(source), absorbed=False
            )
        else:
            profiles = template
        if k != first:
            profiles = {n: replace(p, missing=0.0) for n, p in profiles.items()}
        result.append(shapes[k] if source.found is None else _shape(orders, source, profiles))
    return result


def _together(parts: list[dict[int, profile.Light]]) -> dict[int, profile.Light]:
    """Light of both images of an object: each lies in the wings of the other, and only together do they
    tell what their profile is far out on either side.
    """
    if len(parts) == 1:
        return parts[0]
    names = [f.name for f in fields(profile.Light)]
    return {
        n: profile.Light(*(np.concatenate([getattr(p[n], name) for p in parts]) for name in names))
        for n in parts[0]
    }


def _prior(source: Source) -> float:
    """How well the width of a source is known beforehand: its logarithm."""
    shown = source.found is not None and source.found.significance > 50.0
    return _SHOWN if shown else _SEEING


def _is_wider(
    light: Mapping[int, profile.Light], source: Source, usual: float, reference: float
) -> bool:
    """Whether the light of a source asks for another width than the `usual` one, arcsec."""
    own = profile_fit.fit_width(light, fwhm=usual, reference=reference, prior=_SHOWN)
    off = np.log(own.fwhm / usual)
    return bool(off > max(_WIDER * own.error, _WIDER_SHARE) and own.amplitude > 0.1)


def _light(
    orders: Orders, each: tuple[Source, ...], shapes: list[_Shape], options: ProfileOptions
) -> tuple[list[dict[int, np.ndarray]], list[dict[int, np.ndarray]]]:
    """Electrons of every image in every pixel: as they are, and smooth and positive for the noise."""
    light: list[dict[int, np.ndarray]] = [{} for _ in each]
    bright: list[dict[int, np.ndarray]] = [{} for _ in each]
    for n, order in orders.items():
        flux, smooth = _spectra(order, _signed(order, each, shapes, n), options)
        bins = order.pixels.nearest
        for k, (source, shape) in enumerate(zip(each, shapes, strict=True)):
            there = source.found is not None
            light[k][n] = (flux[k] if there else np.zeros(len(flux[k])))[bins] * shape.share[n]
            level = np.maximum(smooth[k], 0.0) if there else np.zeros(len(flux[k]))
            bright[k][n] = level[bins] * shape.share[n]
    return light, bright


def _peak_error(flux: np.ndarray, unit: np.ndarray, bins: np.ndarray, share: float) -> np.ndarray:
    """Variance (n,) of profiles that are off by a `share` of each bin's peak."""
    peak = np.abs(flux) * np.abs(unit).max(axis=1, keepdims=True)
    return np.asarray(((share * peak.sum(axis=0)) ** 2)[bins])


def _clean(
    order: OrderState, unit: np.ndarray, options: ProfileOptions, doubt: float = _FITTED
) -> np.ndarray:
    """(n,) bool: usable pixels that no cosmic ray hit, as far as the other pixels of their bin tell.

    What a cosmic ray puts into a bin must not pass for an emission line: all pixels of a line agree.
    """
    pixels, data, variance = order.pixels, order.light, order.variance
    smooth, _ = spectra.joint(pixels, data, variance, order.good, unit, window=5)
    light = smooth[:, pixels.nearest] * unit
    rest = data - light.sum(axis=0)
    middle = np.array(
        [
            spectra.robust(pixels, np.sign(u.sum()) * (rest + own), variance, order.good, np.abs(u))
            for u, own in zip(unit, light, strict=True)
        ]
    )
    model = (middle[:, pixels.nearest] * unit).sum(axis=0)
    noise = variance + np.abs(model) + _peak_error(middle, unit, pixels.nearest, doubt)
    off = optimal.outliers(data, noise, model, sigma=options.clip, mismatch=_MISMATCH)
    return np.asarray(order.good & ~off)


def _spectra(
    order: OrderState, unit: np.ndarray, options: ProfileOptions
) -> tuple[np.ndarray, np.ndarray]:
    """Flux per native bin of each image (k, m), cosmic rays left out, and the same smoothed."""
    part = (order.pixels, order.light, order.variance, _clean(order, unit, options), unit)
    smooth = spectra.adaptive(*part, significance=10.0)
    flux, error = spectra.joint(*part)
    return np.where(np.isfinite(error), flux, smooth), smooth
