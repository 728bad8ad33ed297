"""Find the objects on the slit, and fit the sky where they are not."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from soxspipe.recipes.slit_frame import SlitFrame
from soxspipe.recipes.slit_orders import Orders, slit_range
from soxspipe.science.extraction import objects, profile
from soxspipe.science.sky import sky_model

#: Chunks along an order in which the object is looked for.
CHUNKS = 16


@dataclass(frozen=True)
class SkySettings:
    """Options of the sky steps: spline, slit ends left out (share of the slit), generous mask."""

    options: sky_model.SkyOptions
    edge_fraction: float
    generous: bool
    subtract: bool


@dataclass(frozen=True, eq=False)
class Target:
    """What was found: the object (None: nothing above the limit), its trace, all found objects, and the
    collapsed slit (positions, profile, error).
    """

    found: objects.Found | None
    trace: objects.Trace
    others: tuple[objects.Found, ...]
    slit: np.ndarray
    collapsed: np.ndarray
    error: np.ndarray


def look_for_objects(
    orders: Orders,
    *,
    significance: float,
    fwhm: float,
    degree: int,
    clip_sigma: float,
    clip_rounds: int,
    edge: float,
) -> Target:
    """Find objects on the collapsed slit of all orders, and trace the brightest."""
    low, high = slit_range(orders)
    margin = edge * (high - low)
    cells = {
        n: objects.collapse(
            o.pixels,
            o.light,
            o.variance,
            o.good,
            slit_range=(low + margin, high - margin),
            chunks=CHUNKS,
        )
        for n, o in orders.items()
    }
    slit, collapsed, error = objects.collapse_all(cells)
    found = objects.find(slit, collapsed, error, significance=significance, fwhm=fwhm)
    if found:
        trace = objects.trace(
            cells, found[0], degree=degree, clip_sigma=clip_sigma, clip_rounds=clip_rounds
        )
        return Target(found[0], trace, tuple(found), slit, collapsed, error)
    nowhere = objects.Trace((1.0, 2.0), np.array([0.0]), {})
    return Target(None, nowhere, (), slit, collapsed, error)


#: Share of an object's wings that is left after its model was subtracted.
MODEL_ERROR = 0.03


def _mask_radius(target: Target, found: objects.Found, *, generous: bool, modelled: bool) -> float:
    """Distance (arcsec) from an object beyond which the slit is sky.

    That is where its wings sink into the noise of the collapsed slit; if the object was `modelled` and
    subtracted, only the model's error counts. At least 1.5 FWHM, or 1 if modelled.
    """
    height = float(np.interp(found.position, target.slit, target.collapsed))
    noise = float(np.median(target.error[np.isfinite(target.error)]))
    distance = np.arange(0.0, 8.0, 0.05)
    wing = max(height, 0.0) * profile.moffat(distance, found.fwhm, 3.0)
    wing *= (MODEL_ERROR if modelled else 1.0) / profile.moffat(np.zeros(1), found.fwhm, 3.0)
    visible = distance[wing > 0.5 * noise]
    radius = float(visible.max()) if visible.size else 0.0
    return max(radius * (1.1 if generous else 1.0), (1.0 if modelled else 1.5) * found.fwhm)


def sky_rows(
    orders: Orders, target: Target, settings: SkySettings, *, modelled: bool
) -> dict[int, np.ndarray]:
    """Per order (n,) bool: pixels that see nothing but sky.

    Objects' wings are left out as far as they show, but at least a quarter of the slit stays.
    """
    low, high = slit_range(orders)
    length = high - low
    margin = settings.edge_fraction * length
    reach = [
        _mask_radius(target, f, generous=settings.generous, modelled=modelled and f == target.found)
        for f in target.others
    ]
    factor = 1.0
    while True:
        cells = np.arange(low + margin, high - margin, 0.05)
        free = np.ones(len(cells), dtype=bool)
        for f, r in zip(target.others, reach, strict=True):
            free &= np.abs(cells - f.position) > factor * r
        if free.mean() > 0.25 or factor < 0.2:
            break
        factor *= 0.85
    rows = {}
    for number, order in orders.items():
        slit = order.pixels.slit
        use = (slit > low + margin) & (slit < high - margin)
        shift = np.zeros(len(slit))
        if target.found is not None:
            shift = target.trace.at(order.pixels.wavelength) - target.found.position
        for f, r in zip(target.others, reach, strict=True):
            use &= np.abs(slit - f.position - shift) > factor * r
        rows[number] = use
    return rows


def subtract_sky(
    ready: SlitFrame,
    orders: Orders,
    target: Target,
    settings: SkySettings,
    light: Mapping[int, np.ndarray] | None = None,
) -> Orders:
    """Fit the sky of every order on rows without object; `light` is the object's model so far (n,)."""
    if not settings.subtract:
        return {n: replace(o, sky=np.zeros(len(o.data))) for n, o in orders.items()}
    rows = sky_rows(orders, target, settings, modelled=light is not None)
    fitted = {}
    for number, order in orders.items():
        own = np.zeros(len(order.data)) if light is None else light[number]
        sky = sky_model.fit(
            order.pixels,
            order.data - own,
            order.variance,
            rows[number] & order.good,
            settings.options,
        )
        model = sky.at(order.pixels.bin, order.pixels.slit)
        variance = ready.noise.variance(model + own, order.pixels.index)
        per_bin = np.bincount(order.pixels.nearest[sky.used], minlength=len(order.pixels.grid))
        share = sky.relative_variance(order.pixels.bin, per_bin[order.pixels.nearest])
        fitted[number] = replace(
            order, sky=model, variance=variance, sky_error=share, converged=sky.converged
        )
    return fitted
