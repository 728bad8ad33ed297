"""Master bias and dark, and the hot pixels found in them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from astropy.io import fits
from scipy import ndimage

from soxspipe.cli.accuracy.figure import Figure, figure, rms, share
from soxspipe.cli.accuracy.truth import HOT, Truth, raw_names
from soxspipe.datamodel.frame import Frame, PixelFlag
from soxspipe.io.products import read_product
from soxspipe.maths.robust import mad_sigma

#: A true excess of this many sigma of an ideal master is one that has to be found.
_SIGMA = 5.0


def detector_figures(root: Path, truth: Truth) -> Iterator[Figure]:
    """Figures of the master biases and darks of one arm."""
    name = truth.arm.name
    for folder, label in (("soxs-mbias", "master bias"), ("soxs-mdark", "master dark")):
        for path in sorted(root.glob(f"reduced/*/{folder}/*_{name}_*.fits")):
            header = fits.getheader(path)
            seconds = 0.0 if folder == "soxs-mbias" else float(header["EXPTIME"])
            frame = label if folder == "soxs-mbias" else f"{label}, {seconds:g} s"
            master, n = read_product(path), len(raw_names(header))
            ideal = truth.variance(truth.dark * seconds) / n
            good = master.good & (truth.flags == 0)
            for quantity, value in noise(master, truth.unlit(seconds), ideal, good).items():
                yield figure(name, frame, quantity, value)
            if folder == "soxs-mdark":
                hot = (truth.flags & HOT) > 0
                for quantity, value in hot_pixels(master, hot, truth.dark * seconds, ideal).items():
                    yield figure(name, frame, quantity, value)


def noise(
    master: Frame, expected: np.ndarray, ideal: np.ndarray, good: np.ndarray
) -> dict[str, float]:
    """How far a master is from what it should hold, in units of the best possible noise.

    expected, ideal : (ny, nx) true value, e-, and variance of a plain mean of all its exposures without
    cosmic rays. good : (ny, nx) pixels that neither truth nor product distrusts; the figure "all pixels"
    has the others too.
    """
    error = master.data - expected
    pull = error[good] / np.sqrt(master.variance[good])
    return {
        "error over ideal noise": rms(error[good]) / float(np.sqrt(ideal[good].mean(dtype="f8"))),
        "error over ideal noise, all pixels": rms(error / np.sqrt(ideal)),
        "pixel pull width": mad_sigma(pull),
    }


def hot_pixels(
    master: Frame, hot: np.ndarray, dark: np.ndarray, ideal: np.ndarray
) -> dict[str, float]:
    """Recall of truly hot pixels that stand out, and precision of those flagged.

    hot : (ny, nx) pixels that are truly hot. dark : (ny, nx) true electrons. To be found is a hot pixel
    whose true excess over its surroundings is 5 sigma of an ideal master (`ideal` its variance, photons
    of the excess included). A flag is right on any truly hot pixel.
    """
    excess = dark - ndimage.median_filter(dark, size=5)
    flagged = (master.flags & np.uint16(PixelFlag.HOT)) > 0
    due = hot & (excess >= _SIGMA * np.sqrt(ideal))
    return {"hot pixels, recall": share(flagged, due), "hot pixels, precision": share(hot, flagged)}
