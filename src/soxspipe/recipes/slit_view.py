"""The middle of the object recipes: sky and objects of one frame, found, modelled and taken apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from soxspipe.datamodel.frame import Frame
from soxspipe.datamodel.order_pixels import OrderPixels
from soxspipe.instrument.arms import Arm
from soxspipe.recipes import slit_cosmics, slit_models, slit_orders, slit_sky, slit_sources
from soxspipe.recipes.recipe import RawFrame
from soxspipe.recipes.slit_frame import SlitFrame
from soxspipe.recipes.slit_models import ProfileOptions
from soxspipe.recipes.slit_orders import Orders
from soxspipe.recipes.slit_sky import SkySettings
from soxspipe.recipes.slit_sources import Search, Sources

#: FWHM assumed where the header tells none, arcsec.
USUAL_SEEING = 1.0


@dataclass(frozen=True, eq=False)
class View:
    """One frame with all that is known about it.

    label  "" or the name of the pair, as in file names: `A1`
    sky    per order (n,): electrons of sky in each pixel of one exposure
    sides  the two frames of a difference, not flat-fielded, if they were asked for
    """

    label: str
    ready: SlitFrame
    orders: Orders
    sources: Sources
    sky: Mapping[int, np.ndarray]
    sides: tuple[Frame, Frame] | None = None


@dataclass(frozen=True)
class Steps:
    """How sky, objects and cosmic rays of a view are treated.

    arm             whose frames these are
    profile         how the profile is fitted
    lacosmic        limit of L.A.Cosmic, None: it is left out
    """

    arm: Arm
    search: Search
    sky: SkySettings
    profile: ProfileOptions
    lacosmic: float | None


def seen(ready: SlitFrame, pixels: Mapping[int, OrderPixels], steps: Steps) -> View:
    """Sky and objects of a frame; the sky is fitted again once the objects are known."""
    orders, sources = _first_look(ready, slit_orders.listed(ready, pixels), steps)
    ready, orders = slit_cosmics.reject(
        ready, orders, sources, steps.arm, seeing=steps.search.fwhm, lacosmic=steps.lacosmic
    )
    orders, sources = _second_look(ready, orders, sources, steps)
    return View("", ready, orders, sources, {n: o.sky for n, o in orders.items()})


def difference_seen(
    ready: SlitFrame,
    together: SlitFrame,
    pixels: Mapping[int, OrderPixels],
    steps: Steps,
    *,
    label: str,
    noise: float,
) -> View:
    """Objects of a difference frame, and the sky that two exposures do not have in common.

    Parameters
    ----------
    together : mean of the two frames, which tells how much sky went. noise : variance that a sky of one
    electron in an exposure leaves in the difference.
    """
    alone = replace(steps, search=replace(steps.search, twin=None))
    whole, objects = _first_look(together, slit_orders.listed(together, pixels), alone)
    whole = slit_sky.subtract_sky(together, whole, objects, steps.sky)
    orders = slit_orders.with_pedestal(ready, slit_orders.listed(ready, pixels), whole, scale=noise)
    orders, sources = _first_look(ready, orders, steps, whole)
    ready, orders = slit_cosmics.reject(
        ready,
        orders,
        sources,
        steps.arm,
        seeing=steps.search.fwhm,
        lacosmic=steps.lacosmic,
        both_signs=True,
    )
    orders, sources = _second_look(ready, orders, sources, steps, whole)
    return View(label, ready, orders, sources, {n: o.sky for n, o in whole.items()})


def _first_look(
    ready: SlitFrame, orders: Orders, steps: Steps, templates: Orders | None = None
) -> tuple[Orders, Sources]:
    """Sky beside the objects, and a first model of these."""
    sources = slit_sources.look(orders, steps.search)
    orders = slit_sky.subtract_sky(ready, orders, sources, steps.sky, templates)
    sources = slit_sources.look(orders, steps.search)
    return orders, slit_models.model_sources(orders, sources, steps.profile)


def _second_look(
    ready: SlitFrame,
    orders: Orders,
    sources: Sources,
    steps: Steps,
    templates: Orders | None = None,
) -> tuple[Orders, Sources]:
    """Sky below the objects, and the final model of these."""
    orders = slit_sky.subtract_sky(ready, orders, sources, steps.sky, templates)
    sources = slit_sources.look(orders, steps.search)
    return orders, slit_models.model_sources(orders, sources, steps.profile)


def expected_seeing(target: Sequence[RawFrame]) -> float:
    """FWHM to expect, arcsec."""
    seeing = target[0].info.seeing
    return float(np.clip(seeing, 0.4, 3.0)) if np.isfinite(seeing) else USUAL_SEEING
