"""Recipe settings: every option with its type, limits, default and meaning, and their file.

Names are accepted with hyphens, underscores or blanks, in any case. A value is taken from the
default, then from the recipe's block, then from the block's `vis` or `nir` sub-block.
"""

from soxspipe.settings.blocks import (
    BackgroundSubtraction,
    DetectContinuum,
    GeneralSettings,
    SkySubtraction,
)
from soxspipe.settings.declared import (
    BLOCKS,
    DispSolutionSettings,
    MbiasSettings,
    MdarkSettings,
    MflatSettings,
    OrderCentresSettings,
    SpatSolutionSettings,
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
from soxspipe.settings.options import ARMS, Options, Range, RecipeSettings, block, by_arm, option
from soxspipe.settings.reading import SHARED, SettingsFile, check_settings, read_settings

__all__ = [
    "ARMS",
    "BLOCKS",
    "SHARED",
    "BackgroundSubtraction",
    "DetectContinuum",
    "DispSolutionSettings",
    "ExtractSettings",
    "GeneralSettings",
    "MbiasSettings",
    "MdarkSettings",
    "MflatSettings",
    "NodSettings",
    "NodStdSettings",
    "OffsetSettings",
    "OffsetStdSettings",
    "Options",
    "OrderCentresSettings",
    "Range",
    "RecipeSettings",
    "SettingsFile",
    "SkySubtraction",
    "SpatSolutionSettings",
    "StareSettings",
    "StareStdSettings",
    "StraightenSettings",
    "block",
    "by_arm",
    "check_settings",
    "option",
    "read_settings",
]
