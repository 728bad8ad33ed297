"""What mflat says of the edges it found."""

import numpy as np
import pytest

from soxspipe.recipes import mflat
from soxspipe.science.orders.edges import EdgeSamples
from soxspipe.settings import MflatSettings

SETTINGS = MflatSettings.defaults("VIS")


def edge_samples(light, used):
    n = np.zeros(len(used))
    return EdgeSamples(n, n, n, n, n, np.asarray(used), light=light)


def test_levels_are_shares_of_the_light_where_edges_were_seen():
    samples = edge_samples(np.array([1.0, 900.0, 1000.0, 1100.0]), [False, True, True, True])
    assert mflat.edge_levels(samples, SETTINGS) == pytest.approx((500.0, 200.0, 1000.0))
    other = SETTINGS.model_copy(update={"min_percentage_threshold_for_edge_detection": 10})
    assert mflat.edge_levels(samples, other)[1] == pytest.approx(100.0)


def test_without_edges_nothing_is_known_of_the_levels():
    assert np.isnan(mflat.edge_levels(edge_samples(np.ones(3), [False] * 3), SETTINGS)).all()
    assert np.isnan(mflat.edge_levels(edge_samples(None, [True] * 3), SETTINGS)).all()
