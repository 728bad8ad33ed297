"""Rectified images as FITS extensions: of all orders, and of the whole arm."""

import numpy as np
from astropy.io import fits
from astropy.io.fits import Header

from soxspipe.datamodel.frame import PixelFlag
from soxspipe.datamodel.rectified import Grid, RectifiedImage, RectifiedOrders, RectifiedSpectrum
from soxspipe.io.tables import describe, empty_primary

Image = fits.PrimaryHDU | fits.ImageHDU

#: Extension -> attribute; what a product does not know is left out.
_IMAGES = {
    "FLUX": "flux",
    "ERRS": "error",
    "QUAL": "flags",
    "COVER": "cover",
    "SKY": "sky",
    "SKYERR": "sky_error",
}

_LAYOUT = ("XTENSION", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "PCOUNT", "GCOUNT")


def orders_hdus(product: RectifiedOrders, header: Header) -> fits.HDUList:
    """The table RECTIFIED_ORDERS, then per order FLUX_<order>, ERRS_<order>, QUAL_<order>, COVER_<order>,
    CORR_<order>; SKY_<order> and SKYERR_<order> if the sky is known.
    """
    numbers = sorted(product.orders)
    images = [product.orders[n] for n in numbers]
    columns = [
        fits.Column("order", "I", array=np.array(numbers, dtype="i2")),
        fits.Column("wavelength_low", "D", unit="nm", array=[i.wavelength[0] for i in images]),
        fits.Column("wavelength_high", "D", unit="nm", array=[i.wavelength[-1] for i in images]),
        fits.Column("noise_factor", "E", array=[i.noise_factor for i in images]),
    ]
    table = fits.BinTableHDU.from_columns(columns, name="RECTIFIED_ORDERS")
    describe(table, {"noise_factor": "error of a large sum over the naive one, median"})
    hdus = fits.HDUList([empty_primary(header), table])
    for number, image in zip(numbers, images, strict=True):
        hdus.extend(_hdus(image, f"_{number}"))
    return hdus


def read_orders(hdus: fits.HDUList) -> RectifiedOrders:
    """The images of all orders of a product."""
    numbers = [int(n) for n in hdus["RECTIFIED_ORDERS"].data["order"]]
    return RectifiedOrders({n: _read(hdus, f"_{n}", RectifiedImage) for n in numbers})


def spectrum_hdus(image: RectifiedSpectrum, header: Header) -> fits.HDUList:
    """FLUX (primary), ERRS, QUAL, CORRELATION; SKY and SKYERR if they are known."""
    first, *rest = _hdus(image, "")
    primary = fits.PrimaryHDU(first.data, header=header)
    for card in first.header.cards:
        if card.keyword not in _LAYOUT:
            primary.header[card.keyword] = (card.value, card.comment)
    rest[-1].name = "CORRELATION"
    return fits.HDUList([primary, *rest])


def read_spectrum(hdus: fits.HDUList) -> RectifiedSpectrum:
    """The image of the whole arm."""
    image = _read(hdus, "", RectifiedSpectrum, correlation="CORRELATION")
    assert isinstance(image, RectifiedSpectrum)
    return image


def _hdus(image: RectifiedImage, ending: str) -> list[fits.ImageHDU]:
    """Images with their grid in the header; the correlation comes last."""
    found = []
    for name, attribute in _IMAGES.items():
        data = getattr(image, attribute)
        if data is None:
            continue
        hdu = fits.ImageHDU(np.ascontiguousarray(data), name=f"{name}{ending}")
        _describe_grid(hdu.header, image.grid)
        if name in ("FLUX", "ERRS", "SKY", "SKYERR"):
            hdu.header["BUNIT"] = (image.unit, "per bin that is covered wholly")
        if name in ("FLUX", "ERRS"):
            hdu.header["NOISEFAC"] = (
                round(image.noise_factor, 4),
                "true over naive error of a large sum",
            )
        if name == "QUAL":
            for flag, bit in PixelFlag.__members__.items():
                hdu.header[f"FLAG{int(bit)}"] = (
                    flag,
                    f"meaning of bit {int(bit).bit_length() - 1}",
                )
        found.append(hdu)
    table = fits.ImageHDU(np.ascontiguousarray(image.correlation), name=f"CORR{ending}")
    table.header["COMMENT"] = "Mean correlation of the noise of two bins that lie apart by"
    table.header["COMMENT"] = "axis 1 - (NAXIS1 + 1) / 2 in slit and axis 2 - 1 in wavelength;"
    table.header["COMMENT"] = "axis 3: chunks of wavelength bins."
    return [*found, table]


def _describe_grid(header: Header, grid: Grid) -> None:
    cards = (
        ("CTYPE1", "AWAV", "wavelength in air"),
        ("CUNIT1", "nm", ""),
        ("CRPIX1", 1.0, ""),
        ("CRVAL1", grid.first * grid.step, "centre of the first bin"),
        ("CDELT1", grid.step, ""),
        ("CTYPE2", "SLIT", "position along the slit"),
        ("CUNIT2", "arcsec", ""),
        ("CRPIX2", 1.0, ""),
        ("CRVAL2", grid.slit_first * grid.slit_step, "centre of the first bin"),
        ("CDELT2", grid.slit_step, ""),
    )
    for keyword, value, comment in cards:
        header[keyword] = (value, comment)


def _read(
    hdus: fits.HDUList, ending: str, kind: type[RectifiedImage], *, correlation: str = ""
) -> RectifiedImage:
    images = {a: hdus[f"{n}{ending}"].data for n, a in _IMAGES.items() if f"{n}{ending}" in hdus}
    header = hdus[f"FLUX{ending}"].header
    step, slit_step = float(header["CDELT1"]), float(header["CDELT2"])
    ny, nx = images["flux"].shape
    grid = Grid(
        round(header["CRVAL1"] / step),
        step,
        round(header["CRVAL2"] / slit_step),
        slit_step,
        (ny, nx),
    )
    table = hdus[correlation or f"CORR{ending}"].data
    return kind(grid=grid, correlation=table, unit=str(header["BUNIT"]), **images)
