"""Headers, and what they say about a frame."""

import math
from datetime import datetime

import pytest

from soxspipe.errors import InputError
from soxspipe.instrument.arms import get_arm
from soxspipe.instrument.headers import FrameKind, kind_of, lamp_name, observation_info
from tests.raw_files import raw_header


def info(**cards):
    return observation_info(raw_header(**cards), "a.fits")


def nir(**cards):
    own = {"SEQ_ARM": "NIR", "INS_NISE_NAME": "SLIT1.0", "INS_TEMP217_VAL": 41.5}
    header = raw_header(**own | cards)
    for key in ("ESO DET BINX", "ESO DET BINY"):
        del header[key]
    return observation_info(header, "a.fits")


@pytest.mark.parametrize(
    ("dpr_type", "dpr_tech", "kind"),
    [
        ("BIAS", "IMAGE", "bias_frame"),
        ("DARK", "IMAGE", "dark_frame"),
        ("LAMP,WAVE", "ECHELLE,PINHOLE", "single_pinhole_arc"),
        ("WAVE,LAMP", "ECHELLE,PINHOLE", "single_pinhole_arc"),
        ("LAMP,FLAT", "ECHELLE,PINHOLE", "order_centre_trace"),
        ("FLAT,LAMP", "ECHELLE,PINHOLE", "order_centre_trace"),
        ("LAMP,FLAT", "ECHELLE,SLIT", "flat_frame"),
        ("DOME,FLAT", "ECHELLE,SLIT", "flat_frame"),
        ("WAVE,LAMP", "ECHELLE,MULTI-PINHOLE", "multi_pinhole_arc"),
        ("LAMP,WAVE", "ECHELLE,SLIT", "slit_arc"),
        ("LAMP,WAVE", "IMAGE", "lamp_off"),
        ("LAMP,FLAT", "IMAGE", "lamp_off"),
        ("STD,FLUX", "ECHELLE,SLIT,STARE", "flux_standard_stare"),
        ("STD", "ECHELLE,SLIT,NODDING", "flux_standard_nodding"),
        ("STD,FLUX", "ECHELLE,SLIT,OFFSET", "flux_standard_offset"),
        ("STD,TELLURIC", "ECHELLE,SLIT,STARE", "telluric_standard_stare"),
        ("STD,SKY", "ECHELLE,SLIT,NODDING", "telluric_standard_nodding"),
        ("STD,TELLURIC", "ECHELLE,SLIT,OFFSET", "telluric_standard_offset"),
        ("OBJECT", "ECHELLE,SLIT,STARE", "science_stare"),
        ("OBJECT,ASYNC", "ECHELLE,SLIT,STARE", "science_stare"),
        ("OBJECT", "ECHELLE,SLIT,NODDING", "science_nodding"),
        ("OBJECT", "ECHELLE,SLIT,OFFSET", "science_offset"),
        ("OBJECT", "ECHELLE,SLIT,MAPPING", "science_offset"),
    ],
)
def test_kinds_of_frames(dpr_type, dpr_tech, kind):
    assert kind_of(dpr_type, dpr_tech) == kind
    assert isinstance(kind_of(dpr_type, dpr_tech), FrameKind)


@pytest.mark.parametrize(
    ("dpr_type", "dpr_tech"),
    [
        ("FOCUS", "ECHELLE,SLIT"),
        ("OBJECT", "IMAGE"),
        ("OBJECT", "ECHELLE,SLIT"),
        ("OBJECT", ""),
        ("LAMP,FLAT", "ECHELLE,MULTI-PINHOLE"),
        ("LAMP,WAVE", "ECHELLE,SLIT,STARE"),
        ("", ""),
    ],
)
def test_frames_the_pipeline_does_not_reduce(dpr_type, dpr_tech):
    assert kind_of(dpr_type, dpr_tech) is None


def test_facts_of_a_raw_frame():
    frame = info(
        EXPTIME=10.004, TPL_EXPNO=2, TPL_NEXP=5, TPL_ID="SOXS_cal", TPL_START="2026-01-11T08:59:00",
        TEL_AIRM_START=1.2, TEL_AIRM_END=1.3, OBS_ID=4711, OBS_NAME="cal", DET_BINX=2, DET_BINY=1,
    )  # fmt: skip
    assert (frame.file, frame.instrument, frame.arm) == ("a.fits", "SOXS", "VIS")
    assert frame.kind is FrameKind.BIAS
    assert frame.date_obs == datetime(2026, 1, 11, 9)  # noqa: DTZ001 (headers know no time zone)
    assert frame.mjd_obs == pytest.approx(61051.375)
    assert frame.exptime == 10.0
    assert frame.binning == (2, 1)
    assert frame.get_arm() == get_arm("SOXS", "VIS").binned((2, 1))
    assert (frame.read_mode, frame.slit, frame.read_noise) == ("1", "SLIT1.0", 3.8)
    assert (frame.exposure_number, frame.exposures_in_template) == (2, 5)
    assert (frame.template, frame.template_start) == ("SOXS_cal", "2026-01-11T08:59:00")
    assert (frame.ob_id, frame.ob_name) == ("4711", "cal")
    assert frame.airmass == pytest.approx(1.25)
    assert (frame.detector_temperature, frame.common_path_temperature) == (148.0, 11.5)
    assert frame.tag == "BIAS_VIS"
    assert not frame.simulated


def test_gain_is_the_larger_of_conad_and_gain():
    assert info(DET_OUT1_CONAD=1.2, DET_OUT1_GAIN=0.83).gain == 1.2
    assert info(DET_OUT1_CONAD=0.83, DET_OUT1_GAIN=1.2).gain == 1.2
    assert info(DET_OUT1_CONAD=0.0, DET_OUT1_GAIN=0.0).gain == 1.0
    assert nir(DET_OUT1_CONAD=5.0).gain == 2.3


def test_an_unread_noise_is_that_of_the_arm_and_zero_stays_zero():
    assert info(DET_CHIP_RON="--").read_noise == 3.8
    assert nir(DET_CHIP_RON="--").read_noise == 7.3
    assert info(DET_CHIP_RON=0.0).read_noise == 0.0


@pytest.mark.parametrize(
    ("arm", "value", "kelvin"),
    [
        ("VIS", 153.0, 153.0),
        ("VIS", -120.2, 152.95),
        ("VIS", 21.0, 294.15),  # a warm detector; no CCD is at 21 K
        ("NIR", 40.1, 40.1),
        ("NIR", -233.0, 40.15),
    ],
)
def test_detector_temperature_is_in_kelvin_whatever_the_header_says(arm, value, kelvin):
    key = {"VIS": "INS_TEMP104_VAL", "NIR": "INS_TEMP217_VAL"}[arm]
    found = info(SEQ_ARM=arm, **{key: value}).detector_temperature
    assert found == pytest.approx(kelvin)


def test_nir_has_no_binning_and_its_own_thermometer():
    frame = nir()
    assert frame.binning == (1, 1)
    assert frame.detector_temperature == 41.5
    assert frame.get_arm() == get_arm("SOXS", "NIR")


@pytest.mark.parametrize(
    ("time", "night"),
    [
        ("2026-01-11T14:59:59.9", "2026-01-10"),
        ("2026-01-11T15:00:00", "2026-01-11"),
        ("2026-01-12T09:00:00", "2026-01-11"),
    ],
)
def test_a_night_begins_in_the_afternoon(time, night):
    assert info(**{"DATE-OBS": time}).night == night


@pytest.mark.parametrize(
    ("slit", "mask"),
    [("MULTPIN", "MPH"), ("PINHOLE", "PH"), ("slit5.0", "SLIT"), ("BLANK", ""), ("", "")],
)
def test_masks(slit, mask):
    assert info(INS_VISE_NAME=slit).mask_class == mask


def test_lamps_are_joined_in_their_order():
    on = dict.fromkeys(
        ("ESO INS XENO NAME", "ESO INS MERC NAME", "ESO INS ARGO NAME", "ESO INS NEON NAME"), "x"
    )
    assert lamp_name(on) == "ArNeHgXe"
    assert lamp_name({"ESO INS QTH NAME": "Qth_Lamp"}) == "QTH"
    assert lamp_name({"ESO INS THAR NAME": ""}) == "ThAr"  # presence counts
    assert lamp_name({}) == ""


def test_simulated_mechanisms_are_seen():
    assert info(INS_VISE_SWSIM=True).simulated
    assert not info(INS_VISE_SWSIM=False).simulated
    assert not info(INS_NISE_SWSIM=True).simulated  # of the other arm


def test_products_are_no_raw_frames():
    for key in ("PRO_CATG", "PRO_TYPE", "PRO_TECH"):
        with pytest.raises(InputError, match="is a product"):
            info(**{key: "MASTER_BIAS_VIS"})


@pytest.mark.parametrize("key", ["INSTRUME", "ESO SEQ ARM", "ESO DPR TYPE", "DATE-OBS", "MJD-OBS"])
def test_what_nothing_can_be_done_without(key):
    header = raw_header()
    del header[key]
    with pytest.raises(InputError, match=f"a.fits: the header has no .*{key}"):
        observation_info(header, "a.fits")


def test_a_date_that_is_none():
    with pytest.raises(InputError, match="DATE-OBS is 'yesterday'"):
        info(**{"DATE-OBS": "yesterday"})


def test_an_arm_that_is_not_reduced():
    with pytest.raises(InputError, match="no spectrograph arm SOXS ACQ"):
        info(SEQ_ARM="ACQ")


def test_pointing_of_a_nodding_frame():
    frame = info(
        SEQ_CUMOFF_X=0.1, SEQ_CUMOFF_Y=-2.5, SEQ_NOD_THROW=5.0, SEQ_JITTER_WIDTH=1.0,
        TEL_AMBI_FWHM_START=0.8, TEL_AMBI_FWHM_END=1.0, TEL_AIRM_START=1.2, TEL_AIRM_END=1.3,
        ADA_ABSROT_END=14.2, ADA_POSANG=-30.0, EXPTIME=864.0,
    )  # fmt: skip
    assert (frame.offset_along_slit, frame.offset_across_slit) == (-2.5, 0.1)
    assert (frame.nod_throw, frame.jitter_width) == (5.0, 1.0)
    assert (frame.seeing_start, frame.seeing_end, frame.seeing) == (0.8, 1.0, pytest.approx(0.9))
    assert (frame.airmass_start, frame.airmass_end) == (1.2, 1.3)
    assert (frame.rotator_angle, frame.position_angle) == (14.2, -30.0)
    assert frame.mjd_middle - frame.mjd_obs == pytest.approx(0.005, abs=1e-9)


def test_offsets_on_the_sky_by_their_keywords():
    frame = info(
        SEQ_FIXOFF_RA=20.0, SEQ_FIXOFF_DEC=-15.0, SEQ_CUMOFF_RA=1.0, SEQ_CUMOFF_DEC=2.0,
        SEQ_RELOFF_RA=3.0, SEQ_RELOFF_DEC=4.0,
    )  # fmt: skip
    assert (frame.offset_ra, frame.offset_dec) == (20.0, -15.0)
    assert (frame.cumulative_ra, frame.cumulative_dec) == (1.0, 2.0)
    assert (frame.step_ra, frame.step_dec) == (3.0, 4.0)


def test_what_the_header_does_not_tell_is_no_number():
    frame = info(TEL_AMBI_FWHM_START=-1.0, SEQ_CUMOFF_Y="none")
    names = [
        *("offset_along_slit", "offset_across_slit", "nod_throw", "jitter_width", "offset_ra"),
        *("offset_dec", "cumulative_ra", "cumulative_dec", "step_ra", "step_dec", "seeing"),
        *("seeing_start", "seeing_end", "airmass_start", "airmass_end", "parallactic_angle"),
        *("rotator_angle", "position_angle"),
    ]
    assert all(math.isnan(getattr(frame, name)) for name in names)


@pytest.mark.parametrize(
    ("start", "end", "mean"), [(10.0, 11.0, 10.5), (175.0, -175.0, 180.0), (-90.0, -80.0, -85.0)]
)
def test_the_parallactic_angle_is_averaged_over_its_jump(start, end, mean):
    found = info(TEL_PARANG_START=start, TEL_PARANG_END=end).parallactic_angle
    assert abs(math.remainder(found - mean, 360.0)) < 1e-9
