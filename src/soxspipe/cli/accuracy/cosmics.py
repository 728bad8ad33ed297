"""Cosmic rays flagged in single exposures against those that hit."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from soxspipe.cli.accuracy.figure import Figure, figure, share
from soxspipe.cli.accuracy.scene import Scene
from soxspipe.cli.accuracy.sky import single_exposures
from soxspipe.cli.accuracy.truth import Truth, table
from soxspipe.datamodel.frame import PixelFlag
from soxspipe.io.products import read_product
from soxspipe.maths.robust import running_median

#: Hits brighter than this many sigma should be found.
BRIGHT = 10.0
#: An emission line is that much brighter than the spectrum around it (bins of the running median).
_LINE, _AROUND = 1.5, 101
#: Pixels on either side of a line and of the trace that hold the line's light.
_ALONG, _ACROSS = 2, 6


def cosmic_figures(root: Path, truth: Truth) -> Iterator[Figure]:
    """Figures of the cosmic rays of one arm."""
    for path, label, light, raw in single_exposures(root, truth, "_SKYSUB.fits"):
        flags = read_product(path).flags
        lines = emission_lines(truth, raw, light.light.shape)
        for quantity, value in compare_cosmics(flags, light, lines).items():
            yield figure(truth.arm.name, label, quantity, value)


def compare_cosmics(
    flags: np.ndarray, light: Scene, lines: np.ndarray | None = None
) -> dict[str, float]:
    """Recall of bright hits, good pixels lost, and light of emission lines lost with them.

    flags : (ny, nx) of the product; any flag counts as found, only that of cosmic rays as a loss.
    lines : (ny, nx) True in the object's emission lines.
    """
    inside = (light.orders > 0) & light.healthy
    found = flags != 0
    marked = (flags & int(PixelFlag.COSMIC_RAY)) != 0
    bright = inside & (light.hits > BRIGHT * light.noise)
    clean = inside & (light.hits == 0)
    values = {
        "cosmic rays above 10 sigma, recall": share(found, bright),
        "good pixels lost to cosmic rays": share(marked, clean),
    }
    if lines is not None and (lines & clean).any():
        weight = light.light * (lines & clean)
        values["emission-line flux lost to cosmic rays"] = float(
            (weight * marked).sum() / weight.sum()
        )
    return values


def emission_lines(truth: Truth, raw: str, shape: tuple[int, ...]) -> np.ndarray | None:
    """(ny, nx) True around the emission lines of the target, None if it has none."""
    path = truth.folder / f"{raw.removesuffix('.fits')}_spectrum.fits"
    if not path.is_file():
        return None
    rows = table(path)
    mask = np.zeros(shape, dtype=bool)
    for order in truth.arm.orders:
        part = rows[rows["order"] == order]
        part = part[np.argsort(part["wavelength"])]
        if len(part) > _AROUND:
            flux = np.asarray(part["flux"], dtype="f8")
            bright = (flux > _LINE * running_median(flux, _AROUND)) & (part["ideal_snr"] > 3.0)
            _mark(mask, part[bright], truth)
    return mask if mask.any() else None


def _mark(mask: np.ndarray, rows: np.ndarray, truth: Truth) -> None:
    reach = (_ALONG, _ACROSS) if truth.arm.dispersion_axis == "x" else (_ACROSS, _ALONG)
    x, y = np.rint(rows["x"]).astype(int), np.rint(rows["y"]).astype(int)
    for dx in range(-reach[0], reach[0] + 1):
        for dy in range(-reach[1], reach[1] + 1):
            ny, nx = mask.shape
            on = (x + dx >= 0) & (x + dx < nx) & (y + dy >= 0) & (y + dy < ny)
            mask[y[on] + dy, x[on] + dx] = True
