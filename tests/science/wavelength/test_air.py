"""Air and vacuum."""

import numpy as np
import pytest

from soxspipe.science.wavelength.air import refraction, to_air, to_vacuum


@pytest.mark.parametrize(
    ("vacuum", "air"),
    # hydrogen lines as tabulated by NIST, nm
    [(656.4522, 656.2710), (486.2650, 486.1287), (1282.1578, 1281.8072), (1875.6052, 1875.0930)],
)
def test_lines_of_hydrogen(vacuum, air):
    assert to_air(np.array([vacuum]))[0] == pytest.approx(air, abs=2e-3)


def test_there_and_back():
    air = np.linspace(340.0, 2050.0, 500)
    assert np.allclose(to_air(to_vacuum(air)), air, rtol=1e-12)


def test_air_refracts_less_in_the_red():
    index = refraction(np.linspace(340.0, 2050.0, 100))
    assert (np.diff(index) < 0).all()
    assert index[0] - 1 == pytest.approx(2.86e-4, abs=5e-6)
