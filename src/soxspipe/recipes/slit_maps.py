"""Mapping mode: spectra of every position, a table of these, and a cube where they tile the sky."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy import units as u
from astropy.table import Table

from soxspipe.datamodel.cube import Cube, OnSky
from soxspipe.datamodel.metric import Metric
from soxspipe.instrument.arms import Arm
from soxspipe.qc import plot_maps, plot_rectified, plot_spectra
from soxspipe.recipes import map_places, map_views, slit_metrics, slit_orders, slit_steps
from soxspipe.recipes.map_places import Layout, Rows
from soxspipe.recipes.map_views import Run, Seen
from soxspipe.recipes.places import Shot
from soxspipe.recipes.quality import judged, temperatures
from soxspipe.recipes.recipe import Plot, Product, RawFrame, Result
from soxspipe.recipes.slit_merge import Image
from soxspipe.recipes.slit_pairs import Setting
from soxspipe.science.extraction import cube as cubes
from soxspipe.science.extraction.cube import Layer

log = logging.getLogger(__name__)

_TECH = "ECHELLE,SLIT,MAPPING"

#: What a map makes beside the products of an offset run.
PRODUCTS = (
    Product("POSITIONS", "_POSITIONS.fits", "", _TECH, "mapping: table of the positions"),
    Product("CUBE", "_CUBE.fits", "SCI_SLIT_CUBE", _TECH, "mapping: step, slit and wavelength"),
    Product(
        "EXTRACTED_ORDERS_POSITION",
        "_EXTRACTED_ORDERS_P{n}.fits",
        "",
        _TECH,
        "mapping: spectra of the orders by position",
    ),
    Product(
        "EXTRACTED_MERGED_POSITION",
        "_EXTRACTED_MERGED_P{n}.fits",
        "",
        _TECH,
        "mapping: merged spectrum by position",
    ),
    Product(
        "RECTIFIED_POSITION", "_MERGED2D_P{n}.fits", "", _TECH, "mapping: 2-D spectrum by position"
    ),
    Product(
        "OBJECT_TRACE_POSITION", "_OBJTRACE_P{n}.fits", "", _TECH, "mapping: trace by position"
    ),
)
PLOTS = (Plot("MAP_QUICKLOOK", "_MAP_quicklook.pdf", "mapping: the map and its spectra"),)

_TOLD = ("EXTRACTED_ORDERS_TABLE", "EXTRACTED_MERGED_TABLE", "RECTIFIED_MERGED")


def reduce(
    inputs: slit_steps.DifferenceInputs,
    frames: Sequence[RawFrame],
    shots: Sequence[Shot],
    settings: Any,
    arm: Arm,
    *,
    metrics: Sequence[Metric],
) -> Result:
    """Reduce every position by itself, and put them together where they tile the sky.

    The documented spectra are those of the position with the highest S/N.
    """
    infos = [raw.info for raw in frames]
    width = infos[0].slit_width
    layout = map_places.layout(infos, shots, width=width)
    _tell_layout(frames, layout, inputs, arm)
    flat = inputs.flat if settings.use_flat else None
    setting = Setting(
        how=slit_steps.detrending(inputs, settings, arm),
        flat=flat,
        pixels=slit_orders.order_pixels(inputs.pixel_map, arm, flat_fielded=flat is not None),
        steps=slit_steps.steps(settings, frames, arm),
        keep=settings.save_single_frame_extractions,
    )
    run = Run(frames, shots, setting, inputs.flat.lamp, settings, arm)
    layout, seen, best = map_views.see(run, layout)
    return _result(run, layout, seen, best, _cube(run, layout, seen, width), metrics)


def _tell_layout(
    frames: Sequence[RawFrame], layout: Layout, inputs: slit_steps.DifferenceInputs, arm: Arm
) -> None:
    """Say what the pattern is taken for."""
    log.info("a map of %d positions", len(layout.places))
    for i in layout.lost:
        log.warning("%s does not tell its offset: left out of the map", frames[i].info.file)
    if layout.sky:
        log.info("%d exposures far from the map are taken for sky and subtracted", len(layout.sky))
        if len(layout.sky) < sum(len(p.members) for p in layout.places):
            log.warning("positions share sky exposures: their noise is not independent")
    elif arm.name == "NIR" and inputs.dark is None:
        log.warning("there is no master dark: dark current stays in the sky of each position")
    if layout.source == "pattern":
        log.warning(
            "headers do not tell the position angle of the slit: %.1f degrees, across the longest"
            " extent of the pattern",
            layout.angle,
        )


def _cube(run: Run, layout: Layout, seen: Sequence[Seen], width: float) -> Cube | None:
    """The cube, None if the positions do not tile the sky."""
    rows = map_places.rows(layout.places, width=width)
    if rows is None:
        log.warning(
            "there is no cube: the positions are at one place across the slit, or farther apart than"
            " it is wide (%.1f arcsec)",
            width,
        )
        return None
    _tell_rows(rows)
    of = {p.number: row for p, row in zip(layout.places, rows.index, strict=True)}
    layers = [Layer(s.shifted, of[s.place.number], s.seconds) for s in seen]
    cube = cubes.build(
        layers,
        number=rows.number,
        first=rows.first,
        step=rows.step,
        width=width,
        on_sky=_on_sky(run, layout),
    )
    log.info(
        "cube of %d steps, %d bins along the slit, %d wavelengths: %.0f MB",
        *cube.flux.shape,
        cube.megabytes,
    )
    return cube


def _tell_rows(rows: Rows) -> None:
    if rows.empty:
        text = ", ".join(str(n + 1) for n in rows.empty)
        log.warning("the map has gaps: no position for row %s of the cube", text)
    if rows.worst > 0.25 * rows.step:
        log.warning(
            "positions lie up to %.2f arcsec from the rows of the cube they are put in", rows.worst
        )


def _on_sky(run: Run, layout: Layout) -> OnSky | None:
    """Place of the cube, None if the headers do not tell.

    RA and DEC of a header are those of the pointing: the offset is taken off.
    """
    if layout.source != "header":
        return None
    place = min(layout.places, key=lambda p: np.hypot(p.ra, p.dec))
    info = run.frames[place.members[0]].info
    if not (np.isfinite(info.ra) and np.isfinite(info.dec)):
        return None
    dec = info.dec - place.dec / 3600.0
    ra = info.ra - place.ra / 3600.0 / np.cos(np.radians(dec))
    return OnSky(float(ra % 360.0), float(dec), layout.angle, layout.sense)


def positions_table(run: Run, layout: Layout, seen: Sequence[Seen]) -> Table:
    """One row for each position that was reduced."""
    places = [s.place for s in seen]
    flux, error = map_views.lights(seen)
    files = [", ".join(run.frames[i].info.file for i in p.members) for p in places]
    table = Table(meta={"EXTNAME": "POSITIONS", "ANGLE": layout.angle})
    columns: tuple[tuple[str, Any, str, str], ...] = (
        ("position", [p.number for p in places], "", "n of the files of this position"),
        ("ra_offset", [p.ra for p in places], "arcsec", "on the sky"),
        ("dec_offset", [p.dec for p in places], "arcsec", "on the sky"),
        ("along", [p.along for p in places], "arcsec", "offset along the slit"),
        ("across", [p.across for p in places], "arcsec", "offset across the slit"),
        ("moved", [p.moved for p in places], "arcsec", "shift of a target along the slit"),
        ("files", files, "", "raw frames"),
        ("exposures", [len(p.members) for p in places], "", "number of raw frames"),
        ("exptime", [s.seconds for s in seen], "s", "mean of the exposures"),
        ("found", [s.found for s in seen], "", "F: nothing stands out, upper limits only"),
        ("slit_position", [s.position for s in seen], "arcsec", "where was extracted"),
        ("fwhm", [s.fwhm for s in seen], "arcsec", "of the object along the slit"),
        ("snr", [s.snr for s in seen], "", "median S/N of native bins"),
        ("flux", flux, "electron", "sum of the bins that are good everywhere"),
        ("flux_error", error, "electron", "its error"),
    )
    for name, values, unit, meaning in columns:
        table[name] = values
        if unit:
            table[name].unit = u.Unit(unit)
        table[name].description = meaning
    return table


def _cards(layout: Layout, chosen: Seen) -> dict[str, Any]:
    """Cards of all products of a map."""
    return {
        "ESO PRO MAP NPOS": (len(layout.places), "positions of the map"),
        "ESO PRO MAP BEST": (chosen.place.number, "position of the main spectra: best S/N"),
        "ESO PRO MAP POSANG": (round(layout.angle, 3), "[deg] position angle of the slit"),
        "ESO PRO MAP ANGSRC": (layout.source, "where the angle is from"),
        "ESO PRO MAP SKY": ("exposure" if layout.sky else "slit", "what tells the sky"),
    }


def _result(
    run: Run,
    layout: Layout,
    seen: Sequence[Seen],
    best: Image,
    cube: Cube | None,
    metrics: Sequence[Metric],
) -> Result:
    arm, settings = run.arm, run.settings
    chosen = next(s for s in seen if f"P{s.place.number}" == best.view.label)
    log.info("the main spectra are those of position %d, whose S/N is best", chosen.place.number)
    slit_steps.tell(best.view)
    measured = slit_metrics.values([best], chosen.native, arm)
    measured |= temperatures([raw.info for raw in run.frames])
    table = positions_table(run, layout, seen)
    by_number = {str(s.place.number): s for s in seen}
    products: dict[str, Any] = {
        "EXTRACTED_ORDERS_TABLE": chosen.native,
        "EXTRACTED_MERGED_TABLE": chosen.merged,
        "EXTRACTED_MERGED_ASCII": chosen.merged,
        "RECTIFIED_MERGED": chosen.image,
        "POSITIONS": table,
        "EXTRACTED_ORDERS_POSITION": {n: s.native for n, s in by_number.items()},
        "EXTRACTED_MERGED_POSITION": {n: s.merged for n, s in by_number.items()},
        "RECTIFIED_POSITION": {n: s.image for n, s in by_number.items()},
        "OBJECT_TRACE_POSITION": {n: s.trace for n, s in by_number.items()},
    }
    if cube is not None:
        products["CUBE"] = cube
    frames = {f"P{n}": s.frame for n, s in by_number.items() if s.frame is not None}
    if frames:
        products["SKY_SUBTRACTED_OBJECT"] = frames
    cards = _cards(layout, chosen)
    own = cards | slit_steps.cards(best.view, best.source)
    return Result(
        products=products,
        measurements=(
            *judged(metrics, measured, settings, arm),
            *slit_metrics.snr_per_order(chosen.native, arm),
        ),
        headers={label: own if label in _TOLD else cards for label in products},
        figures=_figures(run, seen, chosen, best, table, cube),
        names={"degrees": slit_steps.trace_degrees(settings)},
    )


def _figures(
    run: Run, seen: Sequence[Seen], chosen: Seen, best: Image, table: Table, cube: Cube | None
) -> dict[str, Any]:
    arm = run.arm
    title = f"{run.frames[0].info.object or 'target'}, {run.frames[0].info.file}"
    name = f"P{chosen.place.number}"
    how = slit_steps.extraction(run.settings)
    spectra = {s.place.number: s.merged for s in seen}
    images = {s.place.number: s.image for s in seen}
    return {
        "MAP_QUICKLOOK": lambda: plot_maps.overview(table, spectra, images, cube, arm, title),
        "OBJECT_TRACE_RES": {name: slit_steps.trace_figure(best, how, arm, f"{title}, {name}")},
        "EXTRACTED_ORDERS_QC_PLOT": {name: lambda: plot_spectra.orders(chosen.native, arm, title)},
        "EXTRACTED_MERGED_QC_PLOT": lambda: plot_spectra.merged(
            chosen.merged, arm, title, chosen.native
        ),
        "MERGED2D_QUICKLOOK": lambda: plot_rectified.merged(chosen.image, arm, title),
    }
