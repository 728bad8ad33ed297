"""What the recipes that reduce lamp exposures share: their calibrations, and the light of the lamp."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from soxspipe.datamodel.frame import Frame
from soxspipe.instrument.arms import Arm
from soxspipe.instrument.headers import FrameKind
from soxspipe.recipes.prepare import detrended, lamp_off
from soxspipe.recipes.recipe import Calibration, Raw, RawFrame


@dataclass(frozen=True)
class LampInputs:
    """Lamp-off frames (NIR, if there are any), master bias (VIS), master dark (NIR; VIS by hand)."""

    off: Annotated[tuple[RawFrame, ...], Raw((FrameKind.LAMP_OFF,), least=0)]
    bias: Annotated[Frame | None, Calibration("MASTER_BIAS", "mbias", arms=("VIS",))]
    dark: Annotated[
        Frame | None,
        Calibration("MASTER_DARK", "mdark", required=False, by_hand=("VIS",), by_time=True),
    ]


def lamp_light(exposures: Sequence[RawFrame], inputs: LampInputs, arm: Arm) -> list[Frame]:
    """Electrons of the lamp in each exposure, without bias, and without dark or what the lamp-off
    frames show.

    Raises InputError if there is nothing to take off.
    """
    off = lamp_off(inputs.off, arm, inputs.dark)
    return [detrended(raw, arm, bias=inputs.bias, dark=inputs.dark, off=off) for raw in exposures]
