"""Fit the sky where no object stands, or together with the model of the objects."""

from dataclasses import dataclass, replace

import numpy as np

from soxspipe.recipes.slit_frame import SlitFrame
from soxspipe.recipes.slit_orders import Orders, OrderState, slit_range
from soxspipe.recipes.slit_sources import Source, Sources
from soxspipe.science.extraction import profile
from soxspipe.science.sky import sky_model

#: Share of an object's light that may be left after its model was subtracted.
MODEL_ERROR = 0.05

#: Parts of the slit that are left to an object, in its FWHM to each side: of a modelled one, and the most
#: of one that is not. Wings beyond are taken out of the sky once they are modelled.
_CORE, _WIDEST = 1.2, 3.0
#: A source of this FWHM, arcsec, fills the slit: without its core too little is left to tell it from sky,
#: and only the illumination is told by the rest of the slit alone.
_EXTENDED = 2.5
#: Pixels at the ends of the slit that are never sky: they see beyond the slit, which dims lines and moves
#: them by hundredths of a pixel. A polynomial along the slit would pass that on to the object.
#: Binned pixels are wider than that.
_ENDS, _ENDS_ARCSEC = 2.5, 0.8


@dataclass(frozen=True)
class SkySettings:
    """Options of the sky steps: spline, slit ends left out (share of the slit), generous mask."""

    options: sky_model.SkyOptions
    edge_fraction: float
    generous: bool
    subtract: bool


def _mask_radius(sources: Sources, source: Source, *, generous: bool) -> float:
    """Distance (arcsec) from an object beyond which the slit is sky: where its wings sink into the
    noise of the collapsed slit, at least 1.5 FWHM and at most 3. Of a modelled object only the core is
    left out, whose light goes with the errors of the sky; so is the core of one that was not found.
    """
    found = source.found
    if found is None:
        return _CORE * source.fwhm
    if source.light:
        return _CORE * found.fwhm
    height = abs(float(np.interp(found.position, sources.slit, sources.collapsed)))
    noise = float(np.median(sources.error[np.isfinite(sources.error)]))
    distance = np.arange(0.0, 8.0, 0.05)
    wing = height * profile.moffat(distance, found.fwhm, 3.0)
    wing /= profile.moffat(np.zeros(1), found.fwhm, 3.0)
    visible = distance[wing > 0.5 * noise]
    radius = float(visible.max()) if visible.size else 0.0
    radius *= 1.1 if generous else 1.0
    return float(np.clip(radius, 1.5 * found.fwhm, _WIDEST * found.fwhm))


def _position(source: Source) -> float:
    """Slit position (arcsec) where the source was found, or is expected."""
    if source.found is not None:
        return source.found.position
    return float(source.trace.at(np.array([source.trace.domain[0]]))[0])


def sky_rows(
    orders: Orders, sources: Sources, settings: SkySettings, masked: tuple[Source, ...]
) -> dict[int, np.ndarray]:
    """Per order (n,) bool: pixels away from the slit ends and from the `masked` objects.

    Objects' wings are left out as far as they show, but at least a quarter of the slit stays.
    """
    low, high = slit_range(orders)
    pixel = float(np.median([np.median(o.pixels.area) for o in orders.values()]))
    ends = min(_ENDS * pixel, _ENDS_ARCSEC)
    if any(s.found is not None and s.found.fwhm > _EXTENDED for s in sources.each):
        ends = 0.0  # the ends are where such a source leaves sky at all
    margin = max(settings.edge_fraction * (high - low), ends)
    cells = np.arange(low + margin, high - margin, 0.05)
    reach = np.array([_mask_radius(sources, s, generous=settings.generous) for s in masked])
    position = np.array([_position(s) for s in masked])
    for _ in range(30):
        away = np.abs(cells[:, None] - position) > reach
        if away.all(axis=1).mean() > 0.25:
            break
        reach = 0.85 * reach
    rows = {}
    for number, order in orders.items():
        slit = order.pixels.slit
        free = (slit > low + margin) & (slit < high - margin)
        for source, radius in zip(masked, reach, strict=True):
            free &= np.abs(slit - source.trace.at(order.pixels.wavelength, number)) > radius
        rows[number] = free
    return rows


def subtract_sky(
    ready: SlitFrame,
    orders: Orders,
    sources: Sources,
    settings: SkySettings,
    templates: Orders | None = None,
) -> Orders:
    """Fit the sky of every order.

    Objects without a model are left out with their rows. Of modelled objects the electrons are taken off
    first, and only the rows of the core do not count: its spectrum follows every error of the sky, so
    that these rows would hold each error fast, and let slow changes along the slit run away. Where the
    target is expected but was not found the sky takes no part either, or it would swallow some of the
    light whose upper limits are asked for.
    `templates`: orders of the frame in which the sky that a difference has lost was modelled; lines are
    where they were there.
    """
    if not settings.subtract:
        zero = {n: np.zeros(len(o.data)) for n, o in orders.items()}
        return {n: replace(o, sky=zero[n], sky_variance=zero[n]) for n, o in orders.items()}
    narrow = tuple(s for s in sources.each if not _is_wide(s))
    rows = sky_rows(orders, sources, settings, narrow)
    clear = sky_rows(orders, sources, settings, sources.each)
    return {
        n: _without_sky(
            ready,
            o,
            _Rows(rows[n] & o.good, clear[n]),
            settings,
            (np.asarray(sources.light(n)), sources.brightness(n)),
            None if templates is None else templates[n].fitted,
        )
        for n, o in orders.items()
    }


def _is_wide(source: Source) -> bool:
    """True for a modelled source that fills the slit."""
    return bool(source.light) and source.found is not None and source.found.fwhm > _EXTENDED


@dataclass(frozen=True, eq=False)
class _Rows:
    """(n,) bool: pixels that take part, and those beside the cores of all objects."""

    used: np.ndarray
    clear: np.ndarray


def _without_sky(
    ready: SlitFrame,
    order: OrderState,
    rows: _Rows,
    settings: SkySettings,
    objects: tuple[np.ndarray, np.ndarray | float],
    template: sky_model.OrderSky | None,
) -> OrderState:
    """One order with its sky fitted; objects: their light (n,), signed and as brightness.

    An order that was given up has no sky.
    """
    if not order.good.any():
        zero = np.zeros(len(order.data))
        return replace(order, sky=zero, sky_variance=zero)
    light, brightness = objects
    pixels = order.pixels
    doubt = (MODEL_ERROR * brightness) ** 2
    data, variance = order.data - light, order.variance + doubt
    used, apart = rows.used, ~rows.clear
    if template is None:
        start = order.fitted
        sky = sky_model.fit(pixels, data, variance, used, settings.options, start, apart)
    else:
        sky = sky_model.residual(pixels, data, variance, used, template, settings.options)
    model = sky.at(pixels.bin, pixels.slit)
    return replace(
        order,
        sky=model,
        variance=order.expected_variance(ready, np.maximum(model, 0.0) + brightness),
        sky_variance=sky.variance(pixels.bin, pixels.slit),
        reach=sky.reach(pixels.bin),
        fitted=sky,
    )
