"""mflat: normalised master flat, order edges, scattered light."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from soxspipe.datamodel.frame import Frame, PixelFlag
from soxspipe.datamodel.geometry import OrderTable
from soxspipe.datamodel.metric import Metric
from soxspipe.instrument.arms import Arm
from soxspipe.instrument.headers import FrameKind
from soxspipe.io.geometry_tables import OrderTableProduct
from soxspipe.qc import plot_flat, plot_geometry
from soxspipe.recipes import flat_lamps
from soxspipe.recipes.flat_lamps import Combined
from soxspipe.recipes.flat_steps import LampFlat, lamp_flat
from soxspipe.recipes.lamp import LampInputs
from soxspipe.recipes.order_shapes import order_mask
from soxspipe.recipes.quality import TEMPERATURES, judged, spread, temperatures
from soxspipe.recipes.recipe import Calibration, Plot, Product, Raw, RawFrame, Result, recipe
from soxspipe.science.orders.edges import EdgeSamples
from soxspipe.science.wavelength import export
from soxspipe.settings import MflatSettings


@dataclass(frozen=True)
class Inputs(LampInputs):
    """What mflat takes."""

    flat: Annotated[tuple[RawFrame, ...], Raw((FrameKind.SLIT_FLAT,), least=3)]
    centres: Annotated[OrderTable, Calibration("ORDER_TAB", "order_centres")]


#: A cold pixel that shows less than this share of its light is dead.
_SEES_LIGHT = 0.1

METRICS = (
    Metric(
        "COLDPIX FRAC",
        "",
        "fraction of cold pixels inside orders",
        {"VIS": (-0.001, 0.01), "NIR": (-0.001, 0.01)},
        in_pixels=True,
    ),
    Metric("COLDPIX NUM", "px", "cold pixels inside orders: dead, or of low sensitivity"),
    Metric("N LOW SENS", "px", "cold pixels that see a tenth of their light or more"),
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
    Metric("BKGROUND LEVEL", "e-", "median scattered light inside orders"),
    Metric("BKGROUND RES MEDIAN", "e-", "median scattered light left between orders"),
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
        Product("BKGROUND", "_BKGROUND.fits", "", "IMAGE", "scattered light model"),
        *(
            product
            for lamp, name in (("QLAMP", "halogen"), ("DLAMP", "deuterium"))
            for product in (
                Product(
                    f"MFLAT_{lamp}",
                    f"_{lamp}.fits",
                    "MASTER_FLAT",
                    "IMAGE",
                    f"flat of the {name} lamp alone",
                    lamps=2,
                ),
                Product(
                    f"ORDER_LOC_{lamp}",
                    f"_{lamp}.fits",
                    "ORDER_TAB",
                    "ECHELLE,SLIT",
                    f"order edges with the {name} lamp alone",
                    replace=("MFLAT", "OLOC"),
                    lamps=2,
                ),
            )
        ),
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
    """Make the flat of each lamp; with halogen and deuterium, one of both."""
    lamps = [
        lamp_flat(raws, inputs, inputs.centres, settings, arm)
        for raws in flat_lamps.by_lamp(inputs.flat)
    ]
    main = lamps[0]
    if len(lamps) == 2:
        combined = flat_lamps.combine(main, lamps[1], arm, scale=settings.scale_d2_to_qth)
    else:
        combined = Combined(main.master, main.table, main.samples, {})
    products: dict[str, Any] = {
        "MFLAT": combined.master,
        "ORDER_LOC": _order_table(combined.table, combined.samples, settings),
        "BKGROUND": Frame(main.scattered, np.zeros_like(main.scattered), np.zeros(arm.shape)),
    }
    if len(lamps) == 2:
        for lamp, name in zip(lamps, ("QLAMP", "DLAMP"), strict=True):
            products[f"MFLAT_{name}"] = lamp.master
            products[f"ORDER_LOC_{name}"] = _order_table(lamp.table, lamp.samples, settings)
    values = _values(main, combined, arm) | temperatures([raw.info for raw in inputs.flat])
    left_out = [name for lamp in lamps for name in lamp.left_out]
    cards = dict(combined.cards)
    for number, name in enumerate(left_out, start=1):
        cards[f"ESO PRO REC1 LEFT{number} NAME"] = (name, "raw frame left out, see the log")
    return Result(
        products=products,
        measurements=judged(METRICS, values, settings, arm),
        figures={
            "ORDER_LOC_RES": lambda: plot_geometry.edges(
                main.mean, combined.table, combined.samples, arm
            ),
            "BKGROUND_PLOT": lambda: plot_flat.background(
                main.mean, main.scattered, main.between, main.table, arm
            ),
            "MFLAT_PLOT": lambda: plot_flat.flat(combined.master, combined.table, arm),
        },
        headers={"MFLAT": cards},
    )


def _order_table(
    table: OrderTable, samples: Mapping[int, EdgeSamples], settings: MflatSettings
) -> OrderTableProduct:
    polynomials = {
        which: export.trace_polynomial(
            table, which, order_deg=settings.order_deg, axis_deg=settings.disp_axis_deg
        )
        for which in ("centre", "width", "lower", "upper")
    }
    return OrderTableProduct(
        table, polynomials, {n: edge_levels(found, settings) for n, found in samples.items()}
    )


def edge_levels(samples: EdgeSamples, settings: MflatSettings) -> tuple[float, float, float]:
    """Levels between which an edge is looked for, highest first, and light in the middle of the slit,
    electrons per pixel: medians along the order.
    """
    seen = samples.light[samples.used] if samples.light is not None else np.empty(0)
    light = float(np.median(seen)) if seen.size else np.nan
    most = settings.max_percentage_threshold_for_edge_detection
    least = settings.min_percentage_threshold_for_edge_detection
    return light * most / 100, light * least / 100, light


def _values(main: LampFlat, combined: Combined, arm: Arm) -> dict[str, float]:
    """Measured values by keyword."""
    useful = order_mask(combined.table, arm, useful=True)
    flat = combined.master.frame
    cold = useful & ((flat.flags & np.uint16(PixelFlag.COLD)) > 0)
    flux = main.mean.data[useful]
    residual = np.concatenate(
        [
            side[s.used]
            for s in combined.samples.values()
            for side in (s.residual_lower, s.residual_upper)
        ]
    )
    return {
        "COLDPIX FRAC": float(cold.sum() / max(useful.sum(), 1)),
        "COLDPIX NUM": int(cold.sum()),
        "N LOW SENS": int((cold & (flat.data > _SEES_LIGHT)).sum()),
        "INNER ORDER PIX MEAN": float(flat.data[useful].mean()),
        "INNER ORDER PIX SUM": float(flat.data[useful].sum(dtype="f8")),
        "ORDEXP10": float(np.percentile(flux, 10)),
        "ORDEXP50": float(np.percentile(flux, 50)),
        "ORDEXP90": float(np.percentile(flux, 90)),
        "BKGROUND LEVEL": float(np.median(main.scattered[useful])),
        "BKGROUND RES MEDIAN": main.residual,
    } | spread("X RES", residual)
