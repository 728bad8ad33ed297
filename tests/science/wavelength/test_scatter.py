"""What lines scatter beyond their photon noise is found and told apart."""

import numpy as np
import pytest

from soxspipe.science.wavelength import scatter

LINES, HOLES = 200, 9


def residuals(rng, jitter, offset):
    """Residuals of LINES lines of HOLES spots, their errors, and which line they are of."""
    line = np.repeat(np.arange(LINES), HOLES)
    error = rng.uniform(0.005, 0.02, len(line))
    residual = rng.normal(0, np.hypot(error, jitter)) + offset(LINES)[line]
    return residual, error, line


@pytest.mark.parametrize("jitter", [0.0, 0.02])
@pytest.mark.parametrize("width", [0.0, 0.01, 0.05])
def test_jitter_and_normal_offsets(jitter, width):
    rng = np.random.default_rng(1)
    data = residuals(rng, jitter, lambda n: rng.normal(0, width, n))
    found = scatter.estimate(*data, LINES, freedom=0.0)
    assert found.jitter == pytest.approx(jitter, abs=0.003)
    assert found.typical == pytest.approx(width, abs=0.004, rel=0.2)
    rms = scatter.offset_rms(data[0], found.spot(data[1]), data[2], freedom=0.0)
    assert rms == pytest.approx(width, abs=0.004, rel=0.1)


def test_long_tails_are_noticed():
    rng = np.random.default_rng(2)
    data = residuals(rng, 0.0, lambda n: 0.02 * rng.standard_t(2, n))
    found = scatter.estimate(*data, LINES, freedom=0.0)
    assert found.tail < 10
    assert found.core == pytest.approx(0.02, rel=0.35)
    normal = residuals(rng, 0.0, lambda n: rng.normal(0, 0.02, n))
    assert scatter.estimate(*normal, LINES, freedom=0.0).tail > 10


def test_freedom_of_the_fit_is_allowed_for():
    rng = np.random.default_rng(3)
    residual, error, line = residuals(rng, 0.0, lambda n: rng.normal(0, 0.05, n))
    shrunk = residual - 0.5 * np.repeat([residual[line == n].mean() for n in range(LINES)], HOLES)
    found = scatter.estimate(shrunk, error, line, LINES, freedom=0.75 * LINES)
    assert found.typical == pytest.approx(0.05, rel=0.2)


def test_single_spots_have_no_jitter():
    rng = np.random.default_rng(4)
    error = np.full(100, 0.01)
    residual = rng.normal(0, 0.03, 100)
    found = scatter.estimate(residual, error, np.arange(100), 100, freedom=0.0)
    assert found.jitter == 0.0
    assert np.hypot(found.typical, 0.01) == pytest.approx(0.03, rel=0.25)
    assert found.total(error) == pytest.approx(np.hypot(error, found.offset))


def test_a_spot_off_its_line_and_a_line_off_the_solution():
    rng = np.random.default_rng(5)
    residual, error, line = residuals(rng, 0.0, np.zeros)
    residual[4] += 0.3
    residual[line == 7] += 0.2
    fine = np.ones(len(line), dtype=bool)
    lonely = scatter.off_their_line(residual, error, line, fine, sigma=6.0)
    assert np.flatnonzero(lonely).tolist() == [4]
    known = scatter.Scatter(typical=0.01)
    support = scatter.Support(fine, line == 3, np.full(len(line), 0.01), np.full(len(line), 0.001))
    wrong = scatter.off_the_solution(residual, error, line, ~lonely, known, support, sigma=6.0)
    assert np.unique(line[wrong]).tolist() == [7]
    # where the solution is not sure, the line may be right
    unsure = scatter.Support(line != 7, line == 3, support.common, np.where(line == 7, 0.1, 0.001))
    wrong = scatter.off_the_solution(residual, error, line, ~lonely, known, unsure, sigma=6.0)
    assert not wrong.any()
    # a line that holds the solution by itself is held against the solution without it
    alone = scatter.Support(fine, line == 3, support.common, np.where(line == 3, 0.0105, 0.001))
    residual[line == 3] = 0.02
    wrong = scatter.off_the_solution(residual, error, line, ~lonely, known, alone, sigma=6.0)
    assert (line[wrong] == 7).all() or set(line[wrong]) == {3, 7}
