"""Light along the slit, collapsed over wavelengths in two ways: for continua and for emission lines."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from soxspipe.datamodel.order_pixels import OrderPixels
from soxspipe.maths.grouped import medians

#: Slit cells of collapsed profiles, arcsec.
CELL = 0.2
#: Pixels further than this from the median of their cell, in sigma, do not count in its mean.
_CLIP = 4.0
#: Fewer pixels tell nothing about a cell.
_FEWEST = 5
#: Boxes in which emission lines are looked for: native bins, and slit cells.
_LINE_BINS, _LINE_CELLS = 5, 2
#: Share of a continuum by which it may vary without being an emission line.
_STRUCTURE = 0.05


@dataclass(frozen=True, eq=False)
class Cells:
    """Profiles along the slit in chunks of an order: `value`, `error` (chunks, cells), electrons per
    pixel; `wavelength` (chunks,) nm; `slit` (cells,) arcsec, their centres; `place` (chunks, cells)
    arcsec, where the pixels of a cell lie on average: rows that run along pixels are in the middle of
    none. None: in the middle.
    """

    value: np.ndarray
    error: np.ndarray
    wavelength: np.ndarray
    slit: np.ndarray
    place: np.ndarray | None = None

    @property
    def places(self) -> np.ndarray:
        """(chunks, cells) arcsec: mean slit position of the pixels of each cell."""
        if self.place is None:
            return np.broadcast_to(self.slit, self.value.shape)
        return self.place


def slit_cells(slit_range: tuple[float, float], size: float = CELL) -> np.ndarray:
    """Centres of the cells between two slit positions, arcsec."""
    number = round((slit_range[1] - slit_range[0]) / size)
    return np.asarray(slit_range[0] + (np.arange(number) + 0.5) * size)


def collapse(
    pixels: OrderPixels,
    residual: np.ndarray,
    variance: np.ndarray,
    good: np.ndarray,
    *,
    slit_range: tuple[float, float],
    chunks: int,
) -> Cells:
    """Light along the slit in chunks of one order: inverse-variance means without outliers.

    Outliers are judged about the median, by the noise or, where light varies along the chunk, by the
    scatter seen there: cosmic rays do not count, and a bright object is not torn apart.

    residual, variance : (n,) sky-subtracted electrons of the listed pixels.
    """
    slit = slit_cells(slit_range)
    n_cells = len(slit)
    cell = np.floor((pixels.slit - slit_range[0]) / CELL).astype("i8")
    chunk = np.minimum(pixels.nearest * chunks // len(pixels.grid), chunks - 1)
    ok = good & (cell >= 0) & (cell < n_cells)
    key, n = (chunk * n_cells + cell)[ok], chunks * n_cells
    value, noise = residual[ok], variance[ok]
    median, _ = medians(key, value, n)
    off = np.abs(value - median[key])
    scatter = 1.4826 * medians(key, off, n)[0]
    kept = off < _CLIP * np.maximum(np.sqrt(noise), scatter[key])
    weight = np.where(kept, 1.0 / noise, 0.0)
    total = np.bincount(key, weight, n)
    enough = np.bincount(key, kept, n) >= _FEWEST
    safe = np.where(enough, total, 1.0)
    place = np.bincount(key, weight * pixels.slit[ok], n) / safe
    middle = (np.arange(chunks) + 0.5) * len(pixels.grid) / chunks
    return Cells(
        value=np.where(enough, np.bincount(key, weight * value, n) / safe, 0.0).reshape(chunks, -1),
        error=np.where(enough, 1.0 / np.sqrt(safe), np.inf).reshape(chunks, -1),
        wavelength=pixels.grid[np.minimum(middle.astype("i8"), len(pixels.grid) - 1)],
        slit=slit,
        place=np.where(enough.reshape(chunks, -1), place.reshape(chunks, -1), slit),
    )


def mean_profile(cells: Cells) -> tuple[np.ndarray, np.ndarray]:
    """Inverse-variance mean of all chunks, and its error (cells,); inf where nothing is known."""
    weight = 1.0 / cells.error**2
    total = weight.sum(axis=0)
    safe = np.where(total > 0, total, 1.0)
    return (
        np.where(total > 0, (weight * cells.value).sum(axis=0) / safe, 0.0),
        np.where(total > 0, 1.0 / np.sqrt(safe), np.inf),
    )


def collapse_all(cells: Mapping[int, Cells]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Slit positions, mean profile and its error (cells,), over all chunks of all orders.

    Chunks are weighted as a source seen in all of them with the same electrons per pixel.
    """
    parts = list(cells.values())
    slit = parts[0].slit
    every = Cells(
        np.concatenate([c.value for c in parts]),
        np.concatenate([c.error for c in parts]),
        np.concatenate([c.wavelength for c in parts]),
        slit,
        np.concatenate([c.places for c in parts]),
    )
    known = np.isfinite(every.error)
    # cells may all be filled off their middle, alike
    aside = float((every.places - slit)[known].mean()) if known.any() else 0.0
    return (slit + aside, *mean_profile(every))


def densest(values: np.ndarray) -> float:
    """Mean of the 40 per cent of the rising `values` that lie closest together: neither objects nor their
    negative images.
    """
    n = max(int(0.4 * len(values)), 3)
    span = values[n - 1 :] - values[: len(values) - n + 1]
    start = int(span.argmin())
    return float(values[start : start + n].mean())


def _levels(cells: Cells) -> np.ndarray:
    """Level that each chunk has between objects (chunks, 1)."""
    levels = np.zeros((len(cells.value), 1))
    for k, (row, error) in enumerate(zip(cells.value, cells.error, strict=True)):
        known = np.isfinite(error)
        if known.sum() >= _FEWEST:
            levels[k] = densest(np.sort(row[known]))
    return levels


def with_twin(cells: Cells, twin: float) -> Cells:
    """Cells of a difference frame in which a negative image stands `twin` arcsec from each positive one:
    the light at s minus that at s + twin, times one half; only one of them where the other is not known.

    The slit is continued by as much as a negative image may lie inside and its positive one outside. A
    level that the whole slit has goes where both are known; elsewhere it is taken off, not trusted.
    """
    size = float(cells.slit[1] - cells.slit[0])
    shift, n = round(twin / size), cells.value.shape[1]
    before, after = max(shift, 0), max(-shift, 0)
    at = np.arange(-before, n + after)
    light, error, place = _taken(cells, at)
    dark, dark_error, other = _taken(cells, at + shift)
    other = other - twin
    both = np.isfinite(error) & np.isfinite(dark_error)
    level = _levels(cells)
    value = np.where(np.isfinite(error), light - level, level - dark)
    one = np.hypot(np.minimum(error, dark_error), level)
    return Cells(
        np.where(both, 0.5 * (light - dark), value),
        np.where(both, 0.5 * np.hypot(error, dark_error), one),
        cells.wavelength,
        cells.slit[0] + at * size,
        np.where(both, 0.5 * (place + other), np.where(np.isfinite(error), place, other)),
    )


def _taken(cells: Cells, at: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Value, error and place of cells number `at`, unknown beyond the ends."""
    inside = (at >= 0) & (at < cells.value.shape[1])
    safe = np.where(inside, at, 0)
    known = inside & np.isfinite(cells.error[:, safe])
    return (
        np.where(known, cells.value[:, safe], 0.0),
        np.where(known, cells.error[:, safe], np.inf),
        np.where(
            known, cells.places[:, safe], cells.slit[0] + at * float(np.diff(cells.slit[:2])[0])
        ),
    )


def line_boxes(
    pixels: OrderPixels,
    residual: np.ndarray,
    variance: np.ndarray,
    good: np.ndarray,
    *,
    slit_range: tuple[float, float],
    doubt: np.ndarray | float = 0.0,
) -> Cells:
    """Medians in boxes as small as an emission line, half overlapping along the order.

    A cosmic ray would have to fill half of a box to be seen. What a box and those some places before and
    behind have in common, the continuum, is taken off.

    doubt : (n,) electrons by which all pixels of a box may be off together.
    """
    size = _LINE_CELLS * CELL
    slit = slit_cells(slit_range, size)
    n_cells = len(slit)
    cell = np.floor((pixels.slit - slit_range[0]) / size).astype("i8")
    ok = good & (cell >= 0) & (cell < n_cells)
    bins, cell, value, noise = pixels.nearest[ok], cell[ok], residual[ok], variance[ok]
    shared = np.broadcast_to(np.asarray(doubt, dtype="f8") ** 2, residual.shape)[ok]
    rows, number = [], len(pixels.grid) // _LINE_BINS
    for offset in (0, _LINE_BINS // 2):
        box = (bins - offset) // _LINE_BINS
        use = (bins >= offset) & (box < number)
        key, n = box[use] * n_cells + cell[use], number * n_cells
        median, count = medians(key, value[use], n, side=-1)
        number_of = np.maximum(count, 1)
        own = 1.5 * np.bincount(key, noise[use], n) / number_of**2
        common = np.bincount(key, shared[use], n) / number_of
        error = np.where(count >= 4, np.sqrt(own + common), np.inf)
        error = error.reshape(number, n_cells)
        known = np.isfinite(error)
        value_here = np.where(known, median.reshape(number, n_cells), 0.0)
        smooth = ndimage.median_filter(value_here, size=(15, 1), mode="nearest")
        # a bright continuum has structure of its own, and more photon noise
        error = np.sqrt(error**2 + (_STRUCTURE * smooth) ** 2)
        centre = np.arange(number) * _LINE_BINS + offset + _LINE_BINS // 2
        rows.append((value_here - np.where(known, smooth, 0.0), error, centre))
    centre = np.concatenate([r[2] for r in rows])
    order = np.argsort(centre, kind="stable")
    return Cells(
        np.concatenate([r[0] for r in rows])[order],
        np.concatenate([r[1] for r in rows])[order],
        pixels.grid[np.minimum(centre[order], len(pixels.grid) - 1)],
        slit,
    )
