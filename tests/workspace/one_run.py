"""A small workspace with three biases (see conftest): a run of the fake recipe in it."""

import logging

from soxspipe.workspace.runner import RunRequest, run_recipe

LOG = logging.getLogger("soxspipe")
STEM = "20260111T090000_VIS_2X2_1_MBIAS_SOXS"


def run(root, inputs=None, **options):
    inputs = inputs or root / "sof" / f"{STEM}.sof"
    request = RunRequest("mbias", inputs, root, **{"plots": False} | options)
    return run_recipe(request, log=LOG)
