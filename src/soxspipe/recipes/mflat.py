"""mflat: normalised master flat, order edges, scattered light."""

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np

from soxspipe.datamodel.flat import MasterFlat
from soxspipe.datamodel.frame import Frame, PixelFlag
from soxspipe.datamodel.geometry import OrderTable
from soxspipe.datamodel.metric import Metric
from soxspipe.instrument.arms import Arm
from soxspipe.instrument.headers import FrameKind
from soxspipe.instrument.spectral_format import nominal
from soxspipe.io.geometry_tables import OrderTableProduct
from soxspipe.qc import plot_geometry
from soxspipe.recipes.lamp import LampInputs, lamp_light
from soxspipe.recipes.order_shapes import expected_half_length, order_mask, tilts
from soxspipe.recipes.prepare import measured_read_noise
from soxspipe.recipes.quality import TEMPERATURES, judged, temperatures
from soxspipe.recipes.recipe import Calibration, Plot, Product, Raw, RawFrame, Result, recipe
from soxspipe.science.detector import flats
from soxspipe.science.orders import edges, flat_field, scattered_light
from soxspipe.science.wavelength import export
from soxspipe.settings import MflatSettings


@dataclass(frozen=True)
class Inputs(LampInputs):
    """What mflat takes."""

    flat: Annotated[tuple[RawFrame, ...], Raw((FrameKind.SLIT_FLAT,), least=3)]
    centres: Annotated[OrderTable, Calibration("ORDER_TAB", "order_centres")]


METRICS = (
    Metric(
        "COLDPIX FRAC",
        "",
        "fraction of cold pixels inside orders",
        {"VIS": (-0.001, 0.01), "NIR": (-0.001, 0.01)},
        in_pixels=True,
    ),
    Metric("COLDPIX NUM", "px", "number of cold pixels"),
    Metric("N LOW SENS", "px", "low-sensitivity pixels"),
    Metric(
        "INNER ORDER PIX MEAN",
        "",
        "mean response inside orders",
        {"VIS": (0.9, 1.1), "NIR": (0.9, 1.1)},
    ),
    Metric(
        "INNER ORDER PIX SUM",
        "",
        "sum of the response inside the useful range of the orders",
        {"VIS": (1e5, 7e5), "NIR": (1e6, 1.2e6)},
    ),
    Metric("ORDEXP10", "e-", "10th percentile of order flux in the raw flats"),
    Metric("ORDEXP50", "e-", "50th percentile"),
    Metric("ORDEXP90", "e-", "90th percentile", {"VIS": (1e4, 1.5e5), "NIR": (3e4, 6e4)}),
    Metric("X RES MIN", "px", "smallest edge residual"),
    Metric("X RES MAX", "px", "largest edge residual"),
    Metric(
        "X RES SD",
        "px",
        "standard deviation of edge residuals",
        {"VIS": (0, 0.37), "NIR": (0, 0.2)},
    ),
    *TEMPERATURES,
)


@recipe(
    "mflat",
    folder="soxs-mflat",
    title="Master flat and order edges",
    inputs=Inputs,
    settings=MflatSettings,
    products=(
        Product("MFLAT", ".fits", "MASTER_FLAT", "IMAGE", "normalised flat and lamp spectra"),
        Product(
            "ORDER_LOC",
            ".fits",
            "ORDER_TAB",
            "ECHELLE,SLIT",
            "order centres and edges",
            replace=("MFLAT", "OLOC"),
        ),
        Product("BKGROUND", "_BKGROUND.fits", "", "IMAGE", "scattered light model", group="qc"),
    ),
    plots=(
        Plot("ORDER_LOC_RES", "_ORD_LOC.pdf", "edges found and fitted"),
        Plot("BKGROUND_PLOT", "_BKGROUND.pdf", "scattered light"),
        Plot("MFLAT_PLOT", "_FLAT.pdf", "response, and lamp spectra"),
    ),
    metrics=METRICS,
    type_codes={FrameKind.SLIT_FLAT: "MFLAT"},
)
def mflat(inputs: Inputs, settings: MflatSettings, arm: Arm) -> Result:
    """Stack the flats, find the order edges, take out scattered light, lamp and blaze."""
    mean = _stacked(inputs, settings, arm)
    table, samples = _find_edges(mean, inputs.centres, settings, arm)
    free = scattered_light.between_orders(table, mean.shape, clearance=4.0)
    scattered = np.zeros(mean.shape, dtype="f4")
    if settings.subtract_background:
        smoothing = settings.background_subtraction.gaussian_blur_sigma
        scattered = scattered_light.fit(mean, free, smoothing=smoothing)
    clean = replace(mean, data=mean.data - scattered)
    master = _separated(clean, table, settings, arm)
    residual = np.concatenate(
        [
            np.concatenate([s.residual_lower[s.used], s.residual_upper[s.used]])
            for s in samples.values()
        ]
    )
    values = _values(mean, master, table, residual, arm) | temperatures(
        [raw.info for raw in inputs.flat]
    )
    polynomials = {
        which: export.trace_polynomial(
            table, which, order_deg=settings.order_deg, axis_deg=settings.disp_axis_deg
        )
        for which in ("centre", "width", "lower", "upper")
    }
    background = Frame(scattered, np.zeros_like(scattered), np.zeros(mean.shape))
    return Result(
        products={
            "MFLAT": master,
            "ORDER_LOC": OrderTableProduct(table, polynomials),
            "BKGROUND": background,
        },
        measurements=judged(METRICS, values, settings, arm),
        figures={
            "ORDER_LOC_RES": lambda: plot_geometry.edges(mean, table, samples, arm),
            "BKGROUND_PLOT": lambda: plot_geometry.background(mean, scattered, arm),
            "MFLAT_PLOT": lambda: plot_geometry.flat(master, arm),
        },
    )


def _stacked(inputs: Inputs, settings: MflatSettings, arm: Arm) -> Frame:
    """Mean flat in electrons of an average exposure."""
    master = inputs.bias if inputs.bias is not None else inputs.dark
    read_noise = measured_read_noise(master) or inputs.flat[0].info.read_noise
    read_variance = np.full(arm.shape, read_noise**2, dtype="f4")
    frames = [replace(f, variance=read_variance) for f in lamp_light(inputs.flat, inputs, arm)]
    strip = arm.along_rows(
        flat_field.centre_strip(
            inputs.centres, arm.along_rows(frames[0].data).shape, settings.centre_order_window / 2
        )
    )
    mean = flats.stack(
        frames,
        strip,
        sigma=settings.stacked_clipping_sigma,
        rounds=settings.stacked_clipping_iterations,
    )
    # all exposures share the master that was taken off: its noise does not average down
    return mean if master is None else replace(mean, variance=mean.variance + master.variance)


def _find_edges(
    mean: Frame, centres: OrderTable, settings: MflatSettings, arm: Arm
) -> tuple[OrderTable, dict[int, edges.EdgeSamples]]:
    data, variance, good = (arm.along_rows(z) for z in (mean.data, mean.variance, mean.good))
    half = expected_half_length(arm)
    traces, samples = {}, {}
    for number, trace in centres.orders.items():
        traces[number], samples[number] = edges.find_edges(
            data,
            variance,
            good,
            trace,
            half_length=half[number],
            samples=150,
            width=settings.slice_width_for_edge_detection,
            degree=settings.disp_axis_deg,
            clip_sigma=settings.poly_fitting_residual_clipping_sigma,
            clip_rounds=settings.poly_clipping_iteration_limit,
        )
    return OrderTable(traces, centres.dispersion_axis), samples


def _separated(clean: Frame, table: OrderTable, settings: MflatSettings, arm: Arm) -> MasterFlat:
    """Response and lamp spectra, in the orientation of the detector."""
    options = flat_field.FlatOptions(
        least_electrons=30.0,
        cold_sigma=settings.low_sensitivity_clipping_sigma,
    )
    made = flat_field.separate(
        clean.viewed(arm.along_rows), table, tilts(nominal(arm), arm), options
    )
    return MasterFlat(made.frame.viewed(arm.along_rows), made.lamp)


def _values(
    mean: Frame, master: MasterFlat, table: OrderTable, residual: np.ndarray, arm: Arm
) -> dict[str, float]:
    """Measured values by keyword."""
    useful = order_mask(table, arm, useful=True)
    flat = master.frame
    cold = useful & ((flat.flags & np.uint16(PixelFlag.COLD)) > 0)
    flux = mean.data[useful]
    return {
        "COLDPIX FRAC": float(cold.sum() / max(useful.sum(), 1)),
        "COLDPIX NUM": int(cold.sum()),
        "N LOW SENS": int(cold.sum()),
        "INNER ORDER PIX MEAN": float(flat.data[useful].mean()),
        "INNER ORDER PIX SUM": float(flat.data[useful].sum(dtype="f8")),
        "ORDEXP10": float(np.percentile(flux, 10)),
        "ORDEXP50": float(np.percentile(flux, 50)),
        "ORDEXP90": float(np.percentile(flux, 90)),
        "X RES MIN": float(np.min(residual)) if residual.size else np.nan,
        "X RES MAX": float(np.max(residual)) if residual.size else np.nan,
        "X RES SD": float(np.std(residual)) if residual.size else np.nan,
    }
