"""Calibrations of one simulated night, made and reduced without a file, held against the truth."""

from dataclasses import MISSING, dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from astropy.io.fits import Header
from numpy.polynomial import chebyshev

from soxspipe.datamodel.frame import Frame, PixelFlag
from soxspipe.datamodel.geometry import DispersionSolution, OrderTable, OrderTrace
from soxspipe.instrument.headers import observation_info
from soxspipe.io.frames import RawFrame, trimmed
from soxspipe.recipes import load
from soxspipe.recipes.prepare import READ_NOISE_CARD
from soxspipe.recipes.recipe import Raw, Result
from soxspipe.simulator.conditions import ORDINARY, Conditions
from soxspipe.simulator.detector import READOUT
from soxspipe.simulator.exposure import Night, illuminate, take
from soxspipe.simulator.headers import raw_header
from soxspipe.simulator.ideal import as_bright_as_told, binning_factors, to_binned
from soxspipe.simulator.light import Light
from soxspipe.simulator.observation import USUAL, Observation
from soxspipe.simulator.plan import Exposure, night_plan
from soxspipe.simulator.truth import line_span

#: Exposures that stand behind a made-up master.
_STACKED = 5


class Day:
    """The calibrations of one arm on one night.

    Frames are rendered when they are asked for; master bias and dark are made from the truth, with the
    noise of five exposures.
    """

    def __init__(
        self,
        arm: str,
        seed: int,
        conditions: Conditions = ORDINARY,
        target: str = "sn",
        observation: Observation = USUAL,
    ) -> None:
        night = Night.make(arm, seed, (1, 1), target, conditions, observation)
        self._plan = night_plan(arm, "stare", night.star_positions, observation, seed)
        self.night = as_bright_as_told(night, self._plan)
        self.arm = self.night.arm
        self._light: dict[str, Light | None] = {}

    def raw(self, group: str, most: int = 99, seconds: float | None = None) -> tuple[RawFrame, ...]:
        """Exposures of a group, `most` of them at most, of `seconds` if given; lamps are on."""
        lampless = group in ("bias", "dark", "science", "standard")
        wanted = [
            exposure
            for exposure in self._plan
            if exposure.group == group
            and (lampless or exposure.lamps)
            and seconds in (None, exposure.seconds)
        ]
        return tuple(self._frame(exposure) for exposure in wanted[:most])

    def exposure(self, group: str) -> Exposure:
        """The first exposure of a group."""
        return next(exposure for exposure in self._plan if exposure.group == group)

    def light(self, exposure: Exposure) -> Light:
        """The light of an exposure of lamps or sky; all of a group have the same."""
        found = self._lit(exposure)
        if found is None:
            raise ValueError(f"there is no light in a {exposure.group}")
        return found

    def _lit(self, exposure: Exposure) -> Light | None:
        if exposure.group not in self._light:
            self._light[exposure.group] = illuminate(self.night, exposure)
        return self._light[exposure.group]

    def _frame(self, exposure: Exposure) -> RawFrame:
        counts = take(self.night, exposure, self._lit(exposure)).counts
        name = self.night.object_name(exposure)
        header = raw_header(exposure, self.arm, name, self.night.atmosphere(exposure))
        file = f"{exposure.stem}.fits"
        return RawFrame(*trimmed(counts, self.arm, file), observation_info(header, file), header)

    def masters(self, seconds: float) -> dict[str, Frame]:
        """The input `bias` (VIS) or `dark` of recipes that reduce lamp exposures of `seconds`."""
        dark = self.arm.name == "NIR"
        master = self._master(seconds if dark else 0.0)
        return {"dark" if dark else "bias": master}

    def _master(self, seconds: float) -> Frame:
        detector, electronics = self.night.detector, READOUT[self.arm.name]
        rng = np.random.default_rng([self.night.seed, 7])
        light = detector.dark * seconds
        variance = (electronics.read_noise**2 + light) / _STACKED
        level = detector.bias + light + electronics.pedestal * electronics.gain
        noise = np.sqrt(variance) * rng.standard_normal(self.arm.shape)
        hot = light > 5.0 * np.sqrt(variance) + np.median(light)
        header = Header()
        header[f"HIERARCH {READ_NOISE_CARD}"] = electronics.read_noise
        header["EXPTIME"] = seconds
        return Frame(level + noise, variance, hot * int(PixelFlag.HOT), header=header)

    def run(
        self, recipe: str, *, changes: dict[str, Any] | None = None, **inputs: object
    ) -> Result:
        """Run a recipe, optional inputs left out, by its default settings with some `changes`. Raises
        what it raises.
        """
        declared = load(recipe)
        settings = declared.settings.defaults(self.arm.name).model_copy(update=changes or {})
        undecided = {f.name for f in fields(declared.inputs) if f.default is MISSING}
        nothing = {
            i.name: () if isinstance(i.marker, Raw) else None
            for i in declared.declared_inputs()
            if i.name in undecided
        }
        return declared.function(declared.inputs(**nothing | inputs), settings, self.arm)

    def disp_solution(self, **changes: Any) -> Result:
        """The first dispersion solution, from the single-pinhole arc; `changes` of the settings."""
        arc = self.raw("arc")
        masters = self.masters(arc[0].info.exptime)
        return self.run("disp_solution", changes=changes, arc=arc, **masters)

    def spat_solution(self, first: DispersionSolution, orders: OrderTable) -> Result:
        """The full solution, from the multi-pinhole arc."""
        arc = self.raw("multi_pinhole")
        masters = self.masters(arc[0].info.exptime)
        return self.run("spat_solution", arc=arc, **masters, solution=first, orders=orders)

    @cached_property
    def true_orders(self) -> OrderTable:
        """Centres and edges of the orders as they are."""
        half, traces = 0.5 * self.arm.slit_length, {}
        along_factor, across_factor = binning_factors(self.night)
        for number, path in self.night.paths.items():
            pixel = np.arange(path.n_columns, dtype="f8")
            lit = (pixel >= path.along[0]) & (pixel <= path.along[-1])
            low, high = pixel[lit][[0, -1]]
            span = float(to_binned(low, along_factor)), float(to_binned(high, along_factor))
            unit = (2.0 * pixel[lit] - low - high) / (high - low)
            _, across = path.at_slit(np.array([0.0, -half, half]))
            across = to_binned(across, across_factor)
            centre, lower, upper = (
                chebyshev.chebfit(unit, line[lit], 6)
                for line in (across[0], across[1:].min(axis=0), across[1:].max(axis=0))
            )
            traces[number] = OrderTrace(span, centre, np.array([1.0]), lower, upper)
        return OrderTable(traces, self.arm.dispersion_axis)

    def errors(self, solution: DispersionSolution, reach: float) -> "Errors":
        """Errors of a solution inside the span of the lines, at slit positions up to `reach` arcsec."""
        slits = np.linspace(-reach, reach, 9) if reach > 0.0 else np.zeros(1)
        along, across = [], []
        for number in self.arm.orders:
            span = line_span(self.night, number)
            wavelength, slit = (
                a.ravel() for a in np.meshgrid(np.linspace(*span, 40), slits, indexing="ij")
            )
            x, y = self.night.optics.position(number, wavelength, slit)
            nx, ny = self.night.optics.window
            on = (x > 0) & (x < nx - 1) & (y > 0) & (y < ny - 1)  # nowhere if there is no line
            found = solution.predict(number, wavelength[on], slit[on])
            off = self.arm.dispersion_and_slit(found[0] - x[on], found[1] - y[on])
            along.append(off[0])
            across.append(off[1])
        return Errors(np.concatenate(along), np.concatenate(across))


@dataclass(frozen=True, eq=False)
class Errors:
    """Position errors (n,) along dispersion and along the slit, pixels."""

    along: np.ndarray
    across: np.ndarray

    @property
    def rms(self) -> float:
        """The larger rms of both axes, pixels; NaN if there is no point."""
        both = [float(np.sqrt(np.mean(e**2))) for e in (self.along, self.across) if e.size]
        return max(both, default=np.nan)

    @property
    def worst(self) -> float:
        """The largest distance from the truth, pixels."""
        return float(np.hypot(self.along, self.across).max(initial=0.0))
