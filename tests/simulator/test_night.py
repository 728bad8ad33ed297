"""A simulated night: frames, headers, noise, truth."""

import ast
import json
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

import soxspipe.simulator
from soxspipe.errors import InputError, OutputError, SettingsError
from soxspipe.instrument.headers import FrameKind, observation_info
from soxspipe.simulator.atmosphere import Atmosphere
from soxspipe.simulator.exposure import Night, illuminate, take
from soxspipe.simulator.headers import raw_header
from soxspipe.simulator.night import simulate_night
from soxspipe.simulator.plan import night_plan
from soxspipe.simulator.targets import target

KINDS = {
    "standard": FrameKind.FLUX_STANDARD_STARE,
    "bias": FrameKind.BIAS,
    "dark": FrameKind.DARK,
    "arc": FrameKind.PINHOLE_ARC,
    "pinhole_flat": FrameKind.PINHOLE_FLAT,
    "flat": FrameKind.SLIT_FLAT,
    "flat_standard": FrameKind.SLIT_FLAT,
    "flat_deuterium": FrameKind.SLIT_FLAT,
    "multi_pinhole": FrameKind.MULTI_PINHOLE_ARC,
    "slit_arc": FrameKind.SLIT_ARC,
    "flat_dome": FrameKind.SLIT_FLAT,
}
SCIENCE = {
    "stare": FrameKind.SCIENCE_STARE,
    "nod": FrameKind.SCIENCE_NODDING,
    "offset": FrameKind.SCIENCE_OFFSET,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The single-pinhole arcs and science frames of both arms."""
    folder = tmp_path_factory.mktemp("night")
    simulate_night(folder, seed=5, only=("arc", "science"))
    return folder


def frame_of(folder, arm, group):
    for path in sorted(folder.glob("*.fits")):
        header = fits.getheader(path)
        if (header["ESO SEQ ARM"], header["ORIGFILE"].split("_")[2]) == (arm, group):
            return path
    raise AssertionError(f"no {arm} {group}")


@pytest.mark.parametrize("mode", ["stare", "nod", "offset"])
@pytest.mark.parametrize("arm", ["VIS", "NIR"])
def test_every_header_is_understood(arm, mode):
    night = Night.make(arm, 1, (2, 1), "faint")
    plan = night_plan(arm, mode, night.star_positions)
    for exposure in plan:
        name, air = night.object_name(exposure), night.atmosphere(exposure)
        header = raw_header(exposure, night.arm, name, air)
        info = observation_info(header, "frame")
        off = exposure.group not in ("dark", "bias") and exposure.dpr[2] == "IMAGE"
        expected = (
            FrameKind.LAMP_OFF if off else (KINDS | {"science": SCIENCE[mode]})[exposure.group]
        )
        assert info.kind is expected
        assert info.arm == arm
        assert info.night == "2026-05-10"
        assert info.binning == night.arm.binning
        assert info.exposures_in_template == sum(
            e.template_start == exposure.template_start for e in plan
        )
        assert info.gain == pytest.approx(1.1 if arm == "VIS" else 2.3)
        assert info.slit == exposure.slit
        if exposure.lamps:
            arcs = {"VIS": "ThAr", "NIR": "ArNeHgXe"}[arm]
            flats = "D" if exposure.group == "flat_deuterium" else "QTH"
            flats = "" if exposure.group == "flat_dome" else flats
            assert info.lamp == (arcs if "WAVE" in info.dpr_type else flats)
        else:
            assert info.lamp == ""
    assert len({e.stem for e in plan}) == len(plan)


@pytest.mark.parametrize("arm", ["VIS", "NIR"])
@pytest.mark.parametrize("mode", ["stare", "nod", "offset"])
def test_the_plan_holds_what_the_organiser_needs(arm, mode):
    plan = night_plan(arm, mode, (0.0, 0.0))
    kinds = [(e.group, e.dpr[2], e.seconds, e.slit) for e in plan]
    if arm == "NIR":
        darks = {e.seconds for e in plan if e.group == "dark"}
        assert darks == {e.seconds for e in plan}
        assert all(sum(e.group == "dark" and e.seconds == s for e in plan) >= 3 for s in darks)
    else:
        assert sum(e.group == "bias" for e in plan) == 5
        assert sum(e.slit == "SLIT5.0" and e.group == "flat_standard" for e in plan) == 5
    slit = next(e.slit for e in plan if e.group == "science")
    assert sum(k[0] == "flat" and k[1] == "ECHELLE,SLIT" and k[3] == slit for k in kinds) == 5
    science = [e for e in plan if e.group == "science"]
    if mode == "nod":
        assert [np.sign(e.nod) for e in science] == [1.0, -1.0, -1.0, 1.0]
    if mode == "offset":
        assert [e.on_target for e in science] == [True, False, False, True]


def test_a_frame_depends_on_its_seed_alone(folder, tmp_path):
    """The same frame comes out alone as with others; another seed gives another."""
    (again,) = simulate_night(tmp_path / "a", arms=("NIR",), seed=5, only=("science",))
    first = fits.getdata(folder / again.name)
    assert np.array_equal(first, fits.getdata(again))
    (other,) = simulate_night(tmp_path / "b", arms=("NIR",), seed=6, only=("science",))
    assert other.name == again.name
    assert not np.array_equal(first, fits.getdata(other))


def test_frames_have_the_format_of_the_detectors(folder):
    vis, nir = (fits.getdata(frame_of(folder, arm, "science")) for arm in ("VIS", "NIR"))
    assert vis.shape == (4096, 908)
    assert vis.dtype == np.uint16
    assert nir.shape == (2048, 2048)
    assert nir.dtype.str[1:] == "f4"
    margin = np.concatenate([vis[:, :50], vis[:, 858:]], axis=1).astype(float)
    assert margin.std() == pytest.approx(np.hypot(3.8, 3.0) / 1.1, rel=0.1)
    assert abs(margin.mean() - 1000.0) < 2.0
    frame = np.concatenate([nir[:4].ravel(), nir[-4:].ravel()])
    assert frame.std() == pytest.approx(7.3 / 2.3, rel=0.05)


@pytest.mark.parametrize("arm", ["VIS", "NIR"])
def test_truth_geometry_agrees_with_the_arc_frame(folder, arm):
    """Moments of bright pinhole images in the raw frame against the optics that wrote the truth."""
    night = Night.make(arm, 5, (1, 1), "sn")
    table = fits.getdata(folder / "truth" / f"{arm}_geometry.fits")
    told = night.optics.position(int(table["order"][7]), table["wavelength"][7], table["slit"][7])
    assert np.allclose(told, (table["x"][7], table["y"][7]), atol=1e-9)
    raw = fits.getdata(frame_of(folder, arm, "arc")).astype(float)
    x0, y0 = night.arm.columns[0], night.arm.rows[0]
    image = raw[y0 : y0 + night.arm.shape[0], x0 : x0 + night.arm.shape[1]]
    image = image * (1.1 if arm == "VIS" else 2.3) - night.detector.bias
    image -= np.median(image)
    offsets = np.array(list(_moments(night, image)))
    assert len(offsets) > 25
    assert np.all(np.abs(np.median(offsets, axis=0)) < 0.03)
    assert np.all(1.4826 * np.median(np.abs(offsets), axis=0) < 0.08)


def _moments(night, image):
    """Centroid minus truth of bright lines without neighbours."""
    from soxspipe.simulator.scene import arc_electrons

    for order in night.arm.orders:
        wavelength, electrons = arc_electrons(night.arm, order, 60.0)
        low, high = night.optics.light_range(order)
        inside = (wavelength > low) & (wavelength < high)
        wavelength, electrons = wavelength[inside], electrons[inside]
        x, y = night.optics.position(order, wavelength, 0.0)
        for k in np.flatnonzero((electrons > 5e3) & (electrons < 1e5)):
            near = np.hypot(x - x[k], y - y[k]) < 7.0
            cx, cy = round(float(x[k])), round(float(y[k]))
            on = 8 < cx < image.shape[1] - 8 and 8 < cy < image.shape[0] - 8
            if on and electrons[near].sum() < 1.03 * electrons[k]:
                cut = image[cy - 3 : cy + 4, cx - 3 : cx + 4]
                v, u = np.mgrid[-3:4, -3:4]
                mean = (cut * u).sum() / cut.sum(), (cut * v).sum() / cut.sum()
                yield cx + mean[0] - x[k], cy + mean[1] - y[k]


@pytest.mark.parametrize("arm", ["VIS", "NIR"])
def test_the_raw_frame_holds_the_light_of_the_scene(folder, arm):
    """Counts times gain, less bias and dark, against the light expected; noise averages out."""
    night = Night.make(arm, 5, (1, 1), "sn")
    plan = night_plan(arm, "stare", night.star_positions)
    exposure = next(e for e in plan if e.group == "science")
    light = illuminate(night, exposure).total
    detector = night.detector
    raw = fits.getdata(frame_of(folder, arm, "science")).astype(float)
    y0, x0 = night.arm.rows[0], night.arm.columns[0]
    window = raw[y0 : y0 + night.arm.shape[0], x0 : x0 + night.arm.shape[1]]
    gain, pedestal = (1.1, 1000.0) if arm == "VIS" else (2.3, 0.0)
    electrons = (window - pedestal) * gain - detector.bias - detector.dark * exposure.seconds
    lit = (light > 100.0) & (light < 20_000.0) & (detector.flags == 0)
    hits = fits.getdata(
        next((folder / "truth").glob(f"{frame_of(folder, arm, 'science').stem}_cos*"))
    )
    lit[hits["y"], hits["x"]] = False
    expected = (light * detector.response)[lit]
    assert electrons[lit].sum() == pytest.approx(expected.sum(), rel=2e-3)
    noise = (electrons[lit] - expected) / np.sqrt(expected + (3.8 if arm == "VIS" else 7.3) ** 2)
    assert noise.std() == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("arm", ["VIS", "NIR"])
def test_truth_spectrum_is_plausible(folder, arm):
    """The ideal S/N can approach the star's own Poisson noise and never beat it."""
    path = frame_of(folder, arm, "science")
    table = fits.getdata(folder / "truth" / f"{path.stem}_spectrum.fits")
    header = fits.getheader(folder / "truth" / f"{path.stem}_spectrum.fits", 1)
    assert abs(header["SLITPOS"]) <= 1.0
    assert set(table["order"]) == set(Night.make(arm, 5, (1, 1), "sn").arm.orders)
    assert np.all(table["bin_width"] > 0)
    assert np.all(table["flux"] >= 0)
    poisson = np.sqrt(np.maximum(table["flux"], 0.0))
    assert np.all(table["ideal_snr"] <= 1.05 * poisson + 0.5)
    assert np.median(table["ideal_snr"]) > 5.0


def test_parameters_tell_the_departure(folder):
    told = json.loads((folder / "truth" / "VIS_truth.json").read_text(encoding="utf-8"))
    night = Night.make("VIS", 5, (1, 1), "sn")
    assert told["shift_px"] == list(night.optics.departure.shift)
    assert told["seed"] == 5


def test_defects_cosmic_rays_and_saturation_are_there():
    night = Night.make("NIR", 3, (1, 1), "sn")
    plan = night_plan("NIR", "stare", night.star_positions)
    dark = max((e for e in plan if e.group == "dark"), key=lambda e: e.seconds)
    raw = take(night, dark, illuminate(night, dark))
    hot = night.detector.flags == 16
    window = raw.counts[4:2044, 4:2044] * 2.3
    assert np.median(window[hot]) > 100.0
    assert len(raw.cosmics.electrons) > 300
    hit = window[raw.cosmics.y, raw.cosmics.x]
    assert np.corrcoef(hit, raw.cosmics.electrons)[0, 1] > 0.9
    assert window.max() < 100_000.0 + 200.0


def test_binned_frames(tmp_path):
    paths = simulate_night(tmp_path, arms=("VIS",), binning=(2, 2), only=("bias", "arc"))
    header = fits.getheader(paths[-1])
    assert (header["ESO DET BINX"], header["ESO DET BINY"]) == (2, 2)
    assert fits.getdata(paths[-1]).shape == (2048, 454)
    table = fits.getdata(tmp_path / "truth" / "VIS_geometry.fits")
    assert table["x"].max() < 404
    assert table["y"].max() < 2048


def test_seeing_and_absorption_follow_the_air():
    near, far = Atmosphere(1.0, 2.5, 1.0), Atmosphere(2.0, 2.5, 1.0)
    assert far.image_width(500.0) == pytest.approx(2.0**0.6)
    assert near.image_width(1000.0) == pytest.approx(2.0**-0.2)
    wavelength = np.linspace(350.0, 2000.0, 5000)
    once, twice = near.transmission(wavelength), far.transmission(wavelength)
    assert np.all((once > 0) & (once < 1))
    assert np.all(twice <= once)
    oxygen = np.abs(wavelength - 760.5) < 0.7
    assert once[oxygen].min() < 0.6
    assert np.ptp(near.displacement(wavelength, 700.0)) == pytest.approx(0.0, abs=1e-9)
    assert far.displacement(np.array([400.0]), 700.0) > 0.5


def test_targets(tmp_path):
    for name in ("spectrum.csv", "spectrum.txt"):
        path = tmp_path / name
        comma = "," if name.endswith("csv") else " "
        path.write_text(f"wavelength{comma}flux\n500{comma}1e-16\n400{comma}2e-16\n")
        stem, flux = target(str(path))
        assert stem == "spectrum"
        assert flux(np.array([450.0, 600.0])) == pytest.approx([1.5e-16, 0.0])
    assert target("faint")[1](np.array([700.0])) < 0.03 * target("sn")[1](np.array([700.0]))
    bad, worse = tmp_path / "bad.txt", tmp_path / "worse.txt"
    bad.write_text("not a spectrum\n")
    worse.write_text("400 1e-16\n500 much\n")
    for name in (str(bad), str(worse), "no-such-target"):
        with pytest.raises(InputError, match="hint"):
            target(name)


def test_wrong_requests_are_refused(tmp_path):
    with pytest.raises(SettingsError, match="mode"):
        simulate_night(tmp_path, mode="stair")
    with pytest.raises(SettingsError, match="seed"):
        simulate_night(tmp_path, seed=-1)
    with pytest.raises(SettingsError, match="group"):
        simulate_night(tmp_path, only=("flats",))
    with pytest.raises(InputError, match="binning"):
        simulate_night(tmp_path, binning=(3, 3))
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(OutputError):
        simulate_night(file)


def test_nothing_is_shared_with_what_inverts_it():
    forbidden = ("soxspipe.science", "soxspipe.datamodel", "soxspipe.maths", "soxspipe.recipes")
    forbidden += ("soxspipe.instrument.spectral_format",)
    for path in Path(soxspipe.simulator.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{a.name}" for a in node.names] + [str(node.module)]
            assert not any(name.startswith(forbidden) for name in names), path.name


def test_the_light_of_flats_is_what_the_frames_hold(tmp_path):
    """The mean of the exposures agrees with the light told, to its photon noise."""
    paths = simulate_night(tmp_path, arms=("VIS",), binning=(2, 2), only=("flat",))
    (told,) = (tmp_path / "truth").glob("*_light.fits")
    with fits.open(told) as hdus:
        assert [hdus[0].header[f"FRAME{k}"] for k in range(1, 6)] == [p.name for p in paths]
        assert hdus[0].header["EXPTIME"] == 60.0
        light = hdus["DIRECT"].data + hdus["SCATTERED"].data
        assert hdus["SCATTERED"].data.mean() / light.mean() == pytest.approx(0.007, rel=0.01)
    night = Night.make("VIS", 1, (2, 2), "sn")
    expected = light * night.detector.response + 60.0 * night.detector.dark + night.detector.bias
    counts = np.mean([fits.getdata(path).astype("f8") for path in paths], axis=0)
    x, y = (night.arm.columns[0] // 2, night.arm.rows[0] // 2)
    ny, nx = night.arm.shape
    window = (counts[y : y + ny, x : x + nx] - 1000.0) * 1.1
    pull = (window - expected) / np.sqrt((np.maximum(expected, 0.0) + 3.8**2 + 0.1) / 5)
    pull = pull[expected < 6e4]  # above, binned pixels saturate the converter
    assert np.mean(pull[np.abs(pull) < 5]) == pytest.approx(0.0, abs=0.01)
    assert np.std(pull[np.abs(pull) < 5]) == pytest.approx(1.0, abs=0.01)
