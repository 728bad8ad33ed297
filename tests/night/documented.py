"""What the manual says a reduced night holds; written out here, not taken from the declarations."""

#: Endings of the files in reduced/<night>/<recipe>, after the stem of the SOF.
_OBJECT = (
    "_SKYSUB.fits",
    "_SKYMODEL.fits",
    "_SKYSUB_RESIDUALS.fits",
    "_OBJTRACE.fits",
    "_EXTRACTED_ORDERS.fits",
    "_EXTRACTED_MERGED.fits",
    "_EXTRACTED_MERGED.txt",
    "_RECTIFIED.fits",
    "_MERGED2D.fits",
)
_NOT_FLAT = ("_EXTRACTED_ORDERS_NOTFLAT.fits", "_EXTRACTED_MERGED_NOTFLAT.fits")
REDUCED = {
    "soxs-mbias": (".fits",),
    "soxs-mdark": (".fits",),
    "soxs-disp-solution": (".fits",),
    "soxs-order-centres": (".fits",),
    "soxs-mflat": (".fits", "OLOC.fits", "_BKGROUND.fits"),
    "soxs-spat-solution": (".fits", "_IMAGE.fits"),
    "soxs-stare-std": (*_OBJECT, *_NOT_FLAT),
    "soxs-stare": _OBJECT,
}
_OBJECT_PLOTS = (
    "_skysub_quicklook.pdf",
    "_OBJECT_TRACE_residuals_{degrees}.pdf",
    "_EXTRACTED_ORDERS_QC_PLOT.pdf",
    "_EXTRACTED_MERGED_QC_PLOT.pdf",
    "_MERGED2D_quicklook.pdf",
)
_LINES = ("_FITTED_LINES.fits", "_MISSED_LINES.fits", "_RESIDUALS_{degrees}.pdf")
#: Degrees of the documented polynomials, by a word in the name of the SOF and arm.
_DEGREES = {
    ("DSOL", "VIS"): "335500",
    ("DSOL", "NIR"): "534500",
    ("OLOC", "VIS"): "35",
    ("OLOC", "NIR"): "65",
    ("SSOL", "VIS"): "335511",
    ("SSOL", "NIR"): "445412",
    ("STARE", "VIS"): "35",
    ("STARE", "NIR"): "44",
}
#: Endings of the files in qc/<night>/<recipe>.
QC = {
    "soxs-mbias": (".pdf",),
    "soxs-mdark": (".pdf",),
    "soxs-disp-solution": _LINES,
    "soxs-order-centres": ("_residuals_{degrees}.pdf",),
    "soxs-mflat": ("_ORD_LOC.pdf", "_BKGROUND.pdf", "_FLAT.pdf"),
    "soxs-spat-solution": _LINES,
    "soxs-stare-std": (*_OBJECT_PLOTS, "_EXTRACTED_ORDERS_QC_PLOT_NOTFLAT.pdf"),
    "soxs-stare": _OBJECT_PLOTS,
}
#: Recipe folder of a SOF, by a word in its name.
FOLDER_OF = {
    "MBIAS": "soxs-mbias",
    "MDARK": "soxs-mdark",
    "DSOL": "soxs-disp-solution",
    "OLOC": "soxs-order-centres",
    "MFLAT": "soxs-mflat",
    "SSOL": "soxs-spat-solution",
    "STARE_STD": "soxs-stare-std",
    "STARE_OBJ": "soxs-stare",
}
#: SOF files of a stare night of both arms, as the file names are documented.
SOFS = {
    "20260511T100130_VIS_1X1_1_MBIAS_SOXS",
    "20260511T100130_NIR_3_MDARK_20_0S_SOXS",
    "20260511T100716_NIR_3_MDARK_60_0S_SOXS",
    "20260511T101621_NIR_3_MDARK_600_0S_SOXS",
    "20260511T100535_VIS_1X1_1_DSOL_PINHOLE_60_0S_SOXS",
    "20260511T111027_NIR_3_DSOL_PINHOLE_60_0S_SOXS",
    "20260511T100836_VIS_1X1_1_OLOC_QTH_PINHOLE_60_0S_SOXS",
    "20260511T111459_NIR_3_OLOC_QTH_PINHOLE_20_0S_SOXS",
    "20260511T101137_VIS_1X1_1_MFLAT_QTH_SLIT1_0_60_0S_SOXS",
    "20260511T102043_VIS_1X1_1_MFLAT_QTH_SLIT5_0_12_0S_SOXS",
    "20260511T111811_NIR_3_MFLAT_QTH_SLIT1_5_20_0S_SOXS",
    "20260511T103454_VIS_1X1_1_SSOL_MULTPIN_60_0S_SOXS",
    "20260511T112813_NIR_3_SSOL_MULTPIN_60_0S_SOXS",
    "20260510T234130_VIS_1X1_1_STARE_STD_FLUX_SLIT5_0_60_0S_SOXS",
    "20260510T234130_NIR_3_STARE_STD_FLUX_SLIT5_0_60_0S_SOXS",
    "20260510T234431_VIS_1X1_1_STARE_OBJ_SLIT1_0_900_0S_SOXS_SN2026sim",
    "20260510T234431_NIR_3_STARE_OBJ_SLIT1_5_600_0S_SOXS_SN2026sim",
}

#: PRO CATG (without arm; None: no category) and PRO TECH by recipe folder and ending.
_STARE = "ECHELLE,SLIT,STARE"
CLASSES = {
    ("soxs-mbias", ".fits"): ("MASTER_BIAS", "IMAGE"),
    ("soxs-mdark", ".fits"): ("MASTER_DARK", "IMAGE"),
    ("soxs-disp-solution", ".fits"): ("DISP_TAB", "ECHELLE,PINHOLE"),
    ("soxs-order-centres", ".fits"): ("ORDER_TAB", "ECHELLE,SLIT"),
    ("soxs-mflat", ".fits"): ("MASTER_FLAT", "IMAGE"),
    ("soxs-mflat", "OLOC.fits"): ("ORDER_TAB", "ECHELLE,SLIT"),
    ("soxs-mflat", "_BKGROUND.fits"): (None, "IMAGE"),
    ("soxs-spat-solution", ".fits"): ("DISP_TAB", "ECHELLE,MULTI-PINHOLE"),
    ("soxs-spat-solution", "_IMAGE.fits"): ("DISP_IMAGE", "ECHELLE,MULTI-PINHOLE"),
    ("soxs-stare", "_SKYSUB.fits"): ("SCI_SLIT_SKYSUB", _STARE),
    ("soxs-stare", "_RECTIFIED.fits"): (None, _STARE),
    ("soxs-stare", "_MERGED2D.fits"): ("SCI_SLIT_MERGE2D", _STARE),
    ("soxs-stare", "_SKYMODEL.fits"): (None, _STARE),
    ("soxs-stare", "_SKYSUB_RESIDUALS.fits"): (None, _STARE),
    ("soxs-stare", "_OBJTRACE.fits"): ("OBJECT_TAB", _STARE),
    ("soxs-stare", "_EXTRACTED_ORDERS.fits"): ("SCI_ORDERS_FLUX", _STARE),
    ("soxs-stare", "_EXTRACTED_MERGED.fits"): ("SCI_SLIT_FLUX", _STARE),
}

#: Columns and units of the tables, by ending.
_LINE_COLUMNS = {
    "wavelength": "nm",
    "order": None,
    "slit_index": None,
    "slit_position": "arcsec",
    "detector_x": "pix",
    "detector_y": "pix",
}
COLUMNS = {
    "_EXTRACTED_ORDERS.fits": {
        "order": None,
        "xcoord_centre": "pix",
        "ycoord": "pix",
        "wavelengthMean": "nm",
        "pixelScaleNm": "nm pix-1",
        "varianceSpectrum": "count2",
        "snr": None,
        "extractedFluxOptimal": "count",
        "extractedFluxBoxcar": "count",
        "extractedFluxBoxcarRobust": "count",
        "skyFlux": "count",
    },
    "_EXTRACTED_MERGED.fits": {
        "WAVE": "nm",
        "FLUX_COUNTS": "count",
        "VARIANCE": "count2",
        "SKY_COUNTS": "count",
        "SNR": None,
        "FLUX_DENSITY_COUNTS": "count nm-1",
    },
    "_MISSED_LINES.fits": _LINE_COLUMNS,
    "_FITTED_LINES.fits": _LINE_COLUMNS
    | dict.fromkeys(
        (
            "detector_x_shifted",
            "detector_y_shifted",
            "observed_x",
            "observed_y",
            "x_diff",
            "y_diff",
            "fit_x",
            "fit_y",
            "residuals_x",
            "residuals_y",
            "residuals_xy",
            "fwhm_pin_px",
        ),
        "pix",
    )
    | dict.fromkeys(("sigma_clipped", "R_pin"))
    | {"sky": "count", "peak": "count", "flux": "count", "pixelScaleNm": "nm pix-1"},
}


def folder_of(stem):
    """Recipe folder of a SOF."""
    return next(folder for word, folder in FOLDER_OF.items() if f"_{word}_" in stem)


def file_names(stem, endings):
    """Names of the files of one SOF."""
    degrees = next(
        (d for (word, arm), d in _DEGREES.items() if f"_{arm}_" in stem and f"_{word}_" in stem), ""
    )
    return {
        stem.replace("_MFLAT", "_OLOC") + ".fits"
        if ending == "OLOC.fits"
        else stem + ending.format(degrees=degrees)
        for ending in endings
    }
