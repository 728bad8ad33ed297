"""mbias and mdark: masters that match the truth, whatever is wrong with a frame."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.io.fits import Header

from soxspipe.datamodel.frame import Frame, PixelFlag
from soxspipe.errors import InputError
from soxspipe.instrument.arms import get_arm
from soxspipe.io.frames import RawFrame
from soxspipe.recipes import mbias, mdark
from soxspipe.settings import MbiasSettings, MdarkSettings
from tests.recipes.frames import info

VIS, NIR = get_arm("SOXS", "VIS"), get_arm("SOXS", "NIR")
SHAPE = (300, 260)
GAIN, READ = 1.2, 3.8


def exposure(electrons, seed, *, read=READ, gain=GAIN, name="", **facts):
    """Raw counts of a frame of so many expected electrons (ny, nx) on a pedestal of 1000 e-."""
    rng = np.random.default_rng(seed)
    light = rng.poisson(np.maximum(electrons, 0.0)) + np.minimum(electrons, 0.0)
    counts = np.rint((1000.0 + light + rng.normal(0, read, np.shape(light))) / gain)
    given = info(gain=gain, file=name or f"frame{seed}.fits", **facts)
    return RawFrame(counts.astype("f4"), np.empty(0), given, Header({"EXPTIME": given.exptime}))


def biases(n=5, electrons=0.0, **facts):
    return [exposure(np.zeros(SHAPE) + electrons, seed, **facts) for seed in range(n)]


def changed(raw, at, value):
    data = raw.data.copy()
    data[at] = value
    return replace(raw, data=data)


def master_bias(raws, *, arm=VIS, masters=(), **options):
    settings = MbiasSettings.model_validate(MbiasSettings.default_options("VIS") | options)
    result = mbias.mbias(mbias.Inputs(tuple(raws), tuple(masters)), settings, arm)
    return result.products["MBIAS"], _values(result), result


def master_dark(raws, *, arm=NIR, bias=None, masters=()):
    settings = MdarkSettings.model_validate(MdarkSettings.default_options("NIR"))
    result = mdark.mdark(mdark.Inputs(tuple(raws), bias, tuple(masters)), settings, arm)
    return result.products["MDARK"], _values(result), result


def _values(result):
    return {m.metric.keyword: m.value for m in result.measurements}


def test_the_master_bias_is_as_good_as_it_says():
    frame, values, _ = master_bias(biases())
    noise = np.sqrt((READ**2 + GAIN**2 / 12) / 5)
    assert (frame.data - 1000.0).std() < 1.03 * noise
    assert ((frame.data - 1000.0) / np.sqrt(frame.variance)).std() == pytest.approx(1, abs=0.02)
    assert values["BADPIX NUM"] == 0
    assert values["MBIAS MEDIAN"] == pytest.approx(1000.0, abs=0.5)
    assert values["RAW RON"] == pytest.approx(np.hypot(READ, GAIN / np.sqrt(12)), rel=0.01)
    assert values["MASTER RON"] == pytest.approx(noise, rel=0.05)
    assert 0.9 < values["FPN FRACMAX"] < 1.3  # largest of ten


@pytest.mark.parametrize("binning", [(1, 1), (1, 2), (2, 1), (2, 2)])
def test_slopes_are_those_of_the_frame_per_1000_unbinned_pixels(binning):
    y, x = np.mgrid[0 : SHAPE[0], 0 : SHAPE[1]]
    slopes = 20.0 * x * binning[0] / 1000 - 9.0 * y * binning[1] / 1000
    raws = [
        replace(r, data=r.data + slopes.astype("f4") / GAIN)
        for r in biases(read_noise=READ, binning=binning)
    ]
    _, values, _ = master_bias(raws, arm=VIS.binned(binning))
    assert values["STRUCTX"] == pytest.approx(20.0, abs=1.0)
    assert values["STRUCTY"] == pytest.approx(-9.0, abs=1.0)


def test_stripes_show_as_pattern():
    stripes = 3.0 * np.sin(np.arange(SHAPE[1]))[None, :]
    raws = [replace(r, data=r.data + stripes.astype("f4")) for r in biases()]
    assert master_bias(raws)[1]["FPN FRACMAX"] > 5


def test_missing_dead_and_saturated_pixels_are_flagged_and_the_rest_is_not():
    raws = biases()
    raws = [changed(r, (slice(None), 40), 0.0) for r in raws]  # dead column
    raws = [changed(r, (70, slice(None)), np.nan) for r in raws]  # row that was not read
    raws = [changed(r, (10, 11), 65535.0) for r in raws]
    raws[2] = changed(raws[2], (slice(100, 120), slice(100, 120)), np.nan)
    frame, _, _ = master_bias(raws)
    wrong = np.zeros(SHAPE, dtype=bool)
    wrong[:, 40] = wrong[70] = wrong[10, 11] = True
    assert np.all(frame.flags[wrong] & (PixelFlag.BAD | PixelFlag.SATURATED))
    assert (~frame.good & ~wrong).sum() <= 0.02 * wrong.sum()
    assert np.isfinite(frame.data).all()
    assert np.isfinite(frame.variance).all()
    # four exposures are left where one is missing
    assert frame.variance[110, 110] == pytest.approx(1.25 * frame.variance[200, 200], rel=1e-3)


def test_a_shower_of_cosmic_rays_leaves_no_trace():
    raws = biases()
    hits = np.random.default_rng(9).random(SHAPE) < 0.05
    raws[1] = changed(raws[1], hits, 3000.0)
    frame, values, _ = master_bias(raws)
    assert ((frame.data - 1000.0) / np.sqrt(frame.variance)).std() == pytest.approx(1, abs=0.03)
    assert values["BADPIX NUM"] == 0


def test_an_exposure_with_stray_light_is_left_out_and_named(caplog):
    raws = biases()
    raws[3] = replace(raws[3], data=raws[3].data + 40.0)
    frame, _, result = master_bias(raws)
    assert np.median(frame.data) == pytest.approx(1000.0, abs=1.0)
    assert "frame3.fits is left out: its level is +48 e- off" in caplog.text
    cards = result.headers["MBIAS"]
    assert cards["NCOMBINE"][0] == 4
    assert cards["ESO PRO REC1 LEFT1 NAME"][0] == "frame3.fits"


def test_of_three_exposures_a_deviating_one_is_told_and_kept(caplog):
    raws = biases(3)
    raws[0] = replace(raws[0], data=raws[0].data + 400.0)
    frame, _, _ = master_bias(raws)
    assert "frame0.fits is kept, there are too few others" in caplog.text
    # it is rejected pixel by pixel instead
    assert np.median(frame.data) == pytest.approx(1000.0, abs=1.0)


def test_a_wrong_read_noise_in_the_header_is_told_and_not_used(caplog):
    frame, values, _ = master_bias(biases(read_noise=9.0))
    assert "3.82 e-, declared are 9.00 e-" in caplog.text
    assert values["RAW RON"] == pytest.approx(3.82, abs=0.03)
    assert ((frame.data - 1000.0) / np.sqrt(frame.variance)).std() == pytest.approx(1, abs=0.02)


def test_a_read_noise_about_right_is_not_told(caplog):
    master_bias(biases(read_noise=4.3))
    assert "read noise" not in caplog.text


def test_no_read_noise_is_a_corrupt_frame():
    with pytest.raises(InputError, match=r"frame0.fits: is corrupt: gain 1.2 .* read noise 0 e-"):
        master_bias(biases(read_noise=0.0))
    one = biases(1) * 5
    with pytest.raises(InputError, match="the frames are corrupt: they show no read noise"):
        master_bias(one)


def test_the_bad_pixel_map_goes_into_the_master():
    bad = np.zeros(SHAPE, dtype=bool)
    bad[5, 6] = True
    frame, values, _ = master_bias([replace(r, bad=bad) for r in biases()])
    assert frame.flags[5, 6] == PixelFlag.BAD | PixelFlag.NOTHING_LEFT
    assert values["BADPIX NUM"] == 1


def test_masters_are_combined_with_new_exposures_or_alone():
    first, values, _ = master_bias(biases(5))
    cards = {"HIERARCH ESO QC RAW RON": values["RAW RON"], "NCOMBINE": 5, "EXPTIME": 0.0}
    older = [
        replace(first, header=_made_of(cards, "a")),
        replace(
            master_bias([exposure(np.zeros(SHAPE), s) for s in range(50, 55)])[0],
            header=_made_of(cards, "b"),
        ),
    ]
    alone, values, result = master_bias([], masters=older)
    pulls = (alone.data - 1000.0) / np.sqrt(alone.variance)
    assert pulls.std() == pytest.approx(1, abs=0.02)
    assert alone.variance.mean() == pytest.approx(first.variance.mean() / 2, rel=0.01)
    assert values["RAW RON"] == pytest.approx(cards["HIERARCH ESO QC RAW RON"])
    assert result.headers["MBIAS"]["NCOMBINE"][0] == 10
    new = [exposure(np.zeros(SHAPE), s) for s in range(90, 95)]
    both, _, result = master_bias(new, masters=older)
    assert both.variance.mean() == pytest.approx(first.variance.mean() / 3, rel=0.01)
    assert result.headers["MBIAS"]["NCOMBINE"][0] == 15


def test_a_master_given_twice_counts_once(caplog):
    first, _, _ = master_bias(biases(5))
    twins = [replace(first, header=_made_of({}, "a"))] * 2
    with pytest.raises(InputError, match="1 independent master frames and no raw frames"):
        master_bias([], masters=twins)
    assert "shares 3 raw frames with another and is left out" in caplog.text


def _made_of(cards, name):
    header = Header(cards)
    for n in (1, 2, 3):
        header[f"HIERARCH ESO PRO REC1 RAW{n} NAME"] = f"{name}{n}.fits"
    return header


def test_masters_of_different_exposure_time_are_refused():
    frames = [
        Frame(*np.zeros((3, 4, 4)), header=Header({"EXPTIME": t, "NCOMBINE": 3}))
        for t in (1.0, 2.0)
    ]
    with pytest.raises(InputError, match="exposure times 1, 2 s"):
        master_dark([], masters=frames)


def nir_darks(n, seconds, rate, read=7.3):
    raws = [
        exposure(rate * seconds, seed, read=read, gain=2.3, read_noise=read, exptime=seconds)
        for seed in range(n)
    ]
    return [replace(r, data=r.data - np.float32(1000.0 / 2.3)) for r in raws]


@pytest.mark.parametrize(("n", "seconds"), [(5, 20.0), (3, 60.0), (5, 600.0)])
def test_the_master_dark_matches_the_truth(n, seconds):
    rng = np.random.default_rng(4)
    rate = 0.02 + 0.03 * np.exp(-np.arange(600) / 40.0)[:, None] + np.zeros((600, 500))
    hot = rng.random(rate.shape) < 1.5e-3
    rate = rate + hot * np.clip(np.exp(rng.normal(1.0, 1.0, rate.shape)), 0.4, 60.0)
    frame, values, _ = master_dark(nir_darks(n, seconds, rate))
    variance = (7.3**2 + 2.3**2 / 12 + rate * seconds) / n
    good = frame.good & ~hot
    error = frame.data - rate * seconds
    assert error[good].std() < 1.03 * np.sqrt(variance[good].mean())
    assert (error / np.sqrt(frame.variance))[good].std() == pytest.approx(1.0, abs=0.02)
    assert values["RAW RON"] == pytest.approx(np.hypot(7.3, 2.3 / np.sqrt(12)), rel=0.02)
    found = (frame.flags & PixelFlag.HOT) != 0
    strong = hot & (rate * seconds > 6 * np.sqrt(variance))
    assert (found & strong).sum() >= 0.99 * strong.sum()
    assert (found & hot).sum() >= 0.98 * found.sum()
    assert values["HOTPIX NUM"] == found.sum()


@pytest.mark.parametrize("with_bias", [True, False])
def test_the_noise_of_a_ccd_dark_is_not_that_of_its_pedestal(with_bias):
    raws = biases(5, electrons=2.0, exptime=900.0)
    bias = Frame(np.full(SHAPE, 1000.0), np.full(SHAPE, 0.5), np.zeros(SHAPE))
    frame, values, _ = master_dark(raws, arm=VIS, bias=bias if with_bias else None)
    assert values["RAW RON"] == pytest.approx(3.82, rel=0.1)
    assert values["MDARK MEDIAN"] == pytest.approx(2.0 + 1000.0 * (not with_bias), abs=0.7)
    noise = np.sqrt(frame.variance - 0.5 * with_bias)
    assert ((frame.data - np.mean(frame.data)) / noise).std() == pytest.approx(1, abs=0.05)
