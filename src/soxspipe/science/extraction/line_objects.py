"""Find objects that only emission lines show: means over an order dilute them, medians lose them."""

from collections.abc import Mapping

import numpy as np
from scipy import ndimage

from soxspipe.maths.robust import mad_sigma
from soxspipe.science.extraction.collapse import Cells, collapse_all
from soxspipe.science.extraction.objects import FWHM, Found, filtered, vertex


def find_lines(
    boxes: Mapping[int, Cells],
    *,
    fwhm: float,
    score: float = 40.0,
    fewest: int = 2,
    least: float = 4.0,
    most: float = 9.0,
) -> list[tuple[Found, dict[int, Cells]]]:
    """Objects that emission lines show, each with the boxes of its lines for the trace.

    boxes : from `line_boxes`. Each stretch of an order speaks for the place on the slit where it is
    brightest, if it is so by more than `least` sigma, with the excess of the square of that, `most`
    counted at most: no single line decides. A place needs a `score` and `fewest` lines.
    """
    slit = next(iter(boxes.values())).slit
    strength = {n: _line_strength(part, fwhm) for n, part in boxes.items()}
    scatter = mad_sigma(np.concatenate([z[np.isfinite(z)] for z in strength.values()] or [[]]))
    if not np.isfinite(scatter):
        return []
    total, number = np.zeros(len(slit)), np.zeros(len(slit))
    speaking = {}
    for n, sigma in strength.items():
        z = np.where(np.isfinite(sigma), sigma, -np.inf) / max(scatter, 1.0)
        best = z.max(axis=1)
        # where the continuum of a bright object is absorbed, the rest of the slit seems to shine
        dark = np.where(np.isfinite(sigma), -sigma, 0.0).max(axis=1)
        peak = best == ndimage.maximum_filter1d(best, 3)
        rows = np.flatnonzero((best > least) & peak & (best > 1.5 * dark))
        place = z[rows].argmax(axis=1)
        speaking[n] = (rows, place)
        np.add.at(total, place, np.minimum(best[rows], most) ** 2 - least**2)
        np.add.at(number, place, 1.0)
    around = np.ones(3)
    total, number = (np.convolve(a, around, mode="same") for a in (total, number))
    found = []
    while (total * (number >= fewest)).max() > score:
        at = int((total * (number >= fewest)).argmax())
        lit = {n: rows[np.abs(place - at) <= 1] for n, (rows, place) in speaking.items()}
        found.append(_line_object(boxes, lit, slit, fwhm, float(total[at])))
        near = np.abs(slit - slit[at]) < 1.5 * fwhm
        total = np.where(near, 0.0, total)
    return found


def _line_strength(part: Cells, fwhm: float) -> np.ndarray:
    """(boxes, cells) brightness over noise, seeing-wide, above the rest of the slit."""
    size = float(part.slit[1] - part.slit[0])
    known = np.isfinite(part.error)
    value = part.value - np.median(part.value, axis=1, keepdims=True)
    smooth, noise = filtered(
        np.where(known, value, 0.0), np.where(known, part.error, 0.0), fwhm / FWHM / size
    )
    return np.where(known & (noise > 0), smooth / np.where(noise > 0, noise, 1.0), np.nan)


def _line_object(
    boxes: Mapping[int, Cells],
    lit: Mapping[int, np.ndarray],
    slit: np.ndarray,
    fwhm: float,
    score: float,
) -> tuple[Found, dict[int, Cells]]:
    """The object of the boxes `lit`, per order their numbers."""
    lines = {
        n: Cells(
            part.value[lit[n]],
            part.error[lit[n]],
            part.wavelength[lit[n]],
            slit,
            part.places[lit[n]],
        )
        for n, part in boxes.items()
        if len(lit[n])
    }
    _, profile, error = collapse_all(lines)
    size = float(slit[1] - slit[0])
    smooth, _ = filtered(
        np.where(np.isfinite(error), profile, 0.0), np.zeros_like(error), fwhm / FWHM / size
    )
    at = int(smooth.argmax())
    position = float(slit[0] + vertex(smooth, at) * size)
    share = sum(map(len, lit.values())) / max(sum(len(b.value) for b in boxes.values()), 1)
    flux = float(smooth[at]) * fwhm * 1.5 * share
    return Found(position, fwhm, float(np.sqrt(score)), flux, lines=True), lines
