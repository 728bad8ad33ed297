"""Products to disk and back: one function each way, whatever the kind of value."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from astropy.io import fits
from astropy.io.fits import Header
from astropy.table import Table

from soxspipe.datamodel.flat import MasterFlat
from soxspipe.datamodel.frame import Frame
from soxspipe.datamodel.geometry import PixelMap
from soxspipe.datamodel.rectified import RectifiedOrders, RectifiedSpectrum
from soxspipe.datamodel.spectrum import OrderSpectra, Spectrum
from soxspipe.errors import InputError
from soxspipe.io import geometry_tables, images, rectified, spectra, tables
from soxspipe.io.frames import open_fits
from soxspipe.io.geometry_tables import DispersionProduct, OrderTableProduct
from soxspipe.io.writing import Staged, fits_bytes, refuse_existing

__all__ = [
    "DispersionProduct",
    "OrderTableProduct",
    "product_bytes",
    "read_product",
    "write_product",
]

_WRITERS: dict[type, Callable[[Any, Header], fits.HDUList]] = {
    Frame: images.frame_hdus,
    MasterFlat: images.flat_hdus,
    PixelMap: images.map_hdus,
    DispersionProduct: geometry_tables.solution_hdus,
    OrderTableProduct: geometry_tables.table_hdus,
    OrderSpectra: spectra.orders_hdus,
    Spectrum: spectra.spectrum_hdus,
    RectifiedOrders: rectified.orders_hdus,
    RectifiedSpectrum: rectified.spectrum_hdus,
    Table: tables.table_hdus,
}

#: Extension that gives a product away -> its reader. The first that is there counts.
_READERS: dict[str, Callable[[fits.HDUList], Any]] = {
    "LAMP": images.read_flat,
    "CORRELATION": rectified.read_spectrum,
    "RECTIFIED_ORDERS": rectified.read_orders,
    "ERRS": images.read_frame,
    "WAVELENGTH": images.read_map,
    "ORDER_SOLUTIONS": geometry_tables.read_solution,
    "ORDER_TRACES": geometry_tables.read_table,
    "EXTRACTED_ORDERS": spectra.read_orders,
    "SPECTRUM": spectra.read_spectrum,
}


def write_product(path: Path, value: Any, header: Header, *, overwrite: bool = False) -> None:
    """Write one product: `.txt` as text (a Spectrum), anything else as FITS.

    Raises OutputError if the product exists and `overwrite` is false, or cannot be written.
    """
    refuse_existing(path, overwrite=overwrite)
    with Staged() as stage:
        stage.write(path, product_bytes(path, value, header))


def product_bytes(path: Path, value: Any, header: Header) -> bytes | memoryview:
    """The content of a product file: text for `.txt` (a Spectrum), else FITS."""
    if path.suffix == ".txt":
        return spectra.spectrum_text(value).encode("ascii")
    return fits_bytes(product_hdus(value, header))


def product_hdus(value: Any, header: Header) -> fits.HDUList:
    """The extensions that hold `value`. TypeError for a value that is no product."""
    for kind in type(value).__mro__:
        if kind in _WRITERS:
            return _WRITERS[kind](value, header)
    raise TypeError(f"no way to write a {type(value).__name__} as a product")


def read_product(path: Path) -> Any:
    """The value a product file holds, by its extensions.

    Raises InputError if the file is missing, damaged, or no product of this pipeline.
    """
    with open_fits(path) as hdus:
        names = {hdu.name for hdu in hdus}
        try:
            for name, read in _READERS.items():
                if name in names:
                    return read(hdus)
            if any(isinstance(hdu, fits.BinTableHDU) for hdu in hdus):
                return tables.read_table(hdus)
        except (KeyError, ValueError, TypeError, OSError) as error:
            raise InputError(
                f"{path}: is damaged, or not written by this version of soxspipe",
                hint="make the product again with -x",
            ) from error
    raise InputError(
        f"{path}: is no product of soxspipe", hint="name a product of the recipe that makes it"
    )
