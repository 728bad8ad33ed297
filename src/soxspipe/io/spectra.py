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
    "wavelengthMean": ("wavelength", "D", "nm", "effective wavelength of the bin, air"),
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
    "WAVE": ("nm", "bin centre, air"),
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
    for name, (attribute, form, unit, _) in ORDER_COLUMNS.items():
        values = np.concatenate([getattr(s, attribute) for _, s in rows])
        columns.append(fits.Column(name, form, unit=unit or None, array=values))
    hdu = fits.BinTableHDU.from_columns(columns, name="EXTRACTED_ORDERS")
    describe(hdu, {name: spec[3] for name, spec in ORDER_COLUMNS.items()} | {"order": "order"})
    return fits.HDUList([empty_primary(header), hdu])


def read_orders(hdus: fits.HDUList) -> OrderSpectra:
    """The spectra of all orders of a product."""
    data = hdus["EXTRACTED_ORDERS"].data
    orders = {}
    for number in np.unique(data["order"]):
        rows = data[data["order"] == number]
        values = {
            attribute: np.array(rows[name], dtype="u2" if attribute == "flags" else "f8")
            for name, (attribute, *_) in ORDER_COLUMNS.items()
            if attribute != "snr"
        }
        orders[int(number)] = OrderSpectrum(**values)
    return OrderSpectra(orders)


def spectrum_hdus(spectrum: Spectrum, header: Header) -> fits.HDUList:
    """One table SPECTRUM: the documented six columns, and QUAL."""
    columns = [
        fits.Column(name, "D", unit=MERGED_COLUMNS[name][0] or None, array=values)
        for name, values in _merged(spectrum).items()
    ]
    columns.append(fits.Column("QUAL", "J", array=spectrum.flags.astype("i4")))
    hdu = fits.BinTableHDU.from_columns(columns, name="SPECTRUM")
    hdu.header["SPEC_BIN"] = (spectrum.step, "[nm] step of the wavelength grid")
    describe(
        hdu,
        {name: meaning for name, (_, meaning) in MERGED_COLUMNS.items()}
        | {"QUAL": "0 is good, else bits as in the FLAGS extension of images"},
    )
    return fits.HDUList([empty_primary(header), hdu])


def read_spectrum(hdus: fits.HDUList) -> Spectrum:
    """The merged spectrum of a product."""
    hdu = hdus["SPECTRUM"]
    return Spectrum(
        wavelength=np.array(hdu.data["WAVE"], dtype="f8"),
        flux=np.array(hdu.data["FLUX_COUNTS"], dtype="f8"),
        variance=np.array(hdu.data["VARIANCE"], dtype="f8"),
        sky=np.array(hdu.data["SKY_COUNTS"], dtype="f8"),
        flags=np.array(hdu.data["QUAL"], dtype="u2"),
        step=float(hdu.header["SPEC_BIN"]),
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
