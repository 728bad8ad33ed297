"""The light of a scene on the detector, and what of it is scattered."""

from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from soxspipe.instrument.arms import Binning
from soxspipe.simulator import scene

#: Share of a frame's light that ends up scattered over the detector.
SCATTERED = 0.007


@dataclass(frozen=True, eq=False)
class ObjectLight:
    """One object on the slit: its part of the light, (ny, nx) electrons, and its beam per order."""

    image: np.ndarray
    orders: dict[int, scene.StarLight]


@dataclass(frozen=True, eq=False)
class Light:
    """Expected electrons of one exposure on the trimmed, binned window (ny, nx), pixel response 1.

    scattered   (ny, nx) the part of `total` that is scattered
    objects     the objects on the slit, the target first
    sky         per order, what the truth needs; `sky_image` (ny, nx) is the sky's part of `total`
    """

    total: np.ndarray
    scattered: np.ndarray
    objects: tuple[ObjectLight, ...] = ()
    sky: dict[int, scene.Beam] = field(default_factory=dict)
    sky_image: np.ndarray | None = None

    @property
    def star(self) -> dict[int, scene.StarLight]:
        """The target's beams by order; none if it is not there."""
        return self.objects[0].orders if self.objects else {}

    @property
    def star_image(self) -> np.ndarray | None:
        """(ny, nx) the target's part of `total`."""
        return self.objects[0].image if self.objects else None


def binned_sum(image: np.ndarray, binning: Binning) -> np.ndarray:
    """Sum blocks of pixels as on-chip binning does; rows or columns that fill no block are lost."""
    bx, by = binning
    ny, nx = image.shape[0] // by, image.shape[1] // bx
    return image[: ny * by, : nx * bx].reshape(ny, by, nx, bx).sum(axis=(1, 3))


def scattered_light(image: np.ndarray) -> np.ndarray:
    """A smooth glow that holds SCATTERED of the light in `image`, half of it even."""
    cells = (48, 48)
    sizes = tuple(zip(image.shape, cells, strict=True))
    cuts = [
        np.linspace(0, n, c + 1)[:-1].astype(int) for n, c in zip(image.shape, cells, strict=True)
    ]
    coarse = np.add.reduceat(np.add.reduceat(image, cuts[0], axis=0), cuts[1], axis=1)
    glow = ndimage.gaussian_filter(coarse, 6.0, mode="nearest")
    glow = 0.5 * glow / max(float(glow.mean()), 1e-30) + 0.5
    zoom = [n / c for n, c in sizes]
    smooth = ndimage.zoom(glow.astype("f4"), zoom, order=1, mode="nearest", grid_mode=True)
    return np.asarray(smooth * (SCATTERED * image.sum() / smooth.sum()))
