"""One flat from those of two lamps: each pixel from the lamp that tells more about it.

The response of slit and pixels is the same whatever lamp shows it; only the spectrum that was taken out
differs. So nothing has to be joined along a line: where both lamps give light their responses are
averaged, where one is dark the other stands alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from soxspipe.datamodel.flat import MasterFlat
from soxspipe.datamodel.frame import Frame, PixelFlag
from soxspipe.datamodel.geometry import OrderTable
from soxspipe.science.orders.lit_pixels import lit_pixels

#: A lamp takes part in an order if its variance is at most this many times that of the other.
_WORTH = 4.0
#: Pixels beside the end of the main lamp's light over which the other is brought to its scale.
_JOIN = 200


@dataclass(frozen=True, eq=False)
class Joined:
    """The flat of both lamps, (rows, columns) bool where the second tells more, and its share in the
    weight, by order.
    """

    flat: MasterFlat
    second: np.ndarray
    share: Mapping[int, float]


def join(
    main: MasterFlat,
    other: MasterFlat,
    table: OrderTable,
    tilt: Mapping[int, np.ndarray],
    *,
    scale: bool,
) -> Joined:
    """Average of two responses, weighted by inverse variance, order by order.

    Parameters
    ----------
    main, other : flats of two lamps, dispersion along columns. Where one is NO_FLAT, as deuterium is
    around its emission lines, the other counts alone.
    table, tilt : as for `flat_field.separate`. scale : bring the spectrum of the other lamp to that of
    the main one where it takes over.

    The spectrum that is kept is that of the main lamp as far as it gives light: orders are compared by
    it, which needs one lamp for all.
    """
    first, second = main.frame, other.frame
    data, variance, flags = (np.array(z) for z in (first.data, first.variance, first.flags))
    more = np.zeros(first.shape, dtype=bool)
    lamps, share = dict(main.lamp), {}
    common = _common_scale(main.lamp, other.lamp)
    for number, trace in table.orders.items():
        pixels = lit_pixels(trace, tilt[number], first.shape)
        if pixels.rows.size == 0:
            continue
        at = pixels.rows, pixels.columns
        weight = np.stack([_weight(frame, at) for frame in (first, second)])
        weight = _only_if_worth(weight)
        total = weight.sum(axis=0)
        known = total > 0
        safe = np.where(known, total, 1.0)
        mean = (weight[0] * first.data[at] + weight[1] * second.data[at]) / safe
        data[at] = np.where(known, mean, data[at])
        variance[at] = np.where(known, 1.0 / safe, variance[at])
        more[at] = weight[1] > weight[0]
        better = np.where(more[at], second.flags[at], first.flags[at])
        flags[at] = np.where(known, better, first.flags[at] | second.flags[at])
        share[number] = float(weight[1].sum() / total.sum()) if known.any() else 0.0
        lamps[number] = _continued(main.lamp[number], other.lamp[number], common if scale else None)
    flat = MasterFlat(replace(first, data=data, variance=variance, flags=flags), lamps)
    return Joined(flat, more, share)


def _weight(frame: Frame, at: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Inverse variance (n,), 0 where the lamp says nothing."""
    known = (frame.variance[at] > 0) & ((frame.flags[at] & ~np.uint16(PixelFlag.COLD)) == 0)
    return np.where(known, 1.0 / np.where(known, frame.variance[at], 1.0), 0.0)


def _only_if_worth(weight: np.ndarray) -> np.ndarray:
    """(2, n) weights without the lamp that adds next to nothing where both give light."""
    both = (weight > 0).all(axis=0)
    if both.any():
        one, two = (float(np.median(w[both])) for w in weight)
        if two * _WORTH < one:
            weight[1][weight[0] > 0] = 0.0
        elif one * _WORTH < two:
            weight[0][weight[1] > 0] = 0.0
    return weight


def _common_scale(main: Mapping[int, np.ndarray], other: Mapping[int, np.ndarray]) -> float:
    ratios = [main[n] / other[n] for n in main if n in other]
    known = np.concatenate([r[np.isfinite(r)] for r in ratios]) if ratios else np.empty(0)
    return float(np.median(known)) if known.size else 1.0


def _continued(main: np.ndarray, other: np.ndarray, common: float | None) -> np.ndarray:
    """The main lamp's spectrum, and where it is dark the other's, on the scale it has beside it."""
    result = np.array(main)
    lit = np.flatnonzero(np.isfinite(main))
    for missing in _stretches(~np.isfinite(main) & np.isfinite(other)):
        near = lit[np.argsort(np.minimum(np.abs(lit - missing[0]), np.abs(lit - missing[-1])))][
            :_JOIN
        ]
        ratio = main[near] / other[near]
        ratio = ratio[np.isfinite(ratio)]
        factor = 1.0 if common is None else float(np.median(ratio)) if ratio.size else common
        result[missing] = factor * other[missing]
    return result


def _stretches(where: np.ndarray) -> list[np.ndarray]:
    """Runs of consecutive indices at which `where` is True."""
    index = np.flatnonzero(where)
    return [r for r in np.split(index, np.flatnonzero(np.diff(index) > 1) + 1) if r.size]
