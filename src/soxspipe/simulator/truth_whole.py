"""The truth of a whole template on sky: light and best S/N of all its exposures together."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from astropy.io import fits

from soxspipe.simulator.templates import Exposure
from soxspipe.simulator.truth import table

_UNITS = {"wavelength": "nm", "bin_width": "nm"}


def write_templates(
    folder: Path, plan: Sequence[Exposure], mates: Mapping[int, tuple[Exposure, bool]]
) -> None:
    """`<first raw stem>_whole.fits` for every template of `plan` with a target in it."""
    for block in sorted({e.block for e in plan if e.target}):
        seen = [e for e in plan if e.block == block and e.on_target]
        pairs = [e for e in seen if mates.get(e.number, (None, False))[1]]
        if seen:
            write_whole(folder, pairs or seen, [e for e in seen if pairs and e not in pairs])


def write_whole(folder: Path, counted: Sequence[Exposure], alone: Sequence[Exposure]) -> None:
    """Sum over the exposures `counted`; those left `alone`, without a partner, are named.

    The S/N of the whole is the root of the sum of the squares over exposures: of the difference with
    the partner if there are pairs, else of the exposure by itself. That is what inverse-variance weights
    reach, and no pair shares a frame with another.
    """
    hdus = [fits.PrimaryHDU()]
    header = hdus[0].header
    header["EXPTIME"] = (sum(e.seconds for e in counted), "[s] on target")
    for key, frames in (("FRAME", counted), ("ALONE", alone)):
        for number, exposure in enumerate(frames, start=1):
            header[f"{key}{number}"] = f"{exposure.stem}.fits"
    parts = []
    for exposure in counted:
        with fits.open(folder / f"{exposure.stem}_spectrum.fits") as opened:
            parts.append([np.array(hdu.data) for hdu in opened[1:]])
    for number, tables in enumerate(zip(*parts, strict=True), start=1):
        name = "SPECTRUM" if number == 1 else f"SPECTRUM{number}"
        hdus.append(_sum(tables, name))
        hdus[-1].header["OBJNUM"] = (number, "1 is the target")
    first = min((*counted, *alone), key=lambda e: e.number)
    fits.HDUList(hdus).writeto(folder / f"{first.stem}_whole.fits", overwrite=True)


def _sum(tables: Sequence[np.ndarray], name: str) -> fits.BinTableHDU:
    pairs = all(np.isfinite(t["ideal_snr_difference"]).all() for t in tables)
    snr = [t["ideal_snr_difference" if pairs else "ideal_snr"].astype("f8") for t in tables]
    first = tables[0]
    columns = {key: first[key].astype(first[key].dtype.newbyteorder("=")) for key in _KEPT}
    columns["flux"] = np.sum([t["flux"] for t in tables], axis=0).astype("f8")
    columns["ideal_snr"] = np.sqrt(np.sum(np.square(snr), axis=0)).astype("f4")
    return table(columns, _UNITS, name)


_KEPT = ("order", "pixel", "wavelength", "bin_width")
