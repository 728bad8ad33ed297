"""A map at a glance: the area in white light, the pattern of the slit, the spectra of the positions."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from astropy.table import Table

from soxspipe.datamodel.cube import Cube
from soxspipe.datamodel.rectified import RectifiedSpectrum
from soxspipe.datamodel.spectrum import Spectrum
from soxspipe.instrument.arms import Arm
from soxspipe.qc import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Most spectra that are drawn one by one, points of each.
_SPECTRA, _POINTS = 12, 500
#: Half length of the slit, arcsec, where no image tells.
_HALF = 6.0


@style.drawn
def overview(
    table: Table,
    spectra: Mapping[int, Spectrum],
    images: Mapping[int, RectifiedSpectrum],
    cube: Cube | None,
    arm: Arm,
    title: str,
) -> "Figure":
    """White light, by step or by position; the slits on the sky; the light of each position; spectra.

    table : of the positions. spectra, images : by number of the position.
    """
    height = max(2.4, 0.55 * min(len(spectra), _SPECTRA))
    rows: list[style.Row] = [(3.4, (1.3, 1.0, 1.0)), (height, (1.0,))]
    figure, panels = style.page(style.heading(arm, f"map, {title}"), rows, gap=0.75)
    if cube is None:
        _profiles(panels[0][0], images)
    else:
        _white(panels[0][0], cube, table)
    _pattern(panels[0][1], table, cube)
    _light(panels[0][2], table)
    _spectra(panels[1][0], spectra)
    return figure


def _white(panel: "Axes", cube: Cube, table: Table) -> None:
    """Mean light of each slit bin and step, with contours and the positions."""
    white, grid = cube.white, cube.grid
    low, high = style.robust_limits(white, 2.0, 100.0)
    step, slit = cube.step, grid.slit_step
    extent = (
        grid.slit[0] - 0.5 * slit,
        grid.slit[-1] + 0.5 * slit,
        cube.first - 0.5 * step,
        cube.offsets[-1] + 0.5 * step,
    )
    import matplotlib as mpl

    shades = mpl.colormaps["viridis"].with_extremes(bad="#B0C4DE")
    drawn = panel.imshow(white, extent=extent, vmin=low, vmax=high, cmap=shades)
    known = np.nan_to_num(white, nan=low)
    if min(white.shape) > 1 and high > low:
        levels = low + (high - low) * np.array([0.1, 0.2, 0.4, 0.8])
        panel.contour(grid.slit, cube.offsets, known, levels, colors="white", linewidths=0.6)
    for row in table:
        at = (row["slit_position"] - row["moved"], row["across"])
        panel.plot(*at, marker="+" if row["found"] else "x", color=style.RED, markersize=5)
        panel.annotate(f"P{row['position']}", (extent[0], row["across"]), color="white", size=7,
                       xytext=(3, 0), textcoords="offset points", va="center")  # fmt: skip
    bar = panel.figure.colorbar(drawn, cax=panel.inset_axes((1.01, 0.0, 0.02, 1.0)))
    bar.ax.tick_params(labelsize=7)
    panel.set(xlabel="along the slit [arcsec]", ylabel="across the slit [arcsec]")
    panel.set_title("white light, mean e- per bin; + object, x not found")


def _profiles(panel: "Axes", images: Mapping[int, RectifiedSpectrum]) -> None:
    """Mean light along the slit of each position, where there is no cube."""
    for number, colour in style.order_colours(images).items():
        image = images[number]
        count = np.isfinite(image.flux).sum(axis=1)
        mean = np.nansum(image.flux, axis=1, dtype="f8") / np.maximum(count, 1)
        panel.plot(image.slit, np.where(count > 0, mean, np.nan), color=colour, label=f"P{number}")
    panel.set(xlabel="slit position [arcsec]", ylabel="[e- / bin]")
    panel.set_title("mean light along the slit")
    if len(images) <= _SPECTRA:
        panel.legend(ncols=2)


def _pattern(panel: "Axes", table: Table, cube: Cube | None) -> None:
    """Where the middle of the slit was on the sky; the slit itself as a line."""
    angle = np.radians(float(table.meta.get("ANGLE", 0.0)))
    ra, dec = np.asarray(table["ra_offset"]), np.asarray(table["dec_offset"])
    half = _HALF * np.array([np.sin(angle), np.cos(angle)])
    for row, x, y in zip(table, ra, dec, strict=True):
        panel.plot((x - half[0], x + half[0]), (y - half[1], y + half[1]), color=style.SKY)
        panel.plot(x, y, marker="o", color=style.BLUE if row["found"] else style.GREY, ms=3)
        panel.annotate(str(row["position"]), (x, y), size=7, xytext=(3, 2),
                       textcoords="offset points")  # fmt: skip
    panel.set_aspect("equal", adjustable="datalim")
    panel.invert_xaxis()
    panel.set(xlabel="offset in RA [arcsec]", ylabel="offset in DEC [arcsec]")
    panel.set_title(f"slits on the sky, angle {np.degrees(angle):.1f} deg")
    if cube is None:
        style.note(panel, "no cube: the positions do not tile the sky")


def _light(panel: "Axes", table: Table) -> None:
    """Electrons of the extracted spectra by position."""
    number, flux = np.asarray(table["position"]), np.asarray(table["flux"])
    found = np.asarray(table["found"], dtype=bool)
    known = np.abs(flux[np.isfinite(flux)])
    power = int(np.log10(max(float(known.max(initial=1.0)), 1.0)) // 3) * 3
    flux, error = flux / 10.0**power, np.asarray(table["flux_error"]) / 10.0**power
    panel.errorbar(number, flux, error, color=style.GREY, lw=0.6)
    panel.plot(number[found], flux[found], "o", color=style.BLUE, ms=4, label="found")
    panel.plot(number[~found], flux[~found], "x", color=style.RED, ms=4, label="not found")
    panel.axhline(0.0, color=style.DARK, lw=0.4)
    panel.set(xlabel="position", ylabel=f"electrons in the arm, 1e{power}")
    panel.set_title("light of the extracted spectra")
    panel.locator_params("x", integer=True)
    panel.legend(loc="best")


def _spectra(panel: "Axes", spectra: Mapping[int, Spectrum]) -> None:
    """Spectra one above the other, each mean over many bins, on one scale."""
    some = dict(sorted(spectra.items())[:_SPECTRA])
    binned = {n: _binned(s) for n, s in some.items()}
    every = np.concatenate([flux for _, flux in binned.values()])
    low, high = style.robust_limits(every, 1.0, 98.0)
    room = max(high - min(low, 0.0), 1e-9)
    for place, (number, (wavelength, flux)) in enumerate(binned.items()):
        panel.axhline(place * room, color=style.GREY, lw=0.3)
        shown = np.clip(flux, -0.3 * room, 1.2 * room) + place * room
        panel.plot(wavelength, shown, color=style.BLUE if place % 2 == 0 else style.ORANGE, lw=0.6)
        panel.annotate(f"P{number}", (1.002, place * room), xycoords=("axes fraction", "data"),
                       size=7, va="bottom")  # fmt: skip
    panel.set(xlabel="wavelength [nm]", ylabel="electrons per bin, shifted")
    panel.set_ylim(-0.4 * room, (len(binned) + 0.3) * room)
    left_out = len(spectra) - len(some)
    panel.set_title(
        f"spectra of the positions, each {room:.3g} e- above the one before"
        + (f"; {left_out} more are not shown" if left_out else "")
    )


def _binned(spectrum: Spectrum) -> tuple[np.ndarray, np.ndarray]:
    """Wavelength and mean flux of runs of bins; NaN where a run has none."""
    size = max(1, len(spectrum.flux) // _POINTS)
    n = len(spectrum.flux) // size
    flux = np.asarray(spectrum.flux[: n * size]).reshape(n, size)
    good = np.isfinite(flux) & (np.asarray(spectrum.flags[: n * size]).reshape(n, size) == 0)
    count = good.sum(axis=1)
    mean = np.where(good, flux, 0.0).sum(axis=1) / np.maximum(count, 1)
    wavelength = np.asarray(spectrum.wavelength[: n * size]).reshape(n, size).mean(axis=1)
    return wavelength, np.where(count > 0, mean, np.nan)
