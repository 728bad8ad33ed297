"""Exposures that do not belong to their set: another level, light in a part, more noise."""

from collections.abc import Sequence

import numpy as np

from soxspipe.datamodel.frame import Frame
from soxspipe.maths.blocks import block_medians
from soxspipe.maths.robust import mad_sigma

#: Every so many pixels along each axis are looked at, in blocks of so many of those.
_STEP, _BLOCK = 4, 16

#: An exposure deviates if its blocks are further off than this many times those of its fellows, and
#: further than this many sigmas of its pixels.
_TIMES, _SIGMAS = 5.0, 1.0

#: ... or if its pixels scatter this many times as much as those of its fellows.
_NOISIER = 1.5


def misfits(frames: Sequence[Frame]) -> dict[int, str]:
    """Exposures of a set (biases, darks of one time) that differ from the rest, with the reason.

    Each is compared with the median over the exposures in blocks of 64 pixels, of which the 99th
    percentile counts: a shift of the whole level and a light leak in one corner are both seen, cosmic
    rays and hot pixels are not. If half of the exposures or more deviated, none could be told to be the
    wrong one, and the answer is empty.

    frames : n >= 3 exposures of one shape, electrons. Returns {index: reason}.
    """
    if len(frames) < 3:
        return {}
    sample = np.stack([f.data[::_STEP, ::_STEP] for f in frames])
    level = np.median(sample, axis=(1, 2))
    # levels drift: with them in it, the median would be that of the exposure in the middle
    rest = sample - level[:, None, None]
    rest -= np.median(rest, axis=0)
    level -= np.median(level)
    scatter = np.array([mad_sigma(r) for r in rest])
    blocks = [block_medians(r, _BLOCK) + at for r, at in zip(rest, level, strict=True)]
    off = np.array([np.percentile(np.abs(b), 99) for b in blocks])
    usual = max(float(np.median(scatter)), 1e-6)
    found: dict[int, str] = {}
    for k in range(len(frames)):
        others = np.delete(off, k)
        if off[k] > max(_TIMES * float(np.median(others)), _SIGMAS * scatter[k]):
            everywhere = abs(float(level[k])) > 0.5 * off[k]
            found[k] = (
                f"its level is {level[k]:+.0f} e- off that of the others"
                if everywhere
                else f"a part of it is {off[k]:.0f} e- off the others: stray light?"
            )
        elif scatter[k] > _NOISIER * max(float(np.median(np.delete(scatter, k))), 1e-6):
            found[k] = f"its pixels scatter {scatter[k] / usual:.1f} times as much as the others'"
    return found if 2 * len(found) < len(frames) else {}
