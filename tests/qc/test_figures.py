"""Every figure draws without a warning, says what it shows, stays small, and stands missing data."""

import io
import subprocess
import sys
from dataclasses import fields, replace

import matplotlib as mpl
import numpy as np
import pytest

from soxspipe.datamodel.flat import MasterFlat
from soxspipe.datamodel.frame import Frame
from soxspipe.datamodel.geometry import OrderTable, PixelMap
from soxspipe.datamodel.spectrum import OrderSpectra
from soxspipe.instrument.arms import get_arm
from soxspipe.qc import (
    plot_arc_widths,
    plot_arcs,
    plot_detector,
    plot_flat,
    plot_geometry,
    plot_sky_order,
    plot_spectra,
)
from tests.qc import made_up as made
from tests.science.extraction.one_order import lines, order_pixels

HOLES = (-5.5, -2.75, 0.0, 2.75, 5.5)


def sky_order(arm, level):
    """The sky fit of the arm's first order, made up; `level` electrons."""
    pixels = replace(order_pixels(200), order=next(iter(arm.orders)))
    model = level + lines(pixels.bin, [60.0, 120.0], [400.0, 2000.0])
    noise = np.random.default_rng(1).normal(0, 5, len(model))
    return plot_sky_order.sky_order(
        pixels, model + noise, model, np.full(len(model), 25.0), pixels.slit > 0, arm, "a star"
    )


FIGURES = {
    "master": lambda arm: plot_detector.master(made.frame(arm, 200.0), arm, "Master bias"),
    "solution": lambda arm: plot_arcs.solution(made.frame(arm), made.solved(arm), arm),
    "spatial solution": lambda arm: plot_arcs.solution(
        made.frame(arm), made.solved(arm, HOLES), arm, made.pixel_map(arm)
    ),
    "centres": lambda arm: plot_geometry.centres(
        made.frame(arm, 50.0),
        made.table(arm),
        made.trace_samples(arm),
        made.slice_wavelengths(arm),
        arm,
    ),
    "edges": lambda arm: plot_geometry.edges(
        made.frame(arm, 50.0), made.table(arm), made.edge_samples(arm), arm
    ),
    "background": lambda arm: plot_flat.background(
        made.frame(arm, 50.0),
        np.full(arm.shape, 48.0),
        np.ones(arm.shape, dtype=bool),
        made.table(arm),
        arm,
    ),
    "flat": lambda arm: plot_flat.flat(made.flat(arm), made.table(arm), arm),
    "orders": lambda arm: plot_spectra.orders(made.spectra(arm), arm, "a star"),
    "merged": lambda arm: plot_spectra.merged(made.spectrum(arm), arm, "a star", made.spectra(arm)),
    "sky": lambda arm: plot_spectra.sky_quicklook(
        made.frame(arm, 50.0), np.full(arm.shape, 50.0), made.pixel_map(arm), arm, "sky"
    ),
    "sky of an order": lambda arm: sky_order(arm, 30.0),
    "trace": lambda arm: plot_spectra.object_trace(*made.object_trace(arm), arm, "trace", 1.0),
}


def nothing(value):
    """The same dataclass with every float array NaN and every selection empty."""
    changed = {}
    for field in fields(value):
        array = getattr(value, field.name)
        if isinstance(array, np.ndarray) and array.dtype.kind in "fb":
            changed[field.name] = np.full_like(array, np.nan if array.dtype.kind == "f" else 0)
    return replace(value, **changed)


def empty_solved(arm):
    solved = made.solved(arm)
    return replace(solved, lines=nothing(solved.lines), fit=nothing(solved.fit))


def dead(arm) -> Frame:
    """A frame in which every pixel is flagged."""
    return replace(made.frame(arm), flags=np.ones(arm.shape))


def no_orders(arm) -> PixelMap:
    return PixelMap(*(np.zeros(arm.shape, t) for t in ("f8", "f4", "i2")))


MISSING = {
    "master": lambda arm: plot_detector.master(dead(arm), arm, "Master dark"),
    "solution": lambda arm: plot_arcs.solution(dead(arm), empty_solved(arm), arm, no_orders(arm)),
    "centres": lambda arm: plot_geometry.centres(
        dead(arm), OrderTable({}, arm.dispersion_axis), {}, {}, arm
    ),
    "centres, none found": lambda arm: plot_geometry.centres(
        dead(arm),
        made.table(arm),
        {n: nothing(s) for n, s in made.trace_samples(arm).items()},
        made.slice_wavelengths(arm),
        arm,
    ),
    "edges, none found": lambda arm: plot_geometry.edges(
        dead(arm), made.table(arm), {n: nothing(s) for n, s in made.edge_samples(arm).items()}, arm
    ),
    "background": lambda arm: plot_flat.background(
        dead(arm),
        np.zeros(arm.shape),
        np.zeros(arm.shape, dtype=bool),
        OrderTable({}, arm.dispersion_axis),
        arm,
    ),
    "flat": lambda arm: plot_flat.flat(
        MasterFlat(dead(arm), {}), OrderTable({}, arm.dispersion_axis), arm
    ),
    "orders": lambda arm: plot_spectra.orders(
        OrderSpectra({n: nothing(s) for n, s in made.spectra(arm).orders.items()}), arm, "a star"
    ),
    "no orders": lambda arm: plot_spectra.orders(OrderSpectra({}), arm, "a star"),
    "merged": lambda arm: plot_spectra.merged(
        nothing(made.spectrum(arm)), arm, "a star", OrderSpectra({})
    ),
    "sky": lambda arm: plot_spectra.sky_quicklook(
        dead(arm), np.zeros(arm.shape), no_orders(arm), arm, "sky"
    ),
    "sky of an order": lambda arm: sky_order(arm, np.nan),
    "trace": lambda arm: plot_spectra.object_trace(
        np.linspace(-6, 6, 60), np.full(60, np.nan), {}, {}, arm, "trace"
    ),
}


def pdf_size(figure) -> int:
    stream = io.BytesIO()
    figure.savefig(stream, format="pdf")
    return len(stream.getvalue())


@pytest.mark.parametrize("arm", ["VIS", "NIR"])
@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_names_arm_and_axes_and_is_a_small_file(name, arm):
    figure = FIGURES[name](made.arm_of(arm))
    assert figure.texts[0].get_text().startswith(f"SOXS {arm}: ")
    unnamed = [
        p for p in figure.axes if not (p.get_ylabel() or p.get_title() or p.get_title("left"))
    ]
    assert unnamed == []
    assert 0 < pdf_size(figure) < 250_000


@pytest.mark.parametrize("arm", ["VIS", "NIR"])
@pytest.mark.parametrize("name", MISSING)
def test_missing_data_leave_panels_empty_but_draw(name, arm):
    assert pdf_size(MISSING[name](made.arm_of(arm))) > 0


@pytest.mark.parametrize("arm", ["VIS", "NIR"])
def test_a_full_size_frame_of_noise_is_a_small_file(arm):
    full = get_arm("SOXS", arm)
    figure = plot_detector.master(made.frame(full, 1000.0), full, "Master bias")
    assert pdf_size(figure) < 300_000


def test_lines_are_counted_and_residuals_are_theirs():
    arm = made.arm_of("NIR")
    solved = made.solved(arm)
    figure = plot_arcs.solution(made.frame(arm), solved, arm)
    frame, res_x = figure.axes[0], figure.axes[1]
    found, used = solved.lines.detected, solved.fit.used
    labels = [text.get_text() for text in frame.get_legend().get_texts()]
    assert f"used: {used.sum()}" in labels
    assert f"rejected by the fit: {(found & ~used).sum()}" in labels
    assert f"not seen: {(~found).sum()}" in labels
    scatter = (solved.lines.x - solved.fit.x)[used].std()
    assert f"sd {scatter:.3f}" in res_x.get_title("left")


@pytest.mark.parametrize("name", ["VIS", "NIR"])
def test_resolution_is_wavelength_over_line_width(name):
    arm = made.arm_of(name)
    solved = made.solved(arm, width=2.0)
    power = plot_arc_widths.resolving_power(solved, arm)
    found = solved.lines.detected
    assert power[found] == pytest.approx(solved.lines.wavelength[found] / (2.0 * made.NM))
    assert np.isnan(power[~found]).all()


def test_a_cosmic_ray_does_not_set_the_scale_of_the_flux():
    arm = made.arm_of("VIS")
    spectrum = made.spectrum(arm)
    flux = spectrum.flux.copy()
    flux[1500:1502] = 1e7
    panel = plot_spectra.merged(replace(spectrum, flux=flux), arm, "a star").axes[0]
    bottom, top = panel.get_ylim()
    assert bottom < 0
    assert 1000 < top < 2000


def test_flagged_bins_are_marked_at_their_wavelength():
    arm = made.arm_of("NIR")
    spectra = made.spectra(arm)
    flux = plot_spectra.orders(spectra, arm, "a star").axes[0]
    first = min(spectra.orders.values(), key=lambda order: order.wavelength[0])
    ticks = [line.get_xdata() for line in flux.lines if line.get_marker() == "|"]
    assert [list(x) for x in ticks] == [[first.wavelength[100]], [first.wavelength[200]]]


def test_the_users_own_style_neither_shows_nor_changes():
    arm = made.arm_of("NIR")
    with mpl.rc_context({"font.size": 40.0, "axes.facecolor": "black"}):
        figure = FIGURES["flat"](arm)
        assert mpl.rcParams["font.size"] == 40.0
    assert figure.axes[0].get_facecolor() == (1.0, 1.0, 1.0, 1.0)
    assert figure.axes[0].xaxis.label.get_size() < 12


def test_naming_a_plot_does_not_load_the_plotting_library():
    code = (
        "import sys; from soxspipe.qc import plot_arcs, plot_detector, plot_flat, plot_geometry;"
        "sys.exit('matplotlib' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert run.returncode == 0, run.stderr
