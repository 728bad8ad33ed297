"""The positions of a map, seen one by one: sky, objects, spectra and image of each."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from astropy.table import Table

from soxspipe.datamodel.frame import UNUSABLE, Frame, PixelFlag
from soxspipe.datamodel.rectified import RectifiedImage, RectifiedSpectrum
from soxspipe.datamodel.spectrum import OrderSpectra, Spectrum
from soxspipe.errors import DataError, SoxspipeError
from soxspipe.instrument.arms import Arm
from soxspipe.recipes import (
    rectified_steps,
    slit_frame,
    slit_metrics,
    slit_orders,
    slit_rectified,
    slit_steps,
    slit_view,
)
from soxspipe.recipes.map_places import Layout, Place
from soxspipe.recipes.places import Shot
from soxspipe.recipes.recipe import RawFrame
from soxspipe.recipes.slit_frame import Pointing
from soxspipe.recipes.slit_merge import Image
from soxspipe.recipes.slit_pairs import Setting
from soxspipe.recipes.slit_view import View

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Seen:
    """What is kept of a position: not its pixels, of which there are many.

    found      an object stands out, or the user gave its place
    position, fwhm  of the target on the slit, arcsec; NaN if there is no FWHM
    shifted    the image with the sky where it is at zero offset along the slit; that of the slit if the
               pointing was not moved along it
    frame      without sky, if single extractions are wanted
    """

    place: Place
    found: bool
    position: float
    fwhm: float
    seconds: float
    native: OrderSpectra
    merged: Spectrum
    trace: Table
    image: RectifiedSpectrum
    shifted: RectifiedImage
    frame: Frame | None

    @property
    def snr(self) -> float:
        """Median S/N of the native bins."""
        return _median(np.concatenate([s.snr for s in self.native.orders.values()]))


@dataclass(frozen=True, eq=False)
class Run:
    """What all positions of a map have in common."""

    frames: Sequence[RawFrame]
    shots: Sequence[Shot]
    setting: Setting
    lamp: Mapping[int, np.ndarray]
    settings: Any
    arm: Arm


def see(
    run: Run, layout: Layout, *, settled: bool = False
) -> tuple[Layout, tuple[Seen, ...], Image]:
    """The layout, all positions that can be reduced, in their order, and the pixels of the best.

    Positions where nothing is found are seen again with the place that their neighbours tell; all of
    them, if the objects tell that slit positions rise the other way on the sky, unless that is `settled`.

    Raises
    ------
    DataError : no position could be reduced.
    """
    done: dict[int, Seen] = {}
    best: tuple[float, Image] | None = None
    for place, image in _that_work(run, layout, layout.places, lambda p: _on_slit(p.moved)):
        seen = _seen(run, place, image)
        done[place.number] = seen
        if best is None or _rank(seen) > best[0]:
            best = _rank(seen), image
    if best is None:
        raise DataError(
            "no position of the map could be reduced",
            hint="the messages above say why; look at the raw frames",
        )
    found = [s for s in done.values() if s.found]
    if not settled and contradict(found):
        log.warning("objects tell that slit positions fall towards the slit's position angle")
        return see(run, layout.turned(), settled=True)
    empty = [s.place for s in done.values() if not s.found]
    if found:
        for place, image in _that_work(run, layout, empty, lambda p: expected(p, found)):
            done[place.number] = _seen(run, place, image)
    elif empty:
        log.warning("no object was found at any position: spectra are those of the slit's middle")
    return layout, tuple(done[n] for n in sorted(done)), best[1]


def _rank(seen: Seen) -> float:
    """Found objects come before places without, then the S/N counts."""
    return float(np.nan_to_num(seen.snr)) + (1e6 if seen.found else 0.0)


def expected(place: Place, found: Sequence[Seen]) -> float:
    """Slit position (arcsec) of the target at a place where it is not seen: what the nearest places with
    an object tell, as far as they lie equally near.
    """
    away = np.array([np.hypot(s.place.ra - place.ra, s.place.dec - place.dec) for s in found])
    near = [s for s, d in zip(found, away, strict=True) if d <= away.min() + 0.1]
    return _on_slit(float(np.mean([s.position - s.place.moved for s in near])) + place.moved)


def _on_slit(position: float, *, end: float = 5.5) -> float:
    """The slit position, the middle of the slit if that is beyond an `end` (arcsec)."""
    return position if abs(position) < end else 0.0


def contradict(found: Sequence[Seen], *, least: float = 1.0, clearly: float = 3.0) -> bool:
    """True if the objects move along the slit the other way than the pointing tells: it moved by `least`
    arcsec or more, and their places scatter `clearly` less when turned round.
    """
    moved = np.array([s.place.moved for s in found])
    if len(found) < 2 or np.ptp(moved) < least:
        return False
    position = np.array([s.position for s in found])
    as_told, turned = np.std(position - moved), np.std(position + moved)
    return bool(as_told > clearly * max(turned, 0.05))


def _that_work(
    run: Run, layout: Layout, places: Sequence[Place], where: Callable[[Place], float]
) -> Iterator[tuple[Place, Image]]:
    """The target's image of each place; one that fails is told, and the rest goes on."""
    for place in places:
        files = ", ".join(run.frames[i].info.file for i in place.members)
        try:
            view = _view(run, layout, place, where(place))
            how = slit_steps.extraction(run.settings)
            images = slit_steps.images_of(view, 1, run.lamp, how, run.arm)
        except SoxspipeError as error:
            log.warning("%s: position %d left out: %s", files, place.number, error.message)
            continue
        yield place, images[0]


def _view(run: Run, layout: Layout, place: Place, expect: float) -> View:
    """Sky and objects of one position: against a sky exposure if there is one, else on the slit."""
    search = replace(run.setting.steps.search, twin=None, expected=expect)
    steps = replace(run.setting.steps, search=search)
    on = [run.frames[i] for i in place.members]
    if not layout.sky:
        ready = slit_frame.pointing(on, run.setting.how)
        flat = slit_frame.flat_fielded(ready, run.setting.flat)
        return replace(slit_view.seen(flat, run.setting.pixels, steps), label=f"P{place.number}")
    how = replace(run.setting.how, cancels=True)
    off = [run.frames[i] for i in nearest_sky(run.shots, place, layout.sky)]
    view = against_sky(slit_frame.pointing(on, how), slit_frame.pointing(off, how), run, steps)
    return replace(view, label=f"P{place.number}")


def nearest_sky(shots: Sequence[Shot], place: Place, sky: Sequence[int]) -> tuple[int, ...]:
    """As many sky exposures as the place has exposures, those of like exposure time first, then those
    nearest in time.
    """
    middle = float(np.mean([shots[i].middle for i in place.members]))
    seconds = float(np.mean([shots[i].seconds for i in place.members]))

    def cost(i: int) -> tuple[bool, float, int]:
        alike = abs(shots[i].seconds - seconds) <= 0.01 * max(seconds, 1e-3)
        return not alike, abs(shots[i].middle - middle), i

    return tuple(sorted(sorted(sky, key=cost)[: len(place.members)]))


def against_sky(on: Pointing, off: Pointing, run: Run, steps: slit_view.Steps) -> View:
    """A position minus a sky exposure. Nothing else is taken for sky: what fills the slit is light of the
    object, and what the sky changed in between stays in it.
    """
    setting = run.setting
    alone = slit_frame.flat_fielded(_at(off, on), setting.flat)
    empty = replace(steps, search=replace(steps.search, given=(), expected=None))
    sky = slit_view.seen(alone, setting.pixels, empty)
    ready = slit_frame.flat_fielded(slit_frame.difference(on, off), setting.flat)
    hit = sky.ready.frame.flags & np.uint16(PixelFlag.COSMIC_RAY)
    frame = replace(ready.frame, flags=ready.frame.flags | hit)
    # the photons of both skies are gone, their noise is not
    share = 1.0 / on.exposures + _times(on, off) / off.exposures
    light = np.maximum(slit_orders.sky_image(sky.orders, frame.shape), 0.0)
    base = ready.noise.base + np.float32(share) * light * ready.noise.response
    ready = replace(ready, frame=frame, noise=replace(ready.noise, base=base))
    none = replace(steps, sky=replace(steps.sky, subtract=False))
    return replace(slit_view.seen(ready, setting.pixels, none), sky=sky.sky)


def _times(on: Pointing, off: Pointing) -> float:
    return on.seconds / off.seconds if on.seconds > 0 and off.seconds > 0 else 1.0


def _at(off: Pointing, on: Pointing) -> Pointing:
    """The sky as if exposed as long as the object."""
    by = _times(on, off)
    frame = replace(off.frame, data=off.frame.data * by, variance=off.frame.variance * by**2)
    return Pointing(
        frame, off.base * by**2, off.exposures, on.seconds, off.scattered * np.float32(by)
    )


def _seen(run: Run, place: Place, image: Image) -> Seen:
    """Spectra and image of a position, without its pixels."""
    how, scale = slit_steps.extraction(run.settings), slit_steps.scale_of(run.settings, run.arm)
    native, merged = slit_steps.spectrum_of([image], run.lamp, how, run.arm, scale)
    _, flattened = slit_rectified.rectified([image], run.lamp, run.settings, run.arm)
    source, found = image.source, image.source.found
    trace = slit_metrics.trace_table(native, source)
    return Seen(
        place=place,
        found=found is not None,
        position=float(np.median(trace["slit_position"])),
        fwhm=source.fwhm if found is not None else float("nan"),
        seconds=image.view.ready.seconds,
        native=native,
        merged=merged,
        trace=trace,
        image=flattened,
        shifted=_shifted(run, place, image, flattened),
        frame=slit_steps.without_sky(image.view) if run.setting.keep else None,
    )


def _shifted(run: Run, place: Place, image: Image, flattened: RectifiedSpectrum) -> RectifiedImage:
    """The image, straightened so that the sky lies where it is at zero offset along the slit."""
    if place.moved == 0.0:
        return flattened
    pixels = {n: o.pixels for n, o in image.view.orders.items()}
    straight = rectified_steps.straightened(
        pixels,
        rectified_steps.values_of(slit_steps.without_sky(image.view), pixels),
        run.arm,
        step=flattened.grid.step,
        along_slit=flattened.grid.slit_step,
        slit_offset=-place.moved,
    )
    return rectified_steps.joined([straight], run.lamp)


def lights(seen: Sequence[Seen]) -> tuple[np.ndarray, np.ndarray]:
    """(n,) electrons of the target in the arm at each position, and (n,) errors: the sums over the bins
    that are good at all positions, so that they can be compared. NaN if there are none.
    """
    flux = np.array([s.merged.flux for s in seen])
    variance = np.array([s.merged.variance for s in seen])
    flags = np.array([s.merged.flags for s in seen])
    good = np.isfinite(flux) & np.isfinite(variance) & ((flags & UNUSABLE) == 0)
    common = good.all(axis=0)
    if not common.any():
        return np.full(len(seen), np.nan), np.full(len(seen), np.nan)
    total = variance[:, common].sum(axis=1)
    return flux[:, common].sum(axis=1), np.sqrt(total)


def _median(values: np.ndarray) -> float:
    values = values[np.isfinite(values) & (values != 0)]
    return float(np.median(values)) if values.size else float("nan")
