"""What is observed, and how: objects, S/N, patterns, the sky; the truth knows all of it."""

import numpy as np
import pytest
from astropy.io import fits

from soxspipe.cli.main import main
from soxspipe.errors import InputError, SettingsError
from soxspipe.instrument.headers import FrameKind, observation_info
from soxspipe.simulator import ideal, scene, truth_on_sky
from soxspipe.simulator.exposure import Night, illuminate, take
from soxspipe.simulator.headers import raw_header
from soxspipe.simulator.ideal import as_bright_as_told
from soxspipe.simulator.night import simulate_night
from soxspipe.simulator.observation import Observation, read_observation
from soxspipe.simulator.partners import partners
from soxspipe.simulator.plan import night_plan


def science(mode, observation=None, seed=1, arm="NIR"):
    plan = night_plan(arm, mode, (0.3, -0.4), observation or Observation(), seed)
    return [e for e in plan if e.group == "science"]


def night_of(arm="NIR", target="smooth", **told):
    return Night.make(arm, 4, (1, 1), target, observation=Observation(**told))


# ------------------------------------------------------------------------------------- patterns


def test_a_nod_with_jitter_tells_where_it_is():
    told = Observation(cycles=2, jitter=1.0, throw=6.0)
    exposures = science("nod", told)
    assert [np.sign(e.nod) for e in exposures] == [1, -1, -1, 1, 1, -1, -1, 1]
    assert all(abs(abs(e.nod) - 3.0) <= 0.5 for e in exposures)
    assert len({e.nod for e in exposures}) == 8
    assert [e.nod for e in science("nod", told, arm="VIS")] == [e.nod for e in exposures]
    assert [e.nod for e in science("nod", told, seed=2)] != [e.nod for e in exposures]
    night = night_of()
    header = raw_header(exposures[1], night.arm, "", night.atmosphere(exposures[1]))
    assert header["ESO SEQ CUMOFF Y"] == exposures[1].nod
    assert (header["ESO SEQ NOD THROW"], header["ESO SEQ JITTER WIDTH"]) == (6.0, 1.0)
    assert header["ESO TPL NEXP"] == 8


def test_seven_of_eight_leave_one_without_partner():
    exposures = science("nod", Observation(cycles=2, missing=(5,)))
    assert [e.count for e in exposures] == [(i, 8) for i in (1, 2, 3, 4, 6, 7, 8)]
    mates = partners(exposures)
    assert {e.number for e in exposures} == set(mates)
    assert sum(paired for _, paired in mates.values()) == 6
    for e in exposures:
        assert np.sign(mates[e.number][0].nod) == -np.sign(e.nod)


def test_exposure_times_come_in_turn_and_have_their_darks():
    plan = night_plan("NIR", "nod", (0.0, 0.0), Observation(seconds=(300.0, 100.0)))
    assert [e.seconds for e in plan if e.group == "science"] == [300.0, 100.0, 300.0, 100.0]
    assert {300.0, 100.0} <= {e.seconds for e in plan if e.group == "dark"}


def test_generic_offsets_visit_several_skies():
    exposures = science("generic")
    assert [e.on_target for e in exposures] == [True, False, False, True, False, True]
    assert len({e.offset for e in exposures if not e.on_target}) == 3
    mates = partners(exposures)
    assert {e.number for e in exposures if e.on_target} == set(mates)
    assert all(paired and not other.on_target for other, paired in mates.values())


def test_a_map_steps_across_its_target():
    exposures = science("mapping", Observation(exposures=3, step=1.5))
    assert [e.slit_offset for e in exposures] == [-1.5, 0.0, 1.5]
    assert partners(exposures) == {}
    night = night_of(extent=4.0)
    header = raw_header(exposures[2], night.arm, "", night.atmosphere(exposures[2]))
    assert (header["ESO SEQ CUMOFF X"], header["ESO SEQ CUMOFF RA"]) == (1.5, 1.5)
    assert header["ESO TPL ID"] == "SOXS_slt_obs_Mapping"
    assert night.sources(exposures[2])[0].offset == -1.5


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("nod", FrameKind.FLUX_STANDARD_NODDING), ("offset", FrameKind.FLUX_STANDARD_OFFSET)],
)
def test_standards_are_nodded_and_offset_too(mode, kind):
    night = night_of()
    plan = night_plan("NIR", "stare", (0.3, 0.0), Observation(standard_mode=mode))
    standards = [e for e in plan if e.group == "standard"]
    assert len(standards) == 2
    assert len({e.template_start for e in standards}) == 1
    for exposure in standards:
        header = raw_header(exposure, night.arm, "", night.atmosphere(exposure))
        assert observation_info(header, "frame").kind is kind


@pytest.mark.parametrize(
    "wrong",
    [
        {"standard_mode": "map"},
        {"pattern": "AXB"},
        {"cycles": 0},
        {"seconds": (0.0,)},
        {"snr": -1.0},
        {"companions": ((3.5, 0.0),)},
        {"position": 7.0},
    ],
)
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        Observation(**wrong)
    with pytest.raises(SettingsError, match="pattern"):
        science("nod", Observation(pattern="OS"))


def test_observations_are_read_from_file_and_command(tmp_path):
    path = tmp_path / "observation.yaml"
    path.write_text("pattern: AB\ncompanions: [[3.5, 0.2]]\n")
    told = read_observation(path, ("snr=30", "missing=[2]"))
    assert told == Observation(pattern="AB", companions=((3.5, 0.2),), snr=30, missing=(2,))
    assert read_observation(None) == Observation()
    for text in ("moon: 1", "cycles", "cycles: many", "companions: 3", "{"):
        path.write_text(text)
        with pytest.raises(InputError):
            read_observation(path)
    with pytest.raises(InputError, match="nowhere"):
        read_observation(tmp_path / "nowhere.yaml")


# ------------------------------------------------------------------------- what is on the slit


def quick(night, exposure, number=0, order=None):
    """Light of one order only: enough to see what stands on the slit."""
    order = order or sorted(night.paths)[len(night.paths) // 2]
    star = night.sources(exposure)[number]
    args = (exposure.slit_width, exposure.seconds)
    return scene.star_light(night.arm, night.paths[order], night.atmosphere(exposure), star, *args)


def test_a_companion_stands_where_told_and_is_as_bright():
    night = night_of(companions=((3.5, 0.2),))
    (exposure,) = science("stare")
    first, second = quick(night, exposure), quick(night, exposure, 1)
    assert np.allclose(second.centre - first.centre, 3.5)
    ratio = second.beam.spectrum.columns().sum() / first.beam.spectrum.columns().sum()
    assert ratio == pytest.approx(0.2, rel=2e-3)  # a little of it falls off the end of the slit


def test_an_extended_object_is_as_wide_as_seeing_and_object_together():
    """Second moments add; the Moffat function's own is that of what the slit lets through."""
    (exposure,) = science("stare")
    star, galaxy = (quick(night_of(extent=e, position=0.0), exposure) for e in (0.0, 4.0))
    half = [_half_width(light) for light in (star, galaxy)]
    assert half[1] == pytest.approx(np.hypot(0.5 * 4.0, half[0]), rel=0.03)
    assert galaxy.through.mean() < 0.5 * star.through.mean()


def _half_width(light):
    profile, slit = light.beam.weight[:, 8], light.beam.slit
    peak = np.argmax(profile)
    return np.interp(-0.5 * profile[peak], -profile[peak:], slit[peak:] - slit[peak])


def test_a_galaxy_without_size_is_a_star():
    slit, centre = np.linspace(-5.0, 5.0, 41), np.array([0.3, -0.2])
    scale = np.array([0.8, 1.1])
    tiny = scene.Star(lambda w: w, 0.0, extent=0.02, offset=0.4)
    found = scene.galaxy_profile(slit, centre, scale, tiny, 1.5)
    nodes, parts = np.polynomial.legendre.leggauss(64)
    across = 0.75 * nodes[:, None, None] - 0.4
    shape = (1 + (across**2 + (slit[:, None] - centre) ** 2) / scale**2) ** -3.0
    exact = 0.75 * np.einsum("q,qjk->jk", parts, shape) * 2.0 / (np.pi * scale**2)
    assert np.allclose(found, exact, rtol=0.02, atol=1e-4)


@pytest.mark.parametrize("arm", ["VIS", "NIR"])
def test_the_signal_to_noise_asked_for_is_there(arm):
    night = night_of(arm, target="sn", snr=3.0)
    plan = night_plan(arm, "nod", night.star_positions, night.observation, night.seed)
    night = as_bright_as_told(night, plan)
    exposure = next(e for e in plan if e.group == "science")
    taken = truth_on_sky.Taken(night, exposure, illuminate(night, exposure))
    snr = []
    for order in night.arm.orders:
        alone, difference = truth_on_sky.best_snr(taken, 0, order)
        snr.append(alone[ideal.useful_columns(night, order)])
        assert np.isnan(difference).all()
    assert np.median(np.concatenate(snr)) == pytest.approx(3.0, rel=0.01)


def test_an_empty_slit_has_no_signal_to_noise_to_set():
    night = night_of(target="none", snr=3.0)
    plan = night_plan("NIR", "stare", night.star_positions, night.observation)
    with pytest.raises(SettingsError, match="dark"):
        as_bright_as_told(night, plan)


def test_the_sky_changes_between_exposures_and_not_by_itself():
    night = night_of()
    levels = np.array([night.sky_levels(e) for e in science("nod", Observation(cycles=12))])
    assert np.std(np.log(levels), axis=0) == pytest.approx(0.03, rel=0.35)
    assert abs(np.corrcoef(levels.T)[0, 1]) < 0.5
    assert night.sky_levels(science("stare")[0]) == (1.0, 1.0)
    path = night.paths[17]
    usual = scene.sky(night.arm, path, 1.5, 300.0).spectrum.total[-1]
    both = scene.sky(night.arm, path, 1.5, 300.0, 1.1, 1.1).spectrum.total[-1]
    lines = scene.sky(night.arm, path, 1.5, 300.0, 0.0, 1.0).spectrum.total[-1]
    assert both == pytest.approx(1.1 * usual)
    assert 0.5 * usual < lines < usual


# ----------------------------------------------------------------------------------- the truth


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A pair with two objects."""
    folder = tmp_path_factory.mktemp("pair")
    told = Observation(pattern="AB", companions=((3.5, 0.2),), seconds=(300.0, 150.0))
    made = {"only": ("science",), "mode": "nod", "target": "smooth", "binning": (2, 2)}
    simulate_night(folder, arms=("VIS",), observation=told, **made)
    return folder


def test_the_truth_holds_every_object(folder):
    path = sorted((folder / "truth").glob("*_spectrum.fits"))[1]  # B: both are well on the slit
    with fits.open(path) as hdus:
        assert [hdu.header["OBJNUM"] for hdu in hdus[1:]] == [1, 2]
        one, two = hdus[1].data, hdus[2].data
        separation = hdus[2].header["SLITPOS"] - hdus[1].header["SLITPOS"]
        # differential refraction moves both alike
        assert np.allclose(two["slit"] - one["slit"], separation, atol=1e-4)
        lit = one["flux"] > 100.0
        assert np.median(two["flux"][lit] / one["flux"][lit]) == pytest.approx(0.2, rel=0.02)


def test_noiseless_images_add_up_to_the_frame(folder):
    night = Night.make(
        "VIS", 1, (2, 2), "smooth", observation=Observation(companions=((3.5, 0.2),))
    )
    raw = sorted(folder.glob("*.fits"))[0]
    with fits.open(folder / "truth" / f"{raw.stem}_sky.fits") as hdus:
        light = hdus["SKY"].data + hdus["OBJECT"].data + hdus["SCATTERED"].data
        assert hdus[0].header["SKYCONT"] != 1.0
        ratio = hdus["SCATTERED"].data.sum() / light.sum()
    assert ratio == pytest.approx(0.007 / 1.007, rel=0.01)
    detector = night.detector
    seconds = fits.getheader(raw)["EXPTIME"]
    expected = light * detector.response + detector.dark * seconds + detector.bias
    ny, nx = night.arm.shape
    x0, y0 = night.arm.columns[0] // 2, night.arm.rows[0] // 2
    window = (fits.getdata(raw).astype("f8")[y0 : y0 + ny, x0 : x0 + nx] - 1000.0) * 1.1
    pull = (window - expected) / np.sqrt(np.maximum(expected, 0.0) + 3.8**2 + 0.1)
    pull = pull[np.abs(pull) < 5]
    assert pull.mean() == pytest.approx(0.0, abs=0.01)
    assert pull.std() == pytest.approx(1.0, abs=0.01)


def test_a_difference_has_the_noise_of_both_and_the_whole_adds_pairs(folder):
    """A partner of half the time, scaled by two: of the sky three times the variance, of reading five."""
    paths = sorted((folder / "truth").glob("*_spectrum.fits"))
    one, two = (fits.getdata(path, 1) for path in paths)
    head = fits.getheader(paths[0], 1)
    assert head["PARTNER"] == paths[1].name.replace("_spectrum", "")
    assert head["PAIRED"]
    faint = (one["flux"] > 0) & (one["flux"] < 30)
    ratio = one["ideal_snr"][faint] / one["ideal_snr_difference"][faint]
    assert np.sqrt(3.0) < np.median(ratio) < np.sqrt(5.0)
    (path,) = (folder / "truth").glob("*_whole.fits")
    whole = fits.getdata(path, 1)
    expected = np.hypot(one["ideal_snr_difference"], two["ideal_snr_difference"])
    assert np.allclose(whole["ideal_snr"], expected, rtol=1e-5)
    assert np.allclose(whole["flux"], one["flux"] + two["flux"])
    header = fits.getheader(path)
    assert (header["EXPTIME"], "ALONE1" in header) == (450.0, False)


def test_the_difference_is_what_a_difference_of_noisy_frames_has():
    """The S/N told against the scatter of an extraction with the true profile and the true noise."""
    night = night_of(target="smooth", brightness=0.05)
    plan = science("nod", Observation(pattern="AB"))
    lights = [illuminate(night, e) for e in plan]
    takens = [truth_on_sky.Taken(night, e, light) for e, light in zip(plan, lights, strict=True)]
    taken = truth_on_sky.Taken(night, plan[0], lights[0], takens[1])
    order = 17
    rows = ideal.window(night, order, plan[0].slit_position)
    columns = np.arange(rows.shape[0])[:, None]
    response = night.detector.response
    signal = (lights[0].objects[0].image * response)[rows, columns]
    variance = sum(
        ideal.variance_of(night, e, light)[rows, columns]
        for e, light in zip(plan, lights, strict=True)
    )
    frames = [
        take(night, e, light).counts[4:2044, 4:2044] * 2.3 - light.total * response + s
        for e, light, s in zip(
            plan, lights, (lights[0].objects[0].image * response, 0.0), strict=True
        )
    ]
    difference = (frames[0] - frames[1])[rows, columns]
    weight = signal / variance
    found = (weight * difference).sum(axis=1) / (weight * signal).sum(axis=1)
    _, told = truth_on_sky.best_snr(taken, 0, order)
    bright = told > 1.0
    pull = ((found - 1.0) * told)[bright]
    assert bright.sum() > 500
    assert 1.4826 * np.median(np.abs(pull - np.median(pull))) == pytest.approx(1.0, abs=0.1)


def test_the_command_takes_observations(tmp_path, monkeypatch):
    asked = {}
    monkeypatch.setattr(
        "soxspipe.simulator.night.simulate_night", lambda folder, **options: asked.update(options)
    )
    file = tmp_path / "observation.yaml"
    file.write_text("pattern: OS\n")
    options = [
        "--observation",
        str(file),
        "--set",
        "seconds=[20]",
        "--snr",
        "4",
        "--target",
        "none",
    ]
    assert main(["simulate", str(tmp_path / "n"), *options, "--mode", "generic"]) == 0
    assert asked["observation"] == Observation(pattern="OS", seconds=(20,), snr=4.0)
    assert (asked["mode"], asked["target"]) == ("generic", "none")
    assert main(["simulate", str(tmp_path / "n"), "--set", "moon=1"]) != 0
