"""Headers of products."""

import math

import pytest
from astropy.io import fits
from astropy.io.fits import Header
from tests.raw_files import raw_header

from soxspipe.datamodel.metric import Metric
from soxspipe.io.provenance import Provenance, Used, fitted, product_header, raw_files_of

LONG = "SOXS.2026-01-20T01:03:10.123_" + "x" * 120 + ".fits"
PROVENANCE = Provenance(
    "soxs-mflat",
    raw=[Used(f"raw{n}.fits", "LAMP,FLAT_VIS", "0" * 32) for n in range(1, 12)],
    calibrations=[Used(LONG, "MASTER_BIAS_VIS", "a" * 32)],
    parameters={"order-deg": (3, 3), "use_flat": True, "sky-subtraction " + "y" * 80: 2.5},
)


def header_of(first=None, **options):
    return product_header(first or raw_header(), PROVENANCE, category="MASTER_FLAT_VIS", **options)


def test_header_is_valid_fits(tmp_path):
    header = header_of()
    assert all(len(str(card)) == 80 for card in header.cards)
    hdu = fits.PrimaryHDU(header=header)
    hdu.verify("exception")
    hdu.writeto(tmp_path / "h.fits", output_verify="exception", checksum=True)
    again = fits.getheader(tmp_path / "h.fits")
    assert again["ESO PRO REC1 CAL1 NAME"].startswith("SOXS.2026-01-20T01:03:10.123_xx")
    assert again["ESO PRO REC1 PARAM1 VALUE"] == "3, 3"
    assert again["ESO PRO REC1 PARAM2 VALUE"] is True
    assert again["ESO PRO REC1 PARAM3 VALUE"] == 2.5
    assert "CONTINUE" not in again
    assert again["ESO PRO REC1 PIPE ID"].startswith("soxspipe/v")
    assert again["SXSPRE"].startswith("20")


def test_cards_are_sorted_by_name_and_number():
    keywords = list(header_of())
    raw = [k for k in keywords if k.startswith("ESO PRO REC1 RAW") and k.endswith("NAME")]
    assert raw == [f"ESO PRO REC1 RAW{n} NAME" for n in range(1, 12)]
    assert keywords.index("DATE-OBS") < keywords.index("EXPTIME") < keywords.index("INSTRUME")


def test_what_is_not_true_of_a_product_is_dropped():
    first = raw_header()
    first["CRPIX1"] = 3.0
    first["HIERARCH ESO TEL TARG EQUINOX"] = 2000.0
    first["BZERO"] = 32768
    header = header_of(first)
    gone = {"CRPIX1", "BZERO", "ARCFILE", "ESO DPR TYPE", "ESO DPR TECH", "ESO DPR CATG"}
    assert not gone & set(header)
    assert (header["RADESYS"], header["EQUINOX"]) == ("FK5", 2000.0)
    assert header["ESO DET CHIP RON"] == 3.8
    assert "ESO DET CHIP RON" not in header_of(first, extracted=True)


def test_quality():
    ron = Metric("RAW RON", "e-", "read noise of one raw bias", {"VIS": (0, 15)})
    snr = Metric("SNR MEDIAN", "", "median S/N")
    good = [ron.judge(3.8, (0, 15)), snr.judge(math.nan, None), snr.judge(7.0, None, "u")]
    header = header_of(measurements=good)
    assert header["ESO QC RAW RON"] == 3.8
    assert header.comments["ESO QC RAW RON"] == "[e-] read noise of one raw bias"
    assert header["ESO QC SNR MEDIAN"] is None
    assert header["ESO QC VERDICT"] == "pass"
    assert "ESO QC FAILED" not in header
    bad = [*good, ron.judge(math.nan, (0, 15))]
    assert header_of(measurements=bad)["ESO QC VERDICT"] == "fail"


def test_extra_cards_go_last_and_win():
    header = header_of(extra={"ESO PRO TECH": "ECHELLE", "SPEC_RES": (4500.0, "resolution")})
    assert (header["ESO PRO TECH"], header["SPEC_RES"]) == ("ECHELLE", 4500.0)


@pytest.mark.parametrize("value", ["x" * 200, "it's " * 40, "µ" * 90, 1.0 / 3, True, 12, math.inf])
def test_any_value_fits_one_card(value):
    card = fitted("ESO PRO REC1 PARAM123 VALUE", value, "a long comment " * 9)
    assert len(str(card)) == 80
    header = Header([card])
    assert Header.fromstring(header.tostring())[0] == header[0]


def test_the_raw_files_of_a_product_are_read_back():
    assert raw_files_of(header_of()) == PROVENANCE.raw
    assert raw_files_of(Header()) == []


def test_further_cards_of_a_run_are_in_every_product():
    cards = {"ESO PRO REC1 DARK HOW": ("scaled", "how the dark was made")}
    header = product_header(raw_header(), Provenance("soxs-mflat", cards=cards))
    assert header["ESO PRO REC1 DARK HOW"] == "scaled"
