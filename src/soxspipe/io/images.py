"""Image products: Frame, MasterFlat and PixelMap as FITS extensions."""

from collections.abc import Mapping
from enum import IntFlag

import numpy as np
from astropy.io import fits
from astropy.io.fits import Header

from soxspipe.datamodel.flat import MasterFlat
from soxspipe.datamodel.frame import Frame, PixelFlag
from soxspipe.datamodel.geometry import MapFlag, PixelMap


def frame_hdus(frame: Frame, header: Header) -> fits.HDUList:
    """FLUX (float32), QUAL (uint8, 1 is bad), ERRS (float32, 1 sigma), FLAGS (uint16 bits)."""
    primary = fits.PrimaryHDU(np.ascontiguousarray(frame.data), header=header)
    primary.header["EXTNAME"] = "FLUX"
    _set_unit(primary, frame.unit)
    errors = np.sqrt(np.maximum(frame.variance, 0.0))
    flags = _flag_image(frame.flags, "FLAGS", PixelFlag)
    return fits.HDUList(
        [
            primary,
            _image((frame.flags != 0).astype("u1"), "QUAL"),
            _image(errors, "ERRS", frame.unit),
            flags,
        ]
    )


def read_frame(hdus: fits.HDUList) -> Frame:
    """The frame of a product; without FLAGS every bad pixel of QUAL is BAD."""
    bad = np.asarray(hdus["QUAL"].data) != 0
    flags = hdus["FLAGS"].data if "FLAGS" in hdus else bad * np.uint16(PixelFlag.BAD)
    return Frame(
        data=hdus[0].data,
        variance=np.square(hdus["ERRS"].data, dtype="f4"),
        flags=flags,
        unit=str(hdus[0].header.get("BUNIT", "")),
        header=hdus[0].header.copy(),
    )


def flat_hdus(flat: MasterFlat, header: Header) -> fits.HDUList:
    """The extensions of a frame, and LAMP: one row per order."""
    hdus = frame_hdus(flat.frame, header)
    orders = sorted(flat.lamp)
    n = max((len(flat.lamp[o]) for o in orders), default=1)
    rows = np.full((len(orders), n), np.nan, dtype="f4")
    for row, order in zip(rows, orders, strict=True):
        row[: len(flat.lamp[order])] = flat.lamp[order]
    columns = [
        fits.Column("order", "I", array=np.array(orders, dtype="i2")),
        fits.Column("pixels", "J", array=np.array([len(flat.lamp[o]) for o in orders], dtype="i4")),
        fits.Column("lamp", f"{n}E", array=rows),
    ]
    hdus.append(fits.BinTableHDU.from_columns(columns, name="LAMP"))
    return hdus


def read_flat(hdus: fits.HDUList) -> MasterFlat:
    """The master flat of a product."""
    table = hdus["LAMP"].data
    lamp: Mapping[int, np.ndarray] = {
        int(order): np.array(row[:n], dtype="f4")
        for order, n, row in zip(table["order"], table["pixels"], table["lamp"], strict=True)
    }
    return MasterFlat(read_frame(hdus), lamp)


def map_hdus(pixel_map: PixelMap, header: Header) -> fits.HDUList:
    """WAVELENGTH (float64: float32 would spoil 1e-3 px), SLIT, ORDER, the table RELIABLE; ERROR (nm) and
    QUAL (bits of MapFlag) if the map has them.
    """
    primary = fits.PrimaryHDU(pixel_map.wavelength.astype("f8"), header=header)
    primary.header["EXTNAME"] = "WAVELENGTH"
    _set_unit(primary, "nm")
    orders = sorted(pixel_map.reliable)
    ranges = np.array([pixel_map.reliable[o] for o in orders], dtype="f8").reshape(-1, 2)
    columns = [
        fits.Column("order", "I", array=np.array(orders, dtype="i2")),
        fits.Column("wavelength_low", "D", unit="nm", array=ranges[:, 0]),
        fits.Column("wavelength_high", "D", unit="nm", array=ranges[:, 1]),
    ]
    hdus = fits.HDUList(
        [
            primary,
            _image(pixel_map.slit.astype("f4"), "SLIT", "arcsec"),
            _image(pixel_map.order.astype("i2"), "ORDER"),
            fits.BinTableHDU.from_columns(columns, name="RELIABLE"),
        ]
    )
    if pixel_map.error is not None:
        hdus.append(_image(pixel_map.error.astype("f4"), "ERROR", "nm"))
    if pixel_map.quality is not None:
        hdus.append(_flag_image(pixel_map.quality.astype("u1"), "QUAL", MapFlag))
    return hdus


def read_map(hdus: fits.HDUList) -> PixelMap:
    """The pixel map of a product."""
    reliable = {}
    if "RELIABLE" in hdus:
        table = hdus["RELIABLE"].data
        reliable = {
            int(o): (float(low), float(high))
            for o, low, high in zip(
                table["order"], table["wavelength_low"], table["wavelength_high"], strict=True
            )
        }
    return PixelMap(
        wavelength=np.asarray(hdus["WAVELENGTH"].data, dtype="f8"),
        slit=np.asarray(hdus["SLIT"].data, dtype="f4"),
        order=np.asarray(hdus["ORDER"].data, dtype="i2"),
        reliable=reliable,
        error=np.asarray(hdus["ERROR"].data, dtype="f4") if "ERROR" in hdus else None,
        quality=np.asarray(hdus["QUAL"].data, dtype="u1") if "QUAL" in hdus else None,
    )


def _flag_image(data: np.ndarray, name: str, flags: type[IntFlag]) -> fits.ImageHDU:
    """An image of bits, their meaning in the header."""
    hdu = _image(data, name)
    for flag, bit in flags.__members__.items():
        hdu.header[f"FLAG{int(bit)}"] = (flag, f"meaning of bit {int(bit).bit_length() - 1}")
    return hdu


def _image(data: np.ndarray, name: str, unit: str = "") -> fits.ImageHDU:
    # astropy writes what is not contiguous, a turned VIS frame, number by number
    hdu = fits.ImageHDU(np.ascontiguousarray(data), name=name)
    _set_unit(hdu, unit)
    return hdu


def _set_unit(hdu: fits.PrimaryHDU | fits.ImageHDU, unit: str) -> None:
    hdu.header.remove("BUNIT", ignore_missing=True)
    if unit:
        hdu.header["BUNIT"] = unit
