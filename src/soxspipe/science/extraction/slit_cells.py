"""Profiles along the slit of a rectified image, in the cells in which objects are looked for."""

import warnings

import numpy as np

from soxspipe.datamodel.frame import UNUSABLE
from soxspipe.datamodel.rectified import RectifiedImage
from soxspipe.errors import DataError
from soxspipe.science.extraction.objects import CELL, Cells

#: Bins of a chunk, and part of the bins of a row, that must be known for them to count.
_LEAST, _FILLED = 5, 0.5


def slit_cells(image: RectifiedImage, *, chunks: int) -> Cells:
    """Median light along the slit in `chunks` stretches of wavelength; medians do not see cosmic rays.

    Rows of the image stand still, so their light is interpolated to the cells: sorted into them, as
    pixels of oblique orders are, it would be displaced by up to half a cell.

    Raises
    ------
    DataError : the image holds no good bin.
    """
    good = np.isfinite(image.flux) & ((image.flags & UNUSABLE) == 0) & (image.error > 0)
    filled = good.mean(axis=1)
    if not good.any():
        raise DataError(
            "the image holds no good bin", hint="look at the flags of the frame it was made of"
        )
    rows = np.flatnonzero(filled > _FILLED * filled.max())
    data = np.where(good, image.flux, np.nan)[rows[0] : rows[-1] + 1]
    noise = np.where(good, image.variance, np.nan)[rows[0] : rows[-1] + 1]
    slit = image.slit[rows[0] : rows[-1] + 1]
    column = np.flatnonzero(good.any(axis=0))
    parts = np.array_split(np.arange(column[0], column[-1] + 1), chunks)
    place = np.arange(np.ceil(slit[0] / CELL), np.floor(slit[-1] / CELL) + 1) * CELL
    value, error = np.zeros((2, chunks, len(place)))
    # cells narrower than bins do not know more than these
    widen = max(image.grid.slit_step / CELL, 1.0) * image.noise_factor**2
    for k, part in enumerate(parts):
        count = np.isfinite(data[:, part]).sum(axis=1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # rows without any known bin
            median = (
                np.nanmedian(data[:, part], axis=1) if part.size else np.full(len(slit), np.nan)
            )
            spread = np.nanmean(noise[:, part], axis=1) if part.size else np.full(len(slit), np.nan)
        known = (count >= _LEAST) & np.isfinite(median)
        variance = np.where(known, 1.57 * spread * widen / np.maximum(count, 1), np.inf)
        if known.sum() < 2:
            error[k] = np.inf
            continue
        value[k] = np.interp(place, slit[known], median[known])
        nearest = np.clip(np.rint((place - slit[0]) / image.grid.slit_step), 0, len(slit) - 1)
        error[k] = np.sqrt(variance[nearest.astype("i8")])
    middle = [image.wavelength[p].mean() if p.size else image.wavelength[-1] for p in parts]
    return Cells(value=value, error=error, wavelength=np.array(middle), slit=place)
