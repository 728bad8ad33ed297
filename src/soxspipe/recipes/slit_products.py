"""What the object recipes deliver: products, plots, metrics and their values."""

import numpy as np
from astropy import units as u
from astropy.table import Table

from soxspipe.datamodel.frame import Frame
from soxspipe.datamodel.metric import Measurement, Metric
from soxspipe.datamodel.spectrum import OrderSpectra
from soxspipe.instrument.arms import Arm
from soxspipe.recipes.quality import TEMPERATURES, per_order, spread
from soxspipe.recipes.recipe import Plot, Product
from soxspipe.recipes.slit_object import Model
from soxspipe.recipes.slit_orders import Orders
from soxspipe.recipes.slit_sky import CHUNKS, Target

METRICS = (
    Metric("BADPIX FRAC", "", "fraction of bad pixels inside orders"),
    Metric("BADPIX NUM", "px", "number of bad pixels inside orders"),
    Metric("INNER ORDER PIX MEAN", "e-", "mean of pixels inside orders, sky subtracted"),
    Metric("INNER ORDER PIX SUM", "e-", "their sum"),
    Metric("N ORDERS", "", "orders with a trace"),
    Metric("N OBJECTS", "", "objects found on the slit"),
    Metric("OBJECT SIGMA", "", "significance of the extracted object on the collapsed slit"),
    Metric("OBJECT POS", "arcsec", "slit position of the object"),
    Metric("OBJECT FWHM", "arcsec", "FWHM of the object along the slit"),
    Metric("SAMPLES TOT NUM", "", "chunks in which the object was looked for"),
    Metric("SAMPLES DET NUM", "", "chunks in which it was seen"),
    Metric("SAMPLES DET FRAC", "", "seen / looked for"),
    *(
        Metric(f"{axis} RES {k}", "px", f"{meaning} of the object trace ({arm})")
        for axis, arm in (("X", "VIS"), ("Y", "NIR"))
        for k, meaning in (
            ("MIN", "smallest residual"),
            ("MAX", "largest residual"),
            ("MEDIAN", "median absolute residual"),
            ("SD", "standard deviation of residuals"),
        )
    ),
    Metric("SKY RES SD", "", "scatter of sky residuals over their expected noise"),
    Metric("SNR MEDIAN", "", "median S/N per native bin, global and per order"),
    *TEMPERATURES,
)


def products(tech: str) -> tuple[Product, ...]:
    """The files an object recipe writes; `tech` is their PRO TECH."""
    return (
        Product("SKY_SUBTRACTED_OBJECT", "_SKYSUB.fits", "", tech, "sky-subtracted frame"),
        Product("SKY_MODEL", "_SKYMODEL.fits", "", tech, "sky model"),
        Product("SKY_SUB_RESIDUALS", "_SKYSUB_RESIDUALS.fits", "", tech, "residuals over noise"),
        Product("OBJECT_TRACE", "_OBJTRACE.fits", "OBJECT_TAB", tech, "trace of the object"),
        Product(
            "EXTRACTED_ORDERS_TABLE",
            "_EXTRACTED_ORDERS.fits",
            "SCI_ORDERS_FLUX",
            tech,
            "spectra of the orders",
        ),
        Product(
            "EXTRACTED_MERGED_TABLE",
            "_EXTRACTED_MERGED.fits",
            "SCI_SLIT_FLUX",
            tech,
            "merged spectrum",
        ),
        Product(
            "EXTRACTED_MERGED_ASCII", "_EXTRACTED_MERGED.txt", "", tech, "merged spectrum as text"
        ),
    )


PLOTS = (
    Plot("SKY_SUBTRACTION_QUICKLOOK", "_skysub_quicklook.pdf", "frame, sky model, residuals"),
    Plot("OBJECT_TRACE_RES", "_OBJECT_TRACE_residuals.pdf", "collapsed slit and trace"),
    Plot("EXTRACTED_ORDERS_QC_PLOT", "_EXTRACTED_ORDERS_QC_PLOT.pdf", "spectra of the orders"),
    Plot("EXTRACTED_MERGED_QC_PLOT", "_EXTRACTED_MERGED_QC_PLOT.pdf", "merged spectrum"),
)


def trace_table(spectra: OrderSpectra, found: Target) -> Table:
    """Pixel, wavelength and slit position of the trace in every native bin."""
    parts = spectra.orders.items()
    wavelength = np.concatenate([s.wavelength for _, s in parts])
    return Table(
        {
            "order": np.concatenate([np.full(len(s.x), n, dtype="i2") for n, s in parts]),
            "x": np.concatenate([s.x for _, s in parts]) * u.pix,
            "y": np.concatenate([s.y for _, s in parts]) * u.pix,
            "wavelength": wavelength * u.nm,
            "slit_position": found.trace.at(wavelength) * u.arcsec,
        },
        meta={"EXTNAME": "OBJECT_TRACE"},
    )


def snr_per_order(spectra: OrderSpectra, arm: Arm) -> tuple[Measurement, ...]:
    """Median S/N of each order."""
    values = {n: _median_snr([s.snr]) for n, s in spectra.orders.items()}
    return per_order(METRICS, "SNR MEDIAN", values, arm)


def _median_snr(parts: list[np.ndarray]) -> float:
    values = np.concatenate(parts)
    values = values[np.isfinite(values) & (values != 0)]
    return float(np.median(values)) if values.size else float("nan")


def values(
    orders: Orders,
    found: Target,
    model: Model,
    subtracted: Frame,
    inside: np.ndarray,
    spectra: OrderSpectra,
    arm: Arm,
) -> dict[str, float]:
    """Measured values by keyword."""
    bad = sum(int((~o.good).sum()) for o in orders.values())
    total = sum(len(o.data) for o in orders.values())
    residual, seen = [], 0
    for n, (wavelength, position, _) in found.trace.samples.items():
        scale = float(np.median(orders[n].pixels.area))
        residual.append((position - found.trace.at(wavelength)) / scale)
        seen += len(wavelength)
    light = subtracted.data[inside]
    pull = np.concatenate(
        [((o.light - model.light[n]) / np.sqrt(o.variance))[o.good] for n, o in orders.items()]
    )
    axis = "X" if arm.dispersion_axis == "y" else "Y"
    object_found = found.found
    return {
        "BADPIX FRAC": bad / max(total, 1),
        "BADPIX NUM": bad,
        "INNER ORDER PIX MEAN": float(light.mean()),
        "INNER ORDER PIX SUM": float(light.sum(dtype="f8")),
        "N ORDERS": len(spectra.orders),
        "N OBJECTS": len(found.others),
        "OBJECT SIGMA": object_found.significance if object_found else 0.0,
        "OBJECT POS": object_found.position if object_found else float("nan"),
        "OBJECT FWHM": model.fwhm if object_found else float("nan"),
        "SAMPLES TOT NUM": len(orders) * CHUNKS,
        "SAMPLES DET NUM": seen,
        "SAMPLES DET FRAC": seen / (len(orders) * CHUNKS),
        **spread(f"{axis} RES", np.concatenate(residual) if residual else np.empty(0)),
        "SKY RES SD": float(1.4826 * np.median(np.abs(pull - np.median(pull)))),
        "SNR MEDIAN": _median_snr([s.snr for s in spectra.orders.values()]),
    }
