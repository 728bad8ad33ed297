"""Spectral images straightened to wavelength times slit: of single orders, and of the whole arm."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from soxspipe.errors import InputError

#: Bins along wavelength over which one set of correlation coefficients holds.
CHUNK = 32


@dataclass(frozen=True)
class Grid:
    """Bins of a rectified image. Centres are whole multiples of the steps, so that the bins of different
    orders and exposures coincide.

    first, step            number of the first wavelength bin, nm per bin: centres (first + i) * step
    slit_first, slit_step  the same along the slit, arcsec
    shape                  (m, n) bins along slit and wavelength
    """

    first: int
    step: float
    slit_first: int
    slit_step: float
    shape: tuple[int, int]

    @property
    def wavelength(self) -> np.ndarray:
        """(n,) centres, nm in air."""
        return (self.first + np.arange(self.shape[1])) * self.step

    @property
    def slit(self) -> np.ndarray:
        """(m,) centres, arcsec from the middle of the slit."""
        return (self.slit_first + np.arange(self.shape[0])) * self.slit_step

    @property
    def chunks(self) -> np.ndarray:
        """(n,) number of the chunk of each wavelength bin, counted from that of the first bin.

        Chunks begin at multiples of CHUNK, whatever the first bin.
        """
        number = np.arange(self.first, self.first + self.shape[1]) // CHUNK
        return np.asarray(number - self.first // CHUNK)


@dataclass(frozen=True, eq=False)
class RectifiedImage:
    """A spectral image on a grid of wavelength and slit position; arrays (m, n) unless said.

    flux     float32, electrons in a bin that is covered wholly (`unit` where it is calibrated); NaN where
             nothing is known
    error    float32, 1 sigma of the bin by itself
    flags    uint16 bits of PixelFlag; NOTHING_LEFT where there is no good pixel
    correlation  (chunks, 1 + K, 1 + 2 L) float32, mean correlation of the noise of two bins k apart in
             wavelength and l in slit, at [chunk, k, L + l]: bins share pixels. See Grid.chunks.
    cover    float32, part of the bin that good pixels cover, None if not kept: flux * cover adds up to
             the electrons of the good pixels
    sky      float32, electrons of the sky model, None if not known
    sky_error  float32, 1 sigma of the sky model, which all bins of a wavelength share and which is not
             part of `error`; None if not known

    Raises InputError if the arrays do not have the shape of the grid.
    """

    grid: Grid
    flux: np.ndarray
    error: np.ndarray
    flags: np.ndarray
    correlation: np.ndarray
    cover: np.ndarray | None = None
    sky: np.ndarray | None = None
    sky_error: np.ndarray | None = None
    unit: str = "electron"

    def __post_init__(self) -> None:
        for name in ("flux", "error", "flags", "cover", "sky", "sky_error"):
            dtype = "u2" if name == "flags" else "f4"
            if getattr(self, name) is None:
                continue
            array = np.asarray(getattr(self, name), dtype=dtype).view()
            self._check(name, array.shape, self.grid.shape)
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        table = np.asarray(self.correlation, dtype="f4").view()
        chunks = int(self.grid.chunks[-1]) + 1
        width = table.shape[2] if table.ndim == 3 else 0
        self._check("correlation", (*table.shape[:1], width % 2), (chunks, 1))
        table.flags.writeable = False
        object.__setattr__(self, "correlation", table)

    @staticmethod
    def _check(name: str, shape: tuple[int, ...], wanted: tuple[int, ...]) -> None:
        if shape != wanted:
            raise InputError(
                f"{name} of a rectified image has shape {shape}, not {wanted}",
                hint="the images are of different grids",
            )

    @property
    def wavelength(self) -> np.ndarray:
        """(n,) nm in air."""
        return self.grid.wavelength

    @property
    def slit(self) -> np.ndarray:
        """(m,) arcsec."""
        return self.grid.slit

    @property
    def variance(self) -> np.ndarray:
        """(m, n) float64, of each bin by itself."""
        return np.square(self.error, dtype="f8")

    @property
    def noise_factors(self) -> np.ndarray:
        """(chunks,) true error of a sum over a large block of bins, over the root of the sum of their
        variances.
        """
        both = 2.0 * self.correlation.sum(axis=(1, 2), dtype="f8")
        return np.asarray(np.sqrt(both - self.correlation[:, 0].sum(axis=1, dtype="f8")))

    @property
    def noise_factor(self) -> float:
        """Median of `noise_factors`."""
        return float(np.median(self.noise_factors))

    def covariance(self, weights: np.ndarray) -> np.ndarray:
        """(1 + K, n): covariance of the weighted slit sums of wavelength bins i and i + k, at [k, i].

        weights : (m, n); bins that are not known do not count, whatever their weight. What the bins of a
        wavelength share as error of the sky model is in it, and taken to be the same in bins as far apart
        as bins share pixels.
        """
        x = np.where(np.isfinite(self.error), weights * np.nan_to_num(self.error), 0.0)
        x = x.astype("f8")
        m, n = x.shape
        chunk = self.grid.chunks
        lags, width = self.correlation.shape[1:]
        result = np.zeros((lags, n))
        for k in range(min(lags, n)):
            for column in range(width):
                lag = column - width // 2
                if abs(lag) >= m:
                    continue
                one = x[max(0, -lag) : m - max(0, lag), : n - k]
                other = x[max(0, lag) : m - max(0, -lag), k:]
                products = np.einsum("ij,ij->j", one, other)
                result[k, : n - k] += self.correlation[chunk[: n - k], k, column] * products
        if self.sky_error is not None:
            shared = (weights * np.nan_to_num(self.sky_error)).sum(axis=0, dtype="f8")
            for k in range(min(lags, n)):
                result[k, : n - k] += shared[: n - k] * shared[k:]
        return result


@dataclass(frozen=True, eq=False)
class RectifiedOrders:
    """The rectified images of all orders, each on its own part of one grid."""

    orders: Mapping[int, RectifiedImage]


@dataclass(frozen=True, eq=False)
class RectifiedSpectrum(RectifiedImage):
    """The image of all orders together, on the scale of the order with the highest throughput at each
    wavelength; gaps between orders stay gaps (NaN).
    """
