"""Quality values of the object recipes."""

from collections.abc import Sequence

import numpy as np
from astropy import units as u
from astropy.table import Table

from soxspipe.datamodel.metric import Measurement, Metric
from soxspipe.datamodel.spectrum import OrderSpectra
from soxspipe.instrument.arms import Arm
from soxspipe.recipes.quality import TEMPERATURES, per_order, spread
from soxspipe.recipes.slit_merge import Image
from soxspipe.recipes.slit_sources import CHUNKS, Source
from soxspipe.recipes.slit_view import View

METRICS = (
    Metric("BADPIX FRAC", "", "fraction of bad pixels inside orders"),
    Metric("BADPIX NUM", "px", "number of bad pixels inside orders"),
    Metric("INNER ORDER PIX MEAN", "e-", "mean of good pixels inside orders, sky subtracted"),
    Metric("INNER ORDER PIX SUM", "e-", "their sum"),
    Metric("N ORDERS", "", "orders with a trace"),
    Metric("N OBJECTS", "", "objects found on the slit"),
    Metric("OBJECT SIGMA", "", "significance of the extracted object on the collapsed slit"),
    Metric("OBJECT POS", "arcsec", "slit position of the object"),
    Metric("OBJECT FWHM", "arcsec", "FWHM of the object along the slit"),
    Metric("SAMPLES TOT NUM", "", "chunks in which the object was looked for"),
    Metric("SAMPLES DET NUM", "", "chunks in which it was seen"),
    Metric("SAMPLES DET FRAC", "", "seen / looked for"),
    Metric("SAMPLES CLIP NUM", "", "seen, but left out by the fit of the trace"),
    Metric("SAMPLES CLIP FRAC", "", "left out / seen"),
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


def trace_table(spectra: OrderSpectra, source: Source) -> Table:
    """Pixel, wavelength and slit position of the trace in every native bin."""
    parts = spectra.orders.items()
    wavelength = np.concatenate([s.wavelength for _, s in parts])
    slit = np.concatenate([source.trace.at(s.wavelength, n) for n, s in parts])
    return Table(
        {
            "order": np.concatenate([np.full(len(s.x), n, dtype="i2") for n, s in parts]),
            "x": np.concatenate([s.x for _, s in parts]) * u.pix,
            "y": np.concatenate([s.y for _, s in parts]) * u.pix,
            "wavelength": wavelength * u.nm,
            "slit_position": slit * u.arcsec,
        },
        meta={"EXTNAME": "OBJECT_TRACE"},
    )


def snr_per_order(spectra: OrderSpectra, arm: Arm) -> tuple[Measurement, ...]:
    """Median S/N of each order."""
    values = {n: _median_snr([s.snr]) for n, s in spectra.orders.items()}
    return per_order(METRICS, "SNR MEDIAN", values, arm)


def _median_snr(parts: Sequence[np.ndarray]) -> float:
    values = np.concatenate(parts)
    values = values[np.isfinite(values) & (values != 0)]
    return float(np.median(values)) if values.size else float("nan")


def values(images: Sequence[Image], spectra: OrderSpectra, arm: Arm) -> dict[str, float]:
    """Measured values by keyword; of the first view and image where they are of one."""
    view, source = images[0].view, images[0].source
    samples = len(view.orders) * CHUNKS * len(images)
    seen = sum(len(w) for i in images for w, _, _ in i.source.trace.samples.values())
    clipped = sum(i.source.trace.clipped for i in images)
    residual = np.concatenate([_trace_residuals(i) for i in images])
    axis = "X" if arm.dispersion_axis == "y" else "Y"
    found = source.found
    return {
        **_pixel_values(view),
        "N ORDERS": len(spectra.orders),
        "N OBJECTS": len({s.number for s in view.sources.each if s.found is not None}),
        "OBJECT SIGMA": found.significance if found else 0.0,
        "OBJECT POS": found.position if found else float("nan"),
        "OBJECT FWHM": source.fwhm if found else float("nan"),
        "SAMPLES TOT NUM": samples,
        "SAMPLES DET NUM": seen,
        "SAMPLES DET FRAC": seen / samples,
        "SAMPLES CLIP NUM": clipped,
        "SAMPLES CLIP FRAC": clipped / max(seen, 1),
        **spread(f"{axis} RES", residual),
        "SNR MEDIAN": _median_snr([s.snr for s in spectra.orders.values()]),
    }


def _trace_residuals(image: Image) -> np.ndarray:
    """Measured minus fitted positions of the trace, pixels."""
    parts = [np.empty(0)]
    for n, (wavelength, position, _) in image.source.trace.samples.items():
        scale = float(np.median(image.view.orders[n].pixels.area))
        parts.append((position - image.source.trace.at(wavelength, n)) / scale)
    return np.concatenate(parts)


def _pixel_values(view: View) -> dict[str, float]:
    """What is counted pixel by pixel."""
    bad = sum(int((~o.good).sum()) for o in view.orders.values())
    total = sum(len(o.data) for o in view.orders.values())
    light = sum(float(o.light[o.good].sum()) for o in view.orders.values())
    pull = np.concatenate(
        [
            ((o.light - view.sources.light(n)) / np.sqrt(o.variance))[o.good]
            for n, o in view.orders.items()
        ]
    )
    return {
        "BADPIX FRAC": bad / max(total, 1),
        "BADPIX NUM": bad,
        "INNER ORDER PIX MEAN": light / max(total - bad, 1),
        "INNER ORDER PIX SUM": light,
        "SKY RES SD": float(1.4826 * np.median(np.abs(pull - np.median(pull)))),
    }
