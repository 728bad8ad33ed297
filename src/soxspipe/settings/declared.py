"""Every option of every recipe: type, limits, default by arm and meaning. The only place."""

from typing import Annotated, ClassVar

from pydantic import Field

from soxspipe.settings.blocks import (
    BOOTSTRAP,
    FIT_ROUNDS,
    FIT_SIGMA,
    STACK_ROUNDS,
    STACK_SIGMA,
    Degree,
    DetectContinuum,
    WithBackground,
)
from soxspipe.settings.objects import (
    ExtractSettings,
    NodSettings,
    NodStdSettings,
    OffsetSettings,
    OffsetStdSettings,
    StareSettings,
    StareStdSettings,
    StraightenSettings,
)
from soxspipe.settings.options import RecipeSettings, block, by_arm, option

SlitDegree = Annotated[int, Field(ge=0, le=9)]

_FRAME_SIGMA = "pixels of the stack must be this many sigma off the level around to be flagged bad"
_FRAME_ROUNDS = "most rounds of that flagging"
_ORDER_DEG = "degree in order number [x, y]"
_WAVE_DEG = "degree in wavelength [x, y]"


class MbiasSettings(RecipeSettings):
    """Master bias."""

    stacked_clipping_sigma: float = option(STACK_SIGMA, 3.0, gt=0)
    stacked_clipping_iterations: int = option(STACK_ROUNDS, 3, ge=0)
    frame_clipping_sigma: float = option(_FRAME_SIGMA, 4.0, gt=0)
    frame_clipping_iterations: int = option(_FRAME_ROUNDS, 3, ge=0)


class MdarkSettings(RecipeSettings):
    """Master dark."""

    stacked_clipping_sigma: float = option(STACK_SIGMA, 3.0, gt=0)
    stacked_clipping_iterations: int = option(STACK_ROUNDS, 3, ge=0)
    frame_clipping_sigma: float = option(_FRAME_SIGMA, 3.0, gt=0)
    frame_clipping_iterations: int = option(_FRAME_ROUNDS, 3, ge=0)


class DispSolutionSettings(RecipeSettings):
    """First dispersion solution."""

    poly_digits: ClassVar[tuple[tuple[str, int | str], ...]] = (
        *(("order_deg", i) for i in (0, 1)),
        *(("wavelength_deg", i) for i in (0, 1)),
    )

    pixel_window_size: int = option(
        "side of the stamp searched for an arc line [px]", 12, ge=5, le=100
    )
    pinhole_detection_thres_sigma: float = option(
        "significance of a detected arc line [sigma]", VIS=2.0, NIR=4.0, gt=0
    )
    order_deg: tuple[Degree, Degree] = option(_ORDER_DEG, VIS=(3, 3), NIR=(5, 3))
    wavelength_deg: tuple[Degree, Degree] = option(_WAVE_DEG, VIS=(5, 5), NIR=(4, 5))
    poly_fitting_residual_clipping_sigma: float = option(FIT_SIGMA, 5.0, gt=0)
    poly_clipping_iteration_limit: int = option(FIT_ROUNDS, VIS=7, NIR=5, ge=0)
    bootstrap_dispersion_solution: bool = option(BOOTSTRAP, False, underscores=True)


class OrderCentresSettings(RecipeSettings):
    """Order centres."""

    poly_digits: ClassVar[tuple[tuple[str, int | str], ...]] = (
        ("detect_continuum", "order_deg"),
        ("detect_continuum", "disp_axis_deg"),
    )

    detect_continuum: DetectContinuum = block(
        "finding and fitting the order centres",
        order_sample_count=100,
        slice_length=30,
        slice_width=3,
        peak_sigma_limit=5.0,
        disp_axis_deg=5,
        order_deg=by_arm(VIS=3, NIR=6),
        poly_fitting_residual_clipping_sigma=7.0,
        poly_clipping_iteration_limit=5,
    )


class MflatSettings(WithBackground):
    """Master flat and order edges."""

    subtract_background: bool = option(
        "fit and remove scattered light between the orders", True, underscores=True
    )
    stacked_clipping_sigma: float = option(STACK_SIGMA, 15.0, gt=0)
    stacked_clipping_iterations: int = option(STACK_ROUNDS, 3, ge=0)
    centre_order_window: int = option(
        "width of the strip along the order centre that measures the exposure level [px]", 10, ge=1
    )
    slice_length_for_edge_detection: int = option(
        "length of a slice across the order [px]", 70, ge=10
    )
    slice_width_for_edge_detection: int = option("width of a slice along the order [px]", 5, ge=1)
    min_percentage_threshold_for_edge_detection: int = option(
        "lowest flux taken as an edge [% of the central flux]", 20, ge=1, le=99
    )
    max_percentage_threshold_for_edge_detection: int = option(
        "highest flux taken as an edge [% of the central flux]", 50, ge=1, le=99
    )
    disp_axis_deg: Degree = option("degree along the dispersion axis", VIS=3, NIR=5)
    order_deg: Degree = option("degree in order number", VIS=3, NIR=6)
    poly_fitting_residual_clipping_sigma: float = option(FIT_SIGMA, VIS=5.0, NIR=3.0, gt=0)
    poly_clipping_iteration_limit: int = option(FIT_ROUNDS, 2, ge=0)
    low_sensitivity_clipping_sigma: float = option(
        "pixels this many MAD-based sigma below the median flat are flagged bad", 2.0, gt=0
    )
    scale_d2_to_qth: bool = option(
        "bring the spectrum of the deuterium lamp to the scale of the halogen lamp", True
    )


class SpatSolutionSettings(WithBackground):
    """Dispersion and spatial solution."""

    poly_digits: ClassVar[tuple[tuple[str, int | str], ...]] = (
        *(("order_deg", i) for i in (0, 1)),
        *(("wavelength_deg", i) for i in (0, 1)),
        *(("slit_deg", i) for i in (0, 1)),
    )

    use_flat: bool = option("divide by the master flat", False, underscores=True)
    subtract_background: bool = option(
        "fit and remove scattered light between the orders", False, underscores=True
    )
    pixel_window_size: int = option(
        "side of the stamp searched for an arc line [px]", VIS=15, NIR=10, ge=5, le=100
    )
    pinhole_detection_thres_sigma: float = option(
        "significance of a detected arc line [sigma]", VIS=2.0, NIR=5.0, gt=0
    )
    order_deg: tuple[Degree, Degree] = option(_ORDER_DEG, VIS=(3, 3), NIR=(4, 4))
    wavelength_deg: tuple[Degree, Degree] = option(_WAVE_DEG, VIS=(5, 5), NIR=(5, 4))
    slit_deg: tuple[SlitDegree, SlitDegree] = option(
        "degree in slit position [x, y]", VIS=(1, 1), NIR=(1, 2)
    )
    poly_clipping_iteration_limit: int = option(FIT_ROUNDS, 5, ge=0)
    poly_fitting_residual_clipping_sigma: float = option(FIT_SIGMA, VIS=4.0, NIR=7.0, gt=0)
    poly_clipping_pinhole_sets: bool = option(
        "reject whole sets of nine pinholes (true) or single pinholes (false)", False
    )
    map_to_image_displacement_threshold: float = option(
        "convergence limit of the wavelength and slit map [px]", 0.01, underscores=True, gt=0
    )
    mph_line_set_min: int = option(
        "arc lines with fewer detected pinholes are dropped whole", 7, underscores=True, ge=1, le=9
    )
    bootstrap_dispersion_solution: bool = option(BOOTSTRAP, False, underscores=True)


#: Block name in the settings file -> its class, in the order of the cascade.
BLOCKS: dict[str, type[RecipeSettings]] = {
    "soxs-mbias": MbiasSettings,
    "soxs-mdark": MdarkSettings,
    "soxs-disp-solution": DispSolutionSettings,
    "soxs-order-centres": OrderCentresSettings,
    "soxs-mflat": MflatSettings,
    "soxs-spat-solution": SpatSolutionSettings,
    "soxs-stare-std": StareStdSettings,
    "soxs-nod-std": NodStdSettings,
    "soxs-offset-std": OffsetStdSettings,
    "soxs-stare": StareSettings,
    "soxs-nod": NodSettings,
    "soxs-offset": OffsetSettings,
    "soxs-straighten": StraightenSettings,
    "soxs-extract": ExtractSettings,
}
