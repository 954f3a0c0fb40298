"""The notebooks, with the outputs that they were saved with."""

import re
from pathlib import Path

import nbformat
from nbconvert import MarkdownExporter

from docs.generate.page import Pages

FOLDER = "notebooks/"
OTHER = re.compile(r"\]\(([A-Za-z0-9_]+)\.ipynb\)")
"""A link to another notebook."""


def pages(root: Path) -> Pages:
    """Each notebook as a page, its pictures beside it."""
    made: Pages = {}
    for path in sorted((root / "notebooks").glob("*.ipynb")):
        made |= _page(path)
    return made


def _page(path: Path) -> Pages:
    notebook = nbformat.read(path, as_version=4)
    text, resources = MarkdownExporter().from_notebook_node(notebook)
    pictures = resources["outputs"]
    for name in pictures:
        text = text.replace(f"]({name})", f"]({path.stem}/{name})").replace("![png](", "![a figure](")
    made: Pages = {f"{FOLDER}{path.stem}/{name}": content for name, content in pictures.items()}
    made[f"{FOLDER}{path.stem}.md"] = _titled(text, path)
    return made


def _titled(text: str, path: Path) -> str:
    """The page begins with a heading and says which file it is."""
    text = text.lstrip()
    if not text.startswith("# "):
        text = f"# {path.stem}\n\n{text}"
    head, _, rest = text.partition("\n")
    rest = OTHER.sub(r"](\1.md)", rest)
    return f"{head}\n\n*This page is the notebook `notebooks/{path.name}` with its outputs.*\n{rest}"
