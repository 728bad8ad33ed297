"""Write one page per recipe before Sphinx looks for sources, and list them in order."""

from pathlib import Path
from typing import Any

from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.directives.other import TocTree

from draw_recipe import page
from soxspipe.recipes import load_all


def write_pages(app: Sphinx) -> None:
    """Write `recipes/<name>.md` for every recipe, before Sphinx looks for sources."""
    folder = Path(app.srcdir) / "recipes"
    folder.mkdir(exist_ok=True)
    recipes = load_all()
    for old in folder.glob("*.md"):
        if old.stem not in recipes:
            old.unlink()
    for name, recipe in recipes.items():
        target, text = folder / f"{name}.md", page(recipe)
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            target.write_text(text, encoding="utf-8")


class RecipeTree(TocTree):
    """`{recipe-tree}`: a table of contents of all recipes in the order of the cascade."""

    has_content = False

    def run(self) -> list[Any]:
        """A toctree of the pages drawn from the declarations."""
        self.options.setdefault("maxdepth", 1)
        self.content = StringList([f"recipes/{name}" for name in load_all()], source="recipes")
        return super().run()


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the page writer and the directive."""
    app.connect("builder-inited", write_pages)
    app.add_directive("recipe-tree", RecipeTree)
    return {"parallel_read_safe": True}
