"""The truth behind a simulated night, written beside the raw frames. Formats: docs/simulator.md.

All pixel coordinates are 0-based on the trimmed, binned science window.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from astropy.io import fits

from soxspipe.simulator import scene
from soxspipe.simulator.detector import READOUT
from soxspipe.simulator.exposure import Light, Night
from soxspipe.simulator.ideal import binning_factors, to_binned
from soxspipe.simulator.plan import Exposure
from soxspipe.simulator.render import OrderPath

_WAVELENGTHS = 80
_SLITS = np.arange(-6.0, 6.5, 1.0)
#: Groups of exposures whose light without noise is kept.
FLATS = ("flat", "flat_standard", "flat_deuterium", "flat_dome")
_LINE_ELECTRONS = 400.0  # a pinhole image with fewer is not counted as a line

Columns = dict[str, np.ndarray]


def table(columns: Columns, units: dict[str, str], name: str) -> fits.BinTableHDU:
    """A table of columns, with their units."""
    codes = {"f8": "D", "f4": "E", "i4": "J", "i2": "I", "b1": "L"}
    made = [
        fits.Column(key, codes[values.dtype.str[1:]], unit=units.get(key), array=values)
        for key, values in columns.items()
    ]
    return fits.BinTableHDU.from_columns(made, name=name)


def stacked(parts: list[Columns]) -> Columns:
    """The rows of several tables, one below the other."""
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def line_span(night: Night, order: int) -> tuple[float, float]:
    """Wavelengths (nm) of the first and last usable arc line seen in an order: neither too faint nor
    saturated.
    """
    lines = night.arc_lines
    wavelength, electrons = scene.arc_electrons(night.arm, order, 60.0, lines)
    low, high = night.optics.charted_range(order)
    top = electrons / (2.0 * np.pi * scene.optics_blur(night.arm, order) ** 2)
    usable = (electrons > _LINE_ELECTRONS) & (top < READOUT[night.arm.name].most_electrons)
    bright = lines.listed & usable & (wavelength >= low) & (wavelength <= high)
    along, _ = night.optics.along_and_across(order, wavelength[bright], 0.0)
    seen = wavelength[bright][(along > 0) & (along < night.optics.pixels_along - 1)]
    return (float(seen.min()), float(seen.max())) if seen.size else (np.nan, np.nan)


def _geometry_of(night: Night, order: int) -> Columns:
    wave = np.linspace(*night.optics.light_range(order), _WAVELENGTHS)
    wavelength, slit = (a.ravel() for a in np.meshgrid(wave, _SLITS, indexing="ij"))
    x, y = night.optics.position(order, wavelength, slit)
    bx, by = night.arm.binning
    x, y = to_binned(x, bx), to_binned(y, by)
    ny, nx = night.arm.shape
    on = (x > -0.5) & (x < nx - 0.5) & (y > -0.5) & (y < ny - 0.5)
    first, last = line_span(night, order)
    return {
        "order": np.full(int(on.sum()), order, dtype="i4"),
        "wavelength": wavelength[on],
        "slit": slit[on],
        "x": x[on],
        "y": y[on],
        "in_lines": (wavelength[on] >= first) & (wavelength[on] <= last),
    }


def _edges_of(night: Night, order: int, path: OrderPath) -> Columns:
    half = 0.5 * night.arm.slit_length
    factor_along, factor_across = binning_factors(night)
    n = path.n_columns // factor_along
    unbinned = (np.arange(n) + 0.5) * factor_along - 0.5
    _, across = path.at_slit(np.array([0.0, -half, half]))
    columns = np.arange(path.n_columns)
    centre, one, other = (
        to_binned(np.interp(unbinned, columns, line), factor_across) for line in across
    )
    lit = (unbinned >= path.along[0]) & (unbinned <= path.along[-1])
    return {
        "order": np.full(int(lit.sum()), order, dtype="i4"),
        "pixel": np.flatnonzero(lit).astype("i4"),
        "centre": centre[lit],
        "lower": np.minimum(one, other)[lit],
        "upper": np.maximum(one, other)[lit],
    }


def write_light(folder: Path, series: Sequence[Exposure], light: Light) -> None:
    """`<first raw stem>_light.fits`: electrons expected in each exposure of a series, without noise
    and with a pixel response of 1.
    """
    first = series[0]
    maps = {"DIRECT": (light.total - light.scattered, -0.1), "SCATTERED": (light.scattered, -0.01)}
    images = [fits.PrimaryHDU()]
    images[0].header["EXPTIME"] = (first.seconds, "[s]")
    for number, exposure in enumerate(series, start=1):
        images[0].header[f"FRAME{number}"] = f"{exposure.stem}.fits"
    for key, (values, step) in maps.items():
        images.append(fits.CompImageHDU(values.astype("f4"), name=key, quantize_level=step))
        images[-1].header["BUNIT"] = "electron"
    fits.HDUList(images).writeto(folder / f"{first.stem}_light.fits", overwrite=True)


def write_night(folder: Path, night: Night) -> None:
    """Geometry, edges, detector and parameters of one arm's night."""
    name = night.arm.name
    units = {"wavelength": "nm", "slit": "arcsec", "x": "pixel", "y": "pixel"}
    geometry = stacked([_geometry_of(night, order) for order in night.arm.orders])
    table(geometry, units, "GEOMETRY").writeto(folder / f"{name}_geometry.fits", overwrite=True)
    edges = stacked([_edges_of(night, order, path) for order, path in night.paths.items()])
    table(edges, {}, "EDGES").writeto(folder / f"{name}_edges.fits", overwrite=True)
    detector = night.detector
    maps = {  # compressed in steps far below the noise
        "BIAS": (detector.bias, -0.01, "electron"),
        "DARK": (detector.dark, -0.0002, "electron/s"),
        "RESPONSE": (detector.response, -0.0001, ""),
        "FLAGS": (detector.flags.astype("i2"), 0.0, ""),
    }
    images = []
    for key, (values, step, unit) in maps.items():
        image = fits.CompImageHDU(values, name=key, quantize_level=step)
        image.header["BUNIT"] = unit
        images.append(image)
    whole = fits.HDUList([fits.PrimaryHDU(), *images])
    whole.writeto(folder / f"{name}_detector.fits", overwrite=True)
    text = json.dumps(_parameters(night), indent=1)
    (folder / f"{name}_truth.json").write_text(text, encoding="utf-8")


def _parameters(night: Night) -> dict[str, object]:
    gone, electronics = night.optics.departure, READOUT[night.arm.name]
    return {
        "arm": night.arm.name,
        "seed": night.seed,
        "binning": list(night.arm.binning),
        "shift_px": list(gone.shift),
        "rotation_deg": float(np.rad2deg(gone.rotation)),
        "scale": gone.scale,
        "order_shift_px": {str(m): list(s) for m, s in gone.order_shift.items()},
        "bend_px": gone.bend.tolist(),
        "slit_px": {str(m): list(s) for m, s in gone.slit.items()},
        "conditions": night.conditions.told(),
        "observation": night.observation.told(),
        "brightness": night.brightness,
        "dark_lines_nm": _dark_lines(night),
        "line_span_nm": {str(m): line_span(night, m) for m in night.arm.orders},
        "optics_sigma_px": {str(m): scene.optics_blur(night.arm, m) for m in night.arm.orders},
        "seeing_arcsec": night.seeing,
        "water_mm": night.water,
        "star_positions_arcsec": dict(
            zip(("standard", "science"), night.star_positions, strict=True)
        ),
        "target": night.science[0],
        "gain_e_per_adu": electronics.gain,
        "pedestal_e": electronics.pedestal * electronics.gain,
        "read_noise_e": electronics.read_noise,
        "full_well_e": electronics.full_well,
    }


def _dark_lines(night: Night) -> list[float]:
    """Usable arc lines that do not shine tonight, nm."""
    lines = night.arc_lines
    return [float(w) for w in lines.wavelength[lines.listed & (lines.strength == 0.0)]]
