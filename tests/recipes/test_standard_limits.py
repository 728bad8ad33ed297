"""Ranges of nodded standards, against the documented table."""

from soxspipe.datamodel.metric import Metric
from soxspipe.recipes.standard_limits import NOD_STD, limited

DOCUMENTED = {
    "VIS": {
        "badpix-frac": (-0.001, 0.01),
        "eff-median": (0.04, 0.3),
        "inner-order-pix-mean": (-40, 60),
        "samples-det-frac": (0.93, 1.01),
        "snr-median": (50, 1000),
        "x-res-sd": (-0.01, 0.2),
        "n-orders": (3, 5),
        "samples-clip-frac": (-0.01, 0.2),
    },
    "NIR": {
        "badpix-frac": (-0.001, 0.01),
        "eff-median": (0.02, 0.2),
        "inner-order-pix-mean": (-40, 60),
        "samples-det-frac": (0.7, 1.01),
        "samples-clip-frac": (-0.01, 0.3),
        "snr-median": (7, 200),
        "y-res-sd": (-0.01, 0.5),
        "n-orders": (14, 16),
    },
}


def test_ranges_are_the_documented_ones():
    metrics = [Metric(keyword, "", "what") for keyword in NOD_STD]
    found = {
        arm: {m.key: m.limits[arm] for m in limited(metrics) if arm in m.limits}
        for arm in DOCUMENTED
    }
    assert found == DOCUMENTED


def test_other_metrics_stay_as_they_are():
    other = Metric("N OBJECTS", "", "objects", {"VIS": (1, 2)})
    assert limited([other]) == (other,)
