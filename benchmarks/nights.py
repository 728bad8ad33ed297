"""Raw nights to reduce: simulated ones, rendered once and kept, and those made by somebody else."""

import hashlib
import os
import shutil
from pathlib import Path

from astropy.io import fits

import soxspipe
from soxspipe.errors import InputError
from soxspipe.simulator.night import simulate_night


def simulated(folder: Path, seed: int) -> Path:
    """Folder of the raw frames, both arms, and truth of a seed; rendered unless it is there.

    The folder is named after the version and the simulator's code, so that no night is older than what
    makes it.
    """
    night = folder / f"seed{seed}-{soxspipe.__version__}-{fingerprint()}"
    if not night.is_dir():
        aside = night.with_name(f"{night.name}.part")
        shutil.rmtree(aside, ignore_errors=True)
        simulate_night(aside, seed=seed)
        aside.rename(night)
    return night


def fingerprint() -> str:
    """Eight digits that change with the code and the tables of the simulator and the instrument."""
    root = Path(soxspipe.__file__).parent
    digest = hashlib.sha256()
    for package in ("simulator", "instrument"):
        for path in sorted((root / package).rglob("*")):
            if path.is_file() and path.parent.name != "__pycache__":
                digest.update(path.read_bytes())
    return digest.hexdigest()[:8]


def workspace(night: Path, place: Path, *, calibrations: bool = False) -> Path:
    """A fresh folder `place` with the frames of `night`, not yet prepared; `calibrations`: no others.

    Frames are linked, not copied: `prep` moves files, and nothing writes to them. Compressed frames are
    unpacked.
    """
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for path in sorted(night.rglob("*.fits*")):
        if path.parent.name == "truth" or (calibrations and _shows_sky(path)):
            continue
        target = place / path.name.removesuffix(".fz")
        if target.exists():
            raise InputError(
                f"{night} holds two frames named {target.name}", hint="give each its own name"
            )
        if path.name.endswith(".fits.fz"):
            _unpack(path, target)
        elif path.name.endswith(".fits"):
            _link(path, target)
    if (night / "truth").is_dir():
        shutil.copytree(night / "truth", place / "truth")
    return place


def _shows_sky(path: Path) -> bool:
    header = fits.getheader(path, 1 if path.name.endswith(".fz") else 0)
    kind = str(header.get("ESO DPR TYPE", ""))
    return header.get("ESO DPR CATG") == "SCIENCE" or kind.startswith(("STD", "OBJECT", "SKY"))


def _unpack(packed: Path, plain: Path) -> None:
    with fits.open(packed) as hdus:
        fits.PrimaryHDU(hdus[1].data, hdus[1].header).writeto(plain)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)  # another file system, or one without links
