"""The truth of a product follows from the raw frames that it names."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from soxspipe.cli.accuracy.on_sky import object_number, observed
from soxspipe.cli.accuracy.statistics import beyond, reduced_chi2, runs, spread, weighted_ratio


def write(folder, name, flux, seconds, difference=np.nan, objects=1):
    hdus = [fits.PrimaryHDU()]
    for k in range(objects):
        n = 5
        columns = {
            "order": np.full(n, 10, dtype="i4"),
            "wavelength": 1000.0 + np.arange(n),
            "bin_width": np.ones(n),
            "flux": np.full(n, flux / (1 + k)),
            "ideal_snr": np.full(n, 10.0),
            "ideal_snr_difference": np.full(n, difference),
            "throughput": np.full(n, 0.2),
            "slit": np.full(n, 0.5 + k),
        }
        hdus.append(fits.table_to_hdu(Table(columns)))
        hdus[-1].header["EXPTIME"] = seconds
        hdus[-1].header["EXTENT"] = 0.0
    fits.HDUList(hdus).writeto(folder / f"{name}_spectrum.fits")


def header(*names, seconds=None):
    cards = {f"HIERARCH ESO PRO REC1 RAW{i} NAME": f"{n}.fits" for i, n in enumerate(names, 1)}
    return fits.Header(cards | ({} if seconds is None else {"EXPTIME": seconds}))


def test_exposures_count_by_their_time(tmp_path):
    write(tmp_path, "a", 100.0, 300.0)
    write(tmp_path, "b", 40.0, 100.0)
    both = observed(tmp_path, header("a", "b", seconds=200.0))
    assert both.flux == pytest.approx(np.full(5, 70.0))
    assert both.ideal_snr == pytest.approx(np.full(5, np.sqrt(200.0)))
    assert both.frames == ("a.fits", "b.fits")


def test_differences_have_the_noise_of_differences(tmp_path):
    write(tmp_path, "a", 100.0, 300.0, difference=6.0)
    write(tmp_path, "b", 100.0, 300.0, difference=8.0)
    assert observed(tmp_path, header("a", "sky", "b")).ideal_snr == pytest.approx(np.full(5, 10.0))


def test_a_second_object_has_its_own_truth(tmp_path):
    write(tmp_path, "a", 100.0, 300.0, objects=2)
    assert observed(tmp_path, header("a"), 2).flux == pytest.approx(np.full(5, 50.0))
    assert observed(tmp_path, header("a"), 3) is None
    assert observed(tmp_path, header("other")) is None


def test_objects_are_told_by_the_names_of_products():
    ending = "_EXTRACTED_MERGED.fits"
    assert object_number(f"20260510_NIR_STARE_OBJ_SN{ending}", ending) == 1
    assert object_number(f"20260510_NIR_STARE_OBJ{ending}", ending) == 1
    assert object_number(f"20260510_NIR_STARE_OBJ_SN_OBJ2{ending}", ending) == 2
    assert object_number("20260510_NIR.txt", ending) is None


def test_groups_have_no_gaps():
    place = np.array([0, 1, 2, 3, 4, 7, 8, 9, 12])
    assert runs(place, 2).tolist() == [[0, 1], [2, 3], [5, 6]]
    assert runs(place, 3).tolist() == [[0, 1, 2], [5, 6, 7]]
    assert runs(np.empty(0), 3).shape == (0, 3)


def test_statistics_of_known_draws():
    pull = np.random.default_rng(1).normal(0.0, 1.5, 100_000)
    assert spread(pull) == pytest.approx(1.5, rel=0.01)
    assert reduced_chi2(pull) == pytest.approx(2.25, rel=0.02)
    assert beyond(pull, 3.0) == pytest.approx(0.0455, rel=0.05)
    ratio, error = weighted_ratio(np.array([2.0, 4.0]), np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    assert (ratio, error) == (2.0, pytest.approx(np.sqrt(0.5)))
    assert np.isnan(weighted_ratio(np.empty(0), np.empty(0), np.empty(0))[0])
