"""Small finished results to draw: two straight orders on a small detector of each arm."""

from dataclasses import replace

import numpy as np

from soxspipe.datamodel.arc_lines import ArcLines, LineFit
from soxspipe.datamodel.flat import MasterFlat
from soxspipe.datamodel.frame import Frame, PixelFlag
from soxspipe.datamodel.geometry import (
    DispersionSolution,
    OrderSolution,
    OrderTable,
    OrderTrace,
    PixelMap,
)
from soxspipe.datamodel.spectrum import OrderSpectra, OrderSpectrum, Spectrum
from soxspipe.instrument.arms import Arm, get_arm
from soxspipe.science.orders.edges import EdgeSamples
from soxspipe.science.orders.trace import TraceSamples
from soxspipe.science.wavelength.solve import Solved

ALONG, ACROSS = 400, 160
ROWS = {11: 50.0, 12: 110.0}  # NIR order -> row of its centre
PIXEL = 0.2  # arcsec
NM = 0.05  # per pixel
NOISE = 3.0


def arm_of(name: str) -> Arm:
    along, across = (0, ALONG), (0, ACROSS)
    columns, rows = (along, across) if name == "NIR" else (across, along)
    return replace(get_arm("SOXS", name), columns=columns, rows=rows)


def rows_of(arm: Arm) -> dict[int, float]:
    return dict(zip(sorted(arm.orders), ROWS.values(), strict=False))


def start_of(arm: Arm, number: int) -> float:
    """Wavelength at the first pixel of an order, nm."""
    return arm.orders[number].full[0]


def frame(arm: Arm, level: float = 0.0, seed: int = 1) -> Frame:
    noise = np.random.default_rng(seed).normal(level, NOISE, arm.shape)
    return Frame(noise, np.full(arm.shape, NOISE**2), np.zeros(arm.shape))


def solution(arm: Arm) -> DispersionSolution:
    orders = {}
    for number, row in rows_of(arm).items():
        w0 = start_of(arm, number)
        along, across = np.zeros((2, 2)), np.zeros((2, 2))
        along[0, 0], along[1, 0] = 0.5 * ALONG, 0.5 * ALONG
        across[0, 0], across[0, 1] = row, 6.0 / PIXEL
        x, y = arm.dispersion_and_slit(along, across)
        domain = (w0, w0 + ALONG * NM)
        orders[number] = OrderSolution(x, y, domain, (-6.0, 6.0), domain)
    return DispersionSolution(orders)


def solved(arm: Arm, holes: tuple[float, ...] = (0.0,), width: float = 2.0) -> Solved:
    """Lines every 20 pixels; each fifth one rejected, each seventh one not found."""
    answer = solution(arm)
    lines = [
        (number, start_of(arm, number) + NM * pixel, index, hole)
        for number in answer.orders
        for pixel in range(10, ALONG, 20)
        for index, hole in enumerate(holes)
    ]
    order, wavelength, index, slit = (np.array(column) for column in zip(*lines, strict=True))
    x, y = np.empty(len(lines)), np.empty(len(lines))
    for number in answer.orders:
        own = order == number
        x[own], y[own] = answer.predict(number, wavelength[own], slit[own])
    k = np.arange(len(lines))
    detected, used = k % 7 != 0, (k % 7 != 0) & (k % 5 != 0)
    off = np.random.default_rng(2).normal(0.0, 0.02, (2, len(lines)))
    hidden = np.where(detected, 1.0, np.nan)
    one = np.ones(len(lines)) * hidden
    measured = ArcLines(
        order=order, wavelength=wavelength, slit_index=index, slit=slit,
        predicted_x=x, predicted_y=y, x=(x + off[0]) * hidden, y=(y + off[1]) * hidden,
        x_error=0.02 * one, y_error=0.02 * one, counts=1e3 * one, peak=200 * one,
        background=one, fwhm=1.8 * one + off[0], width=width * one, chi2=one,
        sharpness=0.7 * one, roundness1=0 * one, roundness2=0 * one, npix=np.full(len(lines), 9),
        detected=detected, seen=detected, state=np.where(detected, 0, 1),
    )  # fmt: skip
    return Solved(answer, answer, measured, LineFit(x, y, used), (3, 3))


def pixel_map(arm: Arm) -> PixelMap:
    wavelength, slit, order = (np.zeros((ACROSS, ALONG)) for _ in range(3))
    for number, row in rows_of(arm).items():
        inside = slice(int(row) - 28, int(row) + 29)
        wavelength[inside] = start_of(arm, number) + NM * np.arange(ALONG)
        slit[inside] = PIXEL * (np.arange(ACROSS)[inside, None] - row)
        order[inside] = number
    turned = (arm.along_rows(z) for z in (wavelength, slit, order.astype("i2")))
    return PixelMap(*turned)


def table(arm: Arm) -> OrderTable:
    domain = (0.0, ALONG - 1.0)
    traces = {
        n: OrderTrace(domain, *(np.array([v]) for v in (row, 0.9, row - 28, row + 28)))
        for n, row in rows_of(arm).items()
    }
    return OrderTable(traces, arm.dispersion_axis)


def trace_samples(arm: Arm) -> dict[int, TraceSamples]:
    pixel = np.arange(5, ALONG, 10)
    off = np.random.default_rng(3).normal(0.0, 0.02, len(pixel))
    found = np.arange(len(pixel)) % 9 != 0
    used = found & (np.arange(len(pixel)) % 10 != 1)
    return {
        n: TraceSamples(
            pixel, row + off, np.full(len(pixel), 0.9), off, found, used, np.full(len(pixel), 0.02)
        )
        for n, row in rows_of(arm).items()
    }


def slice_wavelengths(arm: Arm) -> dict[int, np.ndarray]:
    return {
        n: np.linspace(*arm.orders[n].full, len(s.pixel)) for n, s in trace_samples(arm).items()
    }


def edge_samples(arm: Arm) -> dict[int, EdgeSamples]:
    pixel = np.arange(5, ALONG, 10)
    off = np.random.default_rng(4).normal(0.0, 0.03, len(pixel))
    used = np.arange(len(pixel)) % 9 != 0
    gone = np.where(used, off, np.nan)
    return {
        n: EdgeSamples(pixel, row - 28 + off, row + 28 + off, gone, gone, used)
        for n, row in rows_of(arm).items()
    }


def flat(arm: Arm) -> MasterFlat:
    lamp = np.hanning(ALONG)
    lamp[:5] = np.nan
    noise = frame(arm).data / 300.0 + 1.0
    image = Frame(noise, np.full(arm.shape, 1e-4), np.zeros(arm.shape), unit="")
    return MasterFlat(image, {n: (lamp / n).astype("f4") for n in rows_of(arm)})


def spectra(arm: Arm) -> OrderSpectra:
    """Flux 1000 electrons, S/N 20; one saturated bin and one cosmic ray in each order."""
    rng, orders = np.random.default_rng(5), {}
    for number in rows_of(arm):
        wavelength = start_of(arm, number) + NM * np.arange(ALONG)
        flux = rng.normal(1000.0, 50.0, ALONG)
        flags = np.zeros(ALONG, "u2")
        flags[100], flags[200] = PixelFlag.SATURATED, PixelFlag.COSMIC_RAY
        one = np.ones(ALONG)
        orders[number] = OrderSpectrum(
            wavelength, NM * one, flux, 2500 * one, flux, 3600 * one, flux, 200 * one, one,
            flags, one, one,
        )  # fmt: skip
    return OrderSpectra(orders)


def spectrum(arm: Arm) -> Spectrum:
    rng, n = np.random.default_rng(6), 3000
    wavelength = start_of(arm, min(rows_of(arm))) + 0.02 * np.arange(n)
    flux = rng.normal(1000.0, 50.0, n)
    flux[:20] = np.nan
    one = np.ones(n)
    return Spectrum(wavelength, flux, 2500 * one, 200 * one, np.zeros(n, "u2"), 0.02)


def object_trace(arm: Arm) -> tuple:
    slit = np.linspace(-6, 6, 60)
    trace, samples = {}, {}
    for number in rows_of(arm):
        wavelength = start_of(arm, number) + NM * np.linspace(0, ALONG, 12)
        trace[number] = (wavelength, np.full(12, 0.5))
        samples[number] = (wavelength, np.full(12, 0.52), np.full(12, 0.03))
    return slit, np.exp(-0.5 * ((slit - 0.5) / 0.5) ** 2), trace, samples
