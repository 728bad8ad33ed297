"""Sky subtraction of single exposures against the noiseless sky."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from astropy.io import fits

from soxspipe.cli.accuracy.figure import Figure, figure
from soxspipe.cli.accuracy.on_sky import LABELS
from soxspipe.cli.accuracy.scene import Scene, line_masks, scene
from soxspipe.cli.accuracy.statistics import spread
from soxspipe.cli.accuracy.truth import Truth, raw_names
from soxspipe.datamodel.frame import Frame
from soxspipe.io.products import read_product

#: The object's light in pixels that count is below this share of the noise.
_DARK = 0.3
#: Fewer pixels say nothing.
_ENOUGH = 1000


def single_exposures(
    root: Path, truth: Truth, ending: str
) -> Iterator[tuple[Path, str, Scene, str]]:
    """Products of one exposure with that `ending`: file, label, scene, raw file."""
    for folder, label in LABELS.items():
        for path in sorted(root.glob(f"reduced/*/{folder}/*_{truth.arm.name}_*{ending}")):
            names = list(dict.fromkeys(raw_names(fits.getheader(path))))
            shown = [n for n in names if (truth.folder / _cosmics(n)).is_file()]
            found = scene(truth, shown[0]) if len(shown) == 1 else None
            if found is not None:
                yield path, label, found, shown[0]


def _cosmics(name: str) -> str:
    return f"{name.removesuffix('.fits')}_cosmics.fits"


def sky_figures(root: Path, truth: Truth) -> Iterator[Figure]:
    """Figures of the sky-subtracted frames of one arm."""
    for path, label, light, _ in single_exposures(root, truth, "_SKYSUB.fits"):
        subtracted = read_product(path)
        model = read_product(path.with_name(path.name.replace("_SKYSUB", "_SKYMODEL")))
        lines, between = line_masks(truth, light.sky, light.noise, light.orders)
        values = compare_sky(subtracted, model.data, light, lines, between)
        for quantity, value in values.items():
            yield figure(truth.arm.name, label, quantity, value)


def compare_sky(
    subtracted: Frame,
    model: np.ndarray,
    light: Scene,
    lines: np.ndarray,
    between: np.ndarray,
) -> dict[str, float]:
    """Scatter of what is left of the sky over the expected noise, and the model's own error in units of
    the noise of the raw frame.

    Expected is the noise of the raw frame and, the same in every pixel, what the told variance has more
    than that between the lines: calibrations have noise. Pixels of objects, flagged, hit or defective
    ones are left out.
    """
    seen = (subtracted.flags == 0) & (light.hits == 0) & light.healthy & (light.orders > 0)
    seen &= (light.light < _DARK * light.noise) & (subtracted.variance > 0)
    left = subtracted.data - light.light
    sky = light.sky + scattered_left(model + left, light, between & seen) * light.scattered
    quiet = between & seen
    more = np.median((subtracted.variance - light.noise**2)[quiet]) if quiet.any() else 0.0
    values = {}
    for name, where in (("in lines", lines & seen), ("between lines", between & seen)):
        if np.count_nonzero(where) < _ENOUGH:
            continue
        error, noise = np.sqrt(subtracted.variance[where]), light.noise[where]
        expected = np.sqrt(noise**2 + max(float(more), 0.0))
        wrong = (model - sky)[where] / noise
        values[f"sky residual over noise, {name}"] = spread(left[where] / expected)
        values[f"error over noise of the raw frame, {name}"] = float(np.median(error / noise))
        values[f"sky model, median error {name} [sigma]"] = float(np.median(wrong))
        values[f"sky model, scatter {name} [sigma]"] = spread(wrong)
    return values


def scattered_left(data: np.ndarray, light: Scene, where: np.ndarray) -> float:
    """1 if the light that is scattered is still in the frame, 0 if the recipe has taken it out: what is
    nearer to the data, object subtracted, in the pixels `where`.
    """
    if not where.any():
        return 1.0
    excess = float(np.mean((data - light.sky)[where]))
    return float(excess > 0.5 * float(np.mean(light.scattered[where])))
