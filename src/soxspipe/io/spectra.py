"""Extracted spectra as tables, and the merged one as text."""

import io

import numpy as np
from astropy.io import fits
from astropy.io.fits import Header

from soxspipe.datamodel.spectrum import OrderSpectra, OrderSpectrum, Spectrum
from soxspipe.io.tables import describe, empty_primary

# FITS knows no unit `electron`; a count is one electron here, which the meanings say.

#: column -> (attribute of OrderSpectrum, format, unit, meaning), in the documented order
ORDER_COLUMNS = {
    "xcoord_centre": ("x", "D", "pixel", "position of the trace along x, 0-based"),
    "ycoord": ("y", "D", "pixel", "position of the trace along y, 0-based"),
    "wavelengthMean": ("wavelength", "D", "nm", "effective wavelength of the bin"),
    "pixelScaleNm": ("bin_width", "D", "nm/pixel", "width of the bin"),
    "varianceSpectrum": ("variance", "D", "count**2", "variance of extractedFluxOptimal"),
    "snr": ("snr", "D", "", "extractedFluxOptimal over its error"),
    "extractedFluxOptimal": ("flux", "D", "count", "optimal extraction, electrons"),
    "extractedFluxBoxcar": ("boxcar", "D", "count", "sum over the aperture, electrons"),
    "extractedFluxBoxcarRobust": ("boxcar_robust", "D", "count", "same, bad pixels modelled"),
    "skyFlux": ("sky", "D", "count", "sky electrons in the optimal aperture"),
    "boxcarVariance": ("boxcar_variance", "D", "count**2", "variance of extractedFluxBoxcar"),
    "blaze": ("blaze", "D", "", "relative throughput from the flat lamp"),
    "flags": ("flags", "J", "", "bits as in the FLAGS extension of images"),
}

#: column -> (unit, meaning) of the merged spectrum
MERGED_COLUMNS = {
    "WAVE": ("nm", "bin centre"),
    "FLUX_COUNTS": ("count", "electrons in the bin"),
    "VARIANCE": ("count**2", "its variance"),
    "SKY_COUNTS": ("count", "sky electrons in the bin"),
    "SNR": ("", "flux over its error"),
    "FLUX_DENSITY_COUNTS": ("count/nm", "electrons per nm"),
}


def orders_hdus(spectra: OrderSpectra, header: Header) -> fits.HDUList:
    """One table EXTRACTED_ORDERS, the orders one below the other."""
    rows = [(n, spectra.orders[n]) for n in sorted(spectra.orders)]
    lengths = [len(s.flux) for _, s in rows]
    numbers = np.repeat(np.array([n for n, _ in rows], dtype="i2"), lengths)
    columns = [fits.Column("order", "I", array=numbers)]
    for name, (attribute, form, given, _) in ORDER_COLUMNS.items():
        values = np.concatenate([getattr(s, attribute) for _, s in rows])
        factor, unit = _in_unit(given, spectra.unit)
        columns.append(fits.Column(name, form, unit=unit or None, array=values * factor))
    hdu = fits.BinTableHDU.from_columns(columns, name="EXTRACTED_ORDERS")
    meanings = {name: spec[3] for name, spec in ORDER_COLUMNS.items()} | {"order": "order"}
    meanings["wavelengthMean"] += f", {spectra.medium}"
    describe(hdu, meanings)
    hdu.header["MEDIUM"] = (spectra.medium, "wavelengths are those in air or vacuum")
    return fits.HDUList([empty_primary(header), hdu])


def _in_unit(unit: str, wanted: str) -> tuple[int, str]:
    """Factor and unit of a column in nm or nm/pixel where Angstrom are wanted; others as they are."""
    if wanted == "angstrom" and unit.startswith("nm"):
        return 10, unit.replace("nm", "Angstrom")
    return 1, unit


def _in_nm(hdu: fits.BinTableHDU, name: str) -> float:
    """Factor that turns a column into nm."""
    return 0.1 if str(hdu.columns[name].unit or "").startswith("Angstrom") else 1.0


def read_orders(hdus: fits.HDUList) -> OrderSpectra:
    """The spectra of all orders of a product."""
    hdu = hdus["EXTRACTED_ORDERS"]
    data, factor = hdu.data, _in_nm(hdu, "wavelengthMean")
    orders = {}
    for number in np.unique(data["order"]):
        rows = data[data["order"] == number]
        values = {
            attribute: np.array(rows[name], dtype="u2" if attribute == "flags" else "f8")
            for name, (attribute, *_) in ORDER_COLUMNS.items()
            if attribute != "snr"
        }
        for attribute in ("wavelength", "bin_width"):
            values[attribute] = values[attribute] * factor
        orders[int(number)] = OrderSpectrum(**values)
    return OrderSpectra(orders, hdu.header.get("MEDIUM", "air"), _unit_of(factor))


def _unit_of(factor: float) -> str:
    return "nm" if factor == 1.0 else "angstrom"


def spectrum_hdus(spectrum: Spectrum, header: Header) -> fits.HDUList:
    """One table SPECTRUM: the documented six columns, and QUAL."""
    columns = []
    for name, values in _merged(spectrum).items():
        given = MERGED_COLUMNS[name][0]
        factor, unit = _in_unit(given, spectrum.unit)
        columns.append(fits.Column(name, "D", unit=unit or None, array=values * factor))
    columns.append(fits.Column("QUAL", "J", array=spectrum.flags.astype("i4")))
    hdu = fits.BinTableHDU.from_columns(columns, name="SPECTRUM")
    hdu.header["SPEC_BIN"] = (spectrum.step, "[nm] step of the wavelength grid")
    hdu.header["MEDIUM"] = (spectrum.medium, "wavelengths are those in air or vacuum")
    describe(
        hdu,
        {name: meaning for name, (_, meaning) in MERGED_COLUMNS.items()}
        | {"WAVE": f"bin centre, {spectrum.medium}"}
        | {"QUAL": "0 is good, else bits as in the FLAGS extension of images"},
    )
    return fits.HDUList([empty_primary(header), hdu])


def read_spectrum(hdus: fits.HDUList) -> Spectrum:
    """The merged spectrum of a product."""
    hdu = hdus["SPECTRUM"]
    factor = _in_nm(hdu, "WAVE")
    return Spectrum(
        wavelength=np.array(hdu.data["WAVE"], dtype="f8") * factor,
        flux=np.array(hdu.data["FLUX_COUNTS"], dtype="f8"),
        variance=np.array(hdu.data["VARIANCE"], dtype="f8"),
        sky=np.array(hdu.data["SKY_COUNTS"], dtype="f8"),
        flags=np.array(hdu.data["QUAL"], dtype="u2"),
        step=float(hdu.header["SPEC_BIN"]),
        medium=hdu.header.get("MEDIUM", "air"),
        unit=_unit_of(factor),
    )


def spectrum_text(spectrum: Spectrum) -> str:
    """The documented six columns, blank separated, one header line; WAVE in Angstrom."""
    columns = _merged(spectrum)
    columns["WAVE"] = columns["WAVE"] * 10.0
    text = io.StringIO()
    text.write(" ".join(columns) + "\n")
    np.savetxt(text, np.column_stack(list(columns.values())), fmt="%.2f" + " %.7g" * 5)
    return text.getvalue()


def _merged(spectrum: Spectrum) -> dict[str, np.ndarray]:
    return {
        "WAVE": spectrum.wavelength,
        "FLUX_COUNTS": spectrum.flux,
        "VARIANCE": spectrum.variance,
        "SKY_COUNTS": spectrum.sky,
        "SNR": spectrum.snr,
        "FLUX_DENSITY_COUNTS": spectrum.flux / spectrum.step,
    }
