"""Blocks of options: the top of the file, and those that several recipes share."""

from typing import Annotated, Literal

from pydantic import Field

from soxspipe.settings.options import Options, RecipeSettings, block, option

Degree = Annotated[int, Field(ge=1, le=9)]

FIT_SIGMA = "rejection limit of the polynomial fit [sigma]"
BOOTSTRAP = "refine the dispersion solutions with the denser line atlas"
FIT_ROUNDS = "most rounds of rejection in that fit"
STACK_SIGMA = "rejection limit when stacking [expected sigma per pixel]"
STACK_ROUNDS = "most rounds of rejection when stacking"


class GeneralSettings(Options):
    """The switches at the top of the file."""

    version: Literal[1] = option("format version of this file", 1)
    save_intermediate_products: bool = option("keep prepared frames (much disk)", False)
    instrument: Literal["soxs"] = option("instrument", "soxs")
    data_extension: int = option("FITS extension of the raw data", 0, ge=0)
    PAE: bool = option("acceptance tests: let pinhole flats pass through stare", False)
    ignore_dflats: bool = option("leave out deuterium flats", True)
    ignore_dome_flats: bool = option("leave out dome flats", True)
    stack_stare_templates: bool = option(
        "stare exposures of one template are reduced together, not one by one", False
    )
    bad_pixel_maps: str = option(
        "folder of bad-pixel maps, BPM_NIR.fits, BPM_VIS_1X1.fits and so on; none if empty", ""
    )
    bootstrap_dispersion_solution: bool = option(BOOTSTRAP, False, underscores=True)


class BackgroundSubtraction(Options):
    """Scattered light between the orders."""

    bspline_deg: int = option("degree of the background splines", 2, ge=1, le=5)
    gaussian_blur_sigma: float = option("smoothing of the background [px]", 65.0, gt=0)


class WithBackground(RecipeSettings):
    """What a recipe has that removes scattered light."""

    background_subtraction: BackgroundSubtraction = block("scattered light between the orders")


class DetectContinuum(Options):
    """Finding and fitting a continuous trace."""

    order_sample_count: int = option("slices across dispersion per order", ge=10)
    slice_length: int = option("length of a slice across the order [px]", ge=5)
    slice_width: int = option("width of a slice along the order [px]", ge=1)
    peak_sigma_limit: float = option("least height of a detected peak [MAD-based sigma]", gt=0)
    disp_axis_deg: Degree = option("degree along the dispersion axis")
    order_deg: Degree = option("degree in order number")
    poly_fitting_residual_clipping_sigma: float = option(FIT_SIGMA, gt=0)
    poly_clipping_iteration_limit: int = option(FIT_ROUNDS, ge=0)


class SkySubtraction(Options):
    """Sky model by a B-spline on the pixels as they were read (Kelson 2003)."""

    subtract_sky: bool = option("model and remove the sky", True, underscores=True)
    percentile_clipping_sigma: float = option(
        "rejection limit that masks the object before the sky fit [sigma]", underscores=True, gt=0
    )
    percentile_clipping_iterations: int = option(
        "most rounds of that masking", 15, underscores=True, ge=0
    )
    percentile_rolling_window_size: int = option(
        "window of the rolling percentile [px]", 35, underscores=True, ge=3
    )
    clip_slit_edge_fraction: float = option(
        "part of the slit masked at each end", VIS=0.07, NIR=0.02, ge=0, lt=0.5
    )
    aggressive_object_masking: bool = option(
        "mask generously near the object trace", True, underscores=True
    )
    bspline_order: int = option("degree of the sky spline", 3, underscores=True, ge=1, le=5)
    slit_illumination_order: int = option(
        "degree of the slit illumination", 1, underscores=True, ge=0, le=5
    )
    starting_points_per_knot: int = option(
        "data points per knot at the start", 1000, underscores=True, ge=4
    )
    min_points_per_knot: int = option(
        "no knot is added to fewer data points than this", underscores=True, ge=4
    )
    skyline_significance: float = option(
        "significance of a slope along dispersion that marks a sky line [sigma]",
        20.0,
        underscores=True,
        gt=0,
    )
    noise_rolling_window_size: int = option(
        "window that decides whether residuals are noise [px]", underscores=True, ge=3
    )
    noise_sigma: float = option(
        "limit of that local residual against the global one [sigma]",
        VIS=5.0,
        NIR=15.0,
        underscores=True,
        gt=0,
    )
    bspline_fitting_residual_clipping_sigma: float = option(
        "rejection limit of the spline fit [sigma]", 10.0, underscores=True, gt=0
    )
    bspline_iteration_limit: int = option(
        "most rounds of the spline fit", 25, underscores=True, ge=1
    )
    residual_floor_percentile: int = option(
        "percentile of residuals off the lines that is the floor", underscores=True, ge=1, le=100
    )
    sky_model_qc_plot: bool = option("draw the (slow) sky-model plots", False, underscores=True)
