"""The manual's recipe pages show everything a recipe declares."""

import pytest

from draw_recipe import page
from soxspipe.recipes import MODULES, load


@pytest.mark.parametrize("name", MODULES)
def test_the_page_shows_all_that_is_declared(name):
    recipe = load(name)
    text = page(recipe)
    assert f"# {name}: {recipe.title}" in text
    declared = [
        *(metric.keyword for metric in recipe.metrics),
        *(product.label for product in recipe.products),
        *(plot.label for plot in recipe.plots),
        *(item.name for item in recipe.declared_inputs()),
        *(recipe.settings.documented(option) for option in recipe.settings.model_fields),
    ]
    assert [label for label in declared if f"`{label}" not in text] == []
    for limits in (limits for metric in recipe.metrics for limits in metric.limits.values()):
        assert all(f"{bound:g}" in text for bound in limits if bound is not None)
