"""Second half of the object recipes: sky, objects, trace, profile, extraction, merging."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from soxspipe.datamodel.frame import UNUSABLE, Frame, PixelFlag
from soxspipe.datamodel.order_pixels import OrderPixels
from soxspipe.datamodel.spectrum import OrderSpectra, OrderSpectrum
from soxspipe.instrument.arms import Arm
from soxspipe.recipes.slit_frame import SlitFrame
from soxspipe.science.detector import defects
from soxspipe.science.extraction import objects, optimal, profile
from soxspipe.science.sky import sky_model

#: Chunks along an order in which the object is looked for.
CHUNKS = 16
#: FWHM assumed where neither object nor header tell, arcsec.
USUAL_SEEING = 1.0


@dataclass(frozen=True)
class SkySettings:
    """Options of the sky steps: spline, slit ends left out (share of the slit), generous mask."""

    options: sky_model.SkyOptions
    edge_fraction: float
    generous: bool
    subtract: bool


@dataclass(frozen=True, eq=False)
class OrderState:
    """One order on its way: pixels, data and variance (n,), flags (n,), sky model (n,), sky variance
    relative to that of a pixel (n,).
    """

    pixels: OrderPixels
    data: np.ndarray
    variance: np.ndarray
    flags: np.ndarray
    sky: np.ndarray
    sky_error: np.ndarray
    converged: bool = True

    @property
    def good(self) -> np.ndarray:
        """(n,) bool: usable pixels."""
        return (self.flags & UNUSABLE) == 0

    @property
    def light(self) -> np.ndarray:
        """(n,) data without sky."""
        return self.data - self.sky


Orders = dict[int, OrderState]


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


def listed(ready: SlitFrame, pixels: Mapping[int, OrderPixels]) -> Orders:
    """Orders with data, first variance and flags; no sky yet."""
    frame = ready.frame
    flat_data, flat_flags = frame.data.ravel(), frame.flags.ravel()
    orders = {}
    for number, part in pixels.items():
        data = flat_data[part.index].astype("f8")
        flags = flat_flags[part.index]
        good = (flags & UNUSABLE) == 0
        level = sky_model.initial_level(part, data, good)
        variance = ready.noise.variance(level, part.index)
        zero = np.zeros(len(data))
        orders[number] = OrderState(part, data, variance, flags, level, zero)
    return orders


def slit_range(orders: Orders) -> tuple[float, float]:
    """Slit positions (arcsec) that all orders cover."""
    low = max(float(np.percentile(o.pixels.slit, 0.5)) for o in orders.values())
    high = min(float(np.percentile(o.pixels.slit, 99.5)) for o in orders.values())
    return low, high


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


def sky_rows(orders: Orders, target: Target, settings: SkySettings) -> dict[int, np.ndarray]:
    """Per order (n,) bool: pixels that see nothing but sky.

    Objects' wings are left out as far as they show, but at least a quarter of the slit stays.
    """
    low, high = slit_range(orders)
    length = high - low
    margin = settings.edge_fraction * length
    reach = [_mask_radius(target, f, generous=settings.generous) for f in target.others]
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
        for f, r in zip(target.others, reach, strict=True):
            shift = 0.0
            if target.found is not None:
                shift = target.trace.at(order.pixels.wavelength) - target.found.position
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
    rows = sky_rows(orders, target, settings)
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
    hits = np.zeros(frame.shape, dtype=bool)
    for n, o in updated.items():
        noise = np.sqrt(o.variance + (0.15 * model.light[n]) ** 2 + (0.05 * o.sky) ** 2)
        excess = np.where(o.good, (o.light - model.light[n]) / noise, 0.0)
        hits.ravel()[o.pixels.index] = defects.stands_out(
            excess, frame.shape, o.pixels.index, sigma=clip
        )
    frame = frame.flagged(hits, PixelFlag.COSMIC_RAY)
    flags = frame.flags.ravel()
    return (
        replace(ready, frame=frame),
        {n: replace(o, flags=flags[o.pixels.index]) for n, o in updated.items()},
    )


@dataclass(frozen=True)
class ExtractionSettings:
    """aperture: full width of the boxcar, pixels across; clip: rejection limit, squared sigma."""

    aperture: float
    clip: float


def extract(
    ready: SlitFrame,
    orders: Orders,
    target: Target,
    model: Model,
    lamp: Mapping[int, np.ndarray],
    settings: ExtractionSettings,
    arm: Arm,
) -> OrderSpectra:
    """Spectra of all orders; the variance follows the extracted spectrum (two rounds)."""
    return OrderSpectra(
        {
            n: _extract_order(ready, o, target, model.share[n], lamp.get(n), settings, arm)
            for n, o in orders.items()
        }
    )


def _extract_order(
    ready: SlitFrame,
    order: OrderState,
    target: Target,
    share: np.ndarray,
    lamp: np.ndarray | None,
    settings: ExtractionSettings,
    arm: Arm,
) -> OrderSpectrum:
    pixels, good, variance = order.pixels, order.good, order.variance
    sums = optimal.horne(pixels, order.light, variance, good, share)
    light = np.zeros(len(order.data))
    for _ in range(2):
        flux = np.nan_to_num(sums.flux)
        light = flux[pixels.nearest] * share
        smooth = np.convolve(np.maximum(flux, 0.0), np.full(5, 0.2), mode="same")[pixels.nearest]
        variance = ready.noise.variance(order.sky + smooth * share, pixels.index)
        good = order.good & ~optimal.outliers(
            order.light, variance, light, sigma=np.sqrt(settings.clip)
        )
        sums = optimal.horne(pixels, order.light, variance, good, share)
    n = len(pixels.grid)
    count = np.maximum(np.bincount(pixels.nearest, minlength=n), 1)
    own = np.bincount(pixels.nearest, order.sky_error * variance, n) / count
    scale = np.bincount(pixels.nearest, pixels.area, n) / count
    half = 0.5 * settings.aperture * float(np.median(scale))
    inside = np.abs(pixels.slit - target.trace.at(pixels.wavelength)) <= half
    box = optimal.boxcar(pixels, order.light, variance, good, light, inside)
    sky = np.bincount(pixels.nearest, order.sky / np.maximum(pixels.area, 1e-6), n) / count
    return _assembled(order, sums, box, own, sky * 2.0 * half, target, lamp, arm)


def _assembled(
    order: OrderState,
    sums: optimal.Sums,
    box: optimal.Boxcar,
    sky_variance: np.ndarray,
    sky: np.ndarray,
    target: Target,
    lamp: np.ndarray | None,
    arm: Arm,
) -> OrderSpectrum:
    pixels = order.pixels
    n = len(pixels.grid)
    number = pixels.first + np.arange(n)
    touched = np.zeros(n, dtype="u2")
    np.bitwise_or.at(touched, pixels.nearest, order.flags & UNUSABLE)
    blaze = np.full(n, np.nan) if lamp is None else np.asarray(lamp, dtype="f8")[number]
    across = _trace_pixel(order, target, arm)
    x, y = arm.dispersion_and_slit(number.astype("f8"), across)
    return OrderSpectrum(
        wavelength=sums.wavelength,
        bin_width=pixels.width,
        flux=sums.flux,
        variance=sums.variance + sums.rows**2 * sky_variance,
        boxcar=box.flux,
        boxcar_variance=box.variance,
        boxcar_robust=box.robust,
        sky=sky,
        blaze=blaze,
        flags=optimal.bin_flags(sums, touched),
        x=x,
        y=y,
    )


def _trace_pixel(order: OrderState, target: Target, arm: Arm) -> np.ndarray:
    """Pixel across dispersion (m,) at which the trace crosses each native bin."""
    pixels = order.pixels
    off = np.abs(pixels.slit - target.trace.at(pixels.wavelength))
    nx = arm.shape[1]
    across = (pixels.index // nx if arm.dispersion_axis == "x" else pixels.index % nx).astype("f8")
    weight = np.exp(-0.5 * (off / 0.3) ** 2)
    n = len(pixels.grid)
    total = np.bincount(pixels.nearest, weight, n)
    mean = np.bincount(pixels.nearest, weight * across, n) / np.maximum(total, 1e-12)
    return np.where(total > 1e-6, mean, np.nan)


def sky_image(orders: Orders, shape: tuple[int, int]) -> np.ndarray:
    """(ny, nx) sky model, 0 outside orders."""
    image = np.zeros(shape, dtype="f4")
    for o in orders.values():
        image.ravel()[o.pixels.index] = o.sky
    return image


def frame_with_variance(ready: SlitFrame, orders: Orders) -> Frame:
    """The flat-fielded frame with the final model variance inside orders."""
    variance = np.array(ready.frame.variance)
    for o in orders.values():
        variance.ravel()[o.pixels.index] = o.variance
    return replace(ready.frame, variance=variance)
