"""Tables: line lists and whatever else a recipe measures, columns with units and meanings."""

from astropy.io import fits
from astropy.io.fits import Header
from astropy.table import Table


def empty_primary(header: Header) -> fits.PrimaryHDU:
    """A primary without data: tables sit in the extensions."""
    primary = fits.PrimaryHDU(header=header)
    primary.header["EXTNAME"] = "FLUX"
    primary.header.remove("BUNIT", ignore_missing=True)
    return primary


def table_hdus(table: Table, header: Header) -> fits.HDUList:
    """Empty primary and the table. Its EXTNAME is `table.meta["EXTNAME"]`, else TABLE."""
    bare = table.copy(copy_data=False)
    bare.meta = {}
    for name in bare.colnames:
        if bare[name].unit is not None:
            # FITS knows no unit `electron`; in our tables a count is one electron
            bare[name].unit = str(bare[name].unit).replace("electron", "count")
    hdu = fits.table_to_hdu(bare)
    hdu.name = str(table.meta.get("EXTNAME", "TABLE"))
    describe(hdu, {name: table[name].description or "" for name in table.colnames})
    return fits.HDUList([empty_primary(header), hdu])


def read_table(hdus: fits.HDUList) -> Table:
    """The first table of the file."""
    hdu = next(h for h in hdus if isinstance(h, fits.BinTableHDU))
    return Table.read(hdu)


def describe(hdu: fits.BinTableHDU, meanings: dict[str, str]) -> None:
    """Write the meaning of each column as TCOMM<i>."""
    for number, column in enumerate(hdu.columns, start=1):
        if meaning := meanings.get(column.name):
            hdu.header[f"TCOMM{number}"] = meaning[:66].replace("'", "")
