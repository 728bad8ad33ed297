"""Kinds of raw frames, and how the DPR keywords tell them."""

from enum import StrEnum


class FrameKind(StrEnum):
    """What a raw frame is, named as in the published map of sets."""

    BIAS = "bias_frame"
    DARK = "dark_frame"
    PINHOLE_ARC = "single_pinhole_arc"
    PINHOLE_FLAT = "order_centre_trace"
    SLIT_FLAT = "flat_frame"
    MULTI_PINHOLE_ARC = "multi_pinhole_arc"
    SLIT_ARC = "slit_arc"
    LAMP_OFF = "lamp_off"
    FLUX_STANDARD_STARE = "flux_standard_stare"
    TELLURIC_STANDARD_STARE = "telluric_standard_stare"
    FLUX_STANDARD_NODDING = "flux_standard_nodding"
    TELLURIC_STANDARD_NODDING = "telluric_standard_nodding"
    FLUX_STANDARD_OFFSET = "flux_standard_offset"
    TELLURIC_STANDARD_OFFSET = "telluric_standard_offset"
    SCIENCE_STARE = "science_stare"
    SCIENCE_NODDING = "science_nodding"
    SCIENCE_OFFSET = "science_offset"


# a map is a pattern of offsets without a sky position
_ON_SKY = {"STARE": "stare", "NODDING": "nodding", "OFFSET": "offset", "MAPPING": "offset"}
_TARGETS = {
    "STD,FLUX": "flux_standard",
    "STD": "flux_standard",
    "STD,TELLURIC": "telluric_standard",
    "STD,SKY": "telluric_standard",
    "OBJECT": "science",
    "OBJECT,ASYNC": "science",
}
_ARCS = ("LAMP,WAVE", "WAVE,LAMP")
_FLATS = ("LAMP,FLAT", "FLAT,LAMP", "DOME,FLAT")


def kind_of(dpr_type: str, dpr_tech: str) -> FrameKind | None:
    """The kind of a raw SOXS frame, None for a type the pipeline does not reduce."""
    if dpr_type == "BIAS":
        return FrameKind.BIAS
    if dpr_type == "DARK":
        return FrameKind.DARK
    if dpr_tech == "IMAGE":
        return FrameKind.LAMP_OFF if dpr_type in _ARCS + _FLATS else None
    if dpr_type in _ARCS:
        return {
            "ECHELLE,PINHOLE": FrameKind.PINHOLE_ARC,
            "ECHELLE,MULTI-PINHOLE": FrameKind.MULTI_PINHOLE_ARC,
            "ECHELLE,SLIT": FrameKind.SLIT_ARC,
        }.get(dpr_tech)
    if dpr_type in _FLATS:
        return {
            "ECHELLE,PINHOLE": FrameKind.PINHOLE_FLAT,
            "ECHELLE,SLIT": FrameKind.SLIT_FLAT,
        }.get(dpr_tech)
    mode = _ON_SKY.get(dpr_tech.rpartition(",")[2])
    target = _TARGETS.get(dpr_type)
    return FrameKind(f"{target}_{mode}") if mode and target else None
