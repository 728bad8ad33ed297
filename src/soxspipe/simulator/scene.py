"""What falls into the slit: lamps, sky and star, as beams of light order by order."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from soxspipe.instrument.arms import Arm
from soxspipe.simulator import tables
from soxspipe.simulator.atmosphere import Atmosphere, sky_continuum
from soxspipe.simulator.lamps import ContinuumLamp
from soxspipe.simulator.render import (
    OVERSAMPLING,
    BlurredSpectrum,
    OrderPath,
    blur,
    line_spread,
)
from soxspipe.simulator.targets import Flux, photons
from soxspipe.simulator.throughput import AREA, efficiency

#: Blur of the optics, Gaussian sigma in px (VIS: bands r, u, g, i differ in focus).
_BLUR_VIS = {1: 0.66, 2: 0.98, 3: 0.72, 4: 0.84}
_BLUR_NIR = 0.92

_PINHOLE_AREA = 0.2  # arcsec2: a hole of 0.5 arcsec
_LINE_ELECTRONS = {"VIS": 260.0, "NIR": 600.0}  # per s, a line of strength 1 at 20 % efficiency
_COARSE = 17  # columns at which the profile of a star along the slit is worked out
_MOFFAT = 3.0
_FWHM = 2.0 * np.sqrt(2.0 * np.log(2.0))  # of a Gaussian, in sigma
_WINGS = 12.0  # arcsec, as far as the seeing is followed across the slit
_NO_LINES = (np.empty(0), np.empty(0))
_QTH = ContinuumLamp()


@dataclass(frozen=True, eq=False)
class Beam:
    """Light of one order: a blurred spectrum and its share at each slit sample.

    slit (m,) arcsec; weight (m, n_coarse), even in columns.
    """

    spectrum: BlurredSpectrum
    slit: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True, eq=False)
class Star:
    """An object in the slit: spectrum above the atmosphere, and where it stands.

    slit_position, offset  arcsec along the slit, and across it from its middle
    extent                 arcsec, full width at half maximum of a round Gaussian; 0: a star
    """

    flux: Flux
    slit_position: float
    extent: float = 0.0
    offset: float = 0.0


def optics_blur(arm: Arm, order: int) -> float:
    """Gaussian sigma of the optics in this order, px."""
    if arm.name == "VIS":
        return _BLUR_VIS[order]
    return _BLUR_NIR * (1.0 + 0.03 * float(np.sin(2.3 * order)))


def slit_samples(path: OrderPath) -> tuple[np.ndarray, float]:
    """Slit positions five to a pixel, and their spacing, arcsec."""
    n = int(np.ceil(2.0 * path.half_slit * path.pixels_per_arcsec * 5.0))
    step = 2.0 * path.half_slit / n
    return -path.half_slit + step * (np.arange(n) + 0.5), step


def _even(path: OrderPath) -> tuple[np.ndarray, np.ndarray]:
    """Slit samples and weights of light that fills the slit; spectra are then per arcsec."""
    slit, step = slit_samples(path)
    return slit, np.full((slit.size, 2), step)


def _flat_electrons(
    arm: Arm, path: OrderPath, lamp: ContinuumLamp, area: float, seconds: float
) -> np.ndarray:
    """(k,) electrons per px along dispersion of a lamp seen through `area`, arcsec (2)."""
    response = efficiency(arm, path.order, path.wavelength)
    light = lamp.photons(arm, path.wavelength)
    return np.asarray(light * response * area * seconds * path.nm_per_pixel)


def slit_flat(
    arm: Arm, path: OrderPath, slit_width: float, seconds: float, lamp: ContinuumLamp = _QTH
) -> list[Beam]:
    """A continuum lamp fills the slit."""
    spread = line_spread(optics_blur(arm, path.order), slit_width * path.pixels_per_arcsec)
    continuum = _flat_electrons(arm, path, lamp, slit_width, seconds)
    places, strength = lamp.lines()
    at_line = efficiency(arm, path.order, places)
    lines = (places, strength * at_line / 0.2 * slit_width * seconds)
    slit, weight = _even(path)
    weight = weight * lamp.along_slit(slit)[:, None]
    return [Beam(blur(path, continuum, lines, spread), slit, weight)]


def flat_counts(arm: Arm, path: OrderPath, lamp: ContinuumLamp, gain: float) -> float:
    """ADU per unbinned px in the middle of the useful range of an order: 60 s through 1 arcsec."""
    electrons = _flat_electrons(arm, path, lamp, 1.0, 60.0) / path.pixels_per_arcsec
    middle = float(np.mean(arm.orders[path.order].useful))
    return float(electrons[np.argmin(np.abs(path.wavelength - middle))]) / gain


def pinhole_flat(
    arm: Arm, path: OrderPath, seconds: float, lamp: ContinuumLamp = _QTH
) -> list[Beam]:
    """A continuum lamp behind the single pinhole."""
    continuum = _flat_electrons(arm, path, lamp, _PINHOLE_AREA, seconds)
    spread = line_spread(optics_blur(arm, path.order), 0.0)
    return [Beam(blur(path, continuum, _NO_LINES, spread), np.zeros(1), np.ones((1, 2)))]


def arc_electrons(
    arm: Arm, order: int, seconds: float, lines: tables.ArcLines | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Wavelength (nm) and electrons per pinhole of arc lines in an order; None: the usual lamps."""
    lines = tables.arc_lines(arm.name) if lines is None else lines
    response = efficiency(arm, order, lines.wavelength) / 0.2
    return lines.wavelength, _LINE_ELECTRONS[arm.name] * seconds * lines.strength * response


def pinhole_arc(
    arm: Arm,
    path: OrderPath,
    holes: tuple[float, ...],
    seconds: float,
    lines: tables.ArcLines | None = None,
) -> list[Beam]:
    """The arc lamps behind a pinhole mask."""
    spread = line_spread(optics_blur(arm, path.order), 0.0)
    places, electrons = arc_electrons(arm, path.order, seconds, lines)
    spectrum = blur(path, np.zeros_like(path.along), (places, electrons), spread)
    return [Beam(spectrum, np.array(holes), np.ones((len(holes), 2)))]


def slit_arc(
    arm: Arm,
    path: OrderPath,
    slit_width: float,
    seconds: float,
    lines: tables.ArcLines | None = None,
) -> list[Beam]:
    """The arc lamps fill the slit."""
    spread = line_spread(optics_blur(arm, path.order), slit_width * path.pixels_per_arcsec)
    places, electrons = arc_electrons(arm, path.order, seconds, lines)
    per_arcsec = electrons * slit_width / _PINHOLE_AREA
    spectrum = blur(path, np.zeros_like(path.along), (places, per_arcsec), spread)
    return [Beam(spectrum, *_even(path))]


def sky(
    arm: Arm,
    path: OrderPath,
    slit_width: float,
    seconds: float,
    continuum_level: float = 1.0,
    line_level: float = 1.0,
) -> Beam:
    """The night sky fills the slit; the spectrum is per arcsec along it. Levels are relative."""
    places, strength = tables.airglow()
    near = (places > path.wavelength.min() - 1.0) & (places < path.wavelength.max() + 1.0)
    places, strength = places[near], strength[near]
    factor = AREA * slit_width * seconds
    response = efficiency(arm, path.order, path.wavelength)
    continuum = sky_continuum(path.wavelength) * response * factor * path.nm_per_pixel
    continuum = continuum * continuum_level
    lines = (places, strength * efficiency(arm, path.order, places) * factor * line_level)
    spread = line_spread(optics_blur(arm, path.order), slit_width * path.pixels_per_arcsec)
    return Beam(blur(path, continuum, lines, spread), *_even(path))


def _moffat_scale(width: np.ndarray) -> np.ndarray:
    return np.asarray(width / (2.0 * np.sqrt(2.0 ** (1.0 / _MOFFAT) - 1.0)))


def star_profile(
    path: OrderPath, air: Atmosphere, star: Star, slit_width: float, reference: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(light, centre, column wavelength) of a star along the slit at the coarse columns.

    light (m, n_coarse) share of all the star's light that enters each slit sample; centre
    (n_coarse,) arcsec, moved by differential refraction.
    """
    columns = np.linspace(0.0, path.n_columns - 1.0, _COARSE)
    wavelength = np.interp(columns, path.along, path.wavelength)
    slit, step = slit_samples(path)
    centre = star.slit_position + air.displacement(wavelength, reference)
    scale = _moffat_scale(air.image_width(wavelength))
    if star.extent > 0.0:
        return step * galaxy_profile(slit, centre, scale, star, slit_width), centre, wavelength
    nodes, parts = np.polynomial.legendre.leggauss(32)
    across = 0.5 * slit_width * nodes[:, None, None] - star.offset
    along = slit[None, :, None] - centre
    shape = (1.0 + (across**2 + along**2) / scale**2) ** -_MOFFAT
    total = np.einsum("q,qjk->jk", parts, shape) * 0.5 * slit_width * step
    return total * (_MOFFAT - 1.0) / (np.pi * scale**2), centre, wavelength


def galaxy_profile(
    slit: np.ndarray, centre: np.ndarray, scale: np.ndarray, star: Star, slit_width: float
) -> np.ndarray:
    """(m, k) light per arcsec of slit of a round Gaussian seen through Moffat seeing, all of it 1.

    slit (m,) arcsec; centre, scale (k,) arcsec, of the object on the slit and of the seeing.
    """
    sigma = star.extent / _FWHM
    far = np.linspace(-_WINGS, _WINGS, 481)  # of the seeing, across the slit
    within = ndtr((0.5 * slit_width - star.offset - far) / sigma)
    within -= ndtr((-0.5 * slit_width - star.offset - far) / sigma)
    own = np.linspace(-5.0, 5.0, 121)  # of the object along the slit, in sigma
    bell = np.exp(-0.5 * own**2)
    bell /= bell.sum()
    table = np.linspace(0.0, 40.0, 801)
    result = np.empty((slit.size, centre.size))
    for k, (place, width) in enumerate(zip(centre, scale, strict=True)):
        share = 1.0 / (1.0 + (far[None, :] ** 2 + table[:, None] ** 2) / width**2)
        seen = share**_MOFFAT @ within * (far[1] - far[0])
        seen *= (_MOFFAT - 1.0) / (np.pi * width**2)
        away = np.abs(slit[:, None] - place - sigma * own)
        result[:, k] = np.interp(away, table, seen) @ bell
    return result


def _light_across_slit(
    path: OrderPath, air: Atmosphere, star: Star, slit_width: float
) -> np.ndarray:
    """Distribution of an object's light over the width of the slit, on the fine grid, centred."""
    middle = float(np.median(path.wavelength))
    scale = float(_moffat_scale(air.image_width(middle)))
    half = max(int(0.5 * slit_width * path.pixels_per_arcsec * OVERSAMPLING), 1)
    place = np.arange(-half, half + 1) / (OVERSAMPLING * path.pixels_per_arcsec) - star.offset
    if star.extent == 0.0:
        return np.asarray((1.0 + (place / scale) ** 2) ** (0.5 - _MOFFAT))
    own = np.linspace(-5.0, 5.0, 121)
    away = place[:, None] - star.extent / _FWHM * own
    return np.asarray((1.0 + (away / scale) ** 2) ** (0.5 - _MOFFAT) @ np.exp(-0.5 * own**2))


@dataclass(frozen=True, eq=False)
class StarLight:
    """A star's beam with the truth that goes with it.

    through  (n_coarse,) share of the light that passes the slit, at `wavelength` (nm)
    centre   (n_coarse,) slit position of the star, arcsec
    """

    beam: Beam
    through: np.ndarray
    centre: np.ndarray
    wavelength: np.ndarray


def star_light(
    arm: Arm, path: OrderPath, air: Atmosphere, star: Star, slit_width: float, seconds: float
) -> StarLight:
    """A star behind the atmosphere, through the slit."""
    reference = float(np.mean([np.mean(o.full) for o in arm.orders.values()]))
    light, centre, wavelength = star_profile(path, air, star, slit_width, reference)
    through = light.sum(axis=0)
    columns = np.linspace(0.0, path.n_columns - 1.0, _COARSE)
    passed = np.interp(path.along, columns, through)
    arriving = photons(path.wavelength, star.flux(path.wavelength)) * air.transmission(
        path.wavelength
    )
    response = efficiency(arm, path.order, path.wavelength) * AREA * seconds
    spread = line_spread(
        optics_blur(arm, path.order),
        slit_width * path.pixels_per_arcsec,
        _light_across_slit(path, air, star, slit_width),
    )
    spectrum = blur(path, arriving * response * passed * path.nm_per_pixel, _NO_LINES, spread)
    beam = Beam(spectrum, slit_samples(path)[0], light / through)
    return StarLight(beam, through, centre, wavelength)
