"""The truth behind the exposures on sky: spectra, ideal S/N, noiseless images, cosmic rays.

Formats: docs/simulator.md. All pixel coordinates are 0-based on the trimmed, binned science window.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits

from soxspipe.simulator import ideal, scene
from soxspipe.simulator.detector import CosmicRays
from soxspipe.simulator.exposure import Light, Night
from soxspipe.simulator.plan import Exposure
from soxspipe.simulator.truth import Columns, stacked, table

_UNITS = {"wavelength": "nm", "bin_width": "nm", "slit": "arcsec", "x": "pixel", "y": "pixel"}
#: Steps (electrons) in which noiseless images are kept, far below the noise.
_STEPS = {"SKY": -0.2, "OBJECT": -0.2, "SCATTERED": -0.05}


@dataclass(frozen=True, eq=False)
class Taken:
    """An exposure on sky, its light, and what is subtracted from it: `partner`, None in stare.

    paired  False if the partner belongs to another exposure already
    """

    night: Night
    exposure: Exposure
    light: Light
    partner: "Taken | None" = None
    paired: bool = True


def write_exposure(folder: Path, taken: Taken, cosmics: CosmicRays) -> None:
    """All truth of one exposure on sky."""
    if taken.light.objects:
        write_spectra(folder, taken)
    write_images(folder, taken)
    write_cosmics(folder, taken.exposure, cosmics)


def write_spectra(folder: Path, taken: Taken) -> None:
    """`<raw stem>_spectrum.fits`: the objects of one exposure as perfect optics would record them, the
    target in the first extension, the others in those that follow.
    """
    night = taken.night
    hdus: list[fits.hdu.base.ExtensionHDU] = [fits.PrimaryHDU()]
    for number in range(len(taken.light.objects)):
        parts = [_spectrum_of(taken, number, order) for order in night.arm.orders]
        name = "SPECTRUM" if number == 0 else f"SPECTRUM{number + 1}"
        hdus.append(table(stacked(parts), _UNITS, name))
        _describe(hdus[-1].header, taken, number)
    path = folder / f"{taken.exposure.stem}_spectrum.fits"
    fits.HDUList(hdus).writeto(path, overwrite=True)


def _describe(header: fits.Header, taken: Taken, number: int) -> None:
    night, exposure = taken.night, taken.exposure
    air, one = night.atmosphere(exposure), taken.light.objects[number]
    source = night.sources(exposure)[number]
    through = float(np.mean([np.mean(s.through) for s in one.orders.values()]))
    header["OBJECT"] = night.object_name(exposure)
    header["OBJNUM"] = (number + 1, "1 is the target")
    header["SLITPOS"] = (source.slit_position, "[arcsec] object on the slit")
    header["SLITOFF"] = (source.offset, "[arcsec] object across the slit")
    header["EXTENT"] = (source.extent, "[arcsec] FWHM of the object itself")
    header["SEEING"] = (air.seeing, "[arcsec] FWHM at 500 nm, zenith")
    header["AIRMASS"] = air.airmass
    header["EXPTIME"] = (exposure.seconds, "[s]")
    header["SLITW"] = (exposure.slit_width, "[arcsec]")
    header["THROUGH"] = (through, "mean share of light that passes the slit")
    if taken.partner is not None:
        header["PARTNER"] = (f"{taken.partner.exposure.stem}.fits", "what is subtracted")
        header["PAIRED"] = (taken.paired, "F: the partner belongs to another")


def _snr(taken: Taken, number: int, order: int) -> tuple[np.ndarray, np.ndarray]:
    """(n,) best S/N of the binned columns: of the exposure alone, and of its difference with the
    partner, scaled to the same exposure time (NaN without one).
    """
    night, exposure, light = taken.night, taken.exposure, taken.light
    source = night.sources(exposure)[number]
    rows = ideal.window(night, order, source.slit_position, source.extent)
    signal = light.objects[number].image * night.detector.response
    variance = ideal.variance_of(night, exposure, light)
    alone = ideal.column_snr(night, signal, variance, rows)
    other = taken.partner
    if other is None:
        return alone, np.full(alone.size, np.nan)
    ratio = exposure.seconds / other.exposure.seconds
    both = variance + ratio**2 * ideal.variance_of(night, other.exposure, other.light)
    return alone, ideal.column_snr(night, signal, both, rows)


def _spectrum_of(taken: Taken, number: int, order: int) -> Columns:
    night, light = taken.night, taken.light
    path, star = night.paths[order], light.objects[number].orders[order]
    factor, _ = ideal.binning_factors(night)
    n = path.n_columns // factor
    _, sides = path.column_wavelength()
    sides = sides[: n * factor + 1 : factor]
    flux, sky = (
        beam.spectrum.columns()[: n * factor].reshape(n, factor).sum(axis=1)
        for beam in (star.beam, light.sky[order])
    )
    lit = np.isfinite(sides[1:]) & np.isfinite(sides[:-1])
    wavelength = 0.5 * (sides[1:] + sides[:-1])[lit]
    slit = _slit_position(star, wavelength)
    x, y = night.optics.position(order, wavelength, slit)
    bx, by = night.arm.binning
    x, y = ideal.to_binned(x, bx), ideal.to_binned(y, by)
    # no flat tells the detector's large-scale response from the lamp's spectrum: it counts as throughput
    ny, nx = night.arm.shape
    at = np.clip(np.rint(y), 0, ny - 1).astype(int), np.clip(np.rint(x), 0, nx - 1).astype(int)
    large_scale = night.detector.large_scale[at]
    place = x if night.optics.along_x else y
    alone, difference = (
        np.interp(place, np.arange(snr.size), snr).astype("f4")
        for snr in _snr(taken, number, order)
    )
    return {
        "order": np.full(wavelength.size, order, dtype="i4"),
        "pixel": np.flatnonzero(lit).astype("i4"),
        "wavelength": wavelength,
        "bin_width": np.abs(np.diff(sides))[lit],
        "flux": flux[lit] * large_scale,
        "sky": sky[lit] * large_scale,
        "ideal_snr": alone,
        "slit": slit.astype("f4"),
        "x": x.astype("f4"),
        "y": y.astype("f4"),
        "ideal_snr_difference": difference,
    }


def _slit_position(star: scene.StarLight, wavelength: np.ndarray) -> np.ndarray:
    rising = np.argsort(star.wavelength)
    return np.interp(wavelength, star.wavelength[rising], star.centre[rising])


def write_images(folder: Path, taken: Taken) -> None:
    """`<raw stem>_sky.fits`: noiseless light of sky and objects, and what of both is scattered."""
    light = taken.light
    nothing = np.zeros(light.total.shape)
    maps = {
        "SKY": nothing if light.sky_image is None else light.sky_image,
        "OBJECT": sum((one.image for one in light.objects), nothing),
        "SCATTERED": light.scattered,
    }
    images = [fits.PrimaryHDU()]
    continuum, lines = taken.night.sky_levels(taken.exposure)
    images[0].header["SKYCONT"] = (continuum, "sky continuum over the usual")
    images[0].header["SKYLINES"] = (lines, "sky lines over the usual")
    for key, values in maps.items():
        step = _STEPS[key]
        images.append(fits.CompImageHDU(values.astype("f4"), name=key, quantize_level=step))
        images[-1].header["BUNIT"] = "electron"
    fits.HDUList(images).writeto(folder / f"{taken.exposure.stem}_sky.fits", overwrite=True)


def write_cosmics(folder: Path, exposure: Exposure, cosmics: CosmicRays) -> None:
    """`<raw stem>_cosmics.fits`: pixels hit by cosmic rays."""
    columns = {
        "y": cosmics.y.astype("i2"),
        "x": cosmics.x.astype("i2"),
        "electrons": cosmics.electrons.astype("f4"),
    }
    made = table(columns, {}, "COSMICS")
    made.writeto(folder / f"{exposure.stem}_cosmics.fits", overwrite=True)
