"""Sky of one order, and the options of its fit."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from soxspipe.science.sky import joint
from soxspipe.science.sky.along_slit import AlongSlit
from soxspipe.science.sky.cells import PER_BIN, Cells
from soxspipe.science.sky.joint import Covariance
from soxspipe.science.sky.model import Model


@dataclass(frozen=True)
class SkyOptions:
    """degree         of the continuum spline
    coarse_points  pixels per interval of the first knots; fine_points: least pixels beside a new knot
    significance   of structure that asks for knots
    lines          significance, all rows together, above which a line is modelled; infinite: no lines
    clip           rejection limit of pixels; rounds: most rounds of refinement
    illumination   degree of the polynomial along the slit
    hit_sigma, hit_rounds, hit_window  pixels left out of the first fit, see hits.far_off
    noise_clip     residuals beyond this count as this when knots are placed
    noise_window, noise_floor  bins, percentile: what counts as noise then, see knots.finer
    """

    degree: int = 3
    coarse_points: float = 1000.0
    fine_points: float = 15.0
    significance: float = 3.0
    lines: float = 4.0
    clip: float = 10.0
    rounds: int = 25
    illumination: int = 1
    hit_sigma: float = 4.0
    hit_rounds: int = 15
    hit_window: int = 35
    noise_clip: float = 15.0
    noise_window: float = 250.0
    noise_floor: float = 80.0


@dataclass(frozen=True, eq=False)
class OrderSky:
    """Sky of one order.

    model      sky in the middle of the slit; along: how it changes along the slit
    covariance of the fit; cells: the data it was fitted to
    used       (n,) pixels that took part, as listed in OrderPixels
    converged  False if the fit had to stay with a simpler model than the data ask for
    """

    model: Model
    along: AlongSlit
    covariance: Covariance
    cells: Cells
    used: np.ndarray
    converged: bool

    @property
    def illumination(self) -> np.ndarray:
        """Polynomial along the slit (arcsec), 1 at its middle."""
        return self.along.illumination

    def at(self, bins: np.ndarray, slit: np.ndarray) -> np.ndarray:
        """Sky electrons per pixel at native bin and slit position."""
        return self.along.at(self.model, bins, slit)

    def variance(self, bins: np.ndarray, slit: np.ndarray) -> np.ndarray:
        """(n,) electrons squared: variance of the model at native bin and slit position.

        That of the fitted numbers, and what residuals show beyond noise: there the model is wrong.
        """
        x = np.arange(self.model.low, self.model.high + 0.25, 0.25)
        known = self.covariance.variance(x) + np.interp(x, self.cells.x, self._wrong)
        here = np.interp(self.along.moved(bins, slit, self.model), x, known)
        along = self.along.variance(self.model, bins, slit)
        return np.asarray(here * self.along.factor(slit) ** 2 + along)

    @cached_property
    def _wrong(self) -> np.ndarray:
        """(c,) electrons squared by which means of cells scatter more than noise, over 6 bins."""
        window = np.ones(6 * PER_BIN) / (6 * PER_BIN)
        if len(self.cells.x) < len(window):
            return np.zeros(len(self.cells.x))
        square = np.convolve(joint.residuals(self.cells, self.model) ** 2, window, mode="same")
        # what noise alone may show, at 2 sigma
        excess = np.maximum(square - 1.0 - 2.0 * np.sqrt(2.0 * window[0]), 0.0)
        return np.asarray(excess / self.cells.weight)

    def reach(self, bins: np.ndarray) -> np.ndarray:
        """(n,) native bins over which the model's error is common.

        The fit smooths: its variance is that of a bin's mean over the number of bins that share an error.
        """
        n = int(np.ceil(self.model.high - self.model.low))
        at = np.clip((self.cells.x - self.model.low).astype("i8"), 0, n - 1)
        per_bin = np.bincount(at, self.cells.weight, n)
        x = self.model.low + 0.5 + np.arange(n)
        share = self.covariance.variance(x) * per_bin
        most = float(np.diff(self.model.breaks).max())
        return np.asarray(np.interp(bins, x, np.clip(1.0 / np.maximum(share, 1e-9), 1.0, most)))

    def relative_variance(self, bins: np.ndarray, data_per_bin: np.ndarray) -> np.ndarray:
        """Variance of the model over that of one pixel; (n,), `data_per_bin` is not needed any more."""
        pixel = self.cells.count / self.cells.weight
        typical = np.interp(bins, self.cells.x, pixel)
        return np.asarray(self.variance(bins, np.zeros(len(bins))) / typical)
