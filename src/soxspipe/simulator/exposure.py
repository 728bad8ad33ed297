"""One exposure: the light of the scene on the detector, and the frame that is read from it."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy import ndimage

from soxspipe.instrument.arms import Arm, Binning, get_arm
from soxspipe.simulator import scene
from soxspipe.simulator.atmosphere import Atmosphere
from soxspipe.simulator.conditions import ORDINARY, Conditions
from soxspipe.simulator.detector import READOUT, CosmicRays, Detector, expose
from soxspipe.simulator.lamps import ContinuumLamp
from soxspipe.simulator.observation import USUAL, Observation
from soxspipe.simulator.optics import Departure, Optics
from soxspipe.simulator.plan import Exposure
from soxspipe.simulator.render import OrderPath, add_light, trace_order
from soxspipe.simulator.tables import ArcLines, arc_lines
from soxspipe.simulator.targets import Flux, standard, target

#: Share of a frame's light that ends up scattered over the detector.
SCATTERED = 0.007

_ARM_SEED = {"VIS": 1, "NIR": 2}


@dataclass(frozen=True, eq=False)
class Night:
    """One arm on one night: everything that follows from the seed before a frame is taken.

    star_positions  of standard and science target on the slit, arcsec
    brightness      factor on the flux of the science target
    """

    arm: Arm
    seed: int
    optics: Optics
    detector: Detector
    seeing: float
    water: float
    star_positions: tuple[float, float]
    science: tuple[str, Flux]
    conditions: Conditions = ORDINARY
    observation: Observation = USUAL
    brightness: float = 1.0

    @classmethod
    def make(
        cls,
        arm_name: str,
        seed: int,
        binning: Binning,
        science: str,
        conditions: Conditions = ORDINARY,
        observation: Observation = USUAL,
    ) -> "Night":
        """The night of `seed`; both arms see the same sky. An `observation.snr` is not met yet: that
        takes `ideal.as_bright_as_told`.
        """
        binned = get_arm("SOXS", arm_name).binned(binning if arm_name == "VIS" else (1, 1))
        key = _ARM_SEED[arm_name]
        sky = np.random.default_rng([seed, 0])
        positions = sky.uniform(-1.0, 1.0, 2)
        seeing, water = float(sky.uniform(0.75, 1.05)), float(sky.uniform(1.5, 4.0))
        if observation.position is not None:
            positions[1] = observation.position
        departure = Departure.draw(binned, np.random.default_rng([seed, key, 0]))
        detector = Detector.make(binned, np.random.default_rng([seed, key, 1]))
        if conditions.dead_rows or conditions.dead_columns:
            dead = conditions.dead_rows, conditions.dead_columns
            detector = detector.with_dead(*dead, np.random.default_rng([seed, key, 3]))
        return cls(
            arm=binned,
            seed=seed,
            optics=Optics(binned, conditions.departed(departure)),
            detector=detector,
            seeing=observation.seeing or seeing,
            water=water,
            star_positions=(float(positions[0]), float(positions[1])),
            science=target(science),
            conditions=conditions,
            observation=observation,
            brightness=observation.brightness,
        )

    @cached_property
    def paths(self) -> dict[int, OrderPath]:
        """The tabulated light path of every order."""
        return {order: trace_order(self.optics, order) for order in self.arm.orders}

    @cached_property
    def arc_lines(self) -> ArcLines:
        """The lines of the arc lamps, as bright as they are tonight."""
        rng = np.random.default_rng([self.seed, _ARM_SEED[self.arm.name], 4])
        return self.conditions.shining(arc_lines(self.arm.name), self.arm.name, rng)

    @cached_property
    def broken(self) -> np.ndarray | None:
        """(ny, nx) True where the count is not a number; None if there are no such pixels."""
        if self.conditions.nan_share == 0.0:
            return None
        rng = np.random.default_rng([self.seed, _ARM_SEED[self.arm.name], 5])
        return np.asarray(rng.random(self.arm.shape) < self.conditions.nan_share)

    def continuum_lamp(self, key: str) -> ContinuumLamp:
        """The lamp "QTH", "DEUT" or "DOME" as bright as it is tonight."""
        level, counts = self.conditions.lamp_level, self.conditions.u_flat_counts
        if counts is None or key != "QTH" or self.arm.name != "VIS":
            return ContinuumLamp(key, level)
        u_band = next(path for m, path in self.paths.items() if self.arm.orders[m].label == "u")
        usual = scene.flat_counts(self.arm, u_band, ContinuumLamp(), READOUT["VIS"].gain)
        return ContinuumLamp(key, level, blue=counts / usual)

    def generator(self, exposure: Exposure) -> np.random.Generator:
        """Random numbers of one exposure: the same whichever other frames are made."""
        return np.random.default_rng([self.seed, _ARM_SEED[self.arm.name], 2, exposure.number])

    def atmosphere(self, exposure: Exposure) -> Atmosphere:
        """The air above one exposure; the seeing wanders by a few per cent."""
        wander = np.random.default_rng([self.seed, 3, exposure.number]).normal(0.0, 0.03)
        return Atmosphere(
            airmass=1.08 if exposure.target == "standard" else 1.22,
            water=self.water,
            seeing=self.seeing * (1.0 + float(np.clip(wander, -0.1, 0.1))),
            compensation=0.9 if self.arm.name == "VIS" else 0.0,
        )

    def sky_levels(self, exposure: Exposure) -> tuple[float, float]:
        """Sky continuum and sky lines of one exposure, relative to the usual; both arms see the same."""
        scatter = self.observation.sky_scatter(exposure.count[1])
        drawn = np.random.default_rng([self.seed, 6, exposure.number]).standard_normal(2)
        continuum, lines = np.exp(scatter * np.clip(drawn, -2.5, 2.5))
        return float(continuum), float(lines)

    def sources(self, exposure: Exposure) -> list[scene.Star]:
        """The objects of an exposure, the target first."""
        if not exposure.on_target:
            return []
        if exposure.target == "standard":
            return [scene.Star(standard, exposure.slit_position)]
        told, flux = self.observation, self.science[1]

        def times(factor: float) -> Flux:
            return flux if factor == 1.0 else lambda w: np.asarray(factor * flux(w))

        target = scene.Star(
            times(self.brightness), exposure.slit_position, told.extent, -exposure.slit_offset
        )
        others = [
            scene.Star(
                times(self.brightness * ratio),
                exposure.slit_position + separation,
                offset=-exposure.slit_offset,
            )
            for separation, ratio in told.companions
        ]
        return [target, *others]

    def object_name(self, exposure: Exposure) -> str:
        """OBJECT: the star, or the type of the calibration."""
        return {"standard": "EG274", "science": self.science[0], "": exposure.dpr[1]}[
            exposure.target
        ]


@dataclass(frozen=True, eq=False)
class ObjectLight:
    """One object on the slit: its part of the light, (ny, nx) electrons, and its beam per order."""

    image: np.ndarray
    orders: dict[int, scene.StarLight]


@dataclass(frozen=True, eq=False)
class Light:
    """Expected electrons of one exposure on the trimmed, binned window (ny, nx), pixel response 1.

    scattered   (ny, nx) the part of `total` that is scattered
    objects     the objects on the slit, the target first
    sky         per order, what the truth needs; `sky_image` (ny, nx) is the sky's part of `total`
    """

    total: np.ndarray
    scattered: np.ndarray
    objects: tuple[ObjectLight, ...] = ()
    sky: dict[int, scene.Beam] = field(default_factory=dict)
    sky_image: np.ndarray | None = None

    @property
    def star(self) -> dict[int, scene.StarLight]:
        """The target's beams by order; none if it is not there."""
        return self.objects[0].orders if self.objects else {}

    @property
    def star_image(self) -> np.ndarray | None:
        """(ny, nx) the target's part of `total`."""
        return self.objects[0].image if self.objects else None


def binned_sum(image: np.ndarray, binning: Binning) -> np.ndarray:
    """Sum blocks of pixels as on-chip binning does; rows or columns that fill no block are lost."""
    bx, by = binning
    ny, nx = image.shape[0] // by, image.shape[1] // bx
    return image[: ny * by, : nx * bx].reshape(ny, by, nx, bx).sum(axis=(1, 3))


def _calibration_beams(night: Night, path: OrderPath, exposure: Exposure) -> list[scene.Beam]:
    arm, seconds = night.arm, exposure.seconds
    lit = set(exposure.lamps) - night.conditions.lamps_off
    if not lit:
        return []
    if exposure.group == "arc":
        return scene.pinhole_arc(arm, path, (0.0,), seconds, night.arc_lines)
    if exposure.group == "multi_pinhole":
        return scene.pinhole_arc(arm, path, arm.pinholes, seconds, night.arc_lines)
    if exposure.group == "slit_arc":
        return scene.slit_arc(arm, path, exposure.slit_width, seconds, night.arc_lines)
    lamp = night.continuum_lamp(min(lit))
    if exposure.group == "pinhole_flat":
        return scene.pinhole_flat(arm, path, seconds, lamp)
    return scene.slit_flat(arm, path, exposure.slit_width, seconds, lamp)


def _add_beams(night: Night, image: np.ndarray, order: int, beams: list[scene.Beam]) -> None:
    blur = scene.optics_blur(night.arm, order)
    for beam in beams:
        add_light(image, beam.spectrum, beam.slit, beam.weight, blur)


def _on_detector(night: Night, image: np.ndarray) -> np.ndarray:
    """From (across, along), unbinned, to the trimmed, binned window."""
    turned = image if night.optics.along_x else image.T
    return binned_sum(turned, night.arm.binning)


def scattered_light(image: np.ndarray) -> np.ndarray:
    """A smooth glow that holds SCATTERED of the light in `image`, half of it even."""
    cells = (48, 48)
    sizes = tuple(zip(image.shape, cells, strict=True))
    cuts = [
        np.linspace(0, n, c + 1)[:-1].astype(int) for n, c in zip(image.shape, cells, strict=True)
    ]
    coarse = np.add.reduceat(np.add.reduceat(image, cuts[0], axis=0), cuts[1], axis=1)
    glow = ndimage.gaussian_filter(coarse, 6.0, mode="nearest")
    glow = 0.5 * glow / max(float(glow.mean()), 1e-30) + 0.5
    zoom = [n / c for n, c in sizes]
    smooth = ndimage.zoom(glow.astype("f4"), zoom, order=1, mode="nearest", grid_mode=True)
    return np.asarray(smooth * (SCATTERED * image.sum() / smooth.sum()))


def illuminate(night: Night, exposure: Exposure) -> Light | None:
    """The light of the scene on the detector; None for biases, darks and lamps that are off."""
    if not exposure.target and not exposure.lamps:
        return None
    shape = (night.optics.pixels_across, night.optics.pixels_along)
    image = np.zeros(shape)
    if not exposure.target:
        for order, path in night.paths.items():
            _add_beams(night, image, order, _calibration_beams(night, path, exposure))
        total = _on_detector(night, image)
        glow = scattered_light(total)
        return Light(total + glow, glow)
    return _from_sky(night, exposure, image)


def _from_sky(night: Night, exposure: Exposure, image: np.ndarray) -> Light:
    """Objects and sky; `image` is empty and of the unbinned size."""
    air, levels = night.atmosphere(exposure), night.sky_levels(exposure)
    args = (exposure.slit_width, exposure.seconds)
    skies = {}
    for order, path in night.paths.items():
        skies[order] = scene.sky(night.arm, path, *args, *levels)
        _add_beams(night, image, order, [skies[order]])
    objects = tuple(
        _object_light(night, star, air, args, image.shape) for star in night.sources(exposure)
    )
    sky_image = _on_detector(night, image)
    total = sky_image + sum(one.image for one in objects)
    glow = scattered_light(total)
    return Light(total + glow, glow, objects, skies, sky_image)


def _object_light(
    night: Night,
    star: scene.Star,
    air: Atmosphere,
    args: tuple[float, float],
    shape: tuple[int, ...],
) -> ObjectLight:
    image, orders = np.zeros(shape), {}
    for order, path in night.paths.items():
        orders[order] = scene.star_light(night.arm, path, air, star, *args)
        _add_beams(night, image, order, [orders[order].beam])
    return ObjectLight(_on_detector(night, image), orders)


@dataclass(frozen=True, eq=False)
class RawExposure:
    """What one exposure leaves: counts of the whole chip, and the truth behind them."""

    counts: np.ndarray
    light: Light | None
    cosmics: CosmicRays


def take(night: Night, exposure: Exposure, light: Light | None) -> RawExposure:
    """Read out one exposure of `light`."""
    rng = night.generator(exposure)
    cosmics = CosmicRays.shower(night.arm, exposure.seconds, night.conditions.cosmic_rate, rng)
    expected = None if light is None else light.total.astype("f4")
    counts = expose(night.detector, expected, cosmics, exposure.seconds, rng, night.broken)
    return RawExposure(counts, light, cosmics)
