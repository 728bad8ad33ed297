"""From a frame to a solution: arcs drawn by the test itself, shifted, turned, distorted."""

import numpy as np
import pytest

from soxspipe.datamodel.geometry import DispersionSolution
from soxspipe.errors import DataError
from soxspipe.science.wavelength import dispersion, distortion, solve
from tests.science.wavelength.made_arcs import (
    HOLES,
    RANGES,
    SHAPE,
    arc_frame,
    distances,
    line_list,
    plus,
    truth,
)

LINES = line_list(25, seed=1, least=0.8)


def as_found(shift=(7.4, -5.3), degrees=0.25):
    """The true solution of a night whose design is `truth()`."""
    turn = np.deg2rad(degrees)
    bent = plus(
        truth(), {(1, 0): 0.3, (2, 0): 0.3, (3, 0): -0.1, (1, 1): 0.05}, {(2, 0): 0.2, (0, 1): 0.1}
    )
    return distortion.move(
        bent, lambda x, y: (x + shift[0] - turn * (y - 70), y + shift[1] + turn * (x - 210))
    )


MASK = solve.Mask(tuple(HOLES), tuple(range(9)))
PINHOLE = solve.Mask((0.0,), (4,))


def registered(frame, mask, *, independent):
    return solve.register_design(
        frame, solve.listed(LINES, mask, truth(), SHAPE), truth(),
        independent=independent, sigma_limit=5.0, name="test",
    )  # fmt: skip


def refined(frame, mask, start, *, independent, slit_degree):
    return solve.refine(
        frame, solve.listed(LINES, mask, start, SHAPE), start,
        dispersion_axis="x", independent=independent, sigma_limit=5.0,
        options=dispersion.FitOptions(4, slit_degree, sigma=5.0, rounds=5),
    )  # fmt: skip


def off_centre(one, other):
    """Distances of two solutions along the slit centre, inside the lines."""
    apart = []
    for number, (low, high) in RANGES.items():
        w = np.linspace(low + 2, high - 2, 50)
        apart.append(np.subtract(one.predict(number, w), other.predict(number, w)))
    return np.hypot(*np.concatenate(apart, axis=1))


@pytest.mark.parametrize("independent", [True, False])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_first_solution_through_one_pinhole(independent, seed):
    rng = np.random.default_rng(seed)
    night = as_found(shift=rng.uniform(-12, 12, 2), degrees=rng.uniform(-0.3, 0.3))
    frame = arc_frame(LINES, night, rng, holes=np.zeros(1))
    start = registered(frame, PINHOLE, independent=independent)
    result = refined(frame, PINHOLE, start, independent=independent, slit_degree=0)
    off = off_centre(result.solution, night)
    assert np.sqrt(np.mean(off**2)) < 0.02
    assert off.max() < 0.06
    assert result.fit.used.mean() > 0.95
    assert result.start is start
    assert off_centre(start, night).max() < 2.5  # shape of the night
    assert max(result.degree) <= 4
    assert not result.problems
    assert result.lowered == 0


def test_bands_that_move_on_their_own():
    night = distortion.move(truth(), lambda x, y: (x + 5.0, y - 3.0))
    other = distortion.move(truth(), lambda x, y: (x - 6.0, y + 2.0))
    night = DispersionSolution({5: night.orders[5], 6: other.orders[6]})
    frame = arc_frame(LINES, night, np.random.default_rng(4), holes=np.zeros(1))
    start = registered(frame, PINHOLE, independent=True)
    result = refined(frame, PINHOLE, start, independent=True, slit_degree=0)
    assert np.sqrt(np.mean(off_centre(result.solution, night) ** 2)) < 0.02


@pytest.mark.parametrize("seed", [1, 2])
def test_full_solution_through_nine_pinholes(seed):
    night = as_found()
    frame = arc_frame(LINES, night, np.random.default_rng(seed))
    # the first solution knows the slit centre only: tilt and scale along the slit are off
    start = plus(night, {(0, 0): 0.1, (0, 1): 0.5, (1, 1): 0.1}, {(0, 0): -0.1, (0, 1): 0.6})
    result = refined(frame, MASK, start, independent=True, slit_degree=2)
    off = distances(result.solution, night, inside=2.0)
    assert np.sqrt(np.mean(off**2)) < 0.01
    assert off.max() < 0.05
    assert result.fit.used.mean() > 0.95


def test_nine_pinholes_alone_do_not_tell_which_is_which():
    frame = arc_frame(LINES, as_found(), np.random.default_rng(1))
    with pytest.raises(DataError, match="next best match"):
        registered(frame, MASK, independent=False)


def test_a_frame_without_lines_is_refused():
    rng = np.random.default_rng(5)
    dark = arc_frame(line_list(1), truth(), rng, holes=np.zeros(1))
    with pytest.raises(DataError, match=r"test, orders \[5\]: the arc lines were not recognised"):
        registered(dark, PINHOLE, independent=True)


def test_only_images_on_the_detector_are_listed():
    away = distortion.move(truth(), lambda x, y: (x + 200.0, y))
    assert len(solve.listed(LINES, PINHOLE, truth(), SHAPE)) == 50
    seen = solve.listed(LINES, PINHOLE, away, SHAPE)
    assert (seen.predicted_x < SHAPE[1] + 1).all()
    assert 0 < len(seen) < 35
    assert set(seen.slit_index) == {4}
