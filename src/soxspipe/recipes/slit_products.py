"""What the object recipes deliver: products and plots, declared once."""

from soxspipe.recipes import rectified_steps
from soxspipe.recipes.recipe import Plot, Product

#: Label of a spectrum -> suffix, category and meaning.
_SPECTRA = {
    "EXTRACTED_ORDERS_TABLE": (
        "_EXTRACTED_ORDERS",
        ".fits",
        "SCI_ORDERS_FLUX",
        "spectra of the orders",
    ),
    "EXTRACTED_MERGED_TABLE": ("_EXTRACTED_MERGED", ".fits", "SCI_SLIT_FLUX", "merged spectrum"),
    "EXTRACTED_MERGED_ASCII": ("_EXTRACTED_MERGED", ".txt", "", "merged spectrum as text"),
}


def spectra(tech: str) -> tuple[Product, ...]:
    """The spectra of the target, and those of further objects on the slit."""
    own = tuple(
        Product(label, stem + ending, category, tech, meaning)
        for label, (stem, ending, category, meaning) in _SPECTRA.items()
    )
    others = tuple(
        Product(f"{label}_OTHERS", f"_OBJ{{n}}{stem}{ending}", category, tech, f"{meaning}, others")
        for label, (stem, ending, category, meaning) in _SPECTRA.items()
    )
    return own + others


def not_flat_fielded(tech: str) -> tuple[Product, ...]:
    """Spectra of a standard that was not divided by the flat: what the efficiency is made of."""
    return tuple(
        Product(
            f"{label}_NOTFLAT",
            f"{stem}_NOTFLAT{ending}",
            "",
            tech,
            f"{meaning}, without flat field",
        )
        for label, (stem, ending, _, meaning) in _SPECTRA.items()
        if ending == ".fits"
    )


def stare_images(tech: str) -> tuple[Product, ...]:
    """Images and trace of a stare recipe."""
    return (
        Product(
            "SKY_SUBTRACTED_OBJECT",
            "_SKYSUB.fits",
            "SCI_SLIT_SKYSUB",
            tech,
            "sky-subtracted frame",
        ),
        Product("SKY_MODEL", "_SKYMODEL.fits", "", tech, "sky model"),
        Product("SKY_SUB_RESIDUALS", "_SKYSUB_RESIDUALS.fits", "", tech, "residuals over noise"),
        Product("OBJECT_TRACE", "_OBJTRACE.fits", "OBJECT_TAB", tech, "trace of the object"),
        Product(
            "OBJECT_TRACE_OTHERS", "_OBJ{n}_OBJTRACE.fits", "OBJECT_TAB", tech, "traces of others"
        ),
    )


def difference_images(tech: str, *names: tuple[str, str]) -> tuple[Product, ...]:
    """Images and traces of a nod or offset recipe; `names`: (label, suffix) of the differences."""
    images = tuple(
        Product(label, suffix, "SCI_SLIT_SKYSUB", tech, "difference of two positions")
        for label, suffix in names
    )
    return (
        *images,
        Product(
            "SKY_SUBTRACTED_OBJECT",
            "_SKYSUB_{n}.fits",
            "SCI_SLIT_SKYSUB",
            tech,
            "exposures without a partner, sky subtracted",
        ),
        Product("OBJECT_TRACE", "_OBJTRACE_{n}.fits", "OBJECT_TAB", tech, "traces of the object"),
    )


def single_extractions(tech: str) -> tuple[Product, ...]:
    """What `save_single_frame_extractions` adds: spectra of every position, and the stacked images."""
    return (
        Product(
            "EXTRACTED_ORDERS_SINGLE",
            "_EXTRACTED_ORDERS_{n}.fits",
            "",
            tech,
            "spectra of the orders by position",
        ),
        Product(
            "EXTRACTED_MERGED_SINGLE",
            "_EXTRACTED_MERGED_{n}.fits",
            "",
            tech,
            "merged spectrum by position",
        ),
        Product("STACKED", "_{n}.fits", "", tech, "mean of the exposures of a position"),
    )


def two_dimensional(tech: str) -> tuple[Product, ...]:
    """Rectified images."""
    return (
        Product("RECTIFIED_ORDERS", "_RECTIFIED.fits", "", tech, "an image for each order"),
        rectified_steps.merged_product(tech),
    )


_ORDERS = Plot("EXTRACTED_ORDERS_QC_PLOT", "_EXTRACTED_ORDERS_QC_PLOT.pdf", "spectra of the orders")
_MERGED = Plot("EXTRACTED_MERGED_QC_PLOT", "_EXTRACTED_MERGED_QC_PLOT.pdf", "merged spectrum")

STARE_PLOTS = (
    Plot(
        "SKY_MODEL_QC_PLOTS",
        "_SKYMODEL_QC_PLOTS_ORDER_{n}.pdf",
        "sky fit of an order, if `sky_model_qc_plot` is true",
    ),
    Plot("SKY_SUBTRACTION_QUICKLOOK", "_skysub_quicklook.pdf", "frame, sky model, residuals"),
    Plot(
        "OBJECT_TRACE_RES",
        "_OBJECT_TRACE_residuals_{degrees}.pdf",
        "collapsed slit and trace",
    ),
    _ORDERS,
    _MERGED,
    rectified_steps.MERGED_PLOT,
)

NOT_FLAT_PLOTS = (
    Plot(
        "EXTRACTED_ORDERS_QC_PLOT_NOTFLAT",
        "_EXTRACTED_ORDERS_QC_PLOT_NOTFLAT.pdf",
        "spectra of the orders, without flat field",
    ),
)

DIFFERENCE_PLOTS = (
    Plot("SKY_SUBTRACTION_QUICKLOOK", "_skysub_quicklook_{n}.pdf", "frame, sky, difference"),
    Plot(
        "OBJECT_TRACE_RES",
        "_OBJECT_TRACE_residuals_{n}_{degrees}.pdf",
        "collapsed slit and trace by position",
    ),
    Plot(
        "EXTRACTED_ORDERS_QC_PLOT",
        "_EXTRACTED_ORDERS_QC_PLOT_{n}.pdf",
        "spectra of the orders by position",
    ),
    _MERGED,
    rectified_steps.MERGED_PLOT,
)
