"""Find the objects on the slit, and fit the sky where they are not."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from soxspipe.recipes.slit_frame import SlitFrame
from soxspipe.recipes.slit_orders import Orders, OrderState, slit_range
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


#: Share of an object's light that may be left after its model was subtracted.
MODEL_ERROR = 0.05


def _mask_radius(target: Target, found: objects.Found, *, generous: bool) -> float:
    """Distance (arcsec) from an object beyond which the slit is sky: where its wings sink into the
    noise of the collapsed slit, at least 1.5 FWHM.
    """
    height = float(np.interp(found.position, target.slit, target.collapsed))
    noise = float(np.median(target.error[np.isfinite(target.error)]))
    distance = np.arange(0.0, 8.0, 0.05)
    wing = max(height, 0.0) * profile.moffat(distance, found.fwhm, 3.0)
    wing /= profile.moffat(np.zeros(1), found.fwhm, 3.0)
    visible = distance[wing > 0.5 * noise]
    radius = float(visible.max()) if visible.size else 0.0
    return max(radius * (1.1 if generous else 1.0), 1.5 * found.fwhm)


def sky_rows(
    orders: Orders, target: Target, settings: SkySettings, masked: tuple[objects.Found, ...]
) -> dict[int, np.ndarray]:
    """Per order (n,) bool: pixels away from the slit ends and from the `masked` objects.

    Objects' wings are left out as far as they show, but at least a quarter of the slit stays.
    """
    low, high = slit_range(orders)
    margin = settings.edge_fraction * (high - low)
    cells = np.arange(low + margin, high - margin, 0.05)
    reach = np.array([_mask_radius(target, f, generous=settings.generous) for f in masked])
    position = np.array([f.position for f in masked])
    for _ in range(30):
        away = np.abs(cells[:, None] - position) > reach
        if away.all(axis=1).mean() > 0.25:
            break
        reach = 0.85 * reach
    rows = {}
    for number, order in orders.items():
        slit = order.pixels.slit
        shift = np.zeros(len(slit))
        if target.found is not None:
            shift = target.trace.at(order.pixels.wavelength) - target.found.position
        away = np.abs((slit - shift)[:, None] - position) > reach
        rows[number] = away.all(axis=1) & (slit > low + margin) & (slit < high - margin)
    return rows


def subtract_sky(
    ready: SlitFrame,
    orders: Orders,
    target: Target,
    settings: SkySettings,
    light: Mapping[int, np.ndarray] | None = None,
) -> Orders:
    """Fit the sky of every order.

    Without a model of the object its rows are left out. With `light`, the electrons of the object (n,)
    per order, every row counts, as much as the model's own error allows: sky and object are then known
    as well as one fit of both would know them.
    """
    if not settings.subtract:
        return {n: replace(o, sky=np.zeros(len(o.data))) for n, o in orders.items()}
    masked = target.others if light is None else target.others[1:]
    rows = sky_rows(orders, target, settings, masked)
    return {
        n: _without_sky(ready, o, rows[n], settings, None if light is None else light[n])
        for n, o in orders.items()
    }


def _without_sky(
    ready: SlitFrame,
    order: OrderState,
    rows: np.ndarray,
    settings: SkySettings,
    light: np.ndarray | None,
) -> OrderState:
    """One order with its sky fitted on `rows` (n,) bool."""
    own = np.zeros(len(order.data)) if light is None else light
    doubt = (MODEL_ERROR * own) ** 2
    sky = sky_model.fit(
        order.pixels,
        order.data - own,
        order.variance + doubt,
        rows & order.good,
        settings.options,
    )
    model = sky.at(order.pixels.bin, order.pixels.slit)
    counted = np.where(sky.used, order.variance / (order.variance + doubt), 0.0)
    per_bin = np.bincount(order.pixels.nearest, counted, len(order.pixels.grid))
    return replace(
        order,
        sky=model,
        variance=ready.noise.variance(model + own, order.pixels.index),
        sky_error=sky.relative_variance(order.pixels.bin, per_bin[order.pixels.nearest]),
        converged=sky.converged,
    )
