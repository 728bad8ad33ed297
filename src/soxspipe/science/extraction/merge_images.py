"""Join the rectified orders of an arm, and of several exposures, into one image.

Bins of all parts coincide, so nothing is resampled again: a bin is the mean of what its parts hold, on
the scale of the order with the highest throughput at its wavelength. Weights are inverse variances, of
the mean variance over the slit: with those of single bins, the exposure in which the object is sharper
would count less in its core and more in its wings, and light be lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from soxspipe.datamodel.frame import UNUSABLE, PixelFlag
from soxspipe.datamodel.order_pixels import OrderPixels
from soxspipe.datamodel.rectified import Grid, RectifiedImage, RectifiedSpectrum
from soxspipe.errors import DataError, InputError


@dataclass(frozen=True, eq=False)
class ImagePart:
    """One order of one exposure: its image, and (n,) the throughput of its bins over that of the scale of
    the result; bins of throughput 0 do not count.
    """

    image: RectifiedImage
    throughput: np.ndarray


def throughput_on(grid: Grid, pixels: OrderPixels, throughput: np.ndarray) -> np.ndarray:
    """(n,) at the wavelengths of the grid, from that of the listed pixels (`relative_throughput`)."""
    rising = np.argsort(pixels.wavelength)
    wavelength, values = pixels.wavelength[rising], throughput[rising]
    after = np.clip(np.searchsorted(wavelength, grid.wavelength), 1, len(wavelength) - 1)
    # not interpolated: from a throughput that counts to 0 there is nothing between
    nearer = grid.wavelength - wavelength[after - 1] < wavelength[after] - grid.wavelength
    return np.asarray(values[np.where(nearer, after - 1, after)])


def merge_images(
    parts: Sequence[ImagePart], *, response: np.ndarray | None = None, unit: str = "electron"
) -> RectifiedSpectrum:
    """The image that all parts make together; bins that no part knows are NaN and NOTHING_LEFT.

    A bin of a part that is flagged counts only where no other part knows better, and hands its flags on.

    Parameters
    ----------
    response : (n,) by which flux, error and sky are multiplied at each wavelength of the result, whose
    bins run from the first to the last of the parts. unit : of flux times response.

    Raises
    ------
    DataError : there is no part. InputError : the grids differ in their steps.
    """
    if not parts:
        raise DataError(
            "there is no rectified order to merge", hint="look at the pixel map: it has no order"
        )
    grid = _common([part.image.grid for part in parts])
    sums = _Sums(grid)
    for part in parts:
        sums.add(part)
    correlation = _correlation(parts, sums)
    factor = np.ones(grid.shape[1]) if response is None else np.asarray(response, dtype="f8")
    if factor.shape != grid.shape[1:]:
        raise InputError(
            f"the response has {len(factor)} values, the image {grid.shape[1]} wavelengths",
            hint="interpolate the response to the wavelengths of the image",
        )
    flux, error, sky, sky_error, flags = sums.result()
    return RectifiedSpectrum(
        grid=grid,
        flux=flux * factor,
        error=error * np.abs(factor),
        flags=flags,
        correlation=correlation,
        sky=sky * factor if all(p.image.sky is not None for p in parts) else None,
        sky_error=(
            sky_error * np.abs(factor)
            if all(p.image.sky_error is not None for p in parts)
            else None
        ),
        unit=unit,
    )


def _common(grids: Sequence[Grid]) -> Grid:
    steps = {(grid.step, grid.slit_step) for grid in grids}
    if len(steps) > 1:
        raise InputError(
            "the rectified orders have different steps", hint="straighten them on one grid"
        )
    step, slit_step = steps.pop()
    first, slit_first = min(g.first for g in grids), min(g.slit_first for g in grids)
    last = max(g.first + g.shape[1] for g in grids)
    slit_last = max(g.slit_first + g.shape[0] for g in grids)
    return Grid(first, step, slit_first, slit_step, (slit_last - slit_first, last - first))


def place(grid: Grid, part: Grid) -> tuple[slice, slice]:
    """Where the bins of a part lie in the arrays of the whole."""
    y, x = part.slit_first - grid.slit_first, part.first - grid.first
    return slice(y, y + part.shape[0]), slice(x, x + part.shape[1])


class _Sums:
    """Weighted sums of the good bins, and of all that are known, for where none is good."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.good, self.known = np.zeros((5, *grid.shape)), np.zeros((5, *grid.shape))
        self.flags = np.zeros(grid.shape, dtype="u2")

    def add(self, part: ImagePart) -> None:
        """Add one part."""
        at = place(self.grid, part.image.grid)
        for total, use in ((self.good, True), (self.known, False)):
            weight, values, variance = self.weighed(part, good=use)
            total[0][at] += weight
            total[1][at] += weight * values
            total[4][at] += weight**2 * variance
            if part.image.sky is not None:
                sky = np.nan_to_num(part.image.sky) / _safe(part.throughput)
                total[2][at] += weight * sky
            if part.image.sky_error is not None:
                own = np.nan_to_num(part.image.sky_error) / _safe(part.throughput)
                total[3][at] += (weight * own) ** 2  # orders have skies of their own
        self.flags[at] |= np.where(weight > 0, part.image.flags, 0).astype("u2")

    @staticmethod
    def weighed(part: ImagePart, *, good: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(m, n) weights, 0 where the part does not count, values and variances on the scale of the
        result; the weight is the same in all bins of a wavelength that count.
        """
        image, scale = part.image, _safe(part.throughput)
        use = np.isfinite(image.flux) & (image.error > 0) & (part.throughput > 0)
        if good:
            use &= (image.flags & UNUSABLE) == 0
        variance = np.where(use, image.variance / scale**2, 0.0)
        mean = variance.sum(axis=0) / np.maximum(use.sum(axis=0), 1)
        weight = np.where(use, 1.0 / np.where(mean > 0, mean, 1.0), 0.0)
        return weight, np.where(use, image.flux / scale, 0.0), variance

    @property
    def some(self) -> np.ndarray:
        """(m, n) bool: at least one part is good."""
        return self.good[0] > 0

    @property
    def noise(self) -> np.ndarray:
        """(m, n) variances times squared weights, of what counts."""
        return np.where(self.some, self.good[4], self.known[4])

    def result(self) -> tuple[np.ndarray, ...]:
        """Flux, error, sky, its error, and flags."""
        weight, flux, sky, shared, noise = (
            np.where(self.some, g, k) for g, k in zip(self.good, self.known, strict=True)
        )
        known = weight > 0
        safe = np.where(known, weight, 1.0)
        flags = np.where(self.some, self.flags & ~UNUSABLE, self.flags)
        flags = np.where(known, flags, int(PixelFlag.NOTHING_LEFT)).astype("u2")
        values = (flux, np.sqrt(noise), sky, np.sqrt(shared))
        return (*(np.where(known, v / safe, np.nan) for v in values), flags)


def _safe(throughput: np.ndarray) -> np.ndarray:
    return np.where(throughput > 0, throughput, 1.0)


def _correlation(parts: Sequence[ImagePart], sums: _Sums) -> np.ndarray:
    """Mean of the parts' correlations, each with its part of the variance in the chunk."""
    tables = [part.image.correlation for part in parts]
    lags, width = (max(t.shape[i] for t in tables) for i in (1, 2))
    chunk = sums.grid.chunks
    total = np.zeros((int(chunk[-1]) + 1, lags, width))
    brought = np.zeros(len(total))
    some, noise = sums.some, sums.noise
    for part, table in zip(parts, tables, strict=True):
        at = place(sums.grid, part.image.grid)
        brings = [sums.weighed(part, good=good) for good in (True, False)]
        own = np.where(some[at], *(weight**2 * variance for weight, _, variance in brings))
        share = (own / np.where(noise[at] > 0, noise[at], 1.0)).sum(axis=0)
        first = int(chunk[at[1]][0])
        sizes = np.bincount(part.image.grid.chunks, share, len(table))
        edge = (width - table.shape[2]) // 2
        span = slice(first, first + len(table))
        total[span, : table.shape[1], edge : width - edge] += sizes[:, None, None] * table
        brought[span] += sizes
    empty = np.zeros((lags, width))
    empty[0, width // 2] = 1.0
    some_chunk = (brought > 0)[:, None, None]
    return np.where(some_chunk, total / np.where(brought > 0, brought, 1.0)[:, None, None], empty)
