"""Arc lines, the single-pinhole solution, and the map of wavelength and slit position."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from astropy.io import fits

from soxspipe.cli.accuracy.figure import Figure, figure, rms
from soxspipe.cli.accuracy.truth import Truth, table
from soxspipe.datamodel.geometry import DispersionSolution, PixelMap
from soxspipe.instrument.arms import Arm
from soxspipe.io.products import read_product

_STEPS = (("soxs-disp-solution", "arc, one pinhole"), ("soxs-spat-solution", "arc, all pinholes"))


def wavelength_figures(root: Path, truth: Truth) -> Iterator[Figure]:
    """Figures of the dispersion and spatial solutions of one arm."""
    arm = truth.arm
    for path in sorted(root.glob(f"reduced/*/soxs-disp-solution/*_{arm.name}_*.fits")):
        errors = solution_errors(read_product(path), truth.geometry, arm)
        yield figure(arm.name, "", "one pinhole, along dispersion, rms [px]", rms(errors))
    for path in sorted(root.glob(f"reduced/*/soxs-spat-solution/*_{arm.name}_*_IMAGE.fits")):
        solution = read_product(path.with_name(path.name.replace("_IMAGE.fits", ".fits")))
        pixel_map = read_product(path)
        along, across = map_errors(pixel_map, truth.geometry, solution, arm)
        ends, _ = map_errors(pixel_map, truth.geometry, solution, arm, beyond=True)
        yield figure(arm.name, "", "map along dispersion, rms [px]", rms(along))
        yield figure(arm.name, "", "map beyond the last line, rms [px]", rms(ends))
        yield figure(arm.name, "", "map along slit, rms [px]", rms(across))
    for folder, label in _STEPS:
        for path in sorted(root.glob(f"qc/*/{folder}/*_{arm.name}_*_FITTED_LINES.fits")):
            along, across = line_pulls(table(path), truth)
            yield figure(arm.name, label, "true error over claimed, along dispersion", rms(along))
            yield figure(arm.name, label, "true error over claimed, along slit", rms(across))


def solution_errors(solution: DispersionSolution, truth: fits.FITS_rec, arm: Arm) -> np.ndarray:
    """Errors along dispersion (n,), pixels, of predicted positions in the middle of the slit, inside
    the line span.
    """
    errors = []
    for number in np.unique(truth["order"]):
        part = truth[(truth["order"] == number) & truth["in_lines"] & (truth["slit"] == 0.0)]
        x, y = solution.predict(int(number), part["wavelength"], part["slit"])
        errors.append(arm.dispersion_and_slit(x - part["x"], y - part["y"])[0])
    return np.concatenate(errors)


def map_errors(
    pixel_map: PixelMap,
    truth: fits.FITS_rec,
    solution: DispersionSolution,
    arm: Arm,
    *,
    beyond: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Errors of the map along dispersion and along the slit (n,), pixels, within nine tenths of the
    slit: inside the line span, or `beyond` it within the order's documented wavelengths.

    The map is interpolated between pixel centres at the true positions of known light; the difference
    in wavelength and slit position is turned into pixels by the solution's own scale.
    """
    wanted = (truth["in_lines"] != beyond) & (np.abs(truth["slit"]) <= 0.45 * arm.slit_length)
    dispersion, slit = [np.zeros(0)], [np.zeros(0)]
    for number in np.unique(truth["order"]):
        low, high = arm.orders[int(number)].full if beyond else (-np.inf, np.inf)
        part = truth[wanted & (truth["order"] == number)]
        part = part[(part["wavelength"] >= low) & (part["wavelength"] <= high)]
        found = _interpolated(pixel_map, part["x"], part["y"], int(number))
        ok = np.isfinite(found[0])
        at = [
            solution.predict(int(number), w[ok], s[ok])
            for w, s in (found, (part["wavelength"], part["slit"]))
        ]
        dx, dy = at[0][0] - at[1][0], at[0][1] - at[1][1]
        along, across = arm.dispersion_and_slit(dx, dy)
        dispersion.append(along)
        slit.append(across)
    return np.concatenate(dispersion), np.concatenate(slit)


def _interpolated(
    pixel_map: PixelMap, x: np.ndarray, y: np.ndarray, order: int
) -> tuple[np.ndarray, np.ndarray]:
    """Wavelength and slit position of the map at (x, y); NaN where a neighbour is of no order."""
    ny, nx = pixel_map.order.shape
    i, j = np.floor(x).astype(int), np.floor(y).astype(int)
    ok = (i >= 0) & (j >= 0) & (i < nx - 1) & (j < ny - 1)
    i, j = np.clip(i, 0, nx - 2), np.clip(j, 0, ny - 2)
    u, v = x - i, y - j
    wavelength, slit = np.zeros(len(x)), np.zeros(len(x))
    for di, dj, weight in (
        (0, 0, (1 - u) * (1 - v)),
        (1, 0, u * (1 - v)),
        (0, 1, (1 - u) * v),
        (1, 1, u * v),
    ):
        at = j + dj, i + di
        ok &= pixel_map.order[at] == order
        wavelength += weight * pixel_map.wavelength[at]
        slit += weight * pixel_map.slit[at]
    return np.where(ok, wavelength, np.nan), np.where(ok, slit, np.nan)


def line_pulls(lines: fits.FITS_rec, truth: Truth) -> tuple[np.ndarray, np.ndarray]:
    """Measured minus true position over the claimed error, along dispersion and along the slit (n,), of
    the lines that the solution used.

    The true position is that of the listed wavelength, so light of a neighbour in the same spot counts
    as an error: the claimed errors have to cover it.
    """
    used = lines[~lines["sigma_clipped"].astype(bool)]
    x, y = np.zeros(len(used)), np.zeros(len(used))
    for number in np.unique(used["order"]):
        at = used["order"] == number
        x[at], y[at] = truth.positions(
            int(number), used["wavelength"][at], used["slit_position"][at]
        )
    pulls = (
        (used["observed_x"] - x) / used["observed_x_error"],
        (used["observed_y"] - y) / used["observed_y_error"],
    )
    return truth.arm.dispersion_and_slit(*pulls)
