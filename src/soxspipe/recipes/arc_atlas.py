"""Solve an arc again with the lines of a denser atlas, for disp_solution and spat_solution."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from soxspipe.datamodel.frame import Frame
from soxspipe.instrument.arms import Arm
from soxspipe.instrument.line_lists import arc_lines, line_atlas
from soxspipe.science.wavelength import atlas, solve

log = logging.getLogger(__name__)


def with_atlas(
    solved: solve.Solved,
    frame: Frame,
    mask: solve.Mask,
    steps: Mapping[str, Any],
    arm: Arm,
    name: str,
) -> solve.Solved:
    """The solution with the lines of the atlas that stand alone, looked for where `solved` puts them.

    steps : arguments of `solve.refine` that say how. name : of the frame, for the log. A solution that
    is not good is returned as it is, and so is one that the atlas does not help.
    """
    if solved.problems:
        return solved
    denser = atlas.denser(
        arc_lines(arm),
        line_atlas(arm),
        solved.solution,
        ranges={number: order.full for number, order in arm.orders.items()},
        dispersion_axis=arm.dispersion_axis,
    )
    again = solve.refine_with(frame, solved, denser, mask, **steps)
    if again is solved:
        log.warning("%s: the atlas gave no good solution; that of the line list is kept", name)
        return solved
    new = ~arc_lines(arm).holds(again.lines)
    log.info(
        "%s: %d of %d images of lines of the atlas are used beside the listed ones",
        name,
        (new & again.fit.used).sum(),
        new.sum(),
    )
    return replace(again, added=new)
