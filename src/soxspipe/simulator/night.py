"""A whole night of raw frames, one arm or both, with its truth."""

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path

from astropy.io import fits

from soxspipe.errors import OutputError, SettingsError
from soxspipe.instrument.arms import Binning
from soxspipe.simulator import truth, truth_on_sky
from soxspipe.simulator.conditions import ORDINARY, Conditions
from soxspipe.simulator.detector import CosmicRays
from soxspipe.simulator.exposure import Light, Night, illuminate, take
from soxspipe.simulator.headers import raw_header
from soxspipe.simulator.ideal import as_bright_as_told
from soxspipe.simulator.observation import USUAL, Observation
from soxspipe.simulator.partners import partners
from soxspipe.simulator.plan import EXTRA_GROUPS, GROUPS, Exposure, night_plan
from soxspipe.simulator.truth_on_sky import Taken

#: (what is being made, frames done, frames in all)
Progress = Callable[[str, int, int], None]

_WORKERS = 2


def simulate_night(
    folder: Path,
    *,
    arms: Sequence[str] = ("VIS", "NIR"),
    seed: int = 1,
    target: str = "sn",
    mode: str = "stare",
    binning: Binning = (1, 1),
    progress: Progress | None = None,
    only: Collection[str] | None = None,
    conditions: Conditions = ORDINARY,
    observation: Observation = USUAL,
) -> list[Path]:
    """Write a night of raw frames into `folder` and its truth into `folder`/truth.

    target    one of targets.NAMES or a table file of wavelength (nm) and flux (erg/s/cm2/A)
    mode      one of observation.MODES: "stare", "nod", "offset", "generic", "mapping"
    binning   of the VIS detector (x, y); NIR is never binned
    only      groups of frames (plan.GROUPS, plan.EXTRA_GROUPS) to write, None for all GROUPS; a frame
              is the same whatever else is written
    conditions  what is out of the ordinary this night
    observation what stands on the slit, and in which pattern it is observed

    Returns the raw frames in order of time. Raises SettingsError for an unknown arm, mode or group,
    InputError for an unknown target or binning, OutputError if the folder cannot be written.
    """
    wanted = set(GROUPS if only is None else only)
    unknown = wanted - {*GROUPS, *EXTRA_GROUPS}
    if unknown or set(arms) - {"VIS", "NIR"}:
        wrong = ", ".join(sorted(unknown or set(arms)))
        raise SettingsError(
            f"unknown arm or group: {wrong}",
            hint=f"arms are VIS and NIR; groups are {', '.join(GROUPS + EXTRA_GROUPS)}",
        )
    if seed < 0:
        raise SettingsError(f"seed {seed} is negative", hint="give a whole number from 0")
    nights = [Night.make(arm, seed, binning, target, conditions, observation) for arm in arms]
    plans = [night_plan(n.arm.name, mode, n.star_positions, observation, seed) for n in nights]
    nights = [as_bright_as_told(n, plan) for n, plan in zip(nights, plans, strict=True)]
    work = [
        (night, [e for e in plan if e.group in wanted])
        for night, plan in zip(nights, plans, strict=True)
    ]
    _make_folder(folder)
    total = sum(len(plan) for _, plan in work)
    frames: list[Path] = []
    try:
        for night, plan in work:
            truth.write_night(folder / "truth", night)
            frames += _write_all(folder, night, plan, progress, (len(frames), total))
    except OSError as error:
        raise OutputError(
            f"cannot write to {folder}: {error.strerror or error}",
            hint="free some space (a night takes about 1 GB) or choose another folder",
        ) from error
    return sorted(frames, key=lambda path: path.name)


def _make_folder(folder: Path) -> None:
    try:
        (folder / "truth").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot make {folder}: {error.strerror or error}", hint="choose another folder"
        ) from error


def _series(plan: Sequence[Exposure]) -> list[list[Exposure]]:
    """Exposures that are made together: of the same lamps, whose light is worked out once, or pairs on
    sky, whose noise adds.
    """
    groups: list[list[Exposure]] = []
    mates = partners(plan)
    for exposure in plan:
        before = groups[-1][-1] if groups else None
        mate = mates.get(exposure.number)
        together = next((g for g in groups if mate is not None and mate[0] in g), None)
        if exposure.target and together is not None:
            together.append(exposure)
        elif before is not None and not exposure.target and _same_scene(before, exposure):
            groups[-1].append(exposure)
        else:
            groups.append([exposure])
    return groups


def _same_scene(one: Exposure, other: Exposure) -> bool:
    return (one.template_start, one.dpr, one.lamps) == (
        other.template_start,
        other.dpr,
        other.lamps,
    )


def _write_all(
    folder: Path,
    night: Night,
    plan: Sequence[Exposure],
    progress: Progress | None,
    counted: tuple[int, int],
) -> list[Path]:
    """Render and write exposures, two series at a time; each frame has its own random numbers."""
    done, total = counted
    frames: list[Path] = []
    night.paths  # noqa: B018  # tabulated once, before the workers share it
    with ThreadPoolExecutor(_WORKERS) as pool:
        mates = partners(plan)
        tasks = {pool.submit(_write_series, folder, night, s, mates): s[0] for s in _series(plan)}
        try:
            for task in as_completed(tasks):
                written = task.result()
                frames += written
                done += len(written)
                if progress is not None:
                    first = tasks[task]
                    progress(f"{night.arm.name} {first.group.replace('_', ' ')}", done, total)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return frames


def _write_series(
    folder: Path,
    night: Night,
    series: Sequence[Exposure],
    mates: Mapping[int, tuple[Exposure, bool]],
) -> list[Path]:
    if series[0].target:
        return _write_on_sky(folder, night, series, mates)
    light = illuminate(night, series[0])
    if light is not None and series[0].group in truth.FLATS:
        truth.write_light(folder / "truth", series, light)
    return [_write_frame(folder, night, exposure, light)[0] for exposure in series]


def _write_on_sky(
    folder: Path,
    night: Night,
    series: Sequence[Exposure],
    mates: Mapping[int, tuple[Exposure, bool]],
) -> list[Path]:
    """Exposures of a target, with the truth of each and of its difference with its partner."""
    paths, made = [], {}

    def taken(exposure: Exposure) -> Taken | None:
        if exposure.number not in made:
            light = illuminate(night, exposure)
            made[exposure.number] = None if light is None else Taken(night, exposure, light)
        return made[exposure.number]

    for exposure in series:
        one = taken(exposure)
        if one is None:
            continue
        if exposure.number in mates:
            other, paired = mates[exposure.number]
            one = replace(one, partner=taken(other), paired=paired)
        path, cosmics = _write_frame(folder, night, exposure, one.light)
        truth_on_sky.write_exposure(folder / "truth", one, cosmics)
        paths.append(path)
    return paths


def _write_frame(
    folder: Path, night: Night, exposure: Exposure, light: Light | None
) -> tuple[Path, CosmicRays]:
    """Read out, write aside, rename: an interrupted run leaves no half-written frame."""
    raw = take(night, exposure, light)
    header = raw_header(
        exposure, night.arm, night.object_name(exposure), night.atmosphere(exposure)
    )
    path = folder / f"{exposure.stem}.fits"
    aside = path.with_suffix(".part")
    fits.PrimaryHDU(raw.counts, header).writeto(aside, overwrite=True)
    aside.replace(path)
    return path, raw.cosmics
