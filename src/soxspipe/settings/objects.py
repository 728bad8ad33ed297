"""Options of the recipes that extract objects: stare, nod, offset, straighten, extract."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from soxspipe.settings.blocks import (
    STACK_ROUNDS,
    STACK_SIGMA,
    Degree,
    DetectContinuum,
    SkySubtraction,
    WithBackground,
)
from soxspipe.settings.options import Options, RecipeSettings, block, by_arm, option

SlitPosition = Annotated[float, Field(ge=-10.0, le=10.0)]
Aperture = Annotated[float, Field(gt=0.0, le=20.0)]

_BACKGROUND = "fit and remove scattered light between the orders"
_APERTURE = "extraction aperture, also of the boxcar [px]"


class _Spectra(Options):
    """How objects are extracted, and what the spectra look like: in every recipe that extracts."""

    horne_extraction_slit_length: int = option(_APERTURE, 15, ge=3)
    horne_extraction_profile_poly_order: Degree = option(
        "degree of the spatial profile along dispersion", 7
    )
    horne_extraction_profile_global_clipping_sigma: float = option(
        "rejection limit of a pixel against the profile [sigma]", 25.0, gt=0
    )
    horne_extraction_profile_clipping_sigma: float = option(
        "rejection limit of the profile fit [sigma]", 3.0, gt=0
    )
    horne_extraction_profile_clipping_iteration_count: int = option(
        "most rounds of the profile fit", 10, ge=0
    )
    object_positions: tuple[SlitPosition, ...] = option(
        "slit positions of the objects to extract [arcsec]; they are looked for if empty", ()
    )
    object_apertures: tuple[Aperture, ...] = option(
        "full widths of their apertures [arcsec], one for all or one each; automatic if empty", ()
    )
    merged_step: float = option(
        "step of the merged spectrum [nm]; 0: that of the arm", 0.0, ge=0, le=100
    )
    wavelength_unit: Literal["nm", "angstrom"] = option(
        "unit of wavelength in the spectra, nm or angstrom", "nm"
    )
    wavelength_medium: Literal["air", "vacuum"] = option(
        "wavelengths in the spectra are those in air or vacuum", "air"
    )

    @field_validator("object_apertures")
    @classmethod
    def _one_each(cls, given: tuple[float, ...], info: ValidationInfo) -> tuple[float, ...]:
        positions = info.data.get("object_positions", ())
        if len(given) > 1 and len(given) != len(positions):
            raise ValueError(f"{len(given)} apertures for {len(positions)} slit positions")
        return given


class _Rectified(Options):
    """The grid of rectified images."""

    rectified_step_wavelength: float = option(
        "step of rectified images along wavelength [nm]; 0: that of the merged spectrum",
        0.0,
        ge=0,
        le=100,
    )
    rectified_step_slit: float = option(
        "step of rectified images along the slit [arcsec]; 0: about a pixel", 0.0, ge=0, le=10
    )


class _Prepared(WithBackground):
    """What is done to a frame before objects are looked for."""

    use_flat: bool = option("divide by the master flat", True, underscores=True)
    subtract_background: bool = option(_BACKGROUND, False, underscores=True)
    stacked_clipping_sigma: float = option(STACK_SIGMA, 15.0, gt=0)
    stacked_clipping_iterations: int = option(STACK_ROUNDS, 3, ge=0)
    use_lacosmic: bool = option("find cosmic rays by L.A.Cosmic", True, underscores=True)
    lacosmic_sigma: float = option("its detection limit [sigma]", 25.0, gt=0)


class _Object(_Rectified, _Spectra, _Prepared):
    """What stare, nod and offset have in common."""

    combine: Literal["before", "after"] = option(
        "exposures that are alike are combined before or after extraction", "before"
    )


class _StareBase(_Object):
    subtract_background: bool = option(_BACKGROUND, True, underscores=True)
    detect_continuum: DetectContinuum = block(
        "finding and tracing the object",
        order_sample_count=150,
        slice_length=by_arm(VIS=70, NIR=50),
        slice_width=7,
        peak_sigma_limit=1.5,
        disp_axis_deg=by_arm(VIS=5, NIR=4),
        order_deg=by_arm(VIS=3, NIR=4),
        poly_fitting_residual_clipping_sigma=by_arm(VIS=4.0, NIR=3.0),
        poly_clipping_iteration_limit=by_arm(VIS=5, NIR=10),
    )


class StareSettings(_StareBase):
    """Science object in stare mode."""

    sky_subtraction: SkySubtraction = block(
        "sky model",
        percentile_clipping_sigma=3.0,
        min_points_per_knot=15,
        noise_rolling_window_size=by_arm(VIS=2000, NIR=250),
        residual_floor_percentile=80,
    )


class StareStdSettings(_StareBase):
    """Standard star in stare mode."""

    sky_subtraction: SkySubtraction = block(
        "sky model",
        percentile_clipping_sigma=by_arm(VIS=3.0, NIR=4.0),
        min_points_per_knot=by_arm(VIS=155, NIR=15),
        noise_rolling_window_size=250,
        residual_floor_percentile=by_arm(VIS=90, NIR=80),
    )


def _pair_trace(slice_length_vis: int) -> DetectContinuum:
    """Finding the object on the difference of two exposures."""
    found: DetectContinuum = block(
        "finding and tracing the object",
        order_sample_count=150,
        slice_length=by_arm(VIS=slice_length_vis, NIR=50),
        slice_width=by_arm(VIS=3, NIR=5),
        peak_sigma_limit=by_arm(VIS=1.5, NIR=2.0),
        disp_axis_deg=by_arm(VIS=5, NIR=4),
        order_deg=by_arm(VIS=3, NIR=6),
        poly_fitting_residual_clipping_sigma=by_arm(VIS=4.0, NIR=5.0),
        poly_clipping_iteration_limit=by_arm(VIS=5, NIR=7),
    )
    return found


class _PairBase(_Object):
    save_single_frame_extractions: bool = option(
        "also save the extractions of each pair", False, underscores=True
    )


class NodStdSettings(_PairBase):
    """Standard star in nodding mode."""

    horne_extraction_slit_length: int = option(_APERTURE, 11, ge=3)
    detect_continuum: DetectContinuum = _pair_trace(50)


class NodSettings(NodStdSettings):
    """Science object in nodding mode."""

    detect_continuum: DetectContinuum = _pair_trace(70)


class OffsetStdSettings(_PairBase):
    """Standard star in offset mode."""

    horne_extraction_slit_length: int = option(_APERTURE, 10, ge=3)
    detect_continuum: DetectContinuum = _pair_trace(35)


class OffsetSettings(OffsetStdSettings):
    """Science object in offset mode."""


class StraightenSettings(RecipeSettings):
    """Rectified images."""

    straighten_grid_res_wavelength: float = option(
        "step along wavelength [nm]; 0: that of the arm's merged spectrum",
        0.0,
        underscores=True,
        ge=0,
        le=100,
    )
    straighten_grid_res_split: float = option(
        "step along the slit [arcsec]; 0: about a pixel", 0.0, underscores=True, ge=0, le=10
    )


class ExtractSettings(_Spectra, RecipeSettings):
    """Extraction from a two-dimensional product, as often as you like."""

    detect_continuum: DetectContinuum = block(
        "finding and tracing the object",
        order_sample_count=150,
        slice_length=by_arm(VIS=70, NIR=50),
        slice_width=7,
        peak_sigma_limit=1.5,
        disp_axis_deg=by_arm(VIS=5, NIR=4),
        order_deg=by_arm(VIS=3, NIR=4),
        poly_fitting_residual_clipping_sigma=by_arm(VIS=4.0, NIR=3.0),
        poly_clipping_iteration_limit=by_arm(VIS=5, NIR=10),
    )
